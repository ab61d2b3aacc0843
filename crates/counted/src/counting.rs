//! The allocator that counts, and its counts.
use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    ops::Sub,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Made without allocating and never dropped, so they can be asked for at any moment of a thread.
    static HERE: Cell<Allocated> = const { Cell::new(Allocated { allocations: 0, bytes: 0 }) };
    static LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

/// How often memory was asked for, and how much of it; what was given back is not taken off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    pub allocations: u64,
    pub bytes: u64,
}

impl Sub for Allocated {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self { allocations: self.allocations - before.allocations, bytes: self.bytes - before.bytes }
    }
}

/// By all threads that are not left out.
pub fn by_process() -> Allocated {
    Allocated { allocations: ALLOCATIONS.load(Relaxed), bytes: BYTES.load(Relaxed) }
}

/// By this thread.
pub fn by_thread() -> Allocated {
    HERE.get()
}

pub(crate) fn leave_out_this_thread() {
    LEFT_OUT.set(true);
}

/// Counts, and lets `A` do the work.
pub struct Counting<A>(pub A);

fn count(bytes: usize) {
    let (here, bytes) = (HERE.get(), bytes as u64);
    HERE.set(Allocated { allocations: here.allocations + 1, bytes: here.bytes + bytes });
    if !LEFT_OUT.get() {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes, Relaxed);
    }
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; every call is passed on as it came")]
// SAFETY: `A` keeps the trait's promises, and counting neither allocates nor panics.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are `A`'s.
        unsafe { self.0.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above
        unsafe { self.0.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above
        unsafe { self.0.realloc(memory, layout, size) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above
        unsafe { self.0.dealloc(memory, layout) }
    }
}
