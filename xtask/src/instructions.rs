//! `cargo xtask instructions`: instructions of hot pure functions, counted by callgrind, against `instructions.txt`.
//!
//! A count says the same on a busy machine as on a quiet one. It is of the release build, as what is handed out, and so
//! takes minutes to build: by command only. A function is run a few times and many times; the difference is its own.
use crate::{
    error::{Context, Result},
    process,
    servers::Valgrind,
    workspace::{Workspace, cargo_command},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(60 * 60);
const PROGRAM: &str = "hot";
const TABLE: &str = "xtask/instructions.txt";
const HEAD: &str = "# function of crates/hot | instructions of one run, release build on x86-64; `cargo xtask instructions --write` writes it anew\n";
/// Once caches are warm and what is made once is made; and so often that single instructions do not matter.
const FEW: u64 = 10;
const MANY: u64 = 110;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Writes the table instead of holding what was counted against it
    #[arg(long)]
    write: bool,
    /// Takes the program that was built before
    #[arg(long)]
    built: bool,
    /// Counts functions only whose names contain this
    #[arg(conflicts_with = "write")]
    filter: Option<String>,
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    let valgrind = Valgrind::find(workspace)?;
    if !arguments.built {
        let mut command = cargo_command();
        command.current_dir(&workspace.root).args(["build", "--package", PROGRAM, "--release"]);
        if !process::run(command, LIMIT).await?.success {
            return Err(format!("package `{PROGRAM}` does not build").into());
        }
    }
    let count = Count { valgrind, program: workspace.target.join("release").join(PROGRAM) };
    let wanted = |name: &&str| arguments.filter.as_deref().is_none_or(|part| name.contains(part));
    let mut found = BTreeMap::new();
    for name in count.names()?.lines().filter(wanted) {
        found.insert(name.to_owned(), count.of(name)?);
    }
    if arguments.write {
        let rows: String = found.iter().map(|(name, count)| format!("{name} | {count}\n")).collect();
        return fs::write(workspace.root.join(TABLE), HEAD.to_owned() + &rows)
            .context(format_args!("cannot write {TABLE}"));
    }
    let all = arguments.filter.is_none();
    let (shown, worse) = compared(&read(&workspace.file(TABLE)?), &found, all);
    print!("{shown}");
    if worse.is_empty() { Ok(()) } else { Err(format!("{TABLE}: {}", worse.join("; ")).into()) }
}

struct Count {
    valgrind: Valgrind,
    program: PathBuf,
}

impl Count {
    fn names(&self) -> Result<String> {
        let said =
            Command::new(&self.program).output().context(format_args!("cannot run {}", self.program.display()))?;
        String::from_utf8(said.stdout).context("names that are no text")
    }
    fn of(&self, name: &str) -> Result<u64> {
        let folder = tempfile::tempdir().context("cannot make a folder for counts")?;
        let total = |times| self.total(name, times, &folder.path().join(times.to_string()));
        let (few, many) = (total(FEW)?, total(MANY)?);
        Ok(many.saturating_sub(few) / (MANY - FEW))
    }
    /// Of the whole process.
    fn total(&self, name: &str, times: u64, counts: &Path) -> Result<u64> {
        let mut command = self.valgrind.command();
        command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", counts.display()));
        let ended =
            command.arg(&self.program).args([name, &times.to_string()]).output().context("cannot run valgrind")?;
        if !ended.status.success() {
            return Err(format!("`{PROGRAM} {name}` under valgrind: {}", String::from_utf8_lossy(&ended.stderr)).into());
        }
        let text = fs::read_to_string(counts).context("callgrind wrote no counts")?;
        summary(&text).context("callgrind's counts have no summary")
    }
}

/// The line `summary: 12345`.
fn summary(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("summary:"))?.trim().parse().ok()
}

fn read(table: &str) -> BTreeMap<&str, u64> {
    let rows = table.lines().filter_map(|line| line.split_once(" | "));
    rows.filter_map(|(name, count)| Some((name, count.parse().ok()?))).collect()
}

/// What to print, and what is wrong: what grew by more than a tenth, and what only one side knows.
fn compared(table: &BTreeMap<&str, u64>, found: &BTreeMap<String, u64>, all: bool) -> (String, Vec<String>) {
    let (mut shown, mut worse) = (format!("{:<20}{:>14}{:>14}\n", "function", "table", "counted"), Vec::new());
    for (name, &count) in found {
        let said = table.get(name.as_str()).copied();
        let told = said.map_or_else(|| "-".to_owned(), |said| said.to_string());
        let remark = match said {
            None => "  not in the table",
            Some(said) if count > said + said / 10 => "  more than a tenth more",
            Some(said) if count < said - said / 10 => "  more than a tenth less: write it down with --write",
            Some(_) => "",
        };
        shown.push_str(&format!("{name:<20}{told:>14}{count:>14}{remark}\n"));
        if said.is_none_or(|said| count > said + said / 10) {
            worse.push(format!("{name}: {told} in the table, {count} counted"));
        }
    }
    if all {
        let gone = table.keys().filter(|name| !found.contains_key(**name));
        worse.extend(gone.map(|name| format!("{name}: in the table, and not counted")));
    }
    (shown, worse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(counted: &[(&str, u64)], all: bool) -> Vec<String> {
        let found = counted.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        compared(&read("# head\ncart | 1000\nlist | 500\n"), &found, all).1
    }

    #[test]
    fn a_tenth_more_is_told_and_less_is_not_wrong() {
        assert_eq!(wrong(&[("cart", 1_100), ("list", 10)], true), [""; 0]);
        assert_eq!(wrong(&[("cart", 1_101), ("list", 500)], true), ["cart: 1000 in the table, 1101 counted"]);
    }

    #[test]
    fn what_only_one_side_knows_is_told() {
        assert_eq!(wrong(&[("cart", 1_000)], false), [""; 0]);
        assert_eq!(wrong(&[("cart", 1_000)], true), ["list: in the table, and not counted"]);
        assert_eq!(wrong(&[("new", 7)], false), ["new: - in the table, 7 counted"]);
    }

    #[test]
    fn the_total_is_read_from_callgrinds_file() {
        assert_eq!(summary("# callgrind format\nevents: Ir\nsummary: 123456\n\nfn=(1) main\n"), Some(123_456));
        assert_eq!(summary("events: Ir\n"), None);
    }
}
