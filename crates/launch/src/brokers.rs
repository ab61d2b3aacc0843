//! Brokers of a test's own, on loopback: they may be stopped, killed, and started again where they were.
use crate::{
    Failed, Result, Signal,
    error::Context,
    leash::{Errors, Leashed},
    ports::Ports,
};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

const START: Duration = Duration::from_secs(30);
/// What is kept of what a server says, to be told if it does not start.
const LINES: usize = 50;

/// A NATS server with JetStream, which keeps what it has from start to start.
pub struct Nats {
    server: Server,
    options: NatsOptions,
}

#[derive(Clone, Debug, Default)]
pub struct NatsOptions {
    /// User and password; anybody may come in without.
    pub login: Option<(String, String)>,
    /// Nobody is spoken to in clear with it.
    pub tls: Option<NatsTls>,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct NatsTls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Who comes in has a certificate of this authority.
    pub clients: Option<PathBuf>,
}

impl Nats {
    /// Returns when it answers. `folder` is made; its configuration and what it keeps lie there.
    pub fn start(program: &Path, folder: &Path, options: NatsOptions) -> Result<Self> {
        let server = Server::prepare("NATS", folder)?;
        let file = folder.join("nats.conf");
        let text = configuration(server.address, folder, &options);
        fs::write(&file, text).context(format_args!("cannot write {}", file.display()))?;
        let mut command = Command::new(program);
        command.arg("-c").arg(file);
        let mut nats = Self { server: Server { command: Some(command), ..server }, options };
        nats.start_again()?;
        Ok(nats)
    }
    /// On the same port, with what it kept.
    pub fn start_again(&mut self) -> Result<()> {
        self.server.start(greets)
    }
    /// It ends in order.
    pub fn stop(&mut self) {
        self.server.running = None;
    }
    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }
    /// It stands still and holds its connections, or goes on.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.server.signal(signal)
    }
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "tls" } else { "nats" };
        format!("{scheme}://{}", self.server.address)
    }
}

fn configuration(address: SocketAddr, folder: &Path, options: &NatsOptions) -> String {
    // Its strings are quoted as JSON's are.
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let path = |path: &Path| quoted(&path.display().to_string());
    let mut text = format!("listen: \"{address}\"\njetstream {{ store_dir: {} }}\n", path(&folder.join("store")));
    if let Some((user, password)) = &options.login {
        text += &format!("authorization {{ user: {}, password: {} }}\n", quoted(user), quoted(password));
    }
    if let Some(NatsTls { certificate, key, clients }) = &options.tls {
        text += &format!("tls {{ cert_file: {}, key_file: {}", path(certificate), path(key));
        if let Some(authority) = clients {
            text += &format!(", ca_file: {}, verify: true", path(authority));
        }
        text += " }\n";
    }
    text
}

/// The first thing it says, in clear, with or without TLS.
fn greets(stream: &mut TcpStream) -> bool {
    let mut said = Vec::new();
    let mut bytes = [0; 4096];
    while !said.contains(&b'\n') {
        match stream.read(&mut bytes) {
            Ok(read @ 1..) => said.extend_from_slice(&bytes[..read]),
            _ => return false,
        }
    }
    let said = String::from_utf8_lossy(&said);
    said.starts_with("INFO ") && said.contains("\"jetstream\":true")
}

/// A broker that speaks the Kafka protocol. It keeps nothing: what it had is gone when it ends.
pub struct Tansu {
    server: Server,
}

impl Tansu {
    /// Returns when it answers. `folder` is made, and is where it runs.
    pub fn start(program: &Path, folder: &Path) -> Result<Self> {
        Self::start_behind(program, folder, |own| own)
    }
    /// The same, and clients are sent to the address that is said for its own: a proxy's.
    pub fn start_behind(program: &Path, folder: &Path, told: impl FnOnce(SocketAddr) -> SocketAddr) -> Result<Self> {
        let server = Server::prepare("tansu", folder)?;
        let (own, told) = (format!("tcp://{}", server.address), format!("tcp://{}", told(server.address)));
        let mut command = Command::new(program);
        command.args(["broker", "--listener-url", &own, "--advertised-listener-url", &told]);
        command.args(["--storage-engine", "memory://tansu/"]).current_dir(folder);
        let mut tansu = Self { server: Server { command: Some(command), ..server } };
        tansu.start_again()?;
        Ok(tansu)
    }
    /// On the same port, empty.
    pub fn start_again(&mut self) -> Result<()> {
        self.server.start(tells_versions)
    }
    pub fn stop(&mut self) {
        self.server.running = None;
    }
    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.server.signal(signal)
    }
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }
}

/// Asked which requests it knows, in the oldest form of the question, it begins an answer.
fn tells_versions(stream: &mut TcpStream) -> bool {
    const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    stream.write_all(&API_VERSIONS).is_ok() && stream.read_exact(&mut [0; 8]).is_ok()
}

/// A program at an address that stays its own while it is down.
struct Server {
    name: &'static str,
    address: SocketAddr,
    command: Option<Command>,
    running: Option<Leashed>,
    said: Arc<Mutex<Vec<String>>>,
    _ports: Ports,
}

impl Server {
    fn prepare(name: &'static str, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).context(format_args!("cannot create {}", folder.display()))?;
        let mut ports = Ports::take()?;
        let address = ports.next()?;
        Ok(Self { name, address, command: None, running: None, said: Arc::default(), _ports: ports })
    }
    fn start(&mut self, answers: fn(&mut TcpStream) -> bool) -> Result<()> {
        let said = Arc::clone(&self.said);
        let errors = Errors::Told(Arc::new(move |_, line| {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() < LINES {
                said.push(line.to_owned());
            }
        }));
        let command = self.command.as_ref().expect("a server is made with its command");
        let running = Leashed::start(self.name, command, &errors)?;
        let asked = Instant::now();
        while !self.asked(answers) {
            if running.has_ended() || asked.elapsed() > START {
                let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
                return Err(Failed(format!("{} does not answer on {}:\n{said}", self.name, self.address)));
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.running = Some(running);
        Ok(())
    }
    fn asked(&self, answers: fn(&mut TcpStream) -> bool) -> bool {
        let Ok(mut stream) = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok() && answers(&mut stream)
    }
    fn kill(&mut self) -> Result<()> {
        self.running.take().map_or(Ok(()), Leashed::kill)
    }
    fn signal(&self, signal: Signal) -> Result<()> {
        let running = self.running.as_ref().ok_or_else(|| Failed(format!("{} does not run", self.name)))?;
        running.signal(signal)
    }
}
