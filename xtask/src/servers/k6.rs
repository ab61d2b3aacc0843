//! The load generator `k6`, for a constant arrival rate and for visits whose requests follow from answers.
use super::program_of;
use crate::{error::Result, workspace::Workspace};
use std::path::PathBuf;

/// Pinned, and what was tried.
const VERSION: &str = "1.1.0";

pub(crate) fn find(workspace: &Workspace) -> Result<PathBuf> {
    program_of(workspace, &format!("k6=={VERSION}"), &format!("k6-{VERSION}.data/scripts"), "k6")
}
