//! Which key signs, and which are done: decided by the times at which keys begin to sign, so that several processes on
//! one database agree, and none has to be told.
use kernel::Time;
use std::time::Duration;

/// Of keys in the order in which they begin to sign, the one that signs now: the last that has begun. By a clock that
/// is behind none has: then the first.
pub(crate) fn signing(begin: &[Time], now: Time) -> Option<usize> {
    if begin.is_empty() { None } else { Some(begun(begin, now).saturating_sub(1)) }
}

/// How many of the first nobody needs: a later one has signed for so long that all their tokens have expired. Never
/// the one that signs.
pub(crate) fn outlived(begin: &[Time], now: Time, kept: Duration) -> usize {
    begun(begin, now.minus(kept)).saturating_sub(1)
}

fn begun(begin: &[Time], now: Time) -> usize {
    begin.iter().filter(|&&at| at <= now).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_key_signs_from_its_time_until_the_next() {
        let keys = [at(10), at(130), at(200)];
        let signs = |now| signing(&keys, at(now));
        assert_eq!([9, 10, 129, 130, 199, 200, 9_000].map(signs), [0, 0, 0, 1, 1, 2, 2].map(Some));
        assert_eq!(signing(&[], at(1)), None);
    }

    #[test]
    fn a_key_is_done_when_the_next_has_signed_for_longer_than_a_token_lives() {
        let (keys, kept) = ([at(0), at(100), at(110)], Duration::from_secs(60));
        let gone = |now| outlived(&keys, at(now), kept);
        assert_eq!([0, 100, 159, 160, 169, 170, 9_000].map(gone), [0, 0, 0, 1, 1, 2, 2]);
        assert_eq!((outlived(&[], at(0), kept), outlived(&keys[..1], at(9_000), kept)), (0, 0));
    }
}
