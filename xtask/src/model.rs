//! `cargo xtask model`: random interleavings of all that buying is, against a model of it, for as long as somebody likes.
//!
//! The test itself is `app/tests/races/model`; `cargo xtask test` runs it too, with fewer steps.
use crate::{
    error::Result,
    process,
    servers::Postgres,
    workspace::{PRODUCT, Workspace, cargo_command},
};
use std::time::Duration;

const TEST: &str = "model::whatever_is_done_is_what_the_model_says";
/// A run is as long as its steps; this is for one that hangs.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many requests, at least
    #[arg(long, default_value_t = 100_000)]
    steps: u64,
    /// Which cases: the same seed makes the same ones, and the next case has the next seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// On PostgreSQL, which is found or fetched, instead of SQLite
    #[arg(long)]
    postgres: bool,
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    let Arguments { steps, seed, postgres } = arguments;
    let server = if postgres { Some(Postgres::start(workspace, &[]).await?) } else { None };
    let mut command = cargo_command();
    command.current_dir(&workspace.root).args(["test", "--package", PRODUCT, "--test", "races", "--"]);
    command.args(["--exact", TEST, "--nocapture"]).env_remove("CLEAVE_TEST_TOPOLOGY");
    command.env("CLEAVE_MODEL_STEPS", steps.to_string()).env("CLEAVE_MODEL_SEED", seed.to_string());
    command.env("CLEAVE_TEST_DATABASE", if postgres { "postgres" } else { "sqlite" });
    if let Some(server) = &server {
        command.env("CLEAVE_TEST_POSTGRES", server.url("postgres"));
    }
    let ended = process::run(command, LIMIT).await?;
    match ended.success {
        true if ended.stdout.contains("1 passed") => Ok(()),
        true => Err(format!("no test is called {TEST}").into()),
        false => Err("the shop is not what the model says; the case is above".into()),
    }
}
