//! `cargo xtask dist`: the binary that is handed out, its symbols beside it, and how large both are.
use crate::{
    build,
    error::{Context, Result},
    workspace::{PRODUCT, Workspace},
};
use std::{fs, path::Path, process::Command};

pub(crate) async fn run(workspace: &Workspace) -> Result<()> {
    let built = build::product(workspace, "release").await?;
    let folder = workspace.target.join("dist");
    fs::create_dir_all(&folder).context("cannot make target/dist")?;
    let (binary, symbols) = (folder.join(PRODUCT), folder.join(format!("{PRODUCT}.debug")));
    objcopy(&["--only-keep-debug".as_ref(), built.as_os_str(), symbols.as_os_str()])?;
    // A debugger, or perf, finds the symbols by this link.
    let link = format!("--add-gnu-debuglink={}", symbols.display());
    objcopy(&["--strip-debug".as_ref(), link.as_ref(), built.as_os_str(), binary.as_os_str()])?;
    let said = Command::new(&binary).arg("--version").output().context("the binary without symbols does not start")?;
    if !said.status.success() {
        return Err("the binary without symbols does not run".into());
    }
    for file in [&binary, &symbols] {
        println!("{}: {:.1} MiB", file.display(), mib(file)?);
    }
    Ok(())
}

/// Of binutils, which come with every compiler.
fn objcopy(arguments: &[&std::ffi::OsStr]) -> Result<()> {
    let done = Command::new("objcopy").args(arguments).status().context("cannot run objcopy")?;
    if done.success() { Ok(()) } else { Err(format!("objcopy {arguments:?} failed").into()) }
}

fn mib(file: &Path) -> Result<f64> {
    let length = fs::metadata(file).context(format_args!("cannot look at {}", file.display()))?.len();
    Ok(length as f64 / f64::from(1 << 20))
}
