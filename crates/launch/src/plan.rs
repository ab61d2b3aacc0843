//! What is started: the processes of a topology, and what each is told.
//!
//! All are told the same of the whole shop (certificates, databases, where each domain's routes are) and what differs by
//! nature: their own data and addresses, and for a domain that shares a process that it is local there.
use crate::{Broker, Domain, Errors, Failed, Module, Result, Topology, ports::Ports};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

/// What somebody wants started.
#[derive(Debug, Default)]
pub struct Wanted {
    pub topology: Topology,
    /// The built `cleave`.
    pub binary: PathBuf,
    /// Everything that belongs to this shop lies in it: data, certificates, the gateway's files.
    pub folder: PathBuf,
    pub databases: Databases,
    pub broker: Broker,
    /// Settings of every process, such as `("CLEAVE__LOG__FILTER", "warn")`.
    pub env: Vec<(String, String)>,
    /// The program; for every topology but `single`.
    pub nginx: Option<PathBuf>,
    /// Where the shop answers; a free port when nothing is said.
    pub listen: Option<SocketAddr>,
    /// No TLS between the processes, and no certificates.
    pub plaintext: bool,
    pub errors: Errors,
}

/// Where tables lie.
#[derive(Clone, Debug, Default)]
pub enum Databases {
    /// SQLite files in the data directory of whoever owns them.
    #[default]
    Files,
    /// One PostgreSQL database, with a role a domain.
    Shared(String),
    /// A PostgreSQL database each.
    Own(BTreeMap<Domain, String>),
}

/// A process of the shop.
#[derive(Clone, Debug)]
pub struct Process {
    pub name: &'static str,
    pub modules: Vec<Module>,
    /// `--only` and its list, or nothing: what every command line about this process's modules begins with.
    pub only: Vec<String>,
    pub data_dir: PathBuf,
    http: SocketAddr,
    internal: SocketAddr,
    grpc: Option<SocketAddr>,
}

pub struct Plan {
    pub(crate) wanted: Wanted,
    processes: Vec<Process>,
    gateway: Option<SocketAddr>,
    /// Where a domain is called, instead of at its process.
    detours: BTreeMap<Domain, SocketAddr>,
    /// What a process of this name is started from, instead of what operators type.
    binaries: BTreeMap<&'static str, PathBuf>,
    /// What servers of this name are told, and no command line is.
    served: BTreeMap<&'static str, (String, String)>,
    ports: Option<Ports>,
}

impl Plan {
    pub fn new(wanted: Wanted) -> Result<Self> {
        let data = wanted.folder.join("data");
        if wanted.topology == Topology::Single {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let http = wanted.listen.unwrap_or(any);
            let (name, modules) = wanted.topology.processes().remove(0);
            let only = Process { name, modules, only: Vec::new(), data_dir: data, http, internal: any, grpc: None };
            return Ok(Self {
                wanted,
                processes: vec![only],
                gateway: None,
                detours: BTreeMap::new(),
                binaries: BTreeMap::new(),
                served: BTreeMap::new(),
                ports: None,
            });
        }
        if wanted.nginx.is_none() {
            return Err(Failed(format!("{} needs nginx before it, and none was given", wanted.topology)));
        }
        let mut ports = Ports::take()?;
        let mut processes = Vec::new();
        for (name, modules) in wanted.topology.processes() {
            // Whoever has more than one module is about what is local.
            let only = if let [one] = modules[..] { vec!["--only".into(), one.name().into()] } else { Vec::new() };
            let called = modules.iter().any(|module| module.domain().is_some());
            let (http, internal) = (ports.next()?, ports.next()?);
            let grpc = called.then(|| ports.next()).transpose()?;
            processes.push(Process { name, modules, only, data_dir: data.join(name), http, internal, grpc });
        }
        let gateway = wanted.listen.map_or_else(|| ports.next(), Ok)?;
        Ok(Self {
            wanted,
            processes,
            gateway: Some(gateway),
            detours: BTreeMap::new(),
            binaries: BTreeMap::new(),
            served: BTreeMap::new(),
            ports: Some(ports),
        })
    }

    pub fn topology(&self) -> Topology {
        self.wanted.topology
    }
    pub fn folder(&self) -> &Path {
        &self.wanted.folder
    }
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }
    /// The process that a module runs in.
    pub fn of(&self, module: Module) -> &Process {
        let found = self.processes.iter().find(|process| process.modules.contains(&module));
        found.expect("every module runs in one process")
    }
    /// Where nginx answers, outside `single`.
    pub fn gateway(&self) -> Option<SocketAddr> {
        self.gateway
    }
    /// Where a domain's process answers calls, outside `single`.
    pub fn grpc(&self, domain: Domain) -> Option<SocketAddr> {
        self.of(Module::Of(domain)).grpc
    }
    /// An address of this shop's own, for somebody who stands in between.
    pub fn address(&mut self) -> Result<SocketAddr> {
        let ports = self.ports.as_mut();
        ports.ok_or_else(|| Failed("in `single` nobody stands in between".into()))?.next()
    }
    /// From now on the other processes call `domain` at `address`.
    pub fn detour(&mut self, domain: Domain, address: SocketAddr) {
        self.detours.insert(domain, address);
    }
    /// From now on the process of `module` is started from this binary. Command lines stay what was wanted.
    pub fn start_from(&mut self, module: Module, binary: &Path) {
        let name = self.of(module).name;
        self.binaries.insert(name, binary.to_owned());
    }
    /// From its next start on the server of `process` is told this beside its settings, until it is told no more.
    pub fn tell_server(&mut self, process: &'static str, name: &str, value: &str) {
        self.served.insert(process, (name.to_owned(), value.to_owned()));
    }
    pub fn tell_no_more(&mut self, process: &str) {
        self.served.remove(process);
    }
    pub fn certificates(&self) -> PathBuf {
        self.wanted.folder.join("certificates")
    }

    /// A command line of the binary about the modules of `process`.
    pub fn command(&self, process: &Process, arguments: &[&str]) -> Command {
        self.command_of(&self.wanted.binary, process, arguments)
    }
    /// The same of another binary.
    pub fn command_of(&self, binary: &Path, process: &Process, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command.args(arguments).args(&process.only).envs(self.env(process)).current_dir(&self.wanted.folder);
        command
    }
    pub(crate) fn serving(&self, process: &Process) -> Command {
        let binary = self.binaries.get(process.name).unwrap_or(&self.wanted.binary);
        let mut command = self.command_of(binary, process, &["serve"]);
        command.envs(self.served.get(process.name).map(|(name, value)| (name, value)));
        command
    }
    /// In `single` a free port is taken by each start; from now on it is this one.
    pub(crate) fn stay_at(&mut self, process: &str, http: SocketAddr) {
        self.processes.iter_mut().filter(|one| one.name == process).for_each(|one| one.http = http);
    }

    /// What `process` is told by its environment; what was wanted comes last and wins.
    pub fn env(&self, process: &Process) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> = Vec::new();
        let mut say = |name: String, value: String| env.push((format!("CLEAVE__{name}"), value));
        say("DATA_DIR".into(), process.data_dir.display().to_string());
        say("HTTP__LISTEN".into(), process.http.to_string());
        say("HTTP__INTERNAL_LISTEN".into(), process.internal.to_string());
        match &self.wanted.databases {
            Databases::Files => (),
            Databases::Shared(url) => say("DATABASE__URL".into(), url.clone()),
            Databases::Own(urls) => urls.iter().for_each(|(domain, url)| say(module(*domain, "DATABASE"), url.clone())),
        }
        self.wanted.broker.settings().into_iter().for_each(|(name, value)| say(format!("EVENTS__{name}"), value));
        if self.gateway.is_some() {
            say("HTTP__TRUSTED_PROXIES".into(), "127.0.0.1".into());
            if self.wanted.plaintext {
                say("GRPC__PLAINTEXT".into(), "true".into());
            } else {
                say("GRPC__CERTIFICATES".into(), self.certificates().display().to_string());
            }
            if let Some(grpc) = process.grpc {
                say("GRPC__LISTEN".into(), grpc.to_string());
            }
            for other in &self.processes {
                for one in &other.modules {
                    say(module_of(*one, "HTTP"), format!("http://{}", other.http));
                }
                for domain in other.modules.iter().filter_map(|one| one.domain()) {
                    say(module(domain, "PLACE"), self.place(domain, other, process));
                }
            }
        }
        env.extend(self.wanted.env.iter().cloned());
        env
    }

    /// Where `domain`, which runs in `other`, is for `process`. Whoever has `--only` knows what is here without being
    /// told.
    fn place(&self, domain: Domain, other: &Process, process: &Process) -> String {
        let at = self.detours.get(&domain).copied().or(other.grpc);
        match at {
            Some(at) if other.name != process.name || !process.only.is_empty() => {
                format!("{}://{at}", if self.wanted.plaintext { "http" } else { "https" })
            }
            _ => "local".into(),
        }
    }
}

fn module(domain: Domain, what: &str) -> String {
    module_of(Module::Of(domain), what)
}
fn module_of(module: Module, what: &str) -> String {
    format!("MODULES__{}__{what}", module.name().to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(topology: Topology) -> Plan {
        let databases =
            Databases::Own(Domain::ALL.map(|domain| (domain, format!("postgres://h/{}", domain.name()))).into());
        let env = vec![("CLEAVE__LOG__FILTER".to_owned(), "warn".to_owned())];
        let wanted = Wanted {
            topology,
            folder: "/shop".into(),
            databases,
            env,
            nginx: Some("nginx".into()),
            ..Wanted::default()
        };
        Plan::new(wanted).unwrap()
    }
    fn told(plan: &Plan, process: &str) -> BTreeMap<String, String> {
        let process = plan.processes().iter().find(|one| one.name == process).unwrap();
        plan.env(process).into_iter().collect()
    }

    #[test]
    fn a_single_shop_is_told_of_no_other() {
        let plan = plan(Topology::Single);
        let told = told(&plan, "shop");
        assert_eq!((told["CLEAVE__DATA_DIR"].as_str(), plan.gateway()), ("/shop/data", None));
        let strange = told.keys().find(|name| name.contains("GRPC") || name.contains("PLACE") || name.contains("PROX"));
        assert_eq!(strange, None);
        assert!(plan.processes()[0].only.is_empty());
    }

    #[test]
    fn a_split_shop_is_told_the_same_everywhere_but_its_own_addresses() {
        let plan = plan(Topology::Split);
        let mut all: Vec<_> =
            ["users", "products", "orders", "webhooks", "storefront"].map(|name| told(&plan, name)).into();
        let grpc = format!("https://{}", plan.grpc(Domain::Products).unwrap());
        assert!(all.iter().all(|told| told["CLEAVE__MODULES__PRODUCTS__PLACE"] == grpc));
        assert!(!all[4].contains_key("CLEAVE__GRPC__LISTEN"), "nobody calls the storefront");
        assert_eq!(all[1]["CLEAVE__DATA_DIR"], "/shop/data/products");
        for told in &mut all {
            for own in ["DATA_DIR", "HTTP__LISTEN", "HTTP__INTERNAL_LISTEN", "GRPC__LISTEN"] {
                told.remove(&format!("CLEAVE__{own}"));
            }
        }
        assert!(all.iter().all(|told| *told == all[0]), "{all:?}");
        assert_eq!(all[0]["CLEAVE__LOG__FILTER"], "warn");
        assert_eq!(plan.of(Module::Storefront).only, ["--only", "storefront"]);
    }

    #[test]
    fn who_is_out_is_far_and_the_rest_is_local_to_itself() {
        let plan = plan(Topology::Out(Domain::Orders));
        let (out, rest) = (told(&plan, "orders"), told(&plan, "rest"));
        let place =
            |told: &BTreeMap<String, String>, domain: &str| told[&format!("CLEAVE__MODULES__{domain}__PLACE")].clone();
        assert_eq!([place(&rest, "USERS"), place(&rest, "PRODUCTS")], ["local", "local"]);
        assert_eq!(place(&rest, "ORDERS"), format!("https://{}", plan.grpc(Domain::Orders).unwrap()));
        assert_eq!(place(&out, "PRODUCTS"), format!("https://{}", plan.grpc(Domain::Users).unwrap()));
        assert!(plan.of(Module::Storefront).only.is_empty());
        assert_eq!(plan.of(Module::Of(Domain::Orders)).only, ["--only", "orders"]);
    }

    #[test]
    fn a_plain_shop_knows_of_no_certificates() {
        let wanted =
            Wanted { topology: Topology::Split, nginx: Some("nginx".into()), plaintext: true, ..Wanted::default() };
        let plan = Plan::new(wanted).unwrap();
        let told = told(&plan, "orders");
        let grpc = format!("http://{}", plan.grpc(Domain::Users).unwrap());
        assert_eq!((&told["CLEAVE__MODULES__USERS__PLACE"], told["CLEAVE__GRPC__PLAINTEXT"].as_str()), (&grpc, "true"));
        assert!(!told.contains_key("CLEAVE__GRPC__CERTIFICATES"));
    }

    #[test]
    fn whoever_stands_before_a_domain_is_called_in_its_place() {
        let mut plan = plan(Topology::Split);
        let between = plan.address().unwrap();
        plan.detour(Domain::Products, between);
        assert_eq!(told(&plan, "orders")["CLEAVE__MODULES__PRODUCTS__PLACE"], format!("https://{between}"));
        assert_ne!(told(&plan, "products")["CLEAVE__GRPC__LISTEN"], between.to_string());
    }

    #[test]
    fn a_process_may_be_of_another_version() {
        let mut plan = plan(Topology::Split);
        plan.start_from(Module::Of(Domain::Users), Path::new("/older"));
        let of = |module| plan.serving(plan.of(module)).get_program().to_owned();
        assert_eq!((of(Module::Of(Domain::Users)), of(Module::Storefront)), ("/older".into(), "".into()));
        assert_eq!(plan.command(plan.of(Module::Of(Domain::Users)), &["migrate"]).get_program(), "");
    }

    #[test]
    fn what_a_server_is_told_no_command_line_is() {
        let mut plan = plan(Topology::Split);
        plan.tell_server("orders", "DIE_AT", "noon");
        let told = |plan: &Plan, command: Command| {
            assert!(command.get_envs().count() >= plan.env(plan.of(Module::Storefront)).len());
            command.get_envs().any(|(name, value)| name == "DIE_AT" && value.is_some_and(|value| value == "noon"))
        };
        let of = |plan: &Plan, domain| plan.of(Module::Of(domain)).clone();
        let (orders, users) = (of(&plan, Domain::Orders), of(&plan, Domain::Users));
        assert!(told(&plan, plan.serving(&orders)) && !told(&plan, plan.serving(&users)));
        assert!(!told(&plan, plan.command(&orders, &["audit"])));
        plan.tell_no_more("orders");
        assert!(!told(&plan, plan.serving(&orders)));
    }

    #[test]
    fn what_cannot_be_planned_is_said() {
        let wanted = Wanted { topology: Topology::Split, ..Wanted::default() };
        assert!(Plan::new(wanted).err().unwrap().to_string().contains("nginx"));
    }
}
