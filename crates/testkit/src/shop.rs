//! A shop of its own: a real process with its own data.
use crate::{Actor, Counters, contract::Contract};
use diesel::{Connection, PgConnection, connection::SimpleConnection};
use serde_json::json;
use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
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

/// The cluster made for tests.
pub(crate) fn cluster() -> String {
    env::var("CLEAVE_TEST_POSTGRES").expect("CLEAVE_TEST_POSTGRES is not set: run `cargo xtask test`")
}

/// The URL of a new PostgreSQL database, empty.
pub fn database() -> String {
    let name = crate::unique("shop").replace('-', "_");
    let mut admin = PgConnection::establish(&cluster()).expect("the cluster made for tests answers");
    admin.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database can be made");
    format!("{}/{name}", cluster().rsplit_once('/').expect("a URL with a database").0)
}

/// How a shop differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Environment, such as `("CLEAVE__CHECKOUT__RESERVATION_MINUTES", "1")`.
    pub env: Vec<(String, String)>,
}

/// A running shop; its process ends with it, and also when the test's own process ends.
pub struct Shop {
    pub url: String,
    /// The operators' listener.
    pub internal: String,
    pub backend: Backend,
    binary: PathBuf,
    dir: TempDir,
    /// The PostgreSQL database, where there is one.
    database: Option<String>,
    env: Vec<(String, String)>,
    contract: Arc<Contract>,
    running: Option<Running>,
    /// Held while one signs in, so that nobody meets a clerk who is hired but has no rights yet.
    staff: Mutex<HashMap<&'static str, String>>,
}

struct Running {
    child: Child,
    /// Closing it ends the process: the system does so when we die.
    _leash: ChildStdin,
    pid: u32,
}

const ADMIN: (&str, &str) = ("admin@test.example", "an admin's password");

impl Shop {
    /// Starts `binary` on fresh data, with an administrator.
    pub fn start(binary: &str, options: Options) -> Self {
        let backend = Backend::chosen();
        let dir = TempDir::new().expect("a temporary folder");
        let mut env = vec![
            ("CLEAVE__DATA_DIR".to_owned(), dir.path().join("data").display().to_string()),
            ("CLEAVE__HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("CLEAVE__HTTP__INTERNAL_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("CLEAVE__HTTP__STOP_SECONDS".to_owned(), "5".to_owned()),
            // Every actor has the same address here; the limit has a test of its own.
            ("CLEAVE__HTTP__TRIES_PER_MINUTE".to_owned(), "0".to_owned()),
            ("CLEAVE__PAYMENTS__PROVIDERS".to_owned(), "manual,test".to_owned()),
            ("CLEAVE__LOG__FILTER".to_owned(), env::var("CLEAVE_TEST_LOG").unwrap_or_else(|_| "warn".to_owned())),
        ];
        let database = (backend == Backend::Postgres).then(|| {
            let url = database();
            env.push(("CLEAVE__DATABASE__URL".to_owned(), url.clone()));
            url
        });
        env.extend(options.env);
        let mut shop = Self {
            url: String::new(),
            internal: String::new(),
            backend,
            binary: binary.into(),
            dir,
            database,
            env,
            contract: Arc::new(Contract::read()),
            running: None,
            staff: Mutex::default(),
        };
        if let Some(url) = &shop.database {
            shop.run(&["database", "init", "--admin-url", url], "");
            shop.run(&["migrate"], "");
        }
        let (email, password) = ADMIN;
        shop.run(&["users", "create-admin", "--email", email, "--password-stdin"], password);
        shop.resume();
        shop
    }

    /// A command line of the binary on this shop's settings, with `input` on its standard input.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).envs(self.env.iter().map(|(name, value)| (name, value))).current_dir(self.dir.path());
        command
    }
    /// Runs it to its end; panics unless it succeeds. What it printed.
    pub fn run(&self, args: &[&str], input: &str) -> String {
        let mut child =
            self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary starts");
        child.stdin.take().expect("piped").write_all(format!("{input}\n").as_bytes()).expect("it reads its input");
        let done = child.wait_with_output().expect("it ends");
        assert!(done.status.success(), "cleave {args:?} failed");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// A setting, as environment, from the next start or command on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the server again on the same data.
    pub fn resume(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        // The shell ends with its input, and takes the server with it.
        let script = "\"$0\" serve </dev/null & server=$!; echo \"pid $server\"; cat >/dev/null; kill $server 2>/dev/null; wait $server";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(&self.binary).envs(self.env.iter().map(|(name, value)| (name, value)));
        let mut child =
            command.current_dir(self.dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let leash = child.stdin.take().expect("piped");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let mut told = |word: &str| {
            let line = lines
                .find(|line| line.starts_with(word))
                .unwrap_or_else(|| panic!("the server ended before it said `{word}`"));
            line[word.len()..].trim().to_owned()
        };
        let pid = told("pid ").parse().expect("a process id");
        self.url = told("listening on ");
        self.internal = told("metrics on ").trim_end_matches("/metrics").to_owned();
        // Whatever else it prints must be read, or it would wait for us.
        std::thread::spawn(move || lines.for_each(drop));
        self.running = Some(Running { child, _leash: leash, pid });
    }

    /// SIGKILL: what the process had not given away is lost.
    pub fn kill(&mut self) {
        self.signal("KILL");
    }
    /// SIGTERM, and its end.
    pub fn stop(&mut self) {
        self.signal("TERM");
    }
    fn signal(&mut self, name: &str) {
        let Running { mut child, pid, _leash } = self.running.take().expect("it runs");
        let sent =
            Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().expect("kill can be run");
        assert!(sent.success(), "no process {pid}");
        drop(_leash);
        child.wait().expect("the shell ends with its server");
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }
    /// A file for a test, in the shop's own folder.
    pub fn scratch(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }
    /// The PostgreSQL database, as a superuser sees it.
    pub fn database_url(&self) -> Option<&str> {
        self.database.as_deref()
    }

    pub fn anonymous(&self) -> Actor {
        Actor::new(self.url.clone(), Arc::clone(&self.contract))
    }
    /// The administrator; signs in once a run.
    pub async fn admin(&self) -> Actor {
        self.admin_of(&mut *self.staff.lock().await).await
    }
    async fn admin_of(&self, held: &mut HashMap<&'static str, String>) -> Actor {
        let (email, password) = ADMIN;
        self.signed_in_once(held, "admin", email, password).await
    }
    /// Somebody who is staff, but no administrator.
    pub async fn staff(&self) -> Actor {
        let (email, password) = ("staff@test.example", "a clerk's password");
        let mut held = self.staff.lock().await;
        if !held.contains_key("staff") {
            let body = json!({ "email": email, "password": password, "name": "Clerk" });
            let made = self.anonymous().post("/v1/users", body).send().await;
            if made.status == 201 {
                let id = made.text("/id");
                let admin = self.admin_of(&mut held).await;
                admin.patch(&format!("/v1/users/{id}"), json!({ "roles": ["staff"] })).send().await.expect(200);
            }
        }
        self.signed_in_once(&mut held, "staff", email, password).await
    }
    /// A new customer each time.
    pub async fn customer(&self) -> Actor {
        let email = format!("{}@test.example", crate::unique("customer"));
        let anonymous = self.anonymous();
        anonymous
            .post("/v1/users", json!({ "email": email, "password": "a customer's password", "name": "Customer" }))
            .send()
            .await
            .expect(201);
        anonymous.signed_in(&email, "a customer's password").await
    }
    async fn signed_in_once(
        &self,
        held: &mut HashMap<&'static str, String>,
        role: &'static str,
        email: &str,
        password: &str,
    ) -> Actor {
        if let Some(token) = held.get(role) {
            return self.anonymous().bearer(token);
        }
        let actor = self.anonymous().signed_in(email, password).await;
        held.insert(role, actor.token().expect("signed in").to_owned());
        actor
    }

    /// What it has measured so far.
    pub async fn counters(&self) -> Counters {
        let text = reqwest::get(format!("{}/metrics", self.internal))
            .await
            .expect("metrics answer")
            .text()
            .await
            .expect("text");
        Counters::read(&text)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(Running { mut child, _leash, .. }) = self.running.take() {
            drop(_leash);
            let _ = child.wait(); // it ended before: nothing to wait for
        }
    }
}
