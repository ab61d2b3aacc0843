//! PostgreSQL's own clients, `psql` and `pgbench`: measured shops are compared with what the second makes of them.
use super::{debian, on_path};
use crate::error::{Context, Result};
use std::{env, path::PathBuf};

pub(crate) struct Clients {
    pub(crate) psql: PathBuf,
    pub(crate) pgbench: PathBuf,
}

impl Clients {
    pub(crate) fn find() -> Result<Self> {
        Ok(Self { psql: program("psql")?, pgbench: program("pgbench")? })
    }
}

/// Beside the server, or wherever the shell finds it.
fn program(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = on_path().into_iter().chain(debian()).chain(env::split_paths(&path));
    let mut programs = folders.map(|folder| folder.join(name));
    let found = programs.find(|program| program.is_file());
    found.context(format_args!("no {name} here; Debian's package postgresql has it"))
}
