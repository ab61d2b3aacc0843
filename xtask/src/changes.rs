//! Whether every request that changes something told of it: `app/tests/http/changes.txt` says which events each
//! operation causes, the tests say which it did cause.
use crate::error::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The table: `METHOD /path kind kind? ..`, or `METHOD /path - reason`.
pub(crate) const TABLE: &str = "app/tests/http/changes.txt";

/// What an operation causes.
#[derive(Debug, Default, PartialEq)]
struct Row {
    /// Each is seen in every run.
    kinds: BTreeSet<String>,
    /// Some may be, as with what others do on hearing of it.
    perhaps: BTreeSet<String>,
}

/// By `method /path`, as testkit writes it.
#[derive(Debug)]
pub(crate) struct Changes(BTreeMap<String, Row>);

impl Changes {
    pub(crate) fn read(text: &str) -> Result<Self> {
        let mut rows = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<_> = line.split_whitespace().collect();
            let [method, path, told @ ..] = words.as_slice() else {
                return Err(format!("{TABLE}: not a row: {line}").into());
            };
            let row = match told {
                [] => return Err(format!("{TABLE}: neither events nor `-` and a reason: {line}").into()),
                ["-"] => return Err(format!("{TABLE}: no reason: {line}").into()),
                ["-", ..] => Row::default(),
                kinds => {
                    let (perhaps, kinds): (Vec<&str>, Vec<_>) = kinds.iter().partition(|kind| kind.ends_with('?'));
                    let kinds = kinds.into_iter().map(str::to_owned).collect();
                    Row { kinds, perhaps: perhaps.iter().map(|kind| kind.trim_end_matches('?').to_owned()).collect() }
                }
            };
            let operation = format!("{} {path}", method.to_ascii_lowercase());
            if rows.insert(operation, row).is_some() {
                return Err(format!("{TABLE}: there twice: {line}").into());
            }
        }
        Ok(Self(rows))
    }

    /// A row for each operation that may change something, and no other; of kinds that are told.
    pub(crate) fn against(&self, openapi: &Value, asyncapi: &Value) -> Vec<String> {
        let documented = changing(openapi);
        let told = kinds(asyncapi);
        let missing = documented.iter().filter(|operation| !self.0.contains_key(*operation));
        let missing = missing.map(|operation| format!("no row in {TABLE}: {operation}"));
        let stale = self.0.keys().filter(|operation| !documented.contains(*operation));
        let stale = stale.map(|operation| format!("no operation of {TABLE}: {operation}"));
        let named = self.0.values().flat_map(|row| row.kinds.iter().chain(&row.perhaps));
        let unknown = named.filter(|kind| !told.contains(*kind)).map(|kind| format!("no event of {TABLE}: {kind}"));
        missing.chain(stale).chain(unknown).collect()
    }

    /// What the run has shown: by operation the kinds that it caused.
    pub(crate) fn compare(&self, caused: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
        let (none, nothing) = (Row::default(), BTreeSet::new());
        let mut wrong = Vec::new();
        for (operation, row) in &self.0 {
            let seen = caused.get(operation).unwrap_or(&nothing);
            let silent = row.kinds.difference(seen);
            wrong.extend(silent.map(|kind| format!("{operation} never caused {kind}, which {TABLE} says")));
        }
        for (operation, seen) in caused {
            let row = self.0.get(operation).unwrap_or(&none);
            let unsaid = seen.iter().filter(|kind| !row.kinds.contains(*kind) && !row.perhaps.contains(*kind));
            wrong.extend(unsaid.map(|kind| format!("{operation} caused {kind}, which {TABLE} does not say")));
        }
        wrong
    }
}

/// The operations of the document that may change something, `method /path`.
fn changing(openapi: &Value) -> BTreeSet<String> {
    let paths = openapi["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, operations)| {
        let methods = operations.as_object().into_iter().flatten().map(|(method, _)| method.as_str());
        methods
            .filter(|method| ["post", "put", "patch", "delete"].contains(method))
            .map(move |method| format!("{method} {path}"))
    });
    operations.collect()
}

/// The kinds of events that the document knows.
pub(crate) fn kinds(asyncapi: &Value) -> BTreeSet<String> {
    asyncapi["components"]["messages"].as_object().into_iter().flatten().map(|(kind, _)| kind.clone()).collect()
}

/// By operation the kinds it caused: `answers` are testkit's lines `method /path status code trace`, `events` its lines
/// `trace kind`.
pub(crate) fn caused<'a>(
    answers: impl Iterator<Item = &'a str>,
    events: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut of_trace: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in events {
        let (trace, kind) = line.split_once(' ').context(format_args!("testkit wrote no event: {line}"))?;
        of_trace.entry(trace).or_default().insert(kind);
    }
    let mut caused: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in answers {
        let words: Vec<_> = line.split(' ').collect();
        let [method, path, _, _, trace] = words[..] else {
            return Err(format!("testkit wrote no answer: {line}").into());
        };
        let kinds = of_trace.get(trace).into_iter().flatten().map(|&kind| kind.to_owned());
        caused.entry(format!("{method} {path}")).or_default().extend(kinds);
    }
    Ok(caused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;
    use serde_json::json;

    const ROWS: &str = "# a comment\nPOST /a a.made b.heard?\nDELETE /a/{id} - nobody's business\n";

    fn rows(text: &str) -> Changes {
        Changes::read(text).unwrap()
    }

    fn seen(answers: &[&str], events: &[&str]) -> Vec<String> {
        rows(ROWS).compare(&caused(answers.iter().copied(), events.iter().copied()).unwrap())
    }

    #[test]
    fn the_table_has_each_operation_of_the_document_once() {
        let workspace = Workspace::read().unwrap();
        let document = |file| serde_json::from_str(&workspace.file(file).unwrap()).unwrap();
        let (openapi, asyncapi) = (document("docs/openapi.json"), document("docs/asyncapi.json"));
        let table = rows(&workspace.file(TABLE).unwrap());
        assert_eq!(table.against(&openapi, &asyncapi), [""; 0]);
    }

    #[test]
    fn a_row_too_many_and_one_too_few_are_told() {
        let openapi = json!({ "paths": { "/a": { "post": {}, "get": {} }, "/b": { "put": {} } } });
        let asyncapi = json!({ "components": { "messages": { "a.made": {} } } });
        let wrong = rows(ROWS).against(&openapi, &asyncapi);
        let heads: Vec<_> = wrong.iter().map(|line| line.replace(TABLE, "it")).collect();
        assert_eq!(heads, ["no row in it: put /b", "no operation of it: delete /a/{id}", "no event of it: b.heard"]);
        for bad in ["POST /a", "POST", "POST /a -", "POST /a a.made\nPOST /a b.made"] {
            assert!(Changes::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_caused_is_what_the_table_says() {
        let (made, gone) = ("post /a 201 - t1", "delete /a/{id} 204 - t2");
        assert_eq!(seen(&[made, gone], &["t1 a.made", "t3 b.made"]), [""; 0]);
        assert_eq!(seen(&[made, gone], &["t1 a.made", "t1 b.heard"]), [""; 0]);
        let one = |answers: &[&str], events: &[&str], why: &str| {
            let wrong = seen(answers, events);
            assert!(wrong.len() == 1 && wrong[0].starts_with(why), "{wrong:?}");
        };
        one(&[made, gone], &[], "post /a never caused a.made");
        one(&[made, gone], &["t1 a.made", "t2 a.lost"], "delete /a/{id} caused a.lost");
        one(&[made, gone], &["t1 a.made", "t1 c.made"], "post /a caused c.made");
        one(&[made, "get /a 200 - t4"], &["t1 a.made", "t4 a.read"], "get /a caused a.read");
        assert!(caused(["post /a 201"].into_iter(), [].into_iter()).is_err());
        assert!(caused([].into_iter(), ["t1"].into_iter()).is_err());
    }
}
