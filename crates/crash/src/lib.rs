//! Named places where a test ends the process, as a power cut would: SIGKILL, at once, by the process itself.
//!
//! A domain lists its points in one enum ([`points!`]) and reaches each where a write or an outside call begins or has
//! just ended. The compiler refuses to reach what is not listed, and warns of what is listed and never reached. Without
//! the feature `on`, which only tests turn on, reaching one is nothing at all.

/// The environment variable that names the point to die at.
#[cfg(feature = "on")]
pub const AT: &str = "CLEAVE_CRASH_AT";

/// The environment variable that names a file of points, a line each: whoever comes to the first takes it out and dies
/// there. So one server after another can be led to its end, and nobody needs to be started anew to be told where.
#[cfg(feature = "on")]
pub const LIST: &str = "CLEAVE_CRASH_LIST";

/// Whether this process was only asked which points it has: `cleave --list-crash-points`.
#[cfg(feature = "on")]
pub fn list_is_wanted() -> bool {
    std::env::args_os().skip(1).eq(["--list-crash-points"])
}
/// Without the feature nobody can ask.
#[cfg(not(feature = "on"))]
pub const fn list_is_wanted() -> bool {
    false
}

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

/// Ends the process if [`AT`] is this name, or the first in [`LIST`].
#[cfg(feature = "on")]
pub fn die_at(name: &str) {
    use std::{
        path::PathBuf,
        sync::{LazyLock, Mutex, PoisonError},
    };
    static WANTED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(AT).ok());
    static LISTED: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(LIST).map(PathBuf::from));
    static ONE: Mutex<()> = Mutex::new(());
    if WANTED.as_deref() == Some(name) {
        die();
    }
    let Some(list) = LISTED.as_deref() else { return };
    // Held until the end: two threads at one point are one death.
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(points) = std::fs::read_to_string(list) else { return };
    let Some(left) = points.strip_prefix(name).and_then(|rest| rest.strip_prefix('\n')) else { return };
    // By a rename: a process that is killed meanwhile leaves the one list or the other.
    let next = list.with_extension("next");
    if let Err(error) = std::fs::write(&next, left).and_then(|()| std::fs::rename(&next, list)) {
        panic!("the list of points can be written: {error}");
    }
    die();
}

#[cfg(feature = "on")]
fn die() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    if let Err(error) = kill_process(getpid(), Signal::KILL) {
        panic!("a process may end itself: {error}");
    }
    loop {
        std::thread::park(); // nothing more is done on this thread until the signal is there
    }
}
