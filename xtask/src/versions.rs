//! `cargo xtask versions`: two versions of the product as processes of one shop.
//!
//! The older version makes the tables, the newer one migrates them, then both serve from them: each module alone is of
//! the older version, then each alone of the newer, while the others run on. Whatever a shop does is done in every mix,
//! and any answer that one version alone would not have given is a failure.
mod base;
mod visit;

use crate::{
    build,
    error::{Context, Result},
    git::Git,
    servers::{self, Brokers, Postgres},
    workspace::Workspace,
};
use clap::ValueEnum;
use launch::{Databases, Domain, Errors, Fleet, Module, Plan, Topology, Wanted};
use std::{
    collections::{BTreeMap, VecDeque},
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::block_in_place;
use visit::{STEPS, Staff};

/// One mix, from the first process that is replaced to the last answer.
const MIX: Duration = Duration::from_secs(120);
const STAFF: Staff = Staff { email: "admin@shop.example", password: "for-one-run-on-loopback-only" };
/// How much of what the processes said is shown beside a failure.
const LAST_WORDS: usize = 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The older version: a tag or any other revision
    #[arg(long, value_name = "REV")]
    base: String,
    #[arg(long, value_enum, default_value = "both")]
    database: Which,
}

impl Arguments {
    pub(crate) fn of(base: String) -> Self {
        Self { base, database: Which::Both }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Sqlite,
    Postgres,
    Both,
}

/// Which modules run the older version.
struct Mix {
    name: String,
    older: Vec<Module>,
}

struct Row {
    mix: String,
    database: &'static str,
    /// How many of the steps went well.
    worked: usize,
    error: Option<String>,
    took: Duration,
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    let commit = Git(&workspace.root).commit(&arguments.base);
    let commit = commit.context(format_args!("this clone has no commit `{}`", arguments.base))?;
    let older = base::product(workspace, &commit).await?;
    let newer = build::product(workspace, "dev").await?;
    let mut rows = Vec::new();
    for (which, database) in [(Which::Sqlite, "sqlite"), (Which::Postgres, "postgres")] {
        if arguments.database != which && arguments.database != Which::Both {
            continue;
        }
        println!("\n=== {} beside this tree on {database} ===", arguments.base);
        // Declared before the shop, so stopped after it.
        let (postgres, databases);
        if which == Which::Postgres {
            postgres = Postgres::start(workspace, &Domain::ALL.map(Domain::name)).await?;
            let url = |domain: Domain| (domain, postgres.url(domain.name()));
            databases = Databases::Own(Domain::ALL.map(url).into());
        } else {
            databases = Databases::Files;
        }
        let folder = tempfile::tempdir().context("cannot make a folder for the shop")?;
        let (said, nats) = (Said::default(), Brokers::nats(workspace)?);
        let wanted = Wanted {
            topology: Topology::Split,
            binary: newer.clone(),
            folder: folder.path().to_owned(),
            databases,
            broker: nats.broker("cleave"),
            env: settings(),
            nginx: Some(servers::nginx(workspace)?),
            errors: said.listener(),
            ..Wanted::default()
        };
        let fleet = block_in_place(|| prepare(wanted, &older))?;
        rows.extend(Shop { fleet, said, older: &older, newer: &newer, database }.run().await);
    }
    report(&rows)
}

fn settings() -> Vec<(String, String)> {
    let all = [
        ("CLEAVE__HTTP__STOP_SECONDS", "5"),
        // Everybody has the same address here.
        ("CLEAVE__HTTP__TRIES_PER_MINUTE", "0"),
        ("CLEAVE__PAYMENTS__PROVIDERS", "manual,test"),
        ("CLEAVE__LOG__FILTER", "warn"),
    ];
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// The older version's tables with an account in them, migrated by the newer.
fn prepare(wanted: Wanted, older: &Path) -> Result<Fleet> {
    let plan = Plan::new(wanted)?;
    for domain in Domain::ALL {
        operate(&plan, older, domain, &["migrate"], "")?;
    }
    let create = ["users", "create-admin", "--email", STAFF.email, "--password-stdin"];
    operate(&plan, older, Domain::Users, &create, STAFF.password)?;
    let fleet = Fleet::prepare(plan)?;
    print!("{}", fleet.run(&["migrate"], "")?);
    Ok(fleet)
}

fn operate(plan: &Plan, binary: &Path, domain: Domain, arguments: &[&str], input: &str) -> Result<()> {
    let doing = format!("`cleave {}` of the older version", arguments.join(" "));
    let mut command = plan.command_of(binary, plan.of(Module::Of(domain)), arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context(&doing)?;
    // One that ends without reading its input says why below.
    let _ = writeln!(child.stdin.take().context("standard input was asked for")?, "{input}");
    let done = child.wait_with_output().context(&doing)?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{doing} failed: {}", String::from_utf8_lossy(&done.stderr).trim()).into())
}

/// All of the older version, to know what it can do; each alone of the newer, each alone of the older; all of the newer.
fn mixes() -> Vec<Mix> {
    let but = |one: Module| Module::ALL.into_iter().filter(|module| *module != one).collect();
    let alone_newer = |one: Module| Mix { name: format!("{} newer, rest older", one.name()), older: but(one) };
    let alone_older = |one: Module| Mix { name: format!("{} older, rest newer", one.name()), older: vec![one] };
    let mut all = vec![Mix { name: "all older".into(), older: Module::ALL.into() }];
    all.extend(Module::ALL.map(alone_newer));
    all.extend(Module::ALL.map(alone_older));
    all.push(Mix { name: "all newer".into(), older: Vec::new() });
    all
}

struct Shop<'a> {
    fleet: Fleet,
    said: Said,
    older: &'a Path,
    newer: &'a Path,
    database: &'static str,
}

impl Shop<'_> {
    async fn run(mut self) -> Vec<Row> {
        let (mut rows, mut running) = (Vec::new(), BTreeMap::new());
        for mix in mixes() {
            let (started, mut worked) = (Instant::now(), 0);
            self.said.forget();
            let ended = tokio::time::timeout(MIX, self.mix(&mix, &mut running, &mut worked)).await;
            let ended = ended.unwrap_or_else(|_| Err(format!("did not end within {} seconds", MIX.as_secs()).into()));
            let error = ended.err().map(|error| error.to_string());
            let verdict = if error.is_some() { "FAILED" } else { "ok" };
            println!("{}: {verdict}, {:.1} s", mix.name, started.elapsed().as_secs_f64());
            if let Some(error) = &error {
                println!("  {error}{}", self.said.last_words());
            }
            rows.push(Row { mix: mix.name, database: self.database, worked, error, took: started.elapsed() });
        }
        block_in_place(|| self.fleet.stop());
        rows
    }

    async fn mix(&mut self, mix: &Mix, running: &mut BTreeMap<Module, PathBuf>, worked: &mut usize) -> Result<()> {
        for module in Module::ALL {
            let binary = if mix.older.contains(&module) { self.older } else { self.newer };
            if running.get(&module).is_none_or(|known| known != binary) {
                running.remove(&module);
                block_in_place(|| self.fleet.replace(module, binary))?;
                running.insert(module, binary.to_owned());
            }
        }
        // The gateway, the first time.
        block_in_place(|| self.fleet.start())?;
        visit::run(&self.fleet, STAFF, &mix.name, worked).await?;
        match self.fleet.ended() {
            Some(name) => Err(format!("{name} ended by itself").into()),
            None => Ok(()),
        }
    }
}

/// What the processes complain of.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<VecDeque<String>>>);

impl Said {
    fn listener(&self) -> Errors {
        let kept = Arc::clone(&self.0);
        Errors::Told(Arc::new(move |name, line| {
            let mut kept = kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            kept.push_back(format!("  {name:<10} | {line}"));
            if kept.len() > LAST_WORDS {
                kept.pop_front();
            }
        }))
    }
    fn forget(&self) {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
    }
    fn last_words(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        kept.iter().map(|line| format!("\n{line}")).collect()
    }
}

fn report(rows: &[Row]) -> Result<()> {
    println!("\nin order: {}", STEPS.join(", "));
    println!("{:<30}{:<10}{:>9}  what worked", "mix", "database", "seconds");
    for Row { mix, database, worked, error, took } in rows {
        let told = match error {
            None => format!("all {}", STEPS.len()),
            Some(_) => format!("FAILED {}", failed_at(*worked)),
        };
        println!("{mix:<30}{database:<10}{:>9.1}  {told}", took.as_secs_f64());
    }
    let failed = rows.iter().filter(|row| row.error.is_some()).count();
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} mixes of versions failed", rows.len()).into()) }
}

fn failed_at(worked: usize) -> String {
    match STEPS.get(worked) {
        Some(step) => format!("after {worked} of {}, at {step}", STEPS.len()),
        None => "afterwards".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_module_meets_the_other_version_on_either_side() {
        let mixes = mixes();
        let names: BTreeSet<_> = mixes.iter().map(|mix| mix.name.as_str()).collect();
        assert_eq!((mixes.len(), names.len()), (12, 12));
        for caller in Module::ALL {
            for callee in Module::ALL.into_iter().filter(|callee| *callee != caller) {
                let met = |mix: &Mix| mix.older.contains(&caller) && !mix.older.contains(&callee);
                assert!(mixes.iter().any(met), "{} older, {} newer", caller.name(), callee.name());
            }
        }
    }

    #[test]
    fn a_failure_names_its_step() {
        assert!(failed_at(1).ends_with(STEPS[1]));
        assert_eq!(failed_at(STEPS.len()), "afterwards");
        let row = |error: Option<&str>| Row {
            mix: "m".into(),
            database: "sqlite",
            worked: 0,
            error: error.map(str::to_owned),
            took: MIX,
        };
        assert!(report(&[row(None)]).is_ok());
        assert!(report(&[row(None), row(Some("why"))]).is_err_and(|error| error.to_string().starts_with("1 of 2")));
    }
}
