//! `cargo xtask test`: every test, one step after another, with seconds and counts.
//!
//! Steps are discovered, not listed, and one that ran no test fails: nothing is skipped in silence. On a database all of
//! them run over one process; the black-box suites run again over every other topology.
use crate::{
    coverage,
    error::{Context, Result},
    process,
    servers::{self, Brokers, Postgres},
    workspace::{PRODUCT, Package, Workspace, cargo_command},
};
use clap::ValueEnum;
use launch::Topology;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// No step takes long; this is for one that hangs.
const LIMIT: Duration = Duration::from_secs(20 * 60);
/// The test target that checks the workspace itself and needs no database.
const HOUSE: &str = "house";
/// The suites that see a shop from outside only, and so cannot tell one topology from another. What the others look at
/// is not the same everywhere: `crash` kills the one process, `sql` counts what one request costs one process, and a
/// suite about several processes starts them itself.
const BLACK_BOX: [&str; 2] = ["http", "races"];
/// The suite about events, which runs over every broker that a topology can have.
const EVENTS: &str = "events";

#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Runs a part only
    #[arg(long)]
    only: Option<Part>,
    /// Runs the suites of this topology only
    #[arg(long)]
    topology: Option<Topology>,
    /// Runs tests only whose names contain this
    filter: Option<String>,
}

/// `unit` includes the store tests, whose one body runs on both databases.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Unit,
    Sqlite,
    Postgres,
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    let steps = steps(workspace.product()?, &arguments)?;
    let postgres = Postgres::start(workspace, &[]).await?;
    let mut done = Vec::new();
    // What was answered, by where.
    let seen = tempfile::tempdir().context("cannot make a folder for the run")?;
    let run = Run {
        workspace,
        postgres: postgres.url("postgres"),
        nginx: servers::nginx(workspace)?,
        brokers: Brokers::start(workspace)?,
        filter: arguments.filter,
        seen: seen.path(),
    };
    for step in &steps {
        println!("\n=== {} ===", step.name);
        let started = Instant::now();
        let outcome = run.step(step).await;
        let outcome = outcome.unwrap_or_else(|error| Outcome { verdict: Err(error.to_string()), ..Outcome::default() });
        println!("--- {}: {outcome}, {:.1} s", step.name, started.elapsed().as_secs_f64());
        done.push((step.name.as_str(), outcome, started.elapsed()));
    }
    drop(postgres);
    conclude(&done)
}

/// What the steps of one run share.
struct Run<'a> {
    workspace: &'a Workspace,
    postgres: String,
    nginx: PathBuf,
    brokers: Brokers,
    filter: Option<String>,
    seen: &'a Path,
}

struct Step {
    name: String,
    runs: Runs,
    /// None where a test takes what it needs, or nothing.
    on: Option<On>,
}

/// Where a suite runs.
#[derive(Clone, Copy)]
struct On {
    database: &'static str,
    topology: Topology,
    /// Where it is not the topology's usual one.
    broker: Option<&'static str>,
}

enum Runs {
    /// `cargo test` with these arguments.
    Cargo(Vec<String>),
    /// Looks at what the steps of the same place answered before it.
    Coverage,
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.database)?;
        if self.topology != Topology::Single {
            write!(f, ", {}", self.topology)?;
        }
        self.broker.map_or(Ok(()), |broker| write!(f, ", {broker}"))
    }
}

impl Step {
    fn new(name: impl Into<String>, arguments: &[&str], on: Option<On>) -> Self {
        let runs = Runs::Cargo(arguments.iter().map(|&a| a.to_owned()).collect());
        Self { name: name.into(), runs, on }
    }
    fn target(name: &str, on: Option<On>) -> Self {
        let shown = on.map_or_else(|| name.to_owned(), |on| format!("{name} on {on}"));
        Self::new(shown, &["--package", PRODUCT, "--test", name], on)
    }
}

impl Run<'_> {
    async fn step(&self, step: &Step) -> Result<Outcome> {
        let folder = step.on.map(|on| self.seen.join(format!("{}-{}", on.database, on.topology)));
        if let Some(folder) = &folder {
            fs::create_dir_all(folder).context(format_args!("cannot make {}", folder.display()))?;
        }
        match (&step.runs, folder) {
            (Runs::Coverage, Some(folder)) => coverage::check(self.workspace, &folder).map(Outcome::of_one),
            (Runs::Coverage, None) => Err("coverage is of a database".into()),
            (Runs::Cargo(arguments), folder) => self.cargo(arguments, step.on, folder.as_deref()).await,
        }
    }

    async fn cargo(&self, arguments: &[String], on: Option<On>, seen: Option<&Path>) -> Result<Outcome> {
        let mut command = cargo_command();
        command.current_dir(&self.workspace.root).arg("test").args(arguments).arg("--no-fail-fast").args(&self.filter);
        command.env("CLEAVE_TEST_POSTGRES", &self.postgres).env("CLEAVE_TEST_NGINX", &self.nginx);
        self.brokers.tell(&mut command);
        for name in ["CLEAVE_TEST_DATABASE", "CLEAVE_TEST_TOPOLOGY", "CLEAVE_TEST_BROKER", "CLEAVE_TEST_COVERAGE"] {
            command.env_remove(name);
        }
        if let Some(On { database, topology, broker }) = on {
            command.env("CLEAVE_TEST_DATABASE", database).env("CLEAVE_TEST_TOPOLOGY", topology.to_string());
            command.envs(broker.map(|broker| ("CLEAVE_TEST_BROKER", broker)));
        }
        if let Some(folder) = seen {
            command.env("CLEAVE_TEST_COVERAGE", folder);
        }
        let ended = process::run(command, LIMIT).await?;
        Ok(Outcome::read(&ended.stdout, ended.success, self.filter.is_some()))
    }
}

fn steps(product: &Package, arguments: &Arguments) -> Result<Vec<Step>> {
    let wants = |part| match arguments.only {
        Some(only) => only == part,
        // Who names a topology wants its suites.
        None => part != Part::Unit || arguments.topology.is_none(),
    };
    let mut steps = Vec::new();
    if wants(Part::Unit) {
        steps.push(Step::new("crates", &["--workspace", "--exclude", PRODUCT, "--exclude", "xtask"], None));
        steps.push(Step::new("xtask", &["--package", "xtask"], None));
        let kinds = [("lib", "--lib"), ("bin", "--bins")].into_iter().filter(|(kind, _)| product.has_target(kind));
        let kinds: Vec<_> = kinds.map(|(_, flag)| flag).collect();
        if has_unit_tests(&product.folder().join("src"))? {
            steps.push(Step::new(PRODUCT, &[&["--package", PRODUCT], kinds.as_slice()].concat(), None));
        }
    }
    let targets = product.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "test"));
    let (house, targets): (Vec<_>, Vec<_>) =
        targets.map(|target| target.name.as_str()).partition(|&name| name == HOUSE);
    if wants(Part::Unit) {
        steps.extend(house.into_iter().map(|name| Step::target(name, None)));
    }
    for (part, on) in places() {
        if wants(part) && arguments.topology.is_none_or(|only| only == on.topology) {
            let here = |name: &&str| match *name {
                EVENTS => false,
                name => on.topology == Topology::Single || BLACK_BOX.contains(&name),
            };
            steps.extend(targets.iter().copied().filter(here).map(|name| Step::target(name, Some(on))));
            let brokers = brokers(on).iter().map(|broker| On { broker: Some(broker), ..on });
            steps.extend(brokers.map(|on| Step::target(EVENTS, Some(on))));
            // A part of the tests produces a part of the answers.
            if arguments.filter.is_none() {
                steps.push(Step { name: format!("coverage on {on}"), runs: Runs::Coverage, on: Some(on) });
            }
        }
    }
    if steps.is_empty() {
        return Err("nothing is to be run: over other topologies than `single` the database is postgres".into());
    }
    if let Some(gone) = BLACK_BOX.iter().chain([&EVENTS]).find(|name| !targets.contains(name)) {
        return Err(
            format!("package `{PRODUCT}` has no test target `{gone}`, so it would not run over any topology").into()
        );
    }
    Ok(steps)
}

/// One process on either database; several on PostgreSQL, since what differs between databases differs there too.
fn places() -> impl Iterator<Item = (Part, On)> {
    let single = [(Part::Sqlite, "sqlite"), (Part::Postgres, "postgres")];
    let single =
        single.into_iter().map(|(part, database)| (part, On { database, topology: Topology::Single, broker: None }));
    let others = Topology::ALL.into_iter().filter(|topology| *topology != Topology::Single);
    single.chain(others.map(|topology| (Part::Postgres, On { database: "postgres", topology, broker: None })))
}

/// Over which brokers events are looked at: every one that can be there, in the process and between processes. A domain
/// that is out alone is no other case than all of them.
fn brokers(on: On) -> &'static [&'static str] {
    match (on.database, on.topology) {
        ("sqlite", Topology::Single) => &["in-process"],
        (_, Topology::Single) => &["in-process", "nats", "kafka"],
        (_, Topology::Split) => &["nats", "kafka"],
        _ => &[],
    }
}

/// A binary without unit tests has no step, rather than one that runs nothing.
fn has_unit_tests(folder: &Path) -> Result<bool> {
    for entry in fs::read_dir(folder).context(format_args!("cannot read {}", folder.display()))?.flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            has_unit_tests(&path)?
        } else {
            fs::read_to_string(&path).is_ok_and(|text| text.contains("#[cfg(test)]"))
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

struct Outcome {
    counts: Counts,
    verdict: Result<(), String>,
}

impl Default for Outcome {
    fn default() -> Self {
        Self { counts: Counts::default(), verdict: Ok(()) }
    }
}

impl Outcome {
    /// With a filter most binaries have nothing to run, which is what was asked for.
    fn read(stdout: &str, success: bool, filtered: bool) -> Self {
        let counts = count(stdout);
        let verdict = match counts {
            Counts { failed: 1.., .. } => Err("tests failed".to_owned()),
            _ if !success => Err("did not build, or died before it could report".to_owned()),
            Counts { passed: 0, .. } if !filtered => Err("ran no test".to_owned()),
            _ => Ok(()),
        };
        Self { counts, verdict }
    }

    /// Of a check that is one test, whatever it counted.
    fn of_one(answers: usize) -> Self {
        println!("{answers} documented answers and events were produced");
        Self { counts: Counts { passed: 1, ..Counts::default() }, verdict: Ok(()) }
    }

    /// A step that failed without a failing test counts as one.
    fn failures(&self) -> u64 {
        self.counts.failed.max(u64::from(self.verdict.is_err()))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.counts.passed, self.counts.failed)?;
        if self.counts.ignored > 0 {
            write!(f, ", {} ignored", self.counts.ignored)?;
        }
        self.verdict.as_ref().err().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// Adds up libtest's lines: `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ..`.
fn count(stdout: &str) -> Counts {
    let mut counts = Counts::default();
    for line in stdout.lines().filter_map(|line| line.trim_start().strip_prefix("test result: ")) {
        for part in line.split(['.', ';']) {
            match part.trim().split_once(' ').map(|(number, word)| (number.parse::<u64>(), word)) {
                Some((Ok(number), "passed")) => counts.passed += number,
                Some((Ok(number), "failed")) => counts.failed += number,
                Some((Ok(number), "ignored")) => counts.ignored += number,
                _ => {}
            }
        }
    }
    counts
}

fn conclude(done: &[(&str, Outcome, Duration)]) -> Result<()> {
    let width = done.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    println!("\n{:<width$}  {:>7}  {:>7}  {:>7}  {:>7}", "step", "passed", "failed", "ignored", "seconds");
    for (name, Outcome { counts, verdict }, took) in done {
        let Counts { passed, failed, ignored } = counts;
        let why = verdict.as_ref().err().map(|why| format!("  {why}")).unwrap_or_default();
        println!("{name:<width$}  {passed:>7}  {failed:>7}  {ignored:>7}  {:>7.1}{why}", took.as_secs_f64());
    }
    let passed: u64 = done.iter().map(|(_, outcome, _)| outcome.counts.passed).sum();
    let failed: u64 = done.iter().map(|(_, outcome, _)| outcome.failures()).sum();
    println!("\n{passed} passed, {failed} failed");
    if failed > 0 {
        return Err("tests failed; the table above says where".into());
    }
    if passed == 0 {
        return Err("no test has a name like that".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "running 3 tests\ntest a ... ok\n\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s\n\n\
                       test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s\n";

    #[test]
    fn counts_of_several_binaries_are_added() {
        assert_eq!(count(TWO), Counts { passed: 7, failed: 2, ignored: 1 });
        assert_eq!(count("test result of mine: 3 passed"), Counts::default());
    }

    #[test]
    fn running_nothing_is_a_failure_unless_asked_for() {
        let nothing = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(Outcome::read(nothing, true, false).failures(), 1);
        assert_eq!(Outcome::read(nothing, true, true).failures(), 0);
        assert_eq!(Outcome::read("", false, true).failures(), 1, "a build that failed is no empty run");
        assert_eq!(Outcome::read(TWO, false, false).failures(), 2);
    }
}
