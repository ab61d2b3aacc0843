//! The checked-in OpenAPI document, as tests walk it: every operation, and bodies that look valid.
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::LazyLock};

pub const TEXT: &str = include_str!("../../../docs/openapi.json");
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(TEXT).expect("docs/openapi.json is JSON"));

/// An operation, as a test that walks all of them needs it.
pub struct Operation {
    pub method: Method,
    /// With `{names}` in braces.
    pub path: String,
    /// The schema of its JSON body.
    pub body: Option<&'static Value>,
    /// Its JSON body is in somebody else's form: nothing in it is complained of by place.
    pub foreign: bool,
    /// The media type of a body that is no JSON.
    pub stream: Option<String>,
    pub query: Vec<String>,
    /// Takes an Idempotency-Key.
    pub keyed: bool,
    /// Takes If-Match.
    pub conditional: bool,
    /// What it may answer, as far as it is told by number.
    pub statuses: Vec<u16>,
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

pub fn operations() -> Vec<Operation> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, operation)| read(path, method, operation))
    });
    operations.collect()
}

fn read(path: &str, method: &str, operation: &'static Value) -> Operation {
    let content = operation.pointer("/requestBody/content").and_then(Value::as_object);
    let (query, others): (Vec<_>, Vec<_>) = {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        parameters.partition(|parameter| parameter["in"] == "query")
    };
    Operation {
        method: method.to_uppercase().parse().expect("a method"),
        path: path.to_owned(),
        body: content.and_then(|content| content.get("application/json")).map(|json| resolved(&json["schema"])),
        foreign: content.is_some() && operation["responses"].get("422").is_none(),
        stream: content.and_then(|content| content.keys().find(|media| *media != "application/json")).cloned(),
        query: query.iter().filter_map(|parameter| parameter["name"].as_str()).map(str::to_owned).collect(),
        keyed: others.iter().any(|parameter| parameter["name"] == "Idempotency-Key"),
        conditional: operation["responses"].get("412").is_some(),
        statuses: operation["responses"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(s, _)| s.parse().ok())
            .collect(),
    }
}

/// The documented path that this one is an instance of; literal segments win over names.
pub fn template(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let wanted: Vec<&str> = template.split('/').collect();
        let same = |(wanted, part): (&&str, &&str)| wanted == part || (wanted.starts_with('{') && !part.is_empty());
        wanted.len() == parts.len() && wanted.iter().zip(&parts).all(same)
    };
    let paths = DOCUMENT["paths"].as_object()?;
    paths.keys().filter(fits).min_by_key(|template| template.matches('{').count()).map(String::as_str)
}

/// Things that are there, by the name and the place of the path's parameter, such as `/orders/{id}`.
pub struct Targets(pub BTreeMap<&'static str, String>);

impl Targets {
    /// Where an operation meets them.
    pub fn path(&self, operation: &Operation) -> String {
        let path = self.0.iter().fold(operation.path.clone(), |path, (name, id)| {
            let (before, _) = name.split_once('{').expect("a name in braces");
            path.replace(name, &format!("{before}{id}"))
        });
        assert!(!path.contains('{'), "no target for {}", operation.path);
        path
    }
}

/// What a reference names; the other half of "or null".
fn resolved(schema: &'static Value) -> &'static Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        return resolved(DOCUMENT.pointer(pointer).expect("what a reference names is there"));
    }
    match schema["oneOf"].as_array() {
        Some(all) => resolved(all.iter().find(|one| one["type"] != "null").expect("something but null")),
        None => schema,
    }
}

fn is(schema: &Value, kind: &str) -> bool {
    schema["type"] == kind || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
}

/// A body with every member, which looks valid; what it names need not be there.
pub fn sample(schema: &'static Value) -> Value {
    let schema = resolved(schema);
    if let Some(members) = schema["properties"].as_object() {
        return members.iter().map(|(name, schema)| (name.clone(), member(name, schema))).collect::<Map<_, _>>().into();
    }
    if is(schema, "array") {
        return json!([sample(&schema["items"])]);
    }
    if is(schema, "object") {
        return json!({});
    }
    if is(schema, "integer") {
        return json!(1);
    }
    if is(schema, "boolean") {
        return json!(true);
    }
    json!("text")
}

/// Some texts have a form that their schema does not tell.
fn member(name: &str, schema: &'static Value) -> Value {
    let text = match name {
        "email" => "sample@test.example",
        "password" | "current_password" => "a sample's password",
        "currency" => "EUR",
        "country" => "DE",
        "slug" | "parent" => "sample",
        "status" => "draft",
        "src" => "/sample.jpg",
        "variant_id" => "var_01h455vb4pex5vsknk084sn02q",
        "shipping_option_id" => "standard",
        "provider" => "test",
        "token" => "tok_declined",
        "return_url" => "https://shop.example/bought",
        "categories" | "options" => return json!(if is(resolved(schema), "array") { json!([]) } else { json!({}) }),
        "roles" => return json!(["customer"]),
        _ => return sample(schema),
    };
    json!(text)
}

/// A place in a body, as its schema knows it.
pub struct Place {
    /// JSON pointer.
    pub pointer: String,
    pub required: bool,
    pub kinds: Vec<String>,
    pub longest: Option<usize>,
}

impl Place {
    pub fn takes(&self, kind: &str) -> bool {
        self.kinds.iter().any(|one| one == kind)
    }
}

/// Every place of a body, the members of its members too, and the first of each list.
pub fn places(schema: &'static Value) -> Vec<Place> {
    let mut found = Vec::new();
    walk(schema, "", &mut found);
    found
}

fn walk(schema: &'static Value, at: &str, found: &mut Vec<Place>) {
    let schema = resolved(schema);
    if is(schema, "array") {
        let at = format!("{at}/0");
        found.push(place(&schema["items"], &at, true));
        walk(&schema["items"], &at, found);
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        let required = schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
        found.push(place(member, &at, required));
        walk(member, &at, found);
    }
}

fn place(schema: &'static Value, at: &str, required: bool) -> Place {
    let or_null = schema["oneOf"].as_array().is_some_and(|all| all.iter().any(|one| one["type"] == "null"));
    let schema = resolved(schema);
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        kind => vec![kind.as_str().unwrap_or("any").to_owned()],
    };
    Place {
        pointer: at.to_owned(),
        required,
        kinds: kinds.into_iter().chain(or_null.then(|| "null".to_owned())).collect(),
        longest: schema["maxLength"].as_u64().and_then(|length| usize::try_from(length).ok()),
    }
}
