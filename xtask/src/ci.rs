//! `cargo xtask ci`: everything that must hold before a change goes in, in one command and under 45 minutes.
use crate::{
    acceptance, bench, deps,
    error::Result,
    git::Git,
    house, process, proto, test, versions,
    workspace::{Workspace, cargo_command},
};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20 * 60);
/// Real data lies beside the checkout where there is any: the project commits none of it.
const DATA: &str = "../shared/data";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The cargo profile of the binary that acceptance runs: the tests' own, since a release build takes longer than
    /// what it would show here
    #[arg(long, default_value = "dev")]
    profile: String,
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    let mut report = Report::default();
    report.add("test", async || test::run(workspace, test::Arguments::default()).await).await;
    report.add("fmt", async || cargo(workspace, &["fmt", "--all", "--check"]).await).await;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    report.add("clippy", async || cargo(workspace, &clippy).await).await;
    report.add("deps", async || deps::run(workspace)).await;
    report.add("house", async || house::run(workspace)).await;
    report.add("proto", async || proto::run(workspace)).await;
    match other_version(&Git(&workspace.root))? {
        Ok(release) => {
            println!("\nversions runs beside {release}, the newest release before this commit");
            let arguments = versions::Arguments::of(release);
            report.add("versions", async || versions::run(workspace, arguments).await).await;
        }
        Err(why) => println!("\nversions was left out: {why}"),
    }
    report.add("bench", async || bench::smoke(workspace, &arguments.profile).await).await;
    let data = workspace.root.join(DATA);
    if data.is_dir() {
        let arguments = acceptance::Arguments::of(data, arguments.profile);
        report.add("acceptance", async || acceptance::run(workspace, arguments).await).await;
    } else {
        println!("\nacceptance was left out: there is no folder {}", data.display());
    }
    report.conclude()
}

/// What a shop may run while this tree is rolled out, or why that is not known.
fn other_version(git: &Git<'_>) -> Result<Result<String, &'static str>> {
    Ok(match git.release_before("HEAD^") {
        Some(release) => Ok(release),
        None if git.is_shallow()? => Err("this clone is shallow and has no release tag; fetch its history and tags"),
        None => Err("nothing was released before this commit, so no shop runs an older version"),
    })
}

async fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let mut command = cargo_command();
    command.current_dir(&workspace.root).args(arguments);
    let ended = process::run(command, LIMIT).await?;
    if ended.success { Ok(()) } else { Err(format!("`cargo {}` failed", arguments.join(" ")).into()) }
}

#[derive(Default)]
struct Report(Vec<(&'static str, Duration, Result<()>)>);

impl Report {
    /// Later steps run whatever became of earlier ones: one run tells everything.
    async fn add(&mut self, name: &'static str, step: impl AsyncFnOnce() -> Result<()>) {
        println!("\n##### {name}");
        let started = Instant::now();
        let ended = step().await;
        if let Err(error) = &ended {
            println!("{name} failed: {error}");
        }
        println!("##### {name}: {:.1} s", started.elapsed().as_secs_f64());
        self.0.push((name, started.elapsed(), ended));
    }

    fn conclude(self) -> Result<()> {
        println!("\n{:<12}{:>9}", "step", "seconds");
        for (name, took, ended) in &self.0 {
            let why = ended.as_ref().err().map(|error| error.to_string()).unwrap_or_default();
            let first = why.lines().next().unwrap_or_default();
            println!("{name:<12}{:>9.1}  {}", took.as_secs_f64(), if ended.is_ok() { "ok" } else { first });
        }
        let failed: Vec<_> = self.0.iter().filter(|(.., ended)| ended.is_err()).map(|(name, ..)| *name).collect();
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::repository;

    #[test]
    fn what_was_released_before_may_still_run() {
        let folder = repository(&["one", "two"]);
        let git = Git(folder.path());
        git.ask(&["tag", "v0.2.0"]).unwrap();
        assert!(
            other_version(&git).unwrap().unwrap_err().contains("nothing was released"),
            "itself is no other version"
        );
        git.ask(&["tag", "v0.1.0", "HEAD^"]).unwrap();
        assert_eq!(other_version(&git).unwrap(), Ok("v0.1.0".into()));
    }
}
