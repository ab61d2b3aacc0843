//! Counts what a process allocates: tests hold an operation's allocations against a table, as they do its statements.
//!
//! A count says the same on a busy machine as on a quiet one, which no time does. [`global!`] names the process's
//! allocator, whichever it is; with the feature `on`, which only tests turn on, [`Counting`] stands before it. Without
//! the feature the allocator is what was named and nothing here is in the binary.
//! What a process does by itself would be counted with what it is asked for, so a test may also [keep workers
//! waiting](until_work_is_wanted).
#[cfg(feature = "on")]
mod counting;
#[cfg(feature = "on")]
mod waiting;

#[cfg(feature = "on")]
pub use counting::{Allocated, Counting, by_process, by_thread};
#[cfg(feature = "on")]
pub use waiting::{WAIT, until_work_is_wanted};

/// `counted::global!(System)`: the allocator of this process, which a constant expression of that type's name makes, or
/// `counted::global!(Type = expression)`.
#[cfg(feature = "on")]
#[macro_export]
macro_rules! global {
    ($allocator:ty = $made:expr) => {
        #[global_allocator]
        static ALLOCATOR: $crate::Counting<$allocator> = $crate::Counting($made);
    };
    ($allocator:path) => {
        $crate::global!($allocator = $allocator);
    };
}
/// Without the feature it is what it says.
#[cfg(not(feature = "on"))]
#[macro_export]
macro_rules! global {
    ($allocator:ty = $made:expr) => {
        #[global_allocator]
        static ALLOCATOR: $allocator = $made;
    };
    ($allocator:path) => {
        $crate::global!($allocator = $allocator);
    };
}

/// What this thread allocates from now on is not the process's: a thread that tells the count must not change it.
#[cfg(feature = "on")]
pub fn leave_out_this_thread() {
    counting::leave_out_this_thread();
}
/// Nobody counts.
#[cfg(not(feature = "on"))]
pub const fn leave_out_this_thread() {}

/// Adds the process's count to a text for Prometheus.
#[cfg(feature = "on")]
pub fn tell(metrics: &mut String) {
    let Allocated { allocations, bytes } = by_process();
    metrics.push_str(&format!(
        "# TYPE cleave_allocations_total counter\ncleave_allocations_total {allocations}\n\
         # TYPE cleave_allocated_bytes_total counter\ncleave_allocated_bytes_total {bytes}\n"
    ));
}
/// Nobody counts.
#[cfg(not(feature = "on"))]
pub const fn tell(_metrics: &mut String) {}

/// Nobody keeps workers waiting.
#[cfg(not(feature = "on"))]
pub async fn until_work_is_wanted() {}

#[cfg(all(test, feature = "on"))]
mod tests {
    use super::{Allocated, by_process, by_thread};
    use std::{alloc::System, hint::black_box, thread};

    crate::global!(System);

    #[test]
    fn what_is_allocated_grown_and_given_back_is_counted_once_each() {
        let before = by_thread();
        let mut bytes: Vec<u8> = black_box(Vec::with_capacity(100));
        assert_eq!(by_thread() - before, Allocated { allocations: 1, bytes: 100 });
        bytes.resize(100, 1);
        bytes.reserve_exact(50); // in place or elsewhere: it was asked for
        assert_eq!(by_thread() - before, Allocated { allocations: 2, bytes: 250 });
        drop(black_box(bytes));
        assert_eq!((by_thread() - before).allocations, 2, "giving back is free");
        let zeroes = black_box(vec![0_u8; 10]);
        assert_eq!(by_thread() - before, Allocated { allocations: 3, bytes: 260 });
        drop(zeroes);
    }

    #[test]
    fn a_thread_that_is_left_out_adds_nothing_to_the_process() {
        // Other tests allocate meanwhile, but not so much at once.
        const MUCH: usize = 1 << 30;
        let asked = |left_out: bool| {
            let before = by_process();
            thread::spawn(move || {
                if left_out {
                    crate::leave_out_this_thread();
                }
                drop(black_box(Vec::<u8>::with_capacity(MUCH)));
            })
            .join()
            .expect("it allocates and ends");
            (by_process() - before).bytes
        };
        assert!(asked(false) >= MUCH as u64);
        assert!(asked(true) < MUCH as u64);
    }

    #[test]
    fn it_is_told_as_prometheus_reads_it() {
        let mut text = "before\n".to_owned();
        super::tell(&mut text);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[1]), (5, "before", "# TYPE cleave_allocations_total counter"));
        assert!(
            lines[2].starts_with("cleave_allocations_total ") && lines[4].starts_with("cleave_allocated_bytes_total ")
        );
    }
}
