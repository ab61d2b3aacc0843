//! A PostgreSQL cluster of a test's own, which may be torn down and started again.
use crate::{shop, until};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Keeps what it commits, as PostgreSQL does by itself. Made of the programs of the cluster that the run is about, by
/// who runs that one, and inside its folder: whatever happens to the test, it goes with the run. A server whose folder
/// is gone ends itself.
pub struct Cluster {
    programs: PathBuf,
    /// Who may run them, when that is not who runs the test.
    user: Option<(u32, u32)>,
    port: u16,
    server: Option<Child>,
    dir: TempDir,
}

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    setting: String,
}

impl Cluster {
    pub async fn start() -> Self {
        let mut other = PgConnection::establish(&shop::cluster()).expect("the cluster made for tests answers");
        let mut setting = |sql: &str| -> PathBuf {
            let row: Setting = sql_query(sql).get_result(&mut other).expect("a superuser may ask");
            row.setting.into()
        };
        let programs = setting("SELECT setting FROM pg_config WHERE name = 'BINDIR'");
        let data = setting("SELECT current_setting('data_directory') AS setting");
        let who = fs::metadata(&data).expect("it runs on this machine");
        let dir = TempDir::with_prefix_in("own-", data.parent().expect("a folder")).expect("a folder beside its data");
        let me = fs::metadata(dir.path()).expect("it was just made").uid();
        let user = (me != who.uid()).then_some((who.uid(), who.gid()));
        if let Some((uid, gid)) = user {
            chown(dir.path(), Some(uid), Some(gid)).expect("a folder can be handed over");
        }
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let mut cluster = Self { programs, user, port: free.port(), server: None, dir };
        let data = cluster.data();
        let made = cluster
            .command("initdb")
            .args(["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"])
            .arg("--pgdata")
            .arg(data)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster.resume().await;
        cluster
    }

    /// A superuser of it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Every connection is broken in the middle of whatever it does, and nothing is tidied up.
    pub fn tear_down(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let stopped = self.command("pg_ctl").args(["stop", "-w", "-m", "immediate", "-D"]).arg(self.data()).output();
        let stopped = stopped.expect("pg_ctl runs");
        assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
        server.wait().expect("it has ended");
    }

    /// On the same data, where it was; returns when it answers.
    pub async fn resume(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join("log")).expect("a log");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        let settings = [
            "max_connections=200",
            "lc_messages=C",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=on",
            "full_page_writes=on",
            "synchronous_commit=on",
        ];
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        self.server = Some(command.spawn().expect("postgres runs"));
        let url = self.url();
        until("PostgreSQL answers", async || PgConnection::establish(&url).ok().map(drop)).await;
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.current_dir(self.dir.path()).env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGPORT");
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let told = self.command("pg_ctl").args(["stop", "-W", "-m", "immediate", "-D"]).arg(self.data()).output();
        if !told.is_ok_and(|told| told.status.success()) {
            let _ = server.kill();
        }
        let _ = server.wait();
    }
}
