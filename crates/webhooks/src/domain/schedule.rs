//! When a delivery is tried again.
use kernel::Time;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::time::Duration;

/// The longest that an endpoint may ask us to wait.
const LONGEST_WISH: Duration = Duration::from_secs(24 * 3600);

/// Waits between one try and the next; after as many and one more a delivery has failed.
#[derive(Clone, Debug)]
pub(crate) struct Schedule(pub Vec<Duration>);

impl Schedule {
    /// How long to wait after `tried` tries in vain; `None`: that was the last. Up to a quarter longer each time, so that
    /// what failed together does not come back together; and as long as the endpoint wishes, within a day.
    pub(crate) fn wait(&self, tried: i64, wish: Option<Duration>) -> Option<Duration> {
        let at = usize::try_from(tried).ok()?.checked_sub(1)?;
        let wait = *self.0.get(at)?;
        let jittered = wait + wait.mul_f64(f64::from(random()) / 256.0 / 4.0);
        Some(jittered.max(wish.unwrap_or_default().min(LONGEST_WISH)))
    }
}

fn random() -> u8 {
    let mut byte = [0];
    SystemRandom::new().fill(&mut byte).expect("the system has randomness");
    byte[0]
}

/// `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(text: &str, now: Time) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at: Time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?.into();
    u64::try_from(at.micros() - now.micros()).ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(all: &[u64]) -> Schedule {
        Schedule(all.iter().map(|s| Duration::from_secs(*s)).collect())
    }

    #[test]
    fn waits_grow_and_end() {
        let schedule = seconds(&[5, 300, 1800]);
        for (tried, least) in [(1, 5), (2, 300), (3, 1800)] {
            for _ in 0..100 {
                let wait = schedule.wait(tried, None).unwrap().as_secs_f64();
                assert!((f64::from(least)..f64::from(least) * 1.25).contains(&wait), "{tried}: {wait}");
            }
        }
        assert_eq!((schedule.wait(4, None), schedule.wait(0, None)), (None, None));
        let waits: std::collections::HashSet<_> = (0..100).map(|_| schedule.wait(3, None)).collect();
        assert!(waits.len() > 1, "they do not come back together");
    }

    #[test]
    fn an_endpoint_may_wish_for_more_within_a_day() {
        let schedule = seconds(&[5]);
        let wait = |wish| schedule.wait(1, Some(Duration::from_secs(wish))).unwrap().as_secs();
        assert!(wait(1) >= 5);
        assert_eq!(wait(3600), 3600);
        assert_eq!(wait(10_000_000), 24 * 3600);
        assert_eq!(schedule.wait(2, Some(Duration::from_secs(60))), None, "no more tries than there are");
    }

    #[test]
    fn a_wish_is_seconds_or_a_date() {
        let now = Time::from_micros(1_445_412_420_000_000); // 2015-10-21T07:27:00Z
        for (text, wish) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", None),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), wish.map(Duration::from_secs), "{text}");
        }
    }
}
