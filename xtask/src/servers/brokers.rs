//! The brokers of a test run: one of each, shared by all tests, which keep to names of their own.
use super::{nats, sweep, tansu};
use crate::{
    error::{Context, Result},
    workspace::Workspace,
};
use launch::{Broker, Nats, NatsOptions, Tansu};
use std::{fs, path::PathBuf, time::Instant};
use tempfile::TempDir;

pub(crate) struct Brokers {
    nats: Nats,
    tansu: Tansu,
    /// For tests that start, kill and configure servers of their own.
    nats_server: PathBuf,
    kafka_server: PathBuf,
    // Dropped after the servers have stopped.
    _home: TempDir,
}

impl Brokers {
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        let (nats_server, kafka_server) = (nats::find(workspace)?, tansu::find(workspace)?);
        let started = Instant::now();
        let home = home(workspace)?;
        let nats = Nats::start(&nats_server, &home.path().join("nats"), NatsOptions::default())?;
        let tansu = Tansu::start(&kafka_server, &home.path().join("tansu"))?;
        let took = started.elapsed().as_secs_f64();
        println!("NATS answers on {}, tansu on {} after {took:.1} s", nats.address(), tansu.address());
        Ok(Self { nats, tansu, nats_server, kafka_server, _home: home })
    }

    /// For a shop that takes them as they come.
    pub(crate) fn nats(workspace: &Workspace) -> Result<OwnNats> {
        let home = home(workspace)?;
        let nats = Nats::start(&nats::find(workspace)?, &home.path().join("nats"), NatsOptions::default())?;
        Ok(OwnNats { nats, _home: home })
    }

    /// What tests are told.
    pub(crate) fn tell(&self, command: &mut tokio::process::Command) {
        command.env("CLEAVE_TEST_NATS", self.nats.url()).env("CLEAVE_TEST_NATS_SERVER", &self.nats_server);
        command.env("CLEAVE_TEST_KAFKA", self.tansu.address().to_string());
        command.env("CLEAVE_TEST_KAFKA_SERVER", &self.kafka_server);
    }
}

/// A NATS of somebody's own.
pub(crate) struct OwnNats {
    nats: Nats,
    // Dropped after the server has stopped.
    _home: TempDir,
}

impl OwnNats {
    /// As a shop of this name knows it.
    pub(crate) fn broker(&self, name: &str) -> Broker {
        Broker::Nats { server: self.nats.url(), name: name.to_owned() }
    }
}

fn home(workspace: &Workspace) -> Result<TempDir> {
    let folder = workspace.target.join("test-brokers");
    fs::create_dir_all(&folder).context(format_args!("cannot create {}", folder.display()))?;
    sweep(&folder);
    let home = tempfile::Builder::new().prefix(&format!("{}-", std::process::id())).tempdir_in(&folder);
    home.context(format_args!("cannot create a folder in {}", folder.display()))
}
