//! Named places where a test ends the process, as a power cut would: SIGKILL, at once, by the process itself.
//!
//! A domain lists its points in one enum ([`points!`]) and reaches each where a write or an outside call begins or has
//! just ended. The compiler refuses to reach what is not listed, and warns of what is listed and never reached. Without
//! the feature `on`, which only tests turn on, reaching one is nothing at all.

/// The environment variable that names the point to die at.
#[cfg(feature = "on")]
pub const AT: &str = "CLEAVE_CRASH_AT";

/// An enum of points: each variant with its name, `<domain>.<what>.<moment>`.
#[macro_export]
macro_rules! points {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$each:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$each])* $variant),* }
        impl $name {
            /// The names of all of them.
            pub const ALL: &[&str] = $crate::listed!($($text),*);
            /// Ends the process here, if this is where a test wants it to.
            #[inline(always)]
            $vis fn reach(self) {
                $crate::reach!(match self { $(Self::$variant => $text),* });
            }
        }
    };
}

#[cfg(feature = "on")]
#[doc(hidden)]
#[macro_export]
macro_rules! listed {
    ($($text:literal),*) => { &[$($text),*] };
}
/// Without the feature not even the names are left.
#[cfg(not(feature = "on"))]
#[doc(hidden)]
#[macro_export]
macro_rules! listed {
    ($($text:literal),*) => {
        &[]
    };
}
#[cfg(feature = "on")]
#[doc(hidden)]
#[macro_export]
macro_rules! reach {
    ($name:expr) => {
        $crate::die_at($name)
    };
}
#[cfg(not(feature = "on"))]
#[doc(hidden)]
#[macro_export]
macro_rules! reach {
    ($name:expr) => {};
}

/// Ends the process if [`AT`] is this name.
#[cfg(feature = "on")]
pub fn die_at(name: &str) {
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::LazyLock;
    static WANTED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(AT).ok());
    if WANTED.as_deref() != Some(name) {
        return;
    }
    if let Err(error) = kill_process(getpid(), Signal::KILL) {
        panic!("a process may end itself: {error}");
    }
    loop {
        std::thread::park(); // nothing more is done on this thread until the signal is there
    }
}
