//! What `cleave audit` says of a shop, and that no shop of a test ends without it.
use crate::{Domain, Shop, Topology};
use serde_json::Value;
use std::{
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

const SETTLES: Duration = Duration::from_secs(60);

impl Shop {
    /// The checks that are off, each with its findings, of all domains, and what was told in another form than the
    /// document's; none where everything holds. Its servers may be at work.
    pub fn audit(&self) -> Vec<String> {
        let mut off = looked(self.fleet.commands(&["audit", "--json"])).unwrap_or_else(|why| panic!("{why}"));
        off.extend(self.told_otherwise());
        off
    }
    /// Returns when everything holds and nothing is under way any more: what was left behind is finished or undone.
    pub async fn settled(&self) {
        let asked = Instant::now();
        loop {
            if asked.elapsed() <= SETTLES && !self.all_is_told() {
                tokio::time::sleep(Duration::from_millis(50)).await; // the next look
                continue;
            }
            let commands = self.fleet.commands(&["audit", "--json", "--at-rest"]);
            let looked = tokio::task::spawn_blocking(move || looked(commands)).await.expect("it does not panic");
            match looked {
                Ok(off) if off.is_empty() => return,
                Ok(off) if asked.elapsed() > SETTLES => panic!("{SETTLES:?} later still off:\n{}", off.join("\n")),
                // Who was asked may be on the way up.
                Err(why) if asked.elapsed() > SETTLES => panic!("{why}"),
                // Between two looks at a condition with a deadline.
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
    /// Whether nothing waits in outboxes and inboxes: what a broker has in its hands is in
    /// neither.
    pub fn all_is_told(&self) -> bool {
        const WAITS: &str = "SELECT (SELECT count(*) FROM outbox WHERE published_at IS NULL) + \
             (SELECT count(*) FROM inbox WHERE handled_at IS NULL AND dead_at IS NULL) AS number";
        Domain::ALL.iter().all(|domain| self.number(domain.name(), WAITS) == 0)
    }
    /// For a shop whose data a test has spoilt, or whose end is no shop any more.
    pub fn ends_unaudited(&mut self, why: &'static str) {
        self.unaudited = Some(why);
    }
}

/// The checks that are off, or why nobody could look.
fn looked(commands: Vec<Command>) -> Result<Vec<String>, String> {
    let mut off = Vec::new();
    for mut command in commands {
        let Output { status, stdout, stderr } = command.output().map_err(|error| format!("cleave audit: {error}"))?;
        if !matches!(status.code(), Some(0 | 1)) {
            return Err(format!("cleave audit: {status}: {}", String::from_utf8_lossy(&stderr).trim()));
        }
        let checks: Vec<Value> = serde_json::from_slice(&stdout).map_err(|error| format!("cleave audit: {error}"))?;
        let wrong: Vec<_> = checks.iter().filter(|check| check["off"] != 0).map(told).collect();
        if wrong.is_empty() != status.success() {
            return Err(format!("cleave audit: {status}, and {} checks are off", wrong.len()));
        }
        off.extend(wrong);
    }
    Ok(off)
}

fn told(check: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = check["findings"].as_array().into_iter().flatten();
    let findings = findings.map(|one| format!("\n    {}: {}", text(&one["subject"]), text(&one["detail"])));
    format!("{}: {} off{}", text(&check["name"]), check["off"], findings.collect::<String>())
}

impl Drop for Shop {
    fn drop(&mut self) {
        if thread::panicking() || self.unaudited.is_some() {
            return;
        }
        // Orders' audit asks products, which a test may have ended.
        if self.topology != Topology::Single
            && let Err(why) = self.started()
        {
            panic!("a shop that is to be audited does not start: {why}");
        }
        let off = self.audit();
        assert!(off.is_empty(), "when its shop ended this was off:\n{}", off.join("\n"));
    }
}
