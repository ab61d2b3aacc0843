//! The open loop: `k6` begins so many visits a second, however long answers take.
//!
//! A visit's time counts from when it was due, so waiting is in it: for its turn in the generator, and for the server.
//! A visit that could not begin (k6 drops it when none of its visitors is free) is an error.
use super::turn::{Told, Tools, printed};
use crate::error::{Context, Result};
use serde::Deserialize;
use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

#[derive(Clone)]
pub(super) struct Visits {
    /// Visits a second.
    pub(super) rate: u32,
    /// The name of a function of the script.
    pub(super) what: &'static str,
    /// What the script is told, as JSON.
    pub(super) given: serde_json::Value,
}

const SCRIPT: &str = include_str!("visits.js");

/// Times in milliseconds.
#[derive(Deserialize)]
struct Summary {
    requests: f64,
    seconds: f64,
    errors: f64,
    dropped: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
}

pub(super) async fn run(tools: &Tools, visits: &Visits, seconds: u32) -> Result<Told> {
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    let (script, given) = (tools.folder.join("visits.js"), tools.folder.join("given.json"));
    fs::write(&script, SCRIPT).context("cannot write a script")?;
    let turn = TURNS.fetch_add(1, Ordering::Relaxed);
    fs::write(&given, visits.given.to_string()).context("cannot write what a script is given")?;
    let mut command = Command::new(&tools.k6);
    command.args(["run", "--quiet", "--no-usage-report", "--address", "", "--log-output", "stderr"]);
    command.args(["-e", &format!("GIVEN={}", given.display()), "-e", &format!("WHAT={}", visits.what)]);
    command.args(["-e", &format!("RATE={}", visits.rate), "-e", &format!("SECONDS={seconds}")]);
    command.args(["-e", &format!("TURN={turn}")]).arg(&script).current_dir(&tools.folder);
    told(&printed(command, "k6").await?)
}

fn told(printed: &str) -> Result<Told> {
    let line = printed.lines().find_map(|line| line.strip_prefix("TOLD "));
    let line = line.context(format_args!("k6 told nothing: {printed}"))?;
    let Summary { requests, seconds, errors, dropped, p50, p90, p99, p999 } =
        serde_json::from_str(line).context("k6 tells otherwise")?;
    let (requests, errors) = (requests as u64, (errors + dropped) as u64);
    Ok(Told { requests, served: requests, seconds, errors, p50, p90, p99, p999 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_that_could_not_begin_is_an_error() {
        let line = |dropped: u32| {
            format!(
                "\nTOLD {{\"requests\":9,\"seconds\":1.5,\"errors\":1,\"dropped\":{dropped},\"p50\":1,\"p90\":1,\"p99\":1,\"p999\":1}}\n"
            )
        };
        assert_eq!(told(&line(0)).unwrap().errors, 1);
        assert_eq!(told(&line(3)).unwrap().errors, 4);
        assert!(told("nothing").is_err());
    }
}
