//! The nginx before a shop of several processes: what the machine has, what an earlier run fetched, or Debian's.
//!
//! Debian's package is only unpacked, which anybody may do: installing it would start a server on port 80.
use super::{apt, fetched, finish, only_file};
use crate::{
    error::{Context, Result},
    workspace::Workspace,
};
use rustix::process::geteuid;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const PROGRAM: &str = "usr/sbin/nginx";
/// Where Debian and what descends from it keep the program, by release.
const PACKAGES: [&str; 3] = ["nginx", "nginx-core", "nginx-light"];

pub(crate) fn find(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = launch::find_nginx() {
        return Ok(program);
    }
    let servers = workspace.target.join("servers");
    let mut reasons = String::new();
    for package in PACKAGES {
        let name = format!("debian-{package}");
        let folder = fetched(&servers, &name, |folder| folder.join(PROGRAM).is_file(), |to| unpack(package, to));
        match folder.and_then(|folder| runs(folder.join(PROGRAM))) {
            Ok(program) => return Ok(program),
            Err(error) => reasons.push_str(&format!("\n  {package}: {error}")),
        }
    }
    Err(format!(
        "no nginx here, and none could be fetched. Install one and put it on PATH, or name it with CLEAVE_TEST_NGINX. \
         What was tried, of Debian's packages:{reasons}"
    )
    .into())
}

pub(super) fn unpack(package: &str, to: &Path) -> Result<()> {
    let download = || {
        finish("apt-get download", Command::new("apt-get").args(["download", "-q", package]).current_dir(to).output())
    };
    if let Err(error) = download() {
        // A fresh machine knows of no packages yet.
        if !geteuid().is_root() {
            return Err(error);
        }
        apt(&["update", "-q"])?;
        download()?;
    }
    let archive = only_file(to, "deb")?;
    finish("dpkg", Command::new("dpkg").arg("-x").arg(&archive).arg(to).output())?;
    fs::remove_file(archive).context("cannot remove the archive")
}

fn runs(program: PathBuf) -> Result<PathBuf> {
    let tried = Command::new(&program).arg("-v").stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let tried = tried.context(format_args!("cannot run {}", program.display()))?;
    if tried.status.success() {
        return Ok(program);
    }
    Err(format!("{} does not run here: {}", program.display(), String::from_utf8_lossy(&tried.stderr).trim()).into())
}
