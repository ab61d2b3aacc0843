//! Failures as gRPC statuses, both ways, and what a call takes along.
use guard::{Unverified, Verify, lost};
use kernel::{Call, Failure, Peer, Principal, Spec, Trace};
use std::{
    error::Error,
    time::{Duration, Instant},
};
use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};

/// Said only by our own server, before any work: only then does `UNAVAILABLE` mean "surely no effect". tonic and every
/// proxy use the same code for a connection that broke in the middle.
const NO_EFFECT: &str = "cleave-no-effect";
/// Whatever our own server refuses: it was there, and said so.
const SAID: &str = "cleave-said";
/// gRPC's own name for it.
const RETRY_AFTER: &str = "grpc-retry-pushback-ms";

pub(crate) fn refusal(failure: Failure) -> Status {
    let mut status = match failure {
        Failure::Denied => Status::permission_denied("not allowed"),
        Failure::Unknown => Status::unknown("outcome unknown"),
        Failure::Unavailable { retry_after } => {
            let mut status = Status::unavailable("not now");
            status.metadata_mut().insert(NO_EFFECT, MetadataValue::from_static("1"));
            if let Some(after) = retry_after {
                let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                status.metadata_mut().insert(RETRY_AFTER, millis.into());
            }
            status
        }
    };
    status.metadata_mut().insert(SAID, MetadataValue::from_static("1"));
    status
}

pub(crate) fn failure(spec: &Spec, status: &Status) -> Failure {
    let number = |name| status.metadata().get(name)?.to_str().ok()?.parse().ok();
    match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => Failure::Denied,
        _ if never_sent(status) || status.metadata().contains_key(NO_EFFECT) => {
            Failure::Unavailable { retry_after: number(RETRY_AFTER).map(Duration::from_millis) }
        }
        // Nobody here serves this, or nobody could read it.
        Code::Unimplemented | Code::InvalidArgument => Failure::UNAVAILABLE,
        _ => lost(spec),
    }
}

fn never_sent(status: &Status) -> bool {
    std::iter::successors(status.source(), |error| (*error).source()).any(|error| error.is::<tonic::ConnectError>())
}

/// Whether the callee said it, and no connection on the way to it.
pub(crate) fn is_ours(status: &Status) -> bool {
    let said = [Code::PermissionDenied, Code::Unauthenticated, Code::Unimplemented, Code::InvalidArgument];
    status.metadata().contains_key(SAID) || (status.source().is_none() && said.contains(&status.code()))
}

/// Why, in one line, down to its cause: tonic's own texts stop at "transport error", or tell everything twice.
pub(crate) fn why(status: &Status) -> String {
    let causes = std::iter::successors(status.source(), |error| (*error).source()).map(ToString::to_string);
    let mut told: Vec<String> = causes.collect();
    told.dedup();
    if told.is_empty() { format!("{:?}: {}", status.code(), status.message()) } else { told.join(": ") }
}

pub(crate) fn depart(call: &Call, metadata: &mut MetadataMap) -> Result<(), Failure> {
    let ascii = |text: &str| text.parse::<MetadataValue<_>>().map_err(|_| Failure::Denied);
    metadata.insert("traceparent", ascii(&format!("00-{:032x}-0000000000000001-01", call.trace.0))?);
    if let Principal::User(user) = &call.principal {
        metadata.insert("authorization", ascii(&format!("Bearer {}", user.token()))?);
    }
    Ok(())
}

/// Who calls, for whom, until when. Believes nothing but signatures: the peer is the certificate's, the user is verified
/// here again. A peer may ask for `longest` at most.
pub(crate) async fn arrive(
    metadata: &MetadataMap,
    peer: Peer,
    verify: &dyn Verify,
    longest: Duration,
) -> Result<Call, Failure> {
    let text = |name| metadata.get(name).and_then(|value| value.to_str().ok());
    let Some(patience) = text("grpc-timeout").and_then(timeout) else {
        tracing::warn!(peer = %peer.0, "call refused: it does not say how long it may take");
        return Err(Failure::UNAVAILABLE);
    };
    let patience = patience.min(longest);
    let deadline = Instant::now() + patience;
    let principal = match text("authorization").map(|value| value.strip_prefix("Bearer ")) {
        None => Principal::Anonymous,
        Some(None) => {
            tracing::warn!(peer = %peer.0, "call denied: what it shows is no token");
            return Err(Failure::Denied);
        }
        Some(Some(token)) => match tokio::time::timeout(patience, verify.verify(token)).await {
            Ok(Ok(user)) => Principal::User(user),
            Ok(Err(Unverified::Rejected(why))) => {
                tracing::warn!(peer = %peer.0, %why, "call denied: its token is not believed");
                return Err(Failure::Denied);
            }
            Ok(Err(Unverified::Failure(failure))) => return Err(failure),
            Err(_) => return Err(Failure::UNAVAILABLE),
        },
    };
    let trace = text("traceparent").and_then(|value| u128::from_str_radix(value.get(3..35)?, 16).ok());
    let mut call = Call::begin(principal, Trace(trace.unwrap_or_default()), patience);
    call.deadline = deadline;
    Ok(arrived(call, peer))
}

#[expect(clippy::disallowed_methods, reason = "the certificate says who calls")]
fn arrived(call: Call, peer: Peer) -> Call {
    call.from_peer(peer, None)
}

/// The key is the request's: never believed from a header.
#[expect(clippy::disallowed_methods, reason = "the peer stays who it is")]
pub(crate) fn keyed(call: Call, key: Option<kernel::Key>) -> Call {
    let peer = call.peer().clone();
    call.from_peer(peer, key)
}

/// tonic reads this header for itself and shows nobody.
fn timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| (1..=8).contains(&digits.len()))?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Effect, Needs};

    #[test]
    fn times_are_read_or_refused() {
        let read = [("5S", Some(5_000_000)), ("20m", Some(20_000)), ("7u", Some(7)), ("1H", Some(3_600_000_000))];
        for (text, micros) in read.into_iter().chain(["", "S", "5", "5x", "-1S", "123456789S", "é"].map(|t| (t, None)))
        {
            assert_eq!(timeout(text), micros.map(Duration::from_micros), "{text}");
        }
    }

    struct Nobody;
    #[kernel::async_trait]
    impl Verify for Nobody {
        async fn verify(&self, _: &str) -> Result<kernel::token::Verified, Unverified> {
            Err(Unverified::Rejected(kernel::token::Rejected::Invalid))
        }
        fn clock(&self) -> &dyn kernel::Clock {
            &kernel::SystemClock
        }
    }

    #[tokio::test]
    async fn nobody_asks_for_more_time_than_there_is() {
        let longest = Duration::from_secs(30);
        for (asked, most) in [("24H", Some(30)), ("99999999H", Some(30)), ("5S", Some(5)), ("soon", None)] {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", asked.parse().unwrap());
            let call = arrive(&metadata, "orders".into(), &Nobody, longest).await.ok();
            let left = call.map(|call| call.time_left().unwrap());
            assert_eq!(left.is_some(), most.is_some(), "{asked}");
            assert!(left.zip(most).is_none_or(|(left, most)| left <= Duration::from_secs(most)), "{asked}");
        }
        let nothing_said = arrive(&MetadataMap::new(), "orders".into(), &Nobody, longest).await;
        assert_eq!(nothing_said.err(), Some(Failure::UNAVAILABLE));
    }

    #[test]
    fn only_our_own_word_is_surely_without_effect() {
        const CHANGE: Spec = Spec { service: "s", method: "m", effect: Effect::idempotent, needs: Needs::Peer };
        const READ: Spec = Spec { effect: Effect::read, ..CHANGE };
        for after in [None, Some(Duration::from_millis(1500))] {
            let told = Failure::Unavailable { retry_after: after };
            assert_eq!(failure(&CHANGE, &refusal(told)), told);
            assert!(is_ours(&refusal(told)));
        }
        for same in [Failure::Denied, Failure::Unknown] {
            assert_eq!(failure(&CHANGE, &refusal(same)), same);
            assert!(is_ours(&refusal(same)), "an outcome that the callee does not know is no callee that is away");
        }
        for broken in [Status::unavailable("a proxy"), Status::cancelled(""), Status::internal(""), Status::aborted("")]
        {
            assert_eq!(failure(&CHANGE, &broken), Failure::Unknown, "{broken}");
            assert_eq!(failure(&READ, &broken), Failure::UNAVAILABLE, "{broken}");
            assert!(!is_ours(&broken));
        }
        assert_eq!(failure(&CHANGE, &Status::unimplemented("")), Failure::UNAVAILABLE);
    }
}
