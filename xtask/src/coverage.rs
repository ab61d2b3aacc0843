//! Whether the tests produced every answer that `docs/openapi.json` knows and every event that `docs/asyncapi.json`
//! knows: testkit writes down each one it saw. And whether each request told what it changed.
use crate::{
    changes::{self, Changes},
    error::{Context, Result},
    workspace::Workspace,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// `method /path status`, as testkit writes it and as the document has it; of an event `event` and its kind.
type Answers = BTreeSet<String>;

/// Answers that no test can produce, each with its reason; an entry that is not needed fails.
const EXCEPTIONS: &str = "app/tests/coverage-exceptions.txt";

/// How many were seen, or what is wrong.
pub(crate) fn check(workspace: &Workspace, folder: &Path) -> Result<usize> {
    let document = |file: &str| -> Result<Value> {
        serde_json::from_str(&workspace.file(file)?).context(format_args!("cannot read {file}"))
    };
    let (openapi, asyncapi) = (document("docs/openapi.json")?, document("docs/asyncapi.json")?);
    let (answered, told) = (lines(folder, "log")?, lines(folder, "events")?);
    let caused = changes::caused(answered.iter().map(String::as_str), told.iter().map(String::as_str))?;
    let wrong = Changes::read(&workspace.file(changes::TABLE)?)?.compare(&caused);
    if !wrong.is_empty() {
        println!("{}", wrong.join("\n"));
    }
    let excepted = exceptions(&workspace.file(EXCEPTIONS)?)?;
    let events = changes::kinds(&asyncapi).into_iter().map(|kind| format!("event {kind}"));
    let documented = documented(&openapi).into_iter().chain(events).collect();
    let count = compare(&documented, &seen(&answered, &told), &excepted)?;
    if wrong.is_empty() {
        Ok(count)
    } else {
        Err(format!("{} changes are not told as {}", wrong.len(), changes::TABLE).into())
    }
}

fn documented(document: &Value) -> Answers {
    let members = |value: &Value| value.as_object().into_iter().flatten().map(own).collect::<Vec<_>>();
    let mut answers = Answers::new();
    for (path, operations) in members(&document["paths"]) {
        for (method, operation) in members(&operations) {
            let statuses = members(&operation["responses"]).into_iter().map(|(status, _)| status);
            answers.extend(
                statuses.filter(|status| status != "default").map(|status| format!("{method} {path} {status}")),
            );
        }
    }
    answers
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

fn seen(answered: &[String], told: &[String]) -> Answers {
    // the code and the trace stand behind them
    let answers = answered.iter().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "));
    let events = told.iter().filter_map(|line| Some(format!("event {}", line.split_once(' ')?.1)));
    answers.chain(events).collect()
}

/// Of all files with this ending, each line once.
fn lines(folder: &Path, ending: &str) -> Result<Vec<String>> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir(folder).context(format_args!("cannot read {}", folder.display()))?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == ending) {
            let text = fs::read_to_string(entry.path());
            let text = text.context(format_args!("cannot read {}", entry.path().display()))?;
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    Ok(lines.into_iter().collect())
}

/// `method /path status: why`, an answer a line.
fn exceptions(text: &str) -> Result<BTreeMap<String, String>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (answer, why) = line.split_once(": ").context(format_args!("{EXCEPTIONS}: no reason in `{line}`"))?;
        Ok((answer.to_owned(), why.to_owned()))
    };
    lines.map(entry).collect()
}

fn compare(documented: &Answers, seen: &Answers, excepted: &BTreeMap<String, String>) -> Result<usize> {
    let missing = documented.iter().filter(|answer| !seen.contains(*answer) && !excepted.contains_key(*answer));
    let missing = missing.map(|answer| format!("no test produced: {answer}"));
    let stale = excepted.keys().filter(|answer| seen.contains(*answer) || !documented.contains(*answer));
    let stale = stale.map(|answer| format!("not needed in {EXCEPTIONS}: {answer}"));
    let problems: Vec<_> = missing.chain(stale).collect();
    if problems.is_empty() {
        return Ok(documented.intersection(seen).count());
    }
    println!("{}", problems.join("\n"));
    Err(format!("{} of {} documented answers and events are in question", problems.len(), documented.len()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answers(all: &[&str]) -> Answers {
        all.iter().map(|&answer| answer.to_owned()).collect()
    }

    #[test]
    fn every_documented_status_is_an_answer() {
        let document =
            json!({ "paths": { "/a/{id}": { "get": { "responses": { "200": {}, "404": {}, "default": {} } } } } });
        assert_eq!(documented(&document), answers(&["get /a/{id} 200", "get /a/{id} 404"]));
    }

    #[test]
    fn what_is_missing_or_excepted_for_nothing_fails() {
        let documented = answers(&["get /a 200", "get /a 404"]);
        let excepted = |text: &str| exceptions(text).unwrap();
        let none = excepted("# a comment\n\n");
        assert_eq!(compare(&documented, &documented, &none).unwrap(), 2);
        assert!(compare(&documented, &answers(&["get /a 200"]), &none).is_err());
        assert_eq!(compare(&documented, &answers(&["get /a 200"]), &excepted("get /a 404: never")).unwrap(), 1);
        assert!(compare(&documented, &documented, &excepted("get /a 404: never")).is_err());
        assert!(compare(&documented, &documented, &excepted("get /b 404: gone")).is_err());
        assert!(exceptions("get /a 404").is_err());
    }

    #[test]
    fn what_testkit_wrote_is_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1.log"), "get /a 200 - t1\nget /a 404 not_found t2\n").unwrap();
        fs::write(folder.path().join("1.events"), "t1 a.made\nt2 a.made\n").unwrap();
        let (answered, told) = (lines(folder.path(), "log").unwrap(), lines(folder.path(), "events").unwrap());
        assert_eq!(seen(&answered, &told), answers(&["event a.made", "get /a 200", "get /a 404"]));
    }
}
