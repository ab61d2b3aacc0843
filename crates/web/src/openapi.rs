//! The OpenAPI 3.1 document, made from the same tables that are served: it cannot know a route that is not there.
use crate::{Route, Takes, route::Gives};
use kernel::{Code, Needs};
use serde_json::{Map, Value, json};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};
use utoipa::{ToSchema, openapi::RefOr};

/// A named schema and those it refers to. Tables of routes are held by every thread that answers, so what is only for
/// the document is made with the document.
#[derive(Clone, Copy)]
pub struct Schema {
    name: fn() -> Cow<'static, str>,
    parts: fn() -> Parts,
}

type Parts = Vec<(String, RefOr<utoipa::openapi::schema::Schema>)>;

impl Schema {
    pub(crate) fn of<T: ToSchema>() -> Self {
        let parts = || {
            let mut parts = vec![(T::name().into_owned(), T::schema())];
            T::schemas(&mut parts);
            parts
        };
        Self { name: T::name, parts }
    }
    fn reference(&self) -> Value {
        json!({ "$ref": format!("#/components/schemas/{}", (self.name)()) })
    }
}

/// A problem document, for the reference.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its schema is used; `Problem` writes the document")]
struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// One of the documented codes.
    code: String,
    request_id: String,
    errors: Option<Vec<FieldProblem>>,
}

/// What is wrong with one field.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct FieldProblem {
    /// JSON pointer into the body.
    pointer: String,
    code: String,
    detail: String,
}

/// The document of `routes`, as pretty JSON with a stable order.
pub fn document(routes: &[Route], version: &str) -> String {
    let problem = Schema::of::<Problem>();
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |schema: &Schema| {
        for (name, part) in (schema.parts)() {
            schemas.insert(name, serde_json::to_value(&part).expect("a schema is plain data"));
        }
    };
    add(&problem);
    let mut paths: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
    for route in routes {
        if let Some(Takes::Json(schema) | Takes::Foreign(schema)) = &route.takes {
            add(schema);
        }
        for (_, _, gives) in &route.gives {
            if let Gives::Json(schema) = gives {
                add(schema);
            }
        }
        paths
            .entry(route.path)
            .or_default()
            .insert(route.method.as_str().to_ascii_lowercase(), operation(route, &problem));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Cleave",
            "version": version,
            "description": format!("{INTRODUCTION}\n\n{}", table()),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "cart": { "type": "apiKey", "in": "header", "name": "X-Cart-Token" },
            },
        },
    });
    let mut text = serde_json::to_string_pretty(&document).expect("a document is plain data");
    text.push('\n');
    text
}

const INTRODUCTION: &str = "A shop's backend. Amounts are integer minor units with their currency; times are RFC 3339 with Z; \
every failure is a problem document (RFC 9457) with one of the codes below. POSTs that change the shop honour `Idempotency-Key`.";

fn table() -> String {
    let rows = Code::ALL.iter().map(|code| format!("| {} | `{}` | {} |", code.status(), code.as_str(), code.title()));
    format!("| status | code | meaning |\n|---|---|---|\n{}", rows.collect::<Vec<_>>().join("\n"))
}

fn operation(route: &Route, problem: &Schema) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".into(), json!(operation_id(route)));
    operation.insert(
        "tags".into(),
        json!([route.path.split('/').find(|part| !part.is_empty() && *part != "v1").unwrap_or("shop")]),
    );
    operation.insert("summary".into(), json!(route.summary));
    operation.insert(
        "security".into(),
        match route.needs {
            Needs::Nothing | Needs::Peer => json!([{}, { "bearer": [] }, { "cart": [] }]),
            Needs::User | Needs::Permission(_) => json!([{ "bearer": [] }]),
        },
    );
    if let Needs::Permission(name) = route.needs {
        operation.insert("description".into(), json!(format!("Needs the permission `{name}`.")));
    }
    operation.insert("parameters".into(), json!(parameters(route)));
    if let Some(takes) = &route.takes {
        let content = match takes {
            Takes::Json(schema) | Takes::Foreign(schema) => {
                json!({ "application/json": { "schema": schema.reference() } })
            }
            Takes::Stream(media) => json!({ *media: { "schema": { "type": "string" } } }),
        };
        operation.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    operation.insert("responses".into(), responses(route, problem));
    operation.into()
}

fn operation_id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/v1/").replace(['/', '-', '.'], "_").replace(['{', '}'], "");
    format!("{}_{}", route.method.as_str().to_ascii_lowercase(), path.trim_matches('_'))
}

fn parameters(route: &Route) -> Vec<Value> {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let path =
        names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let query = route.query.iter().map(
        |(name, what)| json!({ "name": name, "in": "query", "description": what, "schema": { "type": "string" } }),
    );
    let key = route.keyed.then(|| {
        json!({ "name": "Idempotency-Key", "in": "header", "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
                "description": "Makes a repeated request the same one; 16 characters or more without sign-in." })
    });
    path.chain(query).chain(key).collect()
}

impl Route {
    /// Every code it may fail with, but those that any request may (429, 500, 503).
    fn all_codes(&self) -> Vec<Code> {
        let mut codes = self.fails.clone();
        // A token that is shown must be good, also where none is needed.
        codes.extend([Code::InvalidToken, Code::TokenExpired]);
        match self.needs {
            Needs::Nothing | Needs::Peer => (),
            Needs::User => codes.push(Code::Unauthenticated),
            Needs::Permission(_) => codes.extend([Code::Unauthenticated, Code::Forbidden]),
        }
        match self.takes {
            Some(Takes::Json(_)) => {
                codes.extend([Code::MalformedJson, Code::BodyTooLarge, Code::UnsupportedMediaType, Code::Invalid]);
            }
            Some(Takes::Foreign(_)) => codes.extend([Code::BodyTooLarge, Code::UnsupportedMediaType]),
            Some(Takes::Stream(_)) | None => (),
        }
        if self.path.contains('{') {
            codes.push(Code::NotFound);
        }
        codes
    }
}

fn responses(route: &Route, problem: &Schema) -> Value {
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    for (status, what, gives) in &route.gives {
        let mut answer = json!({ "description": what });
        match gives {
            Gives::Nothing => (),
            Gives::Json(schema) => {
                answer["content"] = json!({ "application/json": { "schema": schema.reference() } });
            }
            Gives::Stream(media) => answer["content"] = json!({ *media: { "schema": { "type": "string" } } }),
        }
        responses.insert(status.to_string(), answer);
    }
    let mut failures: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    for code in route.all_codes() {
        failures.entry(code.status()).or_default().insert(code.as_str());
    }
    let document = json!({ "application/problem+json": { "schema": problem.reference() } });
    for (status, codes) in failures {
        let codes = codes.into_iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ");
        responses.insert(status.to_string(), json!({ "description": codes, "content": document }));
    }
    responses.insert(
        "default".into(),
        json!({ "description": "A problem any request may meet: 400, 404, 429, 500 or 503.", "content": document }),
    );
    json!(responses)
}
