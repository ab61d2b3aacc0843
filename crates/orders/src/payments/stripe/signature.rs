//! Whether Stripe sent it: an HMAC over the time and the bytes as they came.
use super::BadEvent;
use kernel::{Secret, Time};
use ring::hmac;

/// The header's `t`, once, and every `v1`; other schemes are not listened to.
pub(super) fn check(header: &str, body: &[u8], secrets: &[Secret], tolerance: u32, now: Time) -> Result<(), BadEvent> {
    let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let said = |reason: &str| BadEvent(reason.to_owned());
    let mut times = pairs().filter(|(name, _)| *name == "t").map(|(_, value)| value);
    let (Some(time), None) = (times.next(), times.next()) else { return Err(said("the signature has no time")) };
    let at: i64 = time.parse().map_err(|_| said("the signature has no time"))?;
    let signed = [time.as_bytes(), b".", body].concat();
    let genuine = pairs().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| bytes(hex)).any(|tag| {
        secrets.iter().any(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
            hmac::verify(&key, &signed, &tag).is_ok()
        })
    });
    if !genuine {
        return Err(said("the signature is not that of this shop's endpoint"));
    }
    match now.seconds().abs_diff(at) <= u64::from(tolerance) {
        true => Ok(()),
        false => Err(said("the event was signed too long ago, or in the future")),
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    (0..32).map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    fn now() -> Time {
        Time::from_micros(1_800_000_000_000_000)
    }
    fn sign(secret: &str, at: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, &[at.to_string().as_bytes(), b".", BODY].concat());
        format!("t={at},v1={}", tag.as_ref().iter().map(|b| format!("{b:02x}")).collect::<String>())
    }
    fn checked(header: &str, body: &[u8]) -> bool {
        check(header, body, &["new".into(), "old".into()], 300, now()).is_ok()
    }

    #[test]
    fn only_what_was_signed_is_heard() {
        let at = now().seconds();
        assert!(checked(&sign("new", at), BODY));
        assert!(checked(&sign("old", at), BODY), "while secrets change");
        assert!(checked(&format!("{},v1={}", sign("old", at), "0".repeat(64)), BODY), "one of several");
        assert!(!checked(&sign("forged", at), BODY));
        assert!(!checked(&sign("new", at), br#"{"id":"evt_2"}"#), "altered");
        assert!(!checked(&sign("new", at).replace("v1", "v0"), BODY), "another scheme");
        for header in ["", "t=", "v1=00", "t=x,v1=00", "t=1,t=2,v1=00"] {
            assert!(!checked(header, BODY), "{header}");
        }
    }

    #[test]
    fn only_for_a_while() {
        let at = now().seconds();
        for (off, heard) in [(-301, false), (-300, true), (300, true), (301, false)] {
            assert_eq!(checked(&sign("new", at + off), BODY), heard, "{off}");
        }
    }
}
