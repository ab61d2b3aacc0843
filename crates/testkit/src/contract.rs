//! The OpenAPI document, held against every answer.
use crate::{
    Answer,
    document::{DOCUMENT, template},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::HashMap, env, fs::OpenOptions, io::Write, path::Path, sync::Mutex};

/// What any request may meet, whatever it is.
const ALWAYS: &[u16] = &[400, 404, 405, 429, 500, 503];

#[derive(Default)]
pub(crate) struct Contract {
    /// Schemas that were compiled, by where they stand.
    compiled: Mutex<HashMap<String, std::sync::Arc<jsonschema::Validator>>>,
}

impl Contract {
    /// Panics when the document does not know the answer.
    pub(crate) fn check(&self, method: &Method, path: &str, answer: &Answer) {
        let path = path.split(['?', '#']).next().unwrap_or(path);
        let Some(template) = template(path) else { return };
        let verb = method.as_str().to_ascii_lowercase();
        let Some(operation) = DOCUMENT["paths"][template].get(&verb) else {
            assert!(
                answer.status == 405 || answer.status == 401,
                "{}: {} for a method that is not documented",
                answer.what,
                answer.status
            );
            return;
        };
        let status = answer.status.to_string();
        let documented = operation["responses"].get(&status);
        record(&verb, template, answer);
        assert!(
            documented.is_some() || ALWAYS.contains(&answer.status),
            "{}: {status} is not documented: {}",
            answer.what,
            String::from_utf8_lossy(&answer.bytes)
        );
        let media = answer.header("content-type").unwrap_or("").split(';').next().unwrap_or("").to_owned();
        let at = match documented {
            Some(_) => {
                format!("/paths/{}/{verb}/responses/{status}/content/{}/schema", escape(template), escape(&media))
            }
            None => "/components/schemas/Problem".to_owned(),
        };
        let has_schema = DOCUMENT.pointer(&at).is_some();
        assert!(
            has_schema || answer.bytes.is_empty(),
            "{}: a body of {media}, which is not documented for {status}",
            answer.what
        );
        if has_schema && media.ends_with("json") {
            let errors: Vec<String> = self
                .validator(&at)
                .iter_errors(&answer.json())
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: not as documented: {errors:?}\n{}", answer.what, answer.json());
        }
    }

    fn validator(&self, at: &str) -> std::sync::Arc<jsonschema::Validator> {
        let mut compiled = self.compiled.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let make = || {
            // The schema itself, for a reference cannot hold the braces of a path.
            let schema = DOCUMENT.pointer(at).expect("looked up before");
            let schema = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
            std::sync::Arc::new(jsonschema::validator_for(&schema).expect("a schema of the document is a schema"))
        };
        compiled.entry(at.to_owned()).or_insert_with(make).clone()
    }
}

fn escape(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

/// One line an answer: what was asked, the status, the code or `-`, the trace of what it led to. The run compares them
/// with the document.
fn record(verb: &str, template: &str, answer: &Answer) {
    let Ok(folder) = env::var("CLEAVE_TEST_COVERAGE") else { return };
    let code = serde_json::from_slice::<Value>(&answer.bytes)
        .ok()
        .and_then(|json| Some(json.get("code")?.as_str()?.to_owned()));
    let trace = answer.header("traceparent").and_then(|parent| parent.split('-').nth(1)).unwrap_or("-");
    let code = code.as_deref().unwrap_or("-");
    let line = format!("{verb} {template} {} {code} {trace}\n", answer.status);
    let file = Path::new(&folder).join(format!("{}.log", std::process::id()));
    let written =
        OpenOptions::new().create(true).append(true).open(file).and_then(|mut file| file.write_all(line.as_bytes()));
    written.expect("the folder of CLEAVE_TEST_COVERAGE can be written");
}
