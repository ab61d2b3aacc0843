//! Processor time of processes that run, as the kernel counts it.
use crate::error::{Context, Result};
use std::{fs, time::Duration};

/// What these processes and their children have used until now. Children that have ended count too: the kernel adds
/// them to whoever waited for them.
pub(super) fn used(ids: &[u32]) -> Result<Duration> {
    let mut ticks = 0;
    for id in ids {
        let told = fs::read_to_string(format!("/proc/{id}/stat")).context(format_args!("process {id} runs no more"))?;
        ticks += Stat::parse(&told).context(format_args!("/proc/{id}/stat reads otherwise"))?.ticks;
    }
    for entry in fs::read_dir("/proc").context("cannot read /proc")?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        // Others come and go.
        let Some(stat) = fs::read_to_string(entry.path().join("stat")).ok().and_then(|told| Stat::parse(&told)) else {
            continue;
        };
        if ids.contains(&stat.parent) {
            ticks += stat.ticks;
        }
    }
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).context("ticks a second")?)
}

struct Stat {
    parent: u32,
    /// Its own, and those of children that have ended; in user and in kernel mode.
    ticks: u64,
}

impl Stat {
    /// The second field is the program's name in parentheses, which may hold anything.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
        Some(Self { parent: fields.get(1)?.parse().ok()?, ticks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn fields_are_counted_after_the_name() {
        let line = "42 (a) name (x) S 7 42 42 0 -1 4194560 100 200 0 0 30 12 5 1 20 0 3 0 100 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 30 + 12 + 5 + 1));
        assert!(Stat::parse("42 (cut) S 7").is_none());
    }

    #[test]
    fn work_is_seen() {
        let id = [std::process::id()];
        let (before, started) = (used(&id).unwrap(), Instant::now());
        // Another process may have the processor meanwhile.
        while used(&id).unwrap() < before + Duration::from_millis(20) {
            assert!(started.elapsed() < Duration::from_secs(60), "busy for a minute, and nothing was counted");
        }
    }
}
