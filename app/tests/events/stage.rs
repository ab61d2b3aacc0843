//! Shops whose broker a test may take away.
use launch::{Nats, NatsOptions, Tansu};
use std::{env, path::PathBuf, time::Duration};
use tempfile::TempDir;
use testkit::{Broker, BrokerUsed, Options, Proxy, Shop, chosen_topology, until_within};

/// A broker of a test's own, with what stands before it.
pub(crate) enum Stand {
    InProcess,
    /// It keeps what it has.
    Nats {
        nats: Box<Nats>,
        _folder: TempDir,
    },
    /// Its memory does not outlive it, so the network is what goes.
    Kafka {
        proxy: Box<Proxy>,
        _tansu: Box<Tansu>,
        _folder: TempDir,
    },
}

impl Stand {
    /// Of the kind that the run is about.
    pub(crate) fn start() -> Self {
        let folder = || tempfile::tempdir().unwrap();
        match BrokerUsed::chosen(chosen_topology()) {
            BrokerUsed::InProcess => Self::InProcess,
            BrokerUsed::Nats => {
                let folder = folder();
                let nats = Nats::start(&program("CLEAVE_TEST_NATS_SERVER"), folder.path(), NatsOptions::default());
                Self::Nats { nats: Box::new(nats.unwrap()), _folder: folder }
            }
            BrokerUsed::Kafka => {
                let (folder, mut proxy) = (folder(), None);
                let tansu = Tansu::start_behind(&program("CLEAVE_TEST_KAFKA_SERVER"), folder.path(), |own| {
                    proxy.insert(Proxy::start("127.0.0.1:0".parse().unwrap(), own).unwrap()).address()
                });
                Self::Kafka { proxy: Box::new(proxy.unwrap()), _tansu: Box::new(tansu.unwrap()), _folder: folder }
            }
        }
    }
    pub(crate) fn broker(&self) -> Broker {
        let name = "shop".to_owned();
        match self {
            Self::InProcess => Broker::InProcess,
            Self::Nats { nats, .. } => Broker::Nats { server: nats.url(), name },
            Self::Kafka { proxy, .. } => Broker::Kafka { server: proxy.address().to_string(), name },
        }
    }
    /// Whether there is anything that could go.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !matches!(self, Self::InProcess)
    }
    pub(crate) fn goes(&mut self) {
        match self {
            Self::InProcess => (),
            Self::Nats { nats, .. } => nats.kill().unwrap(),
            Self::Kafka { proxy, .. } => {
                proxy.refuse();
                proxy.cut();
            }
        }
    }
    pub(crate) fn comes_back(&mut self) {
        match self {
            Self::InProcess => (),
            Self::Nats { nats, .. } => nats.start_again().unwrap(),
            Self::Kafka { proxy, .. } => proxy.take(),
        }
    }
}

fn program(name: &str) -> PathBuf {
    let program = env::var(name);
    program.unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`, which fetches servers")).into()
}

/// A shop with this broker; `env` as in [`Options`].
pub(crate) fn shop(broker: Broker, env: &[(&str, &str)]) -> Shop {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Shop::start(env!("CARGO_BIN_EXE_cleave"), Options { broker: Some(broker), env, ..Options::default() })
}

/// What `/metrics` says of all domains together.
pub(crate) async fn measured(shop: &Shop, name: &str) -> f64 {
    let mut sum = 0.0;
    for (_, internal) in shop.internals() {
        let text = reqwest::get(format!("{internal}/metrics")).await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        sum += lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum::<f64>();
    }
    sum
}

/// Everything was told, and handled by whoever heard it.
pub(crate) async fn until_all_is_told(shop: &Shop) {
    // A process that was killed while it held leases is waited for, and a consumer of Kafka that is new to its group.
    until_within("all is told and handled", Duration::from_secs(120), async || shop.all_is_told().then_some(())).await;
}
