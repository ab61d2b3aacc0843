//! How events are told and heard, whatever the broker.
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// For how long a process that tells or hears may be silent before another goes on.
    pub lease_seconds: u64,
    /// How often an event is tried before it is given up.
    pub tries: i64,
    /// Days that events are kept after they were told.
    pub keep_told_days: u64,
    /// Days that the ids of handled events are kept: what comes again later would be handled again.
    pub keep_handled_days: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { lease_seconds: 10, tries: 10, keep_told_days: 30, keep_handled_days: 30 }
    }
}

impl Pace {
    /// What is wrong with it, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(2..=300).contains(&self.lease_seconds) {
            problems.push(format!("events.lease_seconds: {} is not from 2 to 300", self.lease_seconds));
        }
        if !(1..=100).contains(&self.tries) {
            problems.push(format!("events.tries: {} is not from 1 to 100", self.tries));
        }
        for (name, days) in [("keep_told_days", self.keep_told_days), ("keep_handled_days", self.keep_handled_days)] {
            if !(1..=3650).contains(&days) {
                problems.push(format!("events.{name}: {days} is not from 1 to 3650"));
            }
        }
        problems
    }
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }
    pub fn keep_told(&self) -> Duration {
        days(self.keep_told_days)
    }
    pub fn keep_handled(&self) -> Duration {
        days(self.keep_handled_days)
    }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}
