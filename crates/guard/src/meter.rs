//! How long calls take, by method and outcome.
//!
//! A recorder finds a histogram by a key, and making the key allocates; so each is asked for once a handle, when it is
//! first needed: what never happens is not shown. Install a recorder before the first call.
use kernel::{CallError, Spec};
use metrics::{Histogram, histogram};
use std::{array::from_fn, sync::OnceLock, time::Duration};

const OUTCOMES: [&str; 5] = ["ok", "domain", "denied", "unavailable", "unknown"];

pub(crate) struct Meters(Box<[Meter]>);

struct Meter {
    spec: &'static Spec,
    by_outcome: [OnceLock<Histogram>; OUTCOMES.len()],
}

impl Meters {
    pub(crate) fn of(methods: &[&'static Spec]) -> Self {
        let meter = |&spec: &&'static Spec| Meter { spec, by_outcome: from_fn(|_| OnceLock::new()) };
        Self(methods.iter().map(meter).collect())
    }
    pub(crate) fn record<T, E>(&self, spec: &Spec, outcome: &Result<T, CallError<E>>, took: Duration) {
        let outcome = match outcome {
            Ok(_) => 0,
            Err(CallError::Domain(_)) => 1,
            Err(CallError::Denied) => 2,
            Err(CallError::Unavailable { .. }) => 3,
            Err(CallError::Unknown) => 4,
        };
        let Some(meter) = self.0.iter().find(|meter| meter.spec.method == spec.method) else { return };
        meter.by_outcome[outcome].get_or_init(|| named(meter.spec, OUTCOMES[outcome])).record(took);
    }
}

fn named(spec: &Spec, outcome: &'static str) -> Histogram {
    histogram!("cleave_call_seconds", "service" => spec.service, "method" => spec.method, "outcome" => outcome)
}
