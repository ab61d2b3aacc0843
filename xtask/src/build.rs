//! Builds the product, for what runs it as a process.
use crate::{
    error::{Context, Result},
    process,
    workspace::{PRODUCT, Workspace, cargo_command},
};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(20 * 60);

pub(crate) async fn product(workspace: &Workspace, profile: &str) -> Result<PathBuf> {
    println!("building {PRODUCT} (profile {profile})");
    let started = Instant::now();
    let mut command = cargo_command();
    command.current_dir(&workspace.root).args(["build", "--package", PRODUCT, "--bins", "--profile", profile]);
    if !process::run(command, LIMIT).await?.success {
        return Err(format!("package `{PRODUCT}` does not build").into());
    }
    println!("built in {:.1} s", started.elapsed().as_secs_f64());
    let folder = match profile {
        "dev" | "test" => "debug",
        "bench" => "release",
        other => other,
    };
    let binary = workspace.target.join(folder).join(PRODUCT);
    binary.canonicalize().context(format_args!("cargo built no {}", binary.display()))
}
