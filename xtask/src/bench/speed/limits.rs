//! The same bytes without a shop: from nginx, and from the actix-web that the shop is made of.
use crate::{
    build,
    error::{Context, Result},
    workspace::Workspace,
};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::time::sleep;

const START: Duration = Duration::from_secs(10);

pub(super) async fn built(workspace: &Workspace) -> Result<PathBuf> {
    build::package(workspace, "limits", "release").await
}

/// A server that ends with whoever holds it.
pub(super) struct Constant {
    child: Child,
    pub(super) url: String,
}

impl Constant {
    /// actix-web with as many workers as the shop has, and one answer.
    pub(super) fn actix(limits: &Path, folder: &Path, cores: usize, bytes: &str) -> Result<Self> {
        let body = folder.join("body");
        fs::create_dir_all(folder).context("cannot make a folder for actix-web")?;
        fs::write(&body, bytes).context("cannot write what actix-web serves")?;
        let mut command = Command::new(limits);
        command.arg("serve").arg(&body).arg(cores.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run actix-web")?;
        let mut line = String::new();
        let printed = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        let mut started = Self { child, url: String::new() };
        printed.context("no output")?.context("cannot read where actix-web listens")?;
        let said = line.trim().strip_prefix("listening on ");
        started.url = said.context(format_args!("actix-web said {line}"))?.to_owned();
        Ok(started)
    }

    /// nginx with one file, held open.
    pub(super) async fn nginx(nginx: &Path, folder: &Path, cores: usize, bytes: &str) -> Result<Self> {
        fs::create_dir_all(folder).context("cannot make a folder for nginx")?;
        fs::write(folder.join("body"), bytes).context("cannot write what nginx serves")?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).context("no port")?.port();
        let config = folder.join("nginx.conf");
        fs::write(&config, text(folder, port, cores)).context("cannot write nginx's settings")?;
        let mut command = Command::new(nginx);
        command.arg("-p").arg(folder).arg("-c").arg(&config).stdin(Stdio::null());
        let child = command.spawn().context("cannot run nginx")?;
        let mut started = Self { child, url: format!("http://127.0.0.1:{port}") };
        let asked = Instant::now();
        while TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), START).is_err() {
            if started.child.try_wait().ok().flatten().is_some() || asked.elapsed() > START {
                return Err("nginx did not start".into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(started)
    }

    /// Its workers are its children, whose time counts as its own.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

fn text(folder: &Path, port: u16, cores: usize) -> String {
    let at = folder.display();
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user} daemon off; worker_processes {cores}; pid {at}/pid; error_log stderr;\n\
         events {{ worker_connections 512; }}\n\
         http {{ access_log off; keepalive_requests 100000000; open_file_cache max=8; default_type application/json;\n\
         client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d;\n\
         scgi_temp_path {at}/e; server {{ listen 127.0.0.1:{port}; root {at}; location / {{ try_files /body =404; }} }} }}\n"
    )
}

impl Drop for Constant {
    fn drop(&mut self) {
        if let Some(id) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
