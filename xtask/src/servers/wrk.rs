//! The load generator `wrk`: what the machine has, what an earlier run fetched, or Debian's package, only unpacked.
use super::{fetched, nginx::unpack};
use crate::{
    error::{Context, Result},
    workspace::Workspace,
};
use std::{env, fs, path::PathBuf, process::Command};

pub(crate) struct Wrk {
    program: PathBuf,
    /// Of a package that is only unpacked: the loader does not look there by itself.
    libraries: Option<PathBuf>,
}

impl Wrk {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        self.libraries.as_ref().map(|folder| command.env("LD_LIBRARY_PATH", folder));
        command
    }
}

pub(crate) fn find(workspace: &Workspace) -> Result<Wrk> {
    let path = env::var_os("PATH").unwrap_or_default();
    if let Some(program) = env::split_paths(&path).map(|folder| folder.join("wrk")).find(|file| file.is_file()) {
        return Ok(Wrk { program, libraries: None });
    }
    let servers = workspace.target.join("servers");
    let folder = fetched(
        &servers,
        "debian-wrk",
        |folder| folder.join("usr/bin/wrk").is_file(),
        |to| {
            unpack("libluajit-5.1-common", to)?;
            unpack("libluajit-5.1-2", to)?;
            unpack("wrk", to)
        },
    )?;
    // Such as usr/lib/x86_64-linux-gnu.
    let inside = fs::read_dir(folder.join("usr/lib")).context("cannot read wrk's package")?.flatten();
    let libraries = inside.map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    let libraries = libraries.context("wrk's package holds no libraries")?;
    Ok(Wrk { program: folder.join("usr/bin/wrk"), libraries: Some(libraries) })
}
