//! One server per data directory.
//!
//! The lock belongs to the open file, so it ends with the process, however that ends. The command line takes none: it
//! may write beside a server, SQLite sees to that.
use std::{
    fs::{File, OpenOptions, TryLockError, create_dir_all},
    io,
    path::Path,
};

/// Held for as long as the server runs.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

/// Makes the directory when there is none, and holds it against other servers.
pub fn lock_data_dir(dir: &Path) -> io::Result<DataDirLock> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("the data directory {}: {e}", dir.display()));
    create_dir_all(dir).map_err(named)?;
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(".lock"));
    let file = open.map_err(named)?;
    match file.try_lock() {
        Ok(()) => Ok(DataDirLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            format!("another server uses the data directory {}", dir.display()),
        )),
        Err(TryLockError::Error(e)) => Err(named(e)),
    }
}
