//! The tool that knows what may change in a .proto: what an earlier run fetched, or the package registry's.
use super::{fetched, make_executable, unpacked_wheel};
use crate::{error::Result, workspace::Workspace};
use std::path::{Path, PathBuf};

/// Pinned: rules of another version may judge otherwise.
const VERSION: &str = "1.75.0";

pub(crate) fn find(workspace: &Workspace) -> Result<PathBuf> {
    let wheel = format!("buf-bin=={VERSION}");
    let scripts = format!("buf_bin-{VERSION}.data/scripts");
    let program = |folder: &Path| folder.join(&scripts).join("buf");
    let fetch = |to: &Path| unpacked_wheel(&wheel, to).and_then(|()| make_executable(&to.join(&scripts)));
    let servers = workspace.target.join("servers");
    let folder = fetched(&servers, &wheel.replace("==", "-"), |folder| program(folder).is_file(), fetch);
    folder
        .map(|folder| program(&folder))
        .map_err(|error| format!("buf is not here and cannot be fetched: {error}").into())
}
