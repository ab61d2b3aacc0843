//! For people at a terminal.
use super::{Health, Topology};
use std::fmt::Write;

impl Topology {
    pub(crate) fn text(&self) -> String {
        let head = ["module", "here", "place", "http", "database", "health"].map(str::to_owned);
        let rows = self.modules.iter().map(|module| {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            [
                module.module.to_string(),
                if module.here { "yes" } else { "no" }.to_owned(),
                or_dash(module.place.clone()),
                or_dash(module.http.as_ref().map(ToString::to_string)),
                or_dash(module.database.map(str::to_owned)),
                module.health.as_str().to_owned(),
            ]
        });
        let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
        let mut text = String::new();
        for row in &rows {
            let cell = |(i, text): (usize, &String)| {
                let width = rows.iter().map(|row| row[i].len()).max().unwrap_or_default();
                format!("{text:width$}")
            };
            let line: Vec<String> = row.iter().enumerate().map(cell).collect();
            let _ = writeln!(text, "{}", line.join("  ").trim_end());
        }
        let calls = self.calls.iter().map(|calls| (calls.caller, "calls", calls.callee, &calls.traits));
        let listens = self.listens.iter().map(|heard| (heard.listener, "hears", heard.teller, &heard.events));
        text.push('\n');
        for (who, does, whom, what) in calls.chain(listens) {
            let _ = writeln!(text, "{who} {does} {whom}: {}", what.join(", "));
        }
        text
    }
}

impl Health {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not ready",
            Self::OutOfReach => "out of reach",
            Self::Unknown => "unknown",
        }
    }
}
