//! Whether the books of products agree with each other.
use super::{Products, Service};
use crate::store::audit::{ALWAYS, AT_REST};
use kernel::Check;
use std::time::Duration;

/// How long a hold may stand past its time, besides a few sweeps: a process may just be starting again.
const GRACE: Duration = Duration::from_secs(60);
const SWEEPS: u32 = 4;

impl Products {
    /// Recomputes every invariant from the tables, each at a moment of its own, so it may run beside traffic. `at_rest`
    /// adds what only holds when nobody is buying.
    pub async fn audit(&self, at_rest: bool) -> Result<Vec<Check>, database::Error> {
        let before = self.0.now().minus(GRACE + self.0.sweep_every() * SWEEPS);
        let mut checks = Vec::new();
        for invariant in ALWAYS.iter().chain(at_rest.then_some(&AT_REST)) {
            checks.push(self.0.db.read(move |conn| invariant.check(conn, before)).await?);
        }
        Ok(checks)
    }
}

impl Service {
    pub(super) fn sweep_every(&self) -> Duration {
        Duration::from_secs(self.settings.sweep_seconds.max(1))
    }
}
