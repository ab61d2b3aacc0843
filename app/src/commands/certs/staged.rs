//! Files that are made out of sight and put in place whole: a process that looks for other certificates never reads half
//! a file.
use crate::commands::Failed;
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A folder inside the one that the files are for, since files are renamed within a file system only. It also keeps two
/// commands apart. Goes with this value.
pub(super) struct Staged {
    target: PathBuf,
    folder: PathBuf,
}

impl Staged {
    /// Makes `target` if need be; then only its owner looks into it.
    pub(super) fn in_folder(target: &Path) -> Result<Self, Failed> {
        let failed = |at: &Path, error: std::io::Error| format!("{}: {error}", at.display());
        let mut private = fs::DirBuilder::new();
        private.mode(0o700).recursive(true).create(target).map_err(|error| failed(target, error))?;
        let folder = target.join(".new");
        private.recursive(false).create(&folder).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => format!(
                "{} is there: another `cleave certs` is at work; if none is, one was killed: remove that folder",
                folder.display()
            ),
            _ => failed(&folder, error),
        })?;
        Ok(Self { target: target.to_owned(), folder })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn put(&self, name: &str, text: &str, mode: u32) -> Result<(), Failed> {
        let path = self.folder.join(name);
        let written = || {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        written().map_err(|error| Failed(format!("{}: {error}", path.display())))
    }

    /// Puts these in place, in this order. A leaf and its key are two files: whoever reads between the two renames
    /// keeps what it has, and looks again.
    pub(super) fn publish(self, names: impl IntoIterator<Item = String>) -> Result<(), Failed> {
        for name in names {
            let to = self.target.join(&name);
            fs::rename(self.folder.join(&name), &to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        let synced = fs::File::open(&self.target).and_then(|folder| folder.sync_all());
        Ok(synced.map_err(|error| format!("{}: {error}", self.target.display()))?)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}; remove it", self.folder.display());
        }
    }
}
