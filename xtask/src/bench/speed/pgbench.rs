//! The same SQL without a shop: what PostgreSQL was sent for a request, sent again by `pgbench`.
use super::turn::{Told, Tools, printed};
use crate::{
    error::{Context, Result},
    servers::Postgres,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tokio::time::sleep;

/// As many as a domain has: `database.threads`.
const CONNECTIONS: u32 = 8;
/// Seconds that do not count: the shop's connections stand and its statements are prepared, these here are new.
const WARM: u32 = 1;

/// Scripts of which each transaction takes one; a transaction is a request.
#[derive(Clone)]
pub(super) struct Replay {
    program: PathBuf,
    port: u16,
    database: String,
    /// Where tables are looked for.
    schema: String,
    scripts: Vec<PathBuf>,
    variables: Vec<(String, String)>,
}

/// A statement and its parameters, as PostgreSQL's log tells them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    text: String,
    parameters: Vec<Option<String>>,
}

/// Where the log says who and where.
const PREFIX: &str = "%p@%d@";

/// Has statements told from now on. What is asked meanwhile is slower.
pub(super) async fn listen(postgres: &Postgres, folder: &Path) -> Result<()> {
    let text = format!(
        "ALTER SYSTEM SET log_statement = 'all';\nALTER SYSTEM SET log_line_prefix = '{PREFIX}';\n\
         SELECT pg_reload_conf();\n"
    );
    execute(postgres, folder, &text).await
}

pub(super) async fn listen_no_more(postgres: &Postgres, folder: &Path) -> Result<()> {
    let text = "ALTER SYSTEM RESET log_statement;\nALTER SYSTEM RESET log_line_prefix;\nSELECT pg_reload_conf();\n";
    execute(postgres, folder, text).await
}

pub(super) async fn execute(postgres: &Postgres, folder: &Path, text: &str) -> Result<()> {
    let program = postgres.pgbench().context("this PostgreSQL has no pgbench")?;
    let script = folder.join("once.sql");
    fs::write(&script, text).context("cannot write a script")?;
    let mut command = Command::new(program);
    command.args(["-n", "-t", "1", "-U", "postgres", "-h", "127.0.0.1", "-p", &postgres.port.to_string(), "-f"]);
    command.arg(script).arg("postgres");
    printed(command, "pgbench").await?;
    // Connections that stand hear of it between two statements.
    sleep(Duration::from_millis(300)).await;
    Ok(())
}

/// What the databases of this beginning were sent while `asking`.
pub(super) async fn heard<T>(
    postgres: &Postgres,
    database: &str,
    asking: impl Future<Output = Result<T>>,
) -> Result<Vec<Statement>> {
    let length = |log: &Path| fs::metadata(log).map(|file| file.len()).context("cannot look at PostgreSQL's log");
    let log = postgres.log();
    let before = usize::try_from(length(&log)?).context("a log of that length")?;
    asking.await?;
    sleep(Duration::from_millis(50)).await;
    let text = fs::read(&log).context("cannot read PostgreSQL's log")?;
    let text = String::from_utf8_lossy(text.get(before..).unwrap_or_default()).into_owned();
    statements(&text, database).context("PostgreSQL's log reads otherwise")
}

/// The statements that came over the extended protocol; what is sent as plain text opens and ends transactions.
fn statements(log: &str, database: &str) -> Option<Vec<Statement>> {
    let mut all: Vec<Statement> = Vec::new();
    // A statement of several lines goes on behind tabs.
    for line in log.replace("\n\t", " ").lines() {
        let mut parts = line.splitn(3, '@');
        let (_, name, said) = (parts.next(), parts.next(), parts.next());
        let Some(said) = said.filter(|_| name == Some(database)) else { continue };
        if let Some(rest) = said.strip_prefix("LOG:  execute ") {
            let (_, text) = rest.split_once(": ")?;
            all.push(Statement { text: text.trim().to_owned(), parameters: Vec::new() });
        } else if let Some(text) = said.strip_prefix("LOG:  statement: ") {
            // A connection that is new says what it is, once.
            if text.trim_matches([';', ' ']).is_empty() || text.starts_with("SET ") {
                continue;
            }
            all.push(Statement { text: text.trim().to_owned(), parameters: Vec::new() });
        } else if let Some(told) = said.strip_prefix("DETAIL:  parameters: ") {
            all.last_mut()?.parameters = parameters(told)?;
        }
    }
    Some(all)
}

/// `$1 = 'it''s', $2 = NULL`
fn parameters(told: &str) -> Option<Vec<Option<String>>> {
    let (mut all, mut rest) = (Vec::new(), told.trim());
    while !rest.is_empty() {
        let (_, value) = rest.split_once(" = ")?;
        if let Some(after) = value.strip_prefix("NULL") {
            all.push(None);
            rest = after.trim_start_matches(", ");
            continue;
        }
        let mut text = String::new();
        let mut letters = value.strip_prefix('\'')?.char_indices().peekable();
        let end = loop {
            match letters.next()? {
                (_, '\'') if letters.peek().is_some_and(|(_, next)| *next == '\'') => {
                    letters.next();
                    text.push('\'');
                }
                (at, '\'') => break at,
                (_, letter) => text.push(letter),
            }
        };
        all.push(Some(text));
        rest = value.get(end + 2..)?.trim_start_matches(", ");
    }
    Some(all)
}

impl Replay {
    /// One script a request.
    pub(super) fn of(
        postgres: &Postgres,
        (database, schema): (&str, &str),
        folder: &Path,
        requests: &[Vec<Statement>],
    ) -> Result<Self> {
        let program = postgres.pgbench().context("this PostgreSQL has no pgbench")?;
        fs::create_dir_all(folder).context("cannot make a folder for scripts")?;
        let (mut scripts, mut variables) = (Vec::new(), Vec::new());
        for (number, request) in requests.iter().enumerate() {
            let script = folder.join(format!("request-{number}.sql"));
            fs::write(&script, script_of(request, number, &mut variables)).context("cannot write a script")?;
            scripts.push(script);
        }
        let (port, database, schema) = (postgres.port, database.to_owned(), schema.to_owned());
        Ok(Self { program, port, database, schema, scripts, variables })
    }

    /// A script that is not what a shop sent.
    pub(super) fn script(postgres: &Postgres, database: &str, folder: &Path, text: &str) -> Result<Self> {
        let one = Self::of(postgres, (database, "public"), folder, &[Vec::new()])?;
        fs::write(&one.scripts[0], text).context("cannot write a script")?;
        Ok(one)
    }
}

/// Parameters become variables, which `pgbench -M prepared` sends as parameters; it cannot send NULL.
fn script_of(request: &[Statement], number: usize, variables: &mut Vec<(String, String)>) -> String {
    let mut script = String::new();
    for (place, statement) in request.iter().enumerate() {
        let mut text = statement.text.clone();
        for (index, value) in statement.parameters.iter().enumerate().rev() {
            let put = match value {
                None => "NULL".to_owned(),
                Some(value) => {
                    let name = format!("r{number}s{place}p{index}");
                    variables.push((name.clone(), value.clone()));
                    format!(":{name}")
                }
            };
            text = text.replace(&format!("${}", index + 1), &put);
        }
        script.push_str(text.trim_end_matches(';'));
        script.push_str(";\n");
    }
    script
}

pub(super) async fn run(tools: &Tools, replay: &Replay, seconds: u32) -> Result<Told> {
    let times = tempfile::TempDir::with_prefix_in("pgbench-", &tools.folder).context("cannot make a folder")?;
    let mut command = Command::new(&replay.program);
    command.args(["-n", "-M", "prepared", "-j", "1", "-U", "postgres", "-h", "127.0.0.1"]);
    command.args(["-c", &CONNECTIONS.to_string(), "-T", &(seconds + WARM).to_string(), "-p", &replay.port.to_string()]);
    command.env("PGOPTIONS", format!("-c search_path={}", replay.schema));
    command.arg("-l").arg("--log-prefix").arg(times.path().join("times"));
    command.args(replay.variables.iter().flat_map(|(name, value)| ["-D".to_owned(), format!("{name}={value}")]));
    command.args(replay.scripts.iter().flat_map(|script| ["-f".as_ref(), script.as_os_str()]));
    command.arg(&replay.database);
    let printed = printed(command, "pgbench").await?;
    let mut log = String::new();
    for file in fs::read_dir(times.path()).context("pgbench kept no times")?.flatten() {
        log.push_str(&fs::read_to_string(file.path()).context("cannot read pgbench's times")?);
    }
    told(&printed, &log).context("pgbench tells otherwise")
}

/// A line of the log is a transaction: who, which, microseconds that it took, its script, and when it ended in seconds
/// and microseconds.
fn told(printed: &str, log: &str) -> Option<Told> {
    let after = |what: &str| printed.lines().find_map(|line| line.strip_prefix(what));
    let number = |text: &str| text.split([' ', '/']).next()?.parse::<u64>().ok();
    let served = number(after("number of transactions actually processed: ")?)?;
    let errors = number(after("number of failed transactions: ").unwrap_or("0"))?;
    let line = |line: &str| {
        let fields: Vec<u64> = line.split(' ').filter_map(|field| field.parse().ok()).collect();
        Some((fields.get(4)? * 1_000_000 + fields.get(5)?, *fields.get(2)?))
    };
    let all: Vec<(u64, u64)> = log.lines().map(line).collect::<Option<_>>()?;
    let begun = all.iter().map(|(ended, took)| ended - took).min()? + u64::from(WARM) * 1_000_000;
    let ended = all.iter().map(|(ended, _)| *ended).max()?;
    let mut times: Vec<u64> = all.iter().filter(|(ended, _)| *ended > begun).map(|(_, took)| *took).collect();
    times.sort_unstable();
    // The nearest rank, in thousandths.
    let at = |share: usize| {
        let rank = (times.len() * share).div_ceil(1000).max(1);
        times.get(rank - 1).map(|microseconds| *microseconds as f64 / 1e3)
    };
    Some(Told {
        requests: times.len() as u64,
        served,
        seconds: ended.checked_sub(begun)? as f64 / 1e6,
        errors,
        p50: at(500)?,
        p90: at(900)?,
        p99: at(990)?,
        p999: at(999)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_from_the_log() {
        let log = "7@other@LOG:  execute s0: SELECT 9\n\
                   8@shop@LOG:  execute __diesel_stmt_1: SELECT a FROM b\n\tWHERE c = $1 AND d = $2 AND e = $3\n\
                   8@shop@DETAIL:  parameters: $1 = 'it''s, $2 = x', $2 = NULL, $3 = ''\n\
                   8@shop@LOG:  statement: SET search_path TO \"shop\";\n\
                   8@shop@LOG:  statement: COMMIT\n";
        let read = statements(log, "shop").unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].parameters, [Some("it's, $2 = x".into()), None, Some(String::new())]);
        let mut variables = Vec::new();
        let script = script_of(&read, 3, &mut variables);
        assert_eq!(script, "SELECT a FROM b WHERE c = :r3s0p0 AND d = NULL AND e = :r3s0p2;\nCOMMIT;\n");
        assert_eq!(variables[1], ("r3s0p0".to_owned(), "it's, $2 = x".to_owned()));
    }

    #[test]
    fn the_first_second_of_pgbench_does_not_count() {
        let printed = "number of transactions actually processed: 3000\nnumber of failed transactions: 2 (0.000%)\n";
        // One that took a second, then one a millisecond for two seconds.
        let line = |number: u64| format!("0 {number} 700 0 {} {}\n", 51 + number / 1000, number % 1000 * 1000);
        let log: String = std::iter::once("3 0 1000000 0 51 0\n".to_owned()).chain((1..=2000).map(line)).collect();
        let told = told(printed, &log).unwrap();
        assert_eq!((told.requests, told.served, told.errors, told.seconds), (2000, 3000, 2, 2.0));
        assert_eq!((told.p50, told.p999), (0.7, 0.7));
        assert!(super::told(printed, "").is_none() && super::told("", &log).is_none());
    }
}
