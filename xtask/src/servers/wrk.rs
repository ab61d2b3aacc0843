//! The load generator `wrk`: what the machine has, what an earlier run fetched, or Debian's package, only unpacked.
use super::{fetched, nginx::unpack};
use crate::{error::Result, workspace::Workspace};
use std::{env, path::PathBuf};

pub(crate) fn find(workspace: &Workspace) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    if let Some(found) = env::split_paths(&path).map(|folder| folder.join("wrk")).find(|file| file.is_file()) {
        return Ok(found);
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
    Ok(folder.join("usr/bin/wrk"))
}
