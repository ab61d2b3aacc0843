//! The tool that knows what may change in a .proto.
use super::program_of;
use crate::{error::Result, workspace::Workspace};
use std::path::PathBuf;

/// Pinned: rules of another version may judge otherwise.
const VERSION: &str = "1.75.0";

pub(crate) fn find(workspace: &Workspace) -> Result<PathBuf> {
    program_of(workspace, &format!("buf-bin=={VERSION}"), &format!("buf_bin-{VERSION}.data/scripts"), "buf")
}
