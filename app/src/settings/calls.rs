//! `[calls]`: how much modules may ask of each other at once, and how patient they are with a domain that runs elsewhere.
use super::none_at_zero;
use guard::Limits;
use host::GrpcSettings;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallSettings {
    outbound: usize,
    inbound: usize,
    tries: u32,
    retry_percent: u32,
    breaker_failures: u32,
    breaker_milliseconds: u64,
}

impl CallSettings {
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = none_at_zero(&[
            ("calls.outbound", self.outbound),
            ("calls.inbound", self.inbound),
            ("calls.tries", self.tries as usize),
            ("calls.breaker_failures", self.breaker_failures as usize),
        ]);
        if self.tries > 10 {
            problems.push("calls.tries: 10 at most".into());
        }
        if self.retry_percent > 100 {
            problems.push("calls.retry_percent: 100 at most, or an outage is multiplied".into());
        }
        problems
    }
    pub(crate) fn limits(&self) -> Limits {
        Limits { outbound: self.outbound, inbound: self.inbound }
    }
    pub(crate) fn wire(&self, grpc: &GrpcSettings) -> wire::Settings {
        wire::Settings {
            tries: self.tries,
            retry_percent: self.retry_percent,
            breaker_failures: self.breaker_failures,
            breaker_pause: Duration::from_millis(self.breaker_milliseconds),
            resolve: Duration::from_secs(grpc.resolve_seconds),
        }
    }
}
