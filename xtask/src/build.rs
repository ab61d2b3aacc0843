//! Builds the product, for what runs it as a process, and looks whether it is what is handed out: nothing of what only
//! tests turn on is in it.
use crate::{
    error::{Context, Result},
    process,
    workspace::{PRODUCT, Workspace, cargo_command},
};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(20 * 60);

pub(crate) async fn product(workspace: &Workspace, profile: &str) -> Result<PathBuf> {
    let binary = package(workspace, PRODUCT, profile).await?;
    let bytes = fs::read(&binary).context(format_args!("cargo built no {}", binary.display()))?;
    if let Some(word) = of_tests(&bytes) {
        return Err(format!("{} has `{word}`, which only tests may have in it", binary.display()).into());
    }
    Ok(binary)
}

/// The binary of the same name as its package.
pub(crate) async fn package(workspace: &Workspace, name: &str, profile: &str) -> Result<PathBuf> {
    println!("building {name} (profile {profile})");
    let started = Instant::now();
    let mut command = cargo_command();
    command.current_dir(&workspace.root).args(["build", "--package", name, "--bins", "--profile", profile]);
    if !process::run(command, LIMIT).await?.success {
        return Err(format!("package `{name}` does not build").into());
    }
    println!("built in {:.1} s", started.elapsed().as_secs_f64());
    let folder = match profile {
        "dev" | "test" => "debug",
        "bench" => "release",
        other => other,
    };
    let binary = workspace.target.join(folder).join(name);
    binary.canonicalize().context(format_args!("cargo built no {}", binary.display()))
}

/// What ends processes in tests: how it is asked for, and the names of its points. What counts allocations there, and
/// keeps workers waiting.
const ASKED: [&[u8]; 4] =
    [b"CLEAVE_CRASH_AT", b"--list-crash-points", b"cleave_allocations_total", b"CLEAVE_WORKERS_WAIT"];
const DOMAINS: [&[u8]; 3] = [b"users", b"products", b"orders"];
const MOMENTS: [&[u8]; 3] = [b".begun", b".asked", b".kept"];

/// The first such word in a binary.
fn of_tests(bytes: &[u8]) -> Option<String> {
    let found = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    if let Some(word) = ASKED.into_iter().find(|word| found(word)) {
        return Some(String::from_utf8_lossy(word).into_owned());
    }
    MOMENTS.into_iter().find_map(|moment| {
        let ends = bytes.windows(moment.len()).enumerate().filter(|(_, window)| *window == moment);
        ends.map(|(at, _)| &bytes[..at]).find_map(|before| {
            // `<domain>.<what>`: texts lie in a binary without anything between them
            let what = before.iter().rev().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_').count();
            let domain = before[..before.len() - what].strip_suffix(b".").filter(|_| what > 0)?;
            let domain = DOMAINS.into_iter().find(|name| domain.ends_with(name))?;
            let name = [domain, b".", &before[before.len() - what..], moment].concat();
            Some(String::from_utf8_lossy(&name).into_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::of_tests;

    #[test]
    fn a_binary_that_can_end_itself_is_found_out() {
        for (bytes, word) in [
            (&b"\0\x7fELF..CLEAVE_CRASH_AT.."[..], "CLEAVE_CRASH_AT"),
            (b"usage--list-crash-pointsmore", "--list-crash-points"),
            (b"# TYPE cleave_allocations_total counter", "cleave_allocations_total"),
            (b"CLEAVE_WORKERS_WAITother", "CLEAVE_WORKERS_WAIT"),
            (b"some textproducts.reserve.keptorders", "products.reserve.kept"),
            (b"orders.checkout_secure.asked", "orders.checkout_secure.asked"),
        ] {
            assert_eq!(of_tests(bytes).as_deref(), Some(word));
        }
        for fine in ["CLEAVE_TEST", "products.kept", "products..kept", "goods.reserve.kept", "reserve.kept", "a.begun"]
        {
            assert_eq!(of_tests(fine.as_bytes()), None, "{fine}");
        }
    }
}
