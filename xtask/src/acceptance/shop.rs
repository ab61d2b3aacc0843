//! The server as a process: started on a fresh database, stopped by its process id.
use super::api::Api;
use crate::{
    error::{Context, Result},
    process::Group,
};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::ChildStdout,
    time::timeout,
};

const EMAIL: &str = "admin@example.com";
const PASSWORD: &str = "for-one-run-on-loopback-only";
const START: Duration = Duration::from_secs(60);

pub(super) enum Database {
    Sqlite,
    /// A database that exists and is empty.
    Postgres(String),
}

pub(super) struct Shop {
    server: Group,
    base: String,
    home: TempDir,
}

impl Shop {
    pub(super) async fn open(binary: &Path, database: &Database) -> Result<Self> {
        let home = tempfile::tempdir().context("cannot create a folder for the shop")?;
        let program = Program { binary, home: home.path(), database };
        if let Database::Postgres(url) = database {
            program.run(&["database", "init", "--admin-url", url], "")?;
            program.run(&["migrate"], "")?;
        }
        program.run(&["users", "create-admin", "--email", EMAIL, "--password-stdin"], PASSWORD)?;
        let log = fs::File::create(log(home.path())).context("cannot create the server's log")?;
        let mut command = program.command(&["serve"]);
        command.stdout(Stdio::piped()).stderr(log);
        let mut server = Group::start(command.into())?;
        let stdout = server.take_stdout().expect("standard output was asked for");
        match timeout(START, address(BufReader::new(stdout).lines())).await {
            Ok(Ok(base)) => Ok(Self { server, base, home }),
            Ok(Err(error)) => Err(format!("{error}\n{}", tail(home.path())).into()),
            Err(_) => {
                let seconds = START.as_secs();
                Err(format!("the server said no address within {seconds} seconds\n{}", tail(home.path())).into())
            }
        }
    }

    pub(super) async fn staff(&self) -> Result<Api> {
        Api::sign_in(&self.base, EMAIL, PASSWORD).await
    }

    /// The most memory that the server ever held, in kB.
    pub(super) fn peak_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.server.id());
        let status = fs::read_to_string(&path).context(format_args!("cannot read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        number.context(format_args!("{path} says no VmHWM"))
    }

    /// Whether it was still there and stopped when asked.
    pub(super) fn close(&mut self) -> bool {
        self.server.ended().is_none() && self.server.stop()
    }

    pub(super) fn last_words(&self) -> String {
        tail(self.home.path())
    }
}

/// The built program with a configuration of its own: nothing of the caller's environment reaches it.
struct Program<'a> {
    binary: &'a Path,
    home: &'a Path,
    database: &'a Database,
}

impl Program<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binary);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CLEAVE_")) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.home).env("CLEAVE__DATA_DIR", self.home.join("data"));
        command.env("CLEAVE__HTTP__LISTEN", "127.0.0.1:0").env("CLEAVE__PAYMENTS__PROVIDERS", "manual,test");
        if let Database::Postgres(url) = self.database {
            command.env("CLEAVE__DATABASE__URL", url);
        }
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Result<()> {
        let shown = arguments.join(" ");
        let doing = format!("cannot run `cleave {shown}`");
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context(&doing)?;
        // A program that ends without reading its input says why below.
        let _ = writeln!(child.stdin.take().expect("standard input was asked for"), "{input}");
        let output = child.wait_with_output().context(&doing)?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Err(format!("`cleave {shown}` failed ({}):\n{}", output.status, said.join("\n")).into())
    }
}

/// Reads up to the address; the rest is read away, so that the server never waits for a full pipe.
async fn address(mut lines: Lines<BufReader<ChildStdout>>) -> Result<String> {
    while let Some(line) = lines.next_line().await.context("cannot read what the server says")? {
        if let Some(base) = line.trim().strip_prefix("listening on ") {
            let base = base.to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(base);
        }
    }
    Err("the server ended before it listened".into())
}

fn log(home: &Path) -> PathBuf {
    home.join("log")
}

fn tail(home: &Path) -> String {
    let text = fs::read(log(home)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    format!("the end of the server's log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"))
}
