//! valgrind: what the machine has, what an earlier run fetched, or Debian's package, only unpacked.
use super::{fetched, nginx::unpack};
use crate::{error::Result, workspace::Workspace};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// How to run it.
pub(crate) struct Valgrind {
    program: PathBuf,
    /// Where its tools lie, when that is not where it was built for.
    tools: Option<PathBuf>,
}

impl Valgrind {
    pub(crate) fn find(workspace: &Workspace) -> Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        if let Some(program) = env::split_paths(&path).map(|folder| folder.join("valgrind")).find(|file| file.is_file())
        {
            return Ok(Self { program, tools: None });
        }
        // The program itself: the script beside it looks where it is installed.
        let program = |folder: &Path| folder.join("usr/bin/valgrind.bin");
        let folder = fetched(
            &workspace.target.join("servers"),
            "debian-valgrind",
            |folder| program(folder).is_file(),
            |to| unpack("valgrind", to),
        )?;
        Ok(Self { program: program(&folder), tools: Some(folder.join("usr/libexec/valgrind")) })
    }
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(self.tools.iter().map(|tools| ("VALGRIND_LIB", tools)));
        command
    }
}
