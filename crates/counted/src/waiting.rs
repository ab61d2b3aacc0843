//! A moment in which no worker begins a turn.
use std::{path::PathBuf, sync::LazyLock, time::Duration};

/// The environment variable that names a file: as long as it is there, workers wait.
pub const WAIT: &str = "CLEAVE_WORKERS_WAIT";

/// Before a worker's turn. Looking again and again allocates nothing.
pub async fn until_work_is_wanted() {
    static FILE: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(WAIT).map(PathBuf::from));
    let Some(file) = &*FILE else { return };
    while file.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
