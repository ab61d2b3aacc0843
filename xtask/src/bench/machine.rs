//! What a figure is worth nothing without: the machine, the versions, how busy it was.
use crate::{
    error::{Context, Result},
    workspace::Workspace,
};
use std::{fs, path::Path, process::Command};

/// A list in Markdown.
pub(super) fn facts(workspace: &Workspace, built: &str, load_before: &str) -> Result<String> {
    let git = |arguments: &[&str]| said(Command::new("git").arg("-C").arg(&workspace.root).args(arguments));
    // What the run itself writes is no change.
    let changed = !git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"])?.is_empty();
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let cores = std::thread::available_parallelism().context("nobody says how many cores there are")?;
    let command: Vec<String> = std::env::args().skip(1).collect();
    Ok(format!(
        "- `cargo xtask {}`, {}, commit {commit}{}\n\
         - the server: {built}; {}, Linux {}, {cores} cores ({})\n\
         - load average (1, 5, 15 minutes): {load_before} before, {} after\n",
        command.join(" "),
        said(Command::new("date").args(["-u", "+%Y-%m-%d"]))?,
        if changed { " with changes that are in no commit" } else { "" },
        said(Command::new(rustc).arg("--version"))?,
        said(Command::new("uname").arg("-r"))?,
        processor().unwrap_or_else(|| "of a kind that is not told".into()),
        load_average()?,
    ))
}

pub(super) fn load_average() -> Result<String> {
    let told = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    Ok(told.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

/// What kind of file system a path is on.
pub(super) fn filesystem(path: &Path) -> Result<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    let path = path.canonicalize().context(format_args!("cannot find {}", path.display()))?;
    kind(&mounts, &path).context(format_args!("{} is on no file system", path.display()))
}

/// The innermost mount, and of several on one place the last.
fn kind(mounts: &str, path: &Path) -> Option<String> {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let around = fields.filter(|fields| fields.len() > 2 && path.starts_with(fields[1]));
    around.max_by_key(|fields| fields[1].len()).map(|fields| fields[2].to_owned())
}

fn processor() -> Option<String> {
    let told = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = told.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([':', ' ', '\t']).to_owned())
}

fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().context(format_args!("cannot run {name}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/kept xfs rw 0 0\n";
        let kind = |path: &str| kind(mounts, Path::new(path)).unwrap();
        assert_eq!(
            [kind("/home/x"), kind("/tmp/x"), kind("/tmp/kept/x"), kind("/tmpx")],
            ["ext4", "tmpfs", "xfs", "ext4"]
        );
    }
}
