//! The processes of a plan, running.
use crate::{
    Databases, Domain, Failed, Module, Plan, Result, Signal, Topology,
    error::Context,
    gateway, http,
    leash::{Errors, Leashed},
    plan::Process,
};
use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const START: Duration = Duration::from_secs(60);

/// Dropped, it stops in order.
pub struct Fleet {
    plan: Plan,
    running: BTreeMap<&'static str, Running>,
    gateway: Option<Leashed>,
}

/// A process that ended without being asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Died {
    pub process: &'static str,
    /// The number of the signal that ended it; `None` when it ended itself.
    pub signal: Option<i32>,
}

struct Running {
    leashed: Leashed,
    url: String,
    internal: String,
}

impl Fleet {
    /// Makes what the processes need: certificates, tables. Nothing runs yet.
    pub fn prepare(plan: Plan) -> Result<Self> {
        let fleet = Self { plan, running: BTreeMap::new(), gateway: None };
        if fleet.plan.topology() != Topology::Single && !fleet.plan.wanted.plaintext {
            let folder = fleet.plan.certificates().display().to_string();
            fleet.run(&["certs", "init", "--dir", &folder], "")?;
        }
        match &fleet.plan.wanted.databases {
            // Files are made by whoever opens them first.
            Databases::Files => (),
            Databases::Shared(url) => {
                fleet.run(&["database", "init", "--admin-url", url], "")?;
                fleet.run(&["migrate"], "")?;
            }
            Databases::Own(_) => drop(fleet.run(&["migrate"], "")?),
        }
        Ok(fleet)
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }
    /// From its next start on every process is told so, and every command.
    pub fn set(&mut self, name: &str, value: &str) {
        self.plan.wanted.env.push((name.to_owned(), value.to_owned()));
    }
    /// Where the shop answers: the gateway, where there is one.
    pub fn url(&self) -> String {
        match self.plan.gateway() {
            Some(gateway) => format!("http://{gateway}"),
            None => self.running.values().map(|running| running.url.clone()).next().unwrap_or_default(),
        }
    }
    /// Where the process of a module answers by itself.
    pub fn url_of(&self, module: Module) -> Option<&str> {
        Some(&self.running.get(self.plan.of(module).name)?.url)
    }
    /// Where each process tells operators how it is: its name, and the address.
    pub fn internals(&self) -> Vec<(&'static str, String)> {
        self.running.iter().map(|(name, running)| (*name, running.internal.clone())).collect()
    }
    pub fn internal_of(&self, module: Module) -> Option<&str> {
        Some(&self.running.get(self.plan.of(module).name)?.internal)
    }

    /// The ids of its processes, without the gateway's.
    pub fn ids(&self) -> Vec<u32> {
        self.running.values().map(|running| running.leashed.id()).collect()
    }
    pub fn gateway_id(&self) -> Option<u32> {
        Some(self.gateway.as_ref()?.id())
    }

    /// A command line of the binary, as an operator of this shop types it: about people where users are, about goods
    /// where products are, about tables once a process.
    pub fn commands(&self, arguments: &[&str]) -> Vec<Command> {
        let processes: Vec<&Process> = match arguments.first().copied() {
            Some("users") => vec![self.plan.of(Module::Of(Domain::Users))],
            Some("import") => vec![self.plan.of(Module::Of(Domain::Products))],
            Some("migrate" | "database" | "audit") => {
                let has_tables = |process: &&Process| process.modules.iter().any(|module| module.domain().is_some());
                self.plan.processes().iter().filter(has_tables).collect()
            }
            _ => self.plan.processes().iter().take(1).collect(),
        };
        processes.into_iter().map(|process| self.plan.command(process, arguments)).collect()
    }
    /// Runs them to their ends with `input` on their standard inputs; what they printed.
    pub fn run(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut printed = String::new();
        for mut command in self.commands(arguments) {
            let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = piped.spawn().context("cannot start the binary")?;
            // Whoever does not read its input may be gone already.
            let _ = child.stdin.take().expect("piped").write_all(format!("{input}\n").as_bytes());
            let done = child.wait_with_output().context("cannot wait for the binary")?;
            if !done.status.success() {
                let why = String::from_utf8_lossy(&done.stderr);
                return Err(Failed(format!("`cleave {}` failed: {}", arguments.join(" "), why.trim())));
            }
            printed.push_str(&String::from_utf8_lossy(&done.stdout));
        }
        Ok(printed)
    }

    /// Starts whatever does not run; returns when the shop answers.
    pub fn start(&mut self) -> Result<()> {
        let (plan, errors) = (&self.plan, &self.plan.wanted.errors);
        let due: Vec<_> = plan.processes().iter().filter(|process| !self.running.contains_key(process.name)).collect();
        // All at once: nobody waits for a neighbour to be there.
        let started: Vec<_> = thread::scope(|scope| {
            let starting: Vec<_> =
                due.iter().map(|process| scope.spawn(move || started(plan, process, errors))).collect();
            let ended =
                starting.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(Failed("a thread died".into()))));
            ended.collect()
        });
        for (process, started) in due.iter().zip(started) {
            self.running.insert(process.name, started?);
        }
        if self.gateway.is_none() {
            self.gateway = gateway::start(&self.plan, &self.plan.wanted.errors)?;
        }
        Ok(())
    }
    /// Returns when every process reaches every other: they are started at once, and miss each other at first.
    pub fn meet(&self) -> Result<()> {
        let asked = Instant::now();
        for (name, internal) in self.internals() {
            let address = internal.trim_start_matches("http://").parse();
            let address = address.context(format_args!("{name} says no address where operators find it"))?;
            while !http::get(address, "/readyz").is_some_and(|answer| answer.ends_with("{\"status\":\"ready\"}")) {
                if let Some(ended) = self.ended() {
                    return Err(Failed(format!("{ended} ended while {name} looked for its neighbours")));
                }
                if asked.elapsed() > START {
                    return Err(Failed(format!("{name} does not reach its neighbours; its log says whom, and why")));
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
    /// The process of this module alone.
    pub fn start_module(&mut self, module: Module) -> Result<()> {
        let process = self.plan.of(module);
        if self.running.contains_key(process.name) {
            return Err(Failed(format!("{} runs already", process.name)));
        }
        self.running.insert(process.name, started(&self.plan, process, &self.plan.wanted.errors)?);
        Ok(())
    }

    /// The process of this module, from another binary: what runs is stopped first.
    pub fn replace(&mut self, module: Module, binary: &Path) -> Result<()> {
        drop(self.running.remove(self.plan.of(module).name));
        self.plan.start_from(module, binary);
        self.start_module(module)
    }

    /// In order: nobody new comes in, then whoever calls ends before whoever is called.
    pub fn stop(&mut self) {
        drop(self.gateway.take());
        for process in self.plan.processes().iter().rev() {
            drop(self.running.remove(process.name));
        }
    }
    /// SIGKILL for every process. The gateway loses nothing and just ends.
    pub fn kill(&mut self) -> Result<()> {
        let killed = self.running.values().try_for_each(|running| running.leashed.signal(Signal::Kill));
        self.stop();
        killed
    }
    pub fn stop_module(&mut self, module: Module) -> Result<()> {
        self.taken(module).map(drop)
    }
    pub fn kill_module(&mut self, module: Module) -> Result<()> {
        let running = self.taken(module)?;
        // Whoever asked it finds it again.
        let process = self.plan.of(module).name;
        let address = running.url.trim_start_matches("http://").parse();
        self.plan.stay_at(process, address.context(format_args!("{process} said no address"))?);
        running.leashed.kill()
    }
    /// A signal after which the process is still there.
    pub fn signal(&self, module: Module, signal: Signal) -> Result<()> {
        let name = self.plan.of(module).name;
        let running = self.running.get(name).ok_or_else(|| Failed(format!("{name} does not run")))?;
        running.leashed.signal(signal)
    }
    fn taken(&mut self, module: Module) -> Result<Running> {
        let name = self.plan.of(module).name;
        self.running.remove(name).ok_or_else(|| Failed(format!("{name} does not run")))
    }

    /// From its next start on the server of every process, or of a module's alone, is told this; see [`Fleet::died`].
    pub fn tell_servers(&mut self, of: Option<Module>, name: &str, value: &str) {
        let all: Vec<_> = match of {
            Some(module) => vec![self.plan.of(module).name],
            None => self.plan.processes().iter().map(|process| process.name).collect(),
        };
        all.into_iter().for_each(|process| self.plan.tell_server(process, name, value));
    }
    /// Processes that ended without being asked to. They are out of the fleet, and what [`Fleet::start`] starts in
    /// their places has their data, addresses and settings, without what only servers were told.
    pub fn died(&mut self) -> Result<Vec<Died>> {
        let mut all = Vec::new();
        for (process, running) in self.running.extract_if(.., |_, running| running.leashed.has_ended()) {
            let address = running.url.trim_start_matches("http://").parse();
            self.plan.stay_at(process, address.context(format_args!("{process} said no address"))?);
            self.plan.tell_no_more(process);
            all.push(Died { process, signal: running.leashed.died_of() });
        }
        Ok(all)
    }

    /// Whoever ended without being asked to.
    pub fn ended(&self) -> Option<&'static str> {
        let process = self.running.iter().find(|(_, running)| running.leashed.has_ended()).map(|(name, _)| *name);
        process.or_else(|| self.gateway.as_ref().is_some_and(Leashed::has_ended).then_some("gateway"))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop();
    }
}

fn started(plan: &Plan, process: &Process, errors: &Errors) -> Result<Running> {
    let mut leashed = Leashed::start(process.name, &plan.serving(process), errors)?;
    let [url, metrics] = leashed.says(["listening on ", "metrics on "], START)?;
    Ok(Running { leashed, url, internal: metrics.trim_end_matches("/metrics").to_owned() })
}
