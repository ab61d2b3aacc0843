//! nginx before a shop of several processes: it only routes, by configuration that the shop itself prints.
use crate::{Errors, Failed, Plan, Result, error::Context, http, leash::Leashed};
use std::{
    env, fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

const START: Duration = Duration::from_secs(20);

/// The one named by `CLEAVE_TEST_NGINX`, on PATH, or where systems put it beside PATH.
pub fn find() -> Option<PathBuf> {
    let named = env::var_os("CLEAVE_TEST_NGINX").map(PathBuf::from);
    let folders = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/local/nginx/sbin", "/opt/homebrew/bin"].map(PathBuf::from);
    let all = folders.into_iter().chain(usual).map(|folder| folder.join("nginx"));
    named.into_iter().chain(all).find(|program| program.is_file())
}

/// Writes its configuration and starts it; returns when it answers.
pub(crate) fn start(plan: &Plan, errors: &Errors) -> Result<Option<Leashed>> {
    let (Some(address), Some(nginx)) = (plan.gateway(), &plan.wanted.nginx) else { return Ok(None) };
    let folder = plan.folder().join("gateway");
    fs::create_dir_all(&folder).context(format_args!("cannot create {}", folder.display()))?;
    let write = |name: &str, text: &[u8]| {
        fs::write(folder.join(name), text).context(format_args!("cannot write {name} of the gateway"))
    };
    write("shop.conf", &printed(plan, address)?)?;
    write("nginx.conf", main(&folder)?.as_bytes())?;
    let mut command = Command::new(nginx);
    // Said on the command line too: what it complains of before it has read its file goes nowhere else.
    command.args(["-e", "stderr", "-p"]).arg(&folder).arg("-c").arg(folder.join("nginx.conf"));
    let gateway = Leashed::start("gateway", &command, errors)?;
    let asked = Instant::now();
    while !http::get(address, "/healthz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
        if gateway.has_ended() {
            return Err(Failed(format!("nginx ended before it answered on {address}; its complaint is above")));
        }
        if asked.elapsed() > START {
            return Err(Failed(format!("nginx does not answer on {address}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(Some(gateway))
}

/// What the shop says of its routes: they are the same whichever process is asked.
fn printed(plan: &Plan, address: SocketAddr) -> Result<Vec<u8>> {
    let arguments = ["topology", "--format", "nginx", "--gateway", &address.to_string(), "--access-log", "off"];
    let process = plan.processes().last().expect("a topology has processes");
    let told = plan.command(process, &arguments).output().context("cannot start the binary")?;
    if told.status.success() {
        return Ok(told.stdout);
    }
    let why = String::from_utf8_lossy(&told.stderr);
    Err(Failed(format!("`cleave {}` failed: {}", arguments.join(" "), why.trim())))
}

/// The rest of its configuration: everything that it writes lies in its own folder.
fn main(folder: &Path) -> Result<String> {
    // Its workers would drop to a user who cannot enter the folder.
    let owner = fs::metadata(folder).context("the gateway's folder")?.uid();
    let user = if owner == 0 { "user root root;\n" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {kind};\n"))
        .concat();
    Ok(format!(
        "daemon off;\n{user}worker_processes 1;\nworker_rlimit_nofile 16384;\npid nginx.pid;\nerror_log stderr warn;\n\
         events {{\n    worker_connections 8000;\n}}\n\
         http {{\n    access_log off;\n{temporary}    include shop.conf;\n}}\n"
    ))
}
