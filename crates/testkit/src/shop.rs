//! A shop of its own, in any topology: real processes with their own data.
use crate::{Counters, Proxy, contract::Contract};
use diesel::{Connection, PgConnection, connection::SimpleConnection};
use launch::{Broker, Databases, Died, Domain, Errors, Fleet, Module, Plan, Signal, Topology, Wanted};
use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex as StdMutex, PoisonError},
};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// Which database the run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    /// From `CLEAVE_TEST_DATABASE`; SQLite when nothing is said.
    pub fn chosen() -> Self {
        match env::var("CLEAVE_TEST_DATABASE").as_deref() {
            Ok("postgres") => Self::Postgres,
            Ok("sqlite") | Err(_) => Self::Sqlite,
            Ok(other) => panic!("CLEAVE_TEST_DATABASE is sqlite or postgres, not {other}"),
        }
    }
}

/// The topology that the run is about, from `CLEAVE_TEST_TOPOLOGY`; `single` when nothing is said.
pub fn chosen_topology() -> Topology {
    env::var("CLEAVE_TEST_TOPOLOGY").map_or(Topology::Single, |name| name.parse().expect("CLEAVE_TEST_TOPOLOGY"))
}

/// Which broker stands between the domains of a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerUsed {
    /// Only where all domains are in one process.
    InProcess,
    Nats,
    Kafka,
}

impl BrokerUsed {
    /// From `CLEAVE_TEST_BROKER`; without it, in the process where that can be, and NATS elsewhere.
    pub fn chosen(topology: Topology) -> Self {
        match (env::var("CLEAVE_TEST_BROKER").as_deref(), topology) {
            (Ok("in-process"), _) | (Err(_), Topology::Single) => Self::InProcess,
            (Ok("nats"), _) | (Err(_), _) => Self::Nats,
            (Ok("kafka"), _) => Self::Kafka,
            (Ok(other), _) => panic!("CLEAVE_TEST_BROKER is in-process, nats or kafka, not {other}"),
        }
    }
    /// The run's own, under a name that no other shop has.
    fn of_run(self) -> Broker {
        let (name, server) = (crate::unique("shop"), |name: &str| {
            env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`, which starts brokers"))
        });
        match self {
            Self::InProcess => Broker::InProcess,
            Self::Nats => Broker::Nats { server: server("CLEAVE_TEST_NATS"), name },
            Self::Kafka => Broker::Kafka { server: server("CLEAVE_TEST_KAFKA"), name },
        }
    }
}

/// The cluster made for tests.
pub(crate) fn cluster() -> String {
    env::var("CLEAVE_TEST_POSTGRES").expect("CLEAVE_TEST_POSTGRES is not set: run `cargo xtask test`")
}

/// How a shop differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Environment, such as `("CLEAVE__CHECKOUT__RESERVATION_MINUTES", "1")`.
    pub env: Vec<(String, String)>,
    /// A superuser of another cluster than the run's, as [`crate::Cluster::url`].
    pub cluster: Option<String>,
    /// Another topology than the run's.
    pub topology: Option<Topology>,
    /// Another broker than the run's, or than [`BrokerUsed::chosen`].
    pub broker: Option<Broker>,
    /// Where its servers end themselves, of one module or whichever comes there first: see [`Shop::died`].
    pub crash_at: Option<CrashAt>,
    /// Outside `single`: domains before whose gRPC address a [`Proxy`] stands; all others call them through it.
    pub proxied: Vec<Domain>,
}

/// A point of `--list-crash-points`.
#[derive(Clone, Debug)]
pub struct CrashAt {
    pub point: String,
    pub module: Option<&'static str>,
}

/// A running shop; its processes end with it, and also when the test's own process ends.
///
/// It is audited when it ends, unless its test has failed already or [said why not](Shop::ends_unaudited).
pub struct Shop {
    /// Where clients find it: nginx outside `single`.
    pub url: String,
    /// The operators' listener of the process that the storefront runs in: in `single` the only one.
    pub internal: String,
    pub backend: Backend,
    pub topology: Topology,
    pub(crate) fleet: Fleet,
    /// Why nothing is looked at when it ends.
    pub(crate) unaudited: Option<&'static str>,
    databases: Databases,
    proxies: BTreeMap<Domain, Proxy>,
    said: Arc<StdMutex<Vec<(String, String)>>>,
    pub(crate) contract: Arc<Contract>,
    /// Held while one signs in, so that nobody meets a clerk who is hired but has no rights yet.
    pub(crate) staff: Mutex<HashMap<&'static str, String>>,
    // Gone when nobody writes into it any more.
    dir: TempDir,
}

/// The file in a shop's folder that keeps its workers waiting.
const WAIT: &str = "workers-wait";

/// Workers wait as long as it lives.
pub struct WorkersWait(PathBuf);

impl Drop for WorkersWait {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("the file is there as long as this is");
    }
}

/// The administrator's address and password.
pub const ADMIN: (&str, &str) = ("admin@test.example", "an admin's password");

impl Shop {
    /// Starts `binary` on fresh data, with an administrator.
    pub fn start(binary: &str, options: Options) -> Self {
        crate::clients_can_be_made();
        let backend = Backend::chosen();
        let topology = options.topology.unwrap_or_else(chosen_topology);
        let dir = TempDir::new().expect("a temporary folder");
        let usual = [
            ("CLEAVE__HTTP__STOP_SECONDS", "5".to_owned()),
            // Every actor has the same address here; the limit has a test of its own.
            ("CLEAVE__HTTP__TRIES_PER_MINUTE", "0".to_owned()),
            ("CLEAVE__PAYMENTS__PROVIDERS", "manual,test".to_owned()),
            // What a killed process leased is waited for.
            ("CLEAVE__EVENTS__PACE__LEASE_SECONDS", "2".to_owned()),
            ("CLEAVE_WORKERS_WAIT", dir.path().join(WAIT).display().to_string()),
            ("CLEAVE__LOG__FILTER", env::var("CLEAVE_TEST_LOG").unwrap_or_else(|_| "warn".to_owned())),
        ];
        let elsewhere = options.cluster;
        let databases = databases(backend, topology, &|word| match &elsewhere {
            Some(cluster) => database_on(cluster, word),
            None => database(word),
        });
        let said = Arc::new(StdMutex::new(Vec::new()));
        let mut plan = Plan::new(Wanted {
            topology,
            binary: binary.into(),
            folder: dir.path().into(),
            databases: databases.clone(),
            broker: options.broker.unwrap_or_else(|| BrokerUsed::chosen(topology).of_run()),
            env: usual.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(options.env).collect(),
            nginx: launch::find_nginx(),
            errors: kept(&said),
            ..Wanted::default()
        })
        .expect("a topology that can be started");
        let proxies = options.proxied.into_iter().map(|domain| (domain, proxy(&mut plan, domain))).collect();
        let fleet = Fleet::prepare(plan).expect("the shop can be prepared");
        let mut shop = Self {
            url: String::new(),
            internal: String::new(),
            backend,
            topology,
            fleet,
            unaudited: None,
            databases,
            proxies,
            said,
            contract: Arc::default(),
            staff: Mutex::default(),
            dir,
        };
        let (email, password) = ADMIN;
        shop.run(&["users", "create-admin", "--email", email, "--password-stdin"], password);
        let Some(CrashAt { point, module }) = options.crash_at else {
            shop.resume();
            return shop;
        };
        shop.fleet.tell_servers(module.map(named), "CLEAVE_CRASH_AT", &point);
        match shop.started() {
            // What it does by itself led there already.
            Err(_) if shop.has_died() => shop.find(),
            started => started.unwrap_or_else(|why| panic!("{why}")),
        }
        shop
    }

    /// A command line of the binary on this shop's settings, where whoever it is about runs; of `serve` and the like,
    /// the first process's.
    pub fn command(&self, args: &[&str]) -> Command {
        self.fleet.commands(args).remove(0)
    }
    /// The same about the process that a module runs in.
    pub fn command_of(&self, module: &str, args: &[&str]) -> Command {
        let plan = self.fleet.plan();
        plan.command(plan.of(named(module)), args)
    }
    /// A server of the same modules beside the one that runs, where nobody else listens.
    pub fn another(&self, module: &str) -> Command {
        let mut command = self.command_of(module, &["serve"]);
        let listens = command.get_envs().map(|(name, _)| name.to_owned());
        let listens: Vec<_> = listens.filter(|name| name.to_string_lossy().ends_with("LISTEN")).collect();
        command.envs(listens.into_iter().map(|name| (name, "127.0.0.1:0")));
        command
    }
    /// Runs it to its end, once a process when it is about all; panics unless it succeeds. What it printed.
    pub fn run(&self, args: &[&str], input: &str) -> String {
        self.fleet.run(args, input).unwrap_or_else(|why| panic!("{why}"))
    }

    /// From its next start on, and for commands.
    pub fn set(&mut self, name: &str, value: &str) {
        self.fleet.set(name, value);
    }
    /// Starts every process that does not run, on the same data.
    pub fn resume(&mut self) {
        self.started().unwrap_or_else(|why| panic!("{why}"));
    }
    /// [`Shop::resume`] of a shop that may die on its way up; what kept it down.
    pub fn try_resume(&mut self) -> Result<(), String> {
        self.started().map_err(|why| why.to_string())
    }
    pub(crate) fn started(&mut self) -> launch::Result<()> {
        self.fleet.start().and_then(|()| self.fleet.meet())?;
        self.find();
        Ok(())
    }
    fn find(&mut self) {
        self.url = self.fleet.url();
        self.internal = self.internal_of("storefront");
    }
    /// Whether a process has ended without being asked to.
    pub fn has_died(&self) -> bool {
        self.fleet.ended().is_some()
    }
    /// Who ended without being asked to, and how; asked for until somebody has, for 20 seconds at most. They are started
    /// again by [`Shop::resume`], where they were, on their data, and end themselves no more.
    pub async fn died(&mut self) -> Vec<Died> {
        crate::until("a process dies", async || self.has_died().then_some(())).await;
        self.fleet.died().unwrap_or_else(|why| panic!("{why}"))
    }
    /// SIGKILL for every process: what they had not given away is lost.
    pub fn kill(&mut self) {
        self.fleet.kill().unwrap_or_else(|why| panic!("{why}"));
    }
    /// SIGTERM for every process, and their ends.
    pub fn stop(&mut self) {
        self.fleet.stop();
    }
    /// SIGKILL for the process that a module runs in.
    pub fn kill_module(&mut self, module: &str) {
        self.fleet.kill_module(named(module)).unwrap_or_else(|why| panic!("{why}"));
    }
    pub fn stop_module(&mut self, module: &str) {
        self.fleet.stop_module(named(module)).unwrap_or_else(|why| panic!("{why}"));
    }
    pub fn resume_module(&mut self, module: &str) {
        self.fleet.start_module(named(module)).unwrap_or_else(|why| panic!("{why}"));
    }
    /// SIGSTOP: it takes connections, for the system does, and answers nobody.
    pub fn freeze(&self, module: &str) {
        self.fleet.signal(named(module), Signal::Freeze).unwrap_or_else(|why| panic!("{why}"));
    }
    pub fn thaw(&self, module: &str) {
        self.fleet.signal(named(module), Signal::Thaw).unwrap_or_else(|why| panic!("{why}"));
    }

    /// The lines that a process wrote to its standard error so far; `gateway` is nginx. They come a moment after what
    /// they tell of.
    pub fn said(&self, process: &str) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().filter(|(name, _)| name == process).map(|(_, line)| line.clone()).collect()
    }

    /// Where the process of a module answers HTTP by itself.
    pub fn url_of(&self, module: &str) -> String {
        self.fleet.url_of(named(module)).expect("it runs").to_owned()
    }
    /// The operators' listener of the process that a module runs in.
    pub fn internal_of(&self, module: &str) -> String {
        self.fleet.internal_of(named(module)).expect("it runs").to_owned()
    }
    /// Every process's operators' listener, by the process's name.
    pub fn internals(&self) -> Vec<(&'static str, String)> {
        self.fleet.internals()
    }
    /// Where a domain's process answers calls, outside `single`; also when a proxy stands before it.
    pub fn grpc_of(&self, domain: Domain) -> String {
        self.fleet.plan().grpc(domain).expect("nobody is called in `single`").to_string()
    }
    /// What `Options::proxied` asked for.
    pub fn proxy(&self, domain: Domain) -> &Proxy {
        self.proxies.get(&domain).expect("`Options::proxied` names it")
    }
    /// The folder of the shop's authority and certificates.
    pub fn certificates(&self) -> PathBuf {
        self.fleet.plan().certificates()
    }
    /// The data directory of the process that a module runs in.
    pub fn data_dir_of(&self, module: &str) -> PathBuf {
        self.fleet.plan().of(named(module)).data_dir.clone()
    }
    /// The folder of all data.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }
    /// A file for a test, in the shop's own folder.
    pub fn scratch(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }
    /// The PostgreSQL database of the whole shop, as a superuser sees it.
    pub fn database_url(&self) -> Option<&str> {
        match &self.databases {
            Databases::Shared(url) => Some(url),
            Databases::Files | Databases::Own(_) => None,
        }
    }
    /// The PostgreSQL database that a domain's tables are in.
    pub fn database_of(&self, domain: &str) -> Option<&str> {
        match &self.databases {
            Databases::Own(urls) => urls.iter().find(|(own, _)| own.name() == domain).map(|(_, url)| url.as_str()),
            Databases::Shared(_) | Databases::Files => self.database_url(),
        }
    }

    /// No worker begins a turn as long as what this gives lives: what a request costs is measured by itself. Turns that
    /// have begun go on. Of a build for tests only.
    #[must_use]
    pub fn workers_wait(&self) -> WorkersWait {
        let file = self.dir.path().join(WAIT);
        fs::write(&file, "").expect("the shop's folder can be written to");
        WorkersWait(file)
    }

    /// What all its processes have measured so far.
    pub async fn counters(&self) -> Counters {
        self.counters_by(&reqwest::Client::new()).await
    }
    /// The same, by a client whose connections are used again: who asks often saves the making of one.
    pub(crate) async fn counters_by(&self, client: &reqwest::Client) -> Counters {
        let mut counters = Counters::default();
        for (_, internal) in self.internals() {
            let answer = client.get(format!("{internal}/metrics")).send().await.expect("metrics answer");
            counters.add(&answer.text().await.expect("text"));
        }
        counters
    }
}

/// What processes complain of, told to a test and to whoever reads its output.
fn kept(said: &Arc<StdMutex<Vec<(String, String)>>>) -> Errors {
    let said = Arc::clone(said);
    Errors::Told(Arc::new(move |process, line| {
        eprintln!("{line}");
        said.lock().unwrap_or_else(PoisonError::into_inner).push((process.to_owned(), line.to_owned()));
    }))
}

fn named(module: &str) -> Module {
    module.parse().unwrap_or_else(|why| panic!("{why}"))
}

/// In `single` one database for all; else one each, since a domain that is out shares nothing.
fn databases(backend: Backend, topology: Topology, database: &dyn Fn(&str) -> String) -> Databases {
    match (backend, topology) {
        (Backend::Sqlite, _) => Databases::Files,
        (Backend::Postgres, Topology::Single) => Databases::Shared(database("shop")),
        (Backend::Postgres, _) => Databases::Own(Domain::ALL.map(|domain| (domain, database(domain.name()))).into()),
    }
}

/// The URL of a new PostgreSQL database, empty, whose name begins with `word`.
pub fn database(word: &str) -> String {
    database_on(&cluster(), word)
}

fn database_on(cluster: &str, word: &str) -> String {
    let name = crate::unique(word).replace('-', "_");
    let mut admin = PgConnection::establish(cluster).expect("the cluster made for tests answers");
    admin.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database can be made");
    format!("{}/{name}", cluster.rsplit_once('/').expect("a URL with a database").0)
}

fn proxy(plan: &mut Plan, domain: Domain) -> Proxy {
    let target = plan.grpc(domain).expect("in `single` nobody is called over a network");
    let proxy = Proxy::start(plan.address().expect("a port"), target).expect("a port of our own is free");
    plan.detour(domain, proxy.address());
    proxy
}
