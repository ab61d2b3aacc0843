//! What no two shops have alike gets a name, by its first appearance: `⟨prod 1⟩`. A test speaks in names only; on the
//! way out each shop gets its own text back. So ids are compared too: by where else they appear.
use serde_json::Value;
use std::collections::BTreeMap;

/// Members whose texts are made up: credentials, keys, cursors.
const SECRETS: &[&str] = &["access_token", "refresh_token", "token", "next", "kid", "x", "secret", "traceparent"];

#[derive(Default)]
pub(crate) struct Names {
    /// By what the shop said.
    names: BTreeMap<String, String>,
    texts: BTreeMap<String, String>,
    count: BTreeMap<String, u32>,
}

impl Names {
    /// The name of `text`, a `kind` of thing.
    pub(crate) fn name(&mut self, kind: &str, text: &str) -> String {
        // Two tokens of one session and one second are the same, and which are is chance.
        if let Some(name) = self.names.get(text).filter(|_| kind != "access_token") {
            return name.clone();
        }
        let count = self.count.entry(kind.to_owned()).or_default();
        *count += 1;
        let name = format!("⟨{kind} {count}⟩");
        self.names.insert(text.to_owned(), name.clone());
        self.texts.insert(name.clone(), text.to_owned());
        name
    }

    /// `text` as this shop knows it.
    pub(crate) fn sent(&self, text: &str) -> String {
        let mut sent = String::new();
        let mut rest = text;
        while let Some((before, named)) = rest.split_once('⟨') {
            let (name, after) = named.split_once('⟩').expect("a name ends");
            let name = format!("⟨{name}⟩");
            sent.push_str(before);
            sent.push_str(self.texts.get(&name).unwrap_or_else(|| panic!("{name} is known")));
            rest = after;
        }
        sent + rest
    }

    /// `text` with names for ids and times.
    pub(crate) fn named(&mut self, text: &str) -> String {
        let mut named = String::new();
        let mut rest = text;
        let within = |c: char| c.is_ascii_alphanumeric() || "_:.-".contains(c);
        while let Some(start) = rest.find(within) {
            let (before, from) = rest.split_at(start);
            let (word, after) = from.split_at(from.find(|c| !within(c)).unwrap_or(from.len()));
            named.push_str(before);
            match kind(word) {
                Some(kind) => named.push_str(&self.name(kind, word)),
                None => named.push_str(word),
            }
            rest = after;
        }
        named + rest
    }

    /// The same for every text in a document.
    pub(crate) fn document(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => self.named(&text).into(),
            Value::Array(all) => all.into_iter().map(|one| self.document(one)).collect(),
            Value::Object(members) => {
                let member = |(name, value): (String, Value)| match value.as_str() {
                    Some(text) if SECRETS.contains(&name.as_str()) => {
                        let named = self.name(&name, text);
                        (name, named.into())
                    }
                    // How long it took.
                    None if name == "latency_ms" => (name, "milliseconds".into()),
                    _ => {
                        let value = self.document(value);
                        (name, value)
                    }
                };
                Value::Object(members.into_iter().map(member).collect())
            }
            other => other,
        }
    }
}

/// What sort of made-up word this is.
fn kind(word: &str) -> Option<&str> {
    if let Some((kind, id)) = word.rsplit_once('_') {
        let digit = |b: u8| b.is_ascii_digit() || (b.is_ascii_lowercase() && !b"ilou".contains(&b));
        return (id.len() == 26 && !kind.is_empty() && id.bytes().all(digit)).then_some(kind);
    }
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let is_time = shape.starts_with("0000-00-00T00:00:00") && shape.ends_with('Z');
    is_time.then_some("time")
}

#[test]
fn made_up_words_are_named_and_come_back() {
    let mut names = Names::default();
    let (id, other) = ("prod_01h455vb4pex5vsknk084sn02q", "prod_01h455vb4pex5vsknk084sn02r");
    let text = format!("/v1/products/{id}?after={other}, {id}");
    assert_eq!(names.named(&text), "/v1/products/⟨prod 1⟩?after=⟨prod 2⟩, ⟨prod 1⟩");
    assert_eq!(names.sent("/v1/products/⟨prod 1⟩?after=⟨prod 2⟩, ⟨prod 1⟩"), text);
    assert_eq!(names.named("2026-01-02T03:04:05.123456Z and 2026-01-02"), "⟨time 1⟩ and 2026-01-02");
    let document = serde_json::json!({ "items": [{ "id": id, "email": "a@b.example" }], "next": "abc", "token": null });
    let named = serde_json::json!({ "items": [{ "id": "⟨prod 1⟩", "email": "a@b.example" }], "next": "⟨next 1⟩", "token": null });
    assert_eq!(names.document(document), named);
}
