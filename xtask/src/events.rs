//! `cargo xtask events`: many events over a broker while whoever tells and whoever hears is killed, for as many as somebody
//! likes. Whether each was handled, once and in order, is looked at in every run; figures are printed.
//!
//! The test itself is `app/tests/events/storm.rs`; `cargo xtask test` runs it too, with fewer events.
use crate::{
    error::Result,
    process,
    servers::{self, Brokers, Postgres},
    workspace::{PRODUCT, Workspace, cargo_command},
};
use clap::ValueEnum;
use launch::Topology;
use std::time::Duration;

const TEST: &str = "storm::every_event_is_handled_once_and_in_order_whoever_is_killed";
/// A run is as long as its events; this is for one that hangs.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long, value_enum, default_value = "nats")]
    broker: Broker,
    #[arg(long, default_value = "single")]
    topology: Topology,
    /// How many events
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// How often somebody is killed meanwhile
    #[arg(long, default_value_t = 20)]
    kills: u64,
    /// Who, and when
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Broker {
    InProcess,
    Nats,
    Kafka,
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    let Arguments { broker, topology, events, kills, seed } = arguments;
    let (postgres, brokers) = (Postgres::start(workspace, &[]).await?, Brokers::start(workspace)?);
    let mut command = cargo_command();
    command.current_dir(&workspace.root).args(["test", "--package", PRODUCT, "--test", "events", "--"]);
    command.args(["--exact", TEST, "--nocapture"]);
    command.env("CLEAVE_EVENTS_COUNT", events.to_string()).env("CLEAVE_EVENTS_KILLS", kills.to_string());
    command.env("CLEAVE_EVENTS_SEED", seed.to_string());
    command.env("CLEAVE_TEST_POSTGRES", postgres.url("postgres")).env("CLEAVE_TEST_DATABASE", "postgres");
    command.env("CLEAVE_TEST_NGINX", servers::nginx(workspace)?).env("CLEAVE_TEST_TOPOLOGY", topology.to_string());
    let name = match broker {
        Broker::InProcess => "in-process",
        Broker::Nats => "nats",
        Broker::Kafka => "kafka",
    };
    command.env("CLEAVE_TEST_BROKER", name);
    brokers.tell(&mut command);
    let ended = process::run(command, LIMIT).await?;
    match ended.success {
        true if ended.stdout.contains("1 passed") => Ok(()),
        true => Err(format!("no test is called {TEST}").into()),
        false => Err("not every event was handled once and in order; the output above says which".into()),
    }
}
