//! PostgreSQL's log, read back as statements: what `log_statement=all` writes under [`PREFIX`].
use crate::error::{Context, Result};

/// Every line begins so: when, the session, its database, and by which name it goes (a shop's sessions are called after
/// their domains).
pub(super) const PREFIX: &str = "%m|%p|%d|%a|";

/// A statement as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) session: u32,
    /// `orders` of `cleave-orders`.
    pub(super) domain: String,
    pub(super) sql: String,
    /// In text, as PostgreSQL writes them.
    pub(super) values: Vec<Option<String>>,
}

/// What the sessions of a shop sent to this database, in order.
pub(super) fn read(log: &str, database: &str) -> Result<Vec<Sent>> {
    let mut all: Vec<Sent> = Vec::new();
    for message in messages(log) {
        let Some(line) = Line::of(&message).filter(|line| line.database == database) else { continue };
        let Some(domain) = line.name.strip_prefix("cleave-") else { continue };
        let statement = line.text.strip_prefix("LOG:  statement: ").or_else(|| executed(line.text));
        if let Some(sql) = statement {
            let (sql, domain) = (sql.trim().to_owned(), domain.to_owned());
            all.push(Sent { session: line.session, domain, sql, values: Vec::new() });
        } else if let Some(given) = line.text.strip_prefix("DETAIL:  ").and_then(parameters) {
            let of = all.iter_mut().rfind(|sent| sent.session == line.session);
            of.context("parameters of no statement")?.values = values(given)?;
        }
    }
    Ok(all)
}

/// Lines that go on begin with a tab.
fn messages(log: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in log.lines() {
        match (line.strip_prefix('\t'), all.last_mut()) {
            (Some(more), Some(last)) => {
                last.push('\n');
                last.push_str(more);
            }
            _ => all.push(line.to_owned()),
        }
    }
    all
}

struct Line<'a> {
    session: u32,
    database: &'a str,
    name: &'a str,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn of(message: &'a str) -> Option<Self> {
        let mut fields = message.splitn(5, '|').skip(1);
        let session = fields.next()?.parse().ok()?;
        Some(Self { session, database: fields.next()?, name: fields.next()?, text: fields.next()? })
    }
}

/// `LOG:  execute name: statement`
fn executed(text: &str) -> Option<&str> {
    Some(text.strip_prefix("LOG:  execute ")?.split_once(": ")?.1)
}

/// Written small by some versions.
fn parameters(detail: &str) -> Option<&str> {
    detail.strip_prefix("parameters: ").or_else(|| detail.strip_prefix("Parameters: "))
}

/// `$1 = 'it''s', $2 = NULL`
fn values(text: &str) -> Result<Vec<Option<String>>> {
    let (mut all, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let unread = || format!("parameters that read otherwise: {text}");
        let (_, value) = rest.split_once(" = ").context(unread())?;
        if let Some(after) = value.strip_prefix("NULL") {
            all.push(None);
            rest = after;
        } else {
            let mut value = value.strip_prefix('\'').context(unread())?;
            let mut read = String::new();
            loop {
                let (before, after) = value.split_once('\'').context(unread())?;
                read.push_str(before);
                match after.strip_prefix('\'') {
                    Some(quoted) => {
                        read.push('\'');
                        value = quoted;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            all.push(Some(read));
        }
        rest = rest.strip_prefix(", ").unwrap_or(rest);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-01-01 10:00:00.001 UTC|7|rec|cleave-orders|LOG:  statement: BEGIN READ WRITE
2026-01-01 10:00:00.001 UTC|8|other|cleave-orders|LOG:  statement: BEGIN
2026-01-01 10:00:00.002 UTC|7|rec|cleave-orders|LOG:  execute __diesel_stmt_1: SELECT a
\tFROM b WHERE c = $1
2026-01-01 10:00:00.002 UTC|9|rec|psql|LOG:  statement: SELECT 1
2026-01-01 10:00:00.002 UTC|7|rec|cleave-orders|DETAIL:  parameters: $1 = 'it''s, $2 = |', $2 = NULL, $3 = ''
2026-01-01 10:00:00.003 UTC|7|rec|cleave-orders|LOG:  statement: COMMIT
checkpoint of another shape
";

    #[test]
    fn statements_come_back_with_their_parameters() {
        let all = read(LOG, "rec").unwrap();
        let texts: Vec<&str> = all.iter().map(|sent| sent.sql.as_str()).collect();
        assert_eq!(texts, ["BEGIN READ WRITE", "SELECT a\nFROM b WHERE c = $1", "COMMIT"]);
        let values = [Some("it's, $2 = |".to_owned()), None, Some(String::new())];
        assert_eq!((all[1].session, all[1].domain.as_str(), all[1].values.as_slice()), (7, "orders", &values[..]));
    }

    #[test]
    fn what_reads_otherwise_is_refused() {
        assert!(values("$1 = 'open").is_err() && values("nothing").is_err());
    }
}
