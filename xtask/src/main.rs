//! `cargo xtask`: whatever a contributor types.
//!
//! A file per command. Everything that a command starts (servers, test processes) is stopped when it ends, also on
//! failure and on Ctrl-C: a command is a future, dropping it drops what it started, and nothing here calls
//! `process::exit` before that. Crates are few, and shared with the product where one does the job.
mod acceptance;
mod bench;
mod build;
mod changes;
mod ci;
mod coverage;
mod deps;
mod dist;
mod error;
mod events;
mod git;
mod house;
mod instructions;
mod model;
mod process;
mod proto;
mod servers;
mod test;
mod up;
mod versions;
mod workspace;

use clap::{Parser, Subcommand};
use error::{Context, Result};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tests and checks of the workspace")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every test, on SQLite and on PostgreSQL; finds or fetches PostgreSQL itself
    Test(test::Arguments),
    /// A shop to try out, in any topology, until Ctrl-C
    Up(up::Arguments),
    /// Everything that must hold before a change goes in
    Ci(ci::Arguments),
    /// Licences and duplicate versions of what is linked, against deps.toml
    Deps,
    /// Random interleavings of all that buying is, against a model of it
    Model(model::Arguments),
    /// Many events over a broker, while whoever tells and whoever hears is killed
    Events(events::Arguments),
    /// Who depends on whom, against boundaries.toml
    House,
    /// The contracts between processes: how they are written, and that none breaks who already runs
    Proto,
    /// An older version and this tree as processes of one shop, in every mix
    Versions(versions::Arguments),
    /// Runs the built server on real data and compares its books with the files
    Acceptance(acceptance::Arguments),
    /// What it costs: figures for docs/performance.md
    Bench(bench::Arguments),
    /// The release binary without its symbols, and the symbols beside it, in target/dist
    Dist,
    /// Instructions of hot pure functions, against xtask/instructions.txt
    Instructions(instructions::Arguments),
}

const STOPPED: &str = "interrupted; what was started has been stopped";

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // A shop to try out ends no other way.
    let meant = matches!(command, Command::Up(_));
    let ended = tokio::select! {
        ended = run(command) => ended,
        stopped = interrupted() => stopped.and(if meant { Ok(()) } else { Err(STOPPED.into()) }),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    let workspace = Workspace::read()?;
    match command {
        Command::Test(arguments) => test::run(&workspace, arguments).await,
        Command::Up(arguments) => up::run(&workspace, arguments).await,
        Command::Ci(arguments) => ci::run(&workspace, arguments).await,
        Command::Deps => deps::run(&workspace),
        Command::Model(arguments) => model::run(&workspace, arguments).await,
        Command::Events(arguments) => events::run(&workspace, arguments).await,
        Command::House => house::run(&workspace),
        Command::Proto => proto::run(&workspace),
        Command::Versions(arguments) => versions::run(&workspace, arguments).await,
        Command::Acceptance(arguments) => acceptance::run(&workspace, arguments).await,
        Command::Dist => dist::run(&workspace).await,
        Command::Bench(arguments) => bench::run(&workspace, arguments).await,
        Command::Instructions(arguments) => instructions::run(&workspace, arguments).await,
    }
}

/// Returns when somebody wants the command to stop.
async fn interrupted() -> Result<()> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut interrupt, mut terminate, mut hangup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
