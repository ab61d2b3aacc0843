//! One turn: a generator drives one server, and what all of them used meanwhile is read beside it.
use super::{
    k6::{self, Visits},
    pgbench::{self, Replay},
    wrk::{self, Job},
};
use crate::{
    bench::{
        cpu,
        goods::{self, asked},
    },
    error::{Context, Result},
    servers::Wrk,
};
use std::{fs, path::PathBuf, process::Stdio, time::Duration};
use tokio::process::Command;

/// What is driven, and by what.
pub(super) enum Drive {
    /// As fast as it is answered, by so many connections.
    Closed(Job),
    /// At a constant rate, however long answers take.
    Open(Visits),
    /// PostgreSQL alone.
    Sql(Replay),
    /// Argon2id alone, on all cores.
    Hash,
    /// A page written and synced, again and again.
    Sync,
}

/// One that takes turns with others under the same load.
pub(super) struct Lane {
    pub(super) who: String,
    pub(super) drive: Drive,
    /// Processes whose time and memory are the server's.
    pub(super) servers: Vec<u32>,
    pub(super) database: Vec<u32>,
    /// Where the server's own counts are read.
    pub(super) internals: Vec<String>,
}

/// What a generator tells; times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) requests: u64,
    /// What processor time was used for: with those of a warm-up that counts nowhere else.
    pub(super) served: u64,
    pub(super) seconds: f64,
    pub(super) errors: u64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
}

pub(super) struct Turn {
    pub(super) told: Told,
    /// Milliseconds of processor time a request: the server's, PostgreSQL's, the generator's.
    pub(super) cpu: [f64; 3],
    /// What the shop's domains asked their databases, a request.
    pub(super) statements: f64,
    /// MB that the server's processes hold after the turn.
    pub(super) memory: f64,
}

pub(super) struct Tools {
    pub(super) wrk: Wrk,
    pub(super) k6: PathBuf,
    pub(super) limits: PathBuf,
    pub(super) nginx: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) connections: u32,
    pub(super) cores: usize,
}

impl Turn {
    pub(super) fn rate(&self) -> f64 {
        self.told.requests as f64 / self.told.seconds
    }
}

/// A turn of so many seconds; one with an error is none.
pub(super) async fn turn(tools: &Tools, lane: &Lane, seconds: u32) -> Result<Turn> {
    let before = (cpu::used(&lane.servers)?, cpu::used(&lane.database)?, ended_children()?);
    let asked = statements(&lane.internals).await?;
    let told = match &lane.drive {
        Drive::Closed(job) => wrk::run(tools, job, seconds).await?,
        Drive::Open(visits) => k6::run(tools, visits, seconds).await?,
        Drive::Sql(replay) => pgbench::run(tools, replay, seconds).await?,
        Drive::Hash => limit(tools, &["hash", &seconds.to_string(), &tools.cores.to_string()], tools.cores).await?,
        Drive::Sync => {
            let file = tools.folder.join("synced").display().to_string();
            limit(tools, &["sync", &seconds.to_string(), &file], 1).await?
        }
    };
    if told.errors > 0 || told.requests == 0 {
        return Err(format!("{} errors in {} requests: not reported", told.errors, told.requests).into());
    }
    let asked = statements(&lane.internals).await?.saturating_sub(asked);
    let after = (cpu::used(&lane.servers)?, cpu::used(&lane.database)?, ended_children()?);
    let each = |after: Duration, before| after.saturating_sub(before).as_secs_f64() * 1e3 / told.served as f64;
    let cpu = [each(after.0, before.0), each(after.1, before.1), each(after.2, before.2)];
    let memory = memory(&lane.servers, "VmRSS:")?;
    Ok(Turn { cpu, statements: asked as f64 / told.served as f64, memory, told })
}

/// What the program printed; it ends when it is no longer waited for.
pub(super) async fn printed(command: std::process::Command, what: &str) -> Result<String> {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context(format_args!("cannot run {what}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    Err(format!("{what} failed: {printed}{}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

async fn limit(tools: &Tools, arguments: &[&str], threads: usize) -> Result<Told> {
    let mut command = std::process::Command::new(&tools.limits);
    command.args(arguments);
    done(&printed(command, "limits").await?, threads).context("limits tells otherwise")
}

fn done(printed: &str, threads: usize) -> Option<Told> {
    let (count, seconds) = printed.trim().strip_prefix("done ")?.split_once(" in ")?;
    let (requests, seconds) = (count.parse::<u64>().ok()?, seconds.parse::<f64>().ok()?);
    // All take the same time: the mean is told as each of them.
    let mean = seconds * 1e3 * threads as f64 / requests as f64;
    Some(Told { requests, served: requests, seconds, errors: 0, p50: mean, p90: mean, p99: mean, p999: mean })
}

/// What all domains asked their databases until now.
async fn statements(internals: &[String]) -> Result<u64> {
    let (http, mut all) = (goods::client()?, 0);
    for internal in internals {
        let metrics = asked(http.get(format!("{internal}/metrics")), 200).await?;
        all += counted(&metrics).context("a count of statements is no number")?;
    }
    Ok(all)
}

fn counted(metrics: &str) -> Option<u64> {
    let lines = metrics.lines().filter(|line| line.starts_with("cleave_database_statements_total{"));
    lines.map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// MB of these processes and their children; `VmHWM:` is the most that there ever was.
pub(super) fn memory(ids: &[u32], which: &str) -> Result<f64> {
    let mut kib = 0;
    for id in ids {
        let told = fs::read_to_string(format!("/proc/{id}/status")).context(format_args!("process {id} is gone"))?;
        kib += size(&told, which).context(format_args!("/proc/{id}/status has no {which}"))?;
    }
    Ok(kib as f64 * 1024.0 / 1e6)
}

fn size(status: &str, which: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(which))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Processor time of children that have ended; of those only the generator ends during a turn.
fn ended_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
    let ticks: u64 = fields.iter().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).context("ticks a second")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_all_domains_are_counted() {
        let metrics = "cleave_database_statements_total{database=\"users\"} 12\n\
                       cleave_database_statements_total{database=\"orders\"} 30\n\
                       cleave_database_transactions_total{database=\"orders\"} 7\n";
        assert_eq!(counted(metrics), Some(42));
        assert_eq!(counted("cleave_database_statements_total{} many"), None);
    }

    #[test]
    fn memory_is_read_by_name() {
        let status = "Name:\tcleave\nVmHWM:\t   70000 kB\nVmRSS:\t   51234 kB\n";
        assert_eq!(
            (size(status, "VmRSS:"), size(status, "VmHWM:"), size(status, "VmSwap:")),
            (Some(51234), Some(70000), None)
        );
        assert!(memory(&[std::process::id()], "VmRSS:").unwrap() > 1.0);
    }

    #[test]
    fn work_is_counted_over_all_threads() {
        let told = done("done 100 in 2.0\n", 2).unwrap();
        assert_eq!((told.requests, told.p50), (100, 40.0));
        assert!(done("nothing", 2).is_none());
    }
}
