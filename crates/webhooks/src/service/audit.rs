//! Whether the books of webhooks agree with each other.
use super::Webhooks;
use crate::store::audit::ALWAYS;
use kernel::Check;

impl Webhooks {
    /// Recomputes every invariant from the tables, each at a moment of its own, so it may run beside traffic.
    pub async fn audit(&self) -> Result<Vec<Check>, database::Error> {
        let (now, mut checks) = (self.0.now(), Vec::new());
        for invariant in &ALWAYS {
            checks.push(self.0.db.read(move |conn| invariant.check(conn, now)).await?);
        }
        Ok(checks)
    }
}
