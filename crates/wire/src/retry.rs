//! When another try is worth it, and when a domain is left alone for a while.
use std::{
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

/// Tries beyond the first are paid for: each call earns a part of one, so that retries never multiply an outage.
pub(crate) struct Budget {
    /// Hundredths of a try.
    saved: AtomicI64,
    percent: i64,
}

impl Budget {
    /// What can be saved up: enough for a few calls after a quiet time.
    const MOST: i64 = 10 * 100;

    pub(crate) fn new(percent: u32) -> Self {
        Self { saved: AtomicI64::new(Self::MOST), percent: percent.into() }
    }
    pub(crate) fn earn(&self) {
        let earned = |saved: i64| Some((saved + self.percent).min(Self::MOST));
        let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earned); // `Some` always
    }
    /// Whether one more try is paid for.
    pub(crate) fn spend(&self) -> bool {
        let spent = |saved: i64| (saved >= 100).then_some(saved - 100);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent).is_ok()
    }
}

/// Opens after so many failures in a row; then lets one call a pause try, and closes when it comes back.
pub(crate) struct Breaker {
    state: Mutex<State>,
    failures: u32,
    pause: Duration,
}

#[derive(Default)]
struct State {
    failed: u32,
    /// No call before this; whoever comes after it takes the next turn.
    closed_until: Option<Instant>,
}

impl Breaker {
    pub(crate) fn new(failures: u32, pause: Duration) -> Self {
        Self { state: Mutex::default(), failures, pause }
    }
    /// `Err`: how long to leave it alone.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        let mut state = self.state.lock().expect("never poisoned");
        let Some(until) = state.closed_until else { return Ok(()) };
        let now = Instant::now();
        match until.checked_duration_since(now).filter(|left| !left.is_zero()) {
            Some(left) => Err(left),
            None => {
                // This one tries; the others go on waiting for what becomes of it.
                state.closed_until = Some(now + self.pause);
                Ok(())
            }
        }
    }
    /// Whether it opened or closed just now.
    pub(crate) fn note(&self, came_back: bool) -> bool {
        let mut state = self.state.lock().expect("never poisoned");
        if came_back {
            let was_open = state.closed_until.take().is_some();
            state.failed = 0;
            return was_open;
        }
        state.failed = state.failed.saturating_add(1);
        if state.failed < self.failures {
            return false;
        }
        state.closed_until.replace(Instant::now() + self.pause).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_paid_for_by_calls() {
        let budget = Budget::new(20);
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 10);
        (0..5).for_each(|_| budget.earn());
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 1, "five calls earn one");
        (0..1000).for_each(|_| budget.earn());
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 10, "no more than that is saved up");
    }

    #[test]
    fn a_breaker_opens_lets_one_try_and_closes() {
        let breaker = Breaker::new(3, Duration::from_secs(3600));
        assert!(!breaker.note(false) && !breaker.note(false), "two are not enough");
        assert!(!breaker.note(true));
        assert!(!breaker.note(false) && !breaker.note(false) && breaker.note(false), "three in a row are");
        assert!(breaker.admit().unwrap_err() > Duration::from_secs(3000));
        // the pause is over
        breaker.state.lock().unwrap().closed_until = Some(Instant::now());
        assert_eq!(breaker.admit(), Ok(()));
        assert!(breaker.admit().is_err(), "one tries, not two");
        assert!(breaker.note(true), "it came back");
        assert_eq!(breaker.admit(), Ok(()));
    }
}
