//! Who may do what: the checked-in table `permissions.txt`, held against every operation and every trait method, and
//! tried out. What is denied is denied before anything of the body is read.
use crate::{goods, shop};
use kernel::{Contract, Needs, Spec};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use testkit::{
    Actor, Answer,
    document::{Operation, operations, sample},
    unique,
};

const TABLE: &str = include_str!("permissions.txt");
const KINDS: [&str; 5] = ["anonymous", "guest", "customer", "staff", "admin"];

/// The rows below a heading: what stands in the first columns, and in the rest.
fn rows(heading: &str, names: usize) -> BTreeMap<String, Vec<&'static str>> {
    let section = TABLE.split("\n[").find_map(|section| section.strip_prefix(&format!("{heading}]")));
    let mut rows = BTreeMap::new();
    for line in section.expect("the table has this heading").lines() {
        let cells: Vec<_> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if let Some((name, cells)) = cells.split_at_checked(names).filter(|_| !cells.is_empty()) {
            assert!(rows.insert(name.join(" "), cells.to_vec()).is_none(), "twice: {line}");
        }
    }
    rows
}

#[track_caller]
fn same_names<'a>(rows: impl Iterator<Item = &'a String>, there: impl Iterator<Item = String>) {
    let (rows, there): (BTreeSet<_>, BTreeSet<_>) = (rows.cloned().collect(), there.collect());
    let missing: Vec<_> = there.difference(&rows).collect();
    let surplus: Vec<_> = rows.difference(&there).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "permissions.txt lacks {missing:?} and has {surplus:?} for nothing"
    );
}

#[test]
fn every_operation_and_every_method_has_a_row() {
    same_names(rows("operations", 2).keys(), operations().iter().map(Operation::name));
    same_names(rows("methods", 1).keys(), methods().iter().map(|spec| name(spec)));
}

fn methods() -> Vec<&'static Spec> {
    let all = [
        <dyn users_api::Tokens as Contract>::METHODS,
        <dyn users_api::Accounts as Contract>::METHODS,
        <dyn products_api::Catalogue as Contract>::METHODS,
        <dyn products_api::Stock as Contract>::METHODS,
        <dyn orders_api::OrderHistory as Contract>::METHODS,
    ];
    all.concat()
}

fn name(spec: &Spec) -> String {
    format!("{}/{}", spec.service, spec.method)
}

#[test]
fn every_method_needs_what_its_row_says() {
    let rows = rows("methods", 1);
    for spec in methods() {
        let needs = match spec.needs {
            Needs::Nothing => "nothing".to_owned(),
            Needs::Peer => "peer".to_owned(),
            Needs::User => "user".to_owned(),
            Needs::Permission(name) => name.to_owned(),
        };
        assert_eq!(rows[&name(spec)], [needs.as_str()], "{}", name(spec));
    }
}

/// One of each kind, made for this test: they may delete themselves.
async fn caller(kind: &str) -> Actor {
    let anonymous = shop().anonymous();
    if kind == "guest" {
        let cart = anonymous.post("/v1/carts", json!({ "currency": "EUR" })).send().await.expect(201);
        return anonymous.cart_token(&cart.text("/token"));
    }
    if kind == "anonymous" {
        return anonymous;
    }
    let (email, password) = (format!("{}@test.example", unique(kind)), "a caller's password");
    let body = json!({ "email": email, "password": password, "name": kind });
    let id = anonymous.post("/v1/users", body).send().await.expect(201).text("/id");
    let roles = json!({ "roles": [kind] });
    shop().admin().await.patch(&format!("/v1/users/{id}"), roles).send().await.expect(200);
    anonymous.signed_in(&email, password).await
}

/// Callers of all kinds, and the customer whose things they meet.
struct Cast {
    callers: Vec<(&'static str, Actor)>,
    owner: Actor,
}

impl Cast {
    async fn make() -> Self {
        let mut callers = Vec::new();
        for kind in KINDS {
            callers.push((kind, caller(kind).await));
        }
        Self { callers, owner: shop().customer().await }
    }
}

/// The path of an operation on something that is there and is `owner`'s.
async fn target(owner: &Actor, operation: &Operation) -> String {
    let path = operation.path.as_str();
    let product = async || goods::made(shop(), goods::lamp()).await;
    let variant = async || product().await.text("/variants/0/id");
    if path.contains("{product}") {
        return path.replace("{product}", &product().await.text("/id"));
    }
    if path.contains("{slug}") {
        return path.replace("{slug}", &product().await.text("/slug"));
    }
    if path.contains("{provider}") {
        return path.replace("{provider}", "test");
    }
    let id = if path.starts_with("/v1/variants/") {
        variant().await
    } else if path.starts_with("/v1/orders/{") {
        goods::ordered(owner, &variant().await, 1).await.text("/id")
    } else if path.starts_with("/v1/carts/{") {
        let cart = goods::cart(owner, &variant().await, 1).await;
        return path.replace("{id}", &cart.text("/id")).replace("{line}", &cart.text("/lines/0/id"));
    } else if path.starts_with("/v1/reviews/{") {
        let reviews = format!("/v1/products/{}/reviews", product().await.text("/id"));
        owner.post(&reviews, json!({ "mark": 4 })).send().await.expect(201).text("/id")
    } else if path.starts_with("/v1/users/{") {
        owner.get("/v1/users/me").send().await.text("/id")
    } else if path.starts_with("/v1/users/me/addresses/") {
        owner.post("/v1/users/me/addresses", goods::address()).send().await.text("/id")
    } else if path.starts_with("/v1/sessions/{") {
        owner.get("/v1/sessions").send().await.text("/items/0/id")
    } else if path.starts_with("/v1/webhook-endpoints/{") {
        shop().webhook_endpoint().await
    } else if path.starts_with("/v1/webhook-deliveries/{") {
        shop().webhook_delivery().await
    } else if path.starts_with("/v1/notices/{") {
        shop().notice()
    } else if path.starts_with("/v1/imports/{") {
        let import = shop().staff().await.request(reqwest::Method::POST, "/v1/imports").body("text/csv", "Handle\n");
        import.send().await.expect(202).text("/id")
    } else {
        assert!(!path.contains('{'), "no target for {path}");
        return path.to_owned();
    };
    path.replace("{id}", &id)
}

async fn send(caller: &Actor, operation: &Operation, path: &str, garbage: bool) -> Answer {
    let request = caller.request(operation.method.clone(), path);
    let request = match (&operation.body, &operation.stream) {
        (Some(_), _) if garbage => request.body("application/json", "{\"nonsense\":"),
        (Some(schema), _) => request.json(&body(operation, schema)),
        (None, Some(_)) if garbage => request.body("text/plain", "\0"),
        (None, Some(media)) => request.body(media, "Handle\n"),
        (None, None) => request,
    };
    request.send().await
}

fn body(operation: &Operation, schema: &'static Value) -> Value {
    let mut body = sample(schema);
    if operation.name() == "PATCH /v1/users/me" {
        body = json!({ "name": "Other" }); // a new address would ask for a password
    }
    if operation.path.ends_with("/moderation") {
        body = json!({ "status": "rejected" });
    }
    if operation.name() == "PATCH /v1/webhook-endpoints/{id}" {
        body = json!({ "description": "other" }); // a URL is looked at before the endpoint is
    }
    body
}

/// `401`, `403`, `404`, or `open`.
fn verdict(answer: &Answer) -> String {
    let json: Value = serde_json::from_slice(&answer.bytes).unwrap_or_default();
    let code = json["code"].as_str().unwrap_or_default();
    match (answer.status, code) {
        (401, "unauthenticated") => "401".to_owned(),
        (403, "forbidden") => "403".to_owned(),
        (404, "not_found") => "404".to_owned(),
        (401 | 403 | 404 | 405 | 500.., _) if code != "invalid_credentials" && code != "invalid_refresh_token" => {
            format!("{} {code}", answer.status)
        }
        _ => "open".to_owned(),
    }
}

#[tokio::test]
async fn everybody_may_what_the_table_says() {
    let (rows, mut wrong, cast) = (rows("operations", 2), Vec::new(), Cast::make().await);
    for operation in operations() {
        let expected = rows.get(&operation.name()).cloned().unwrap_or_default();
        let mut found = Vec::new();
        for (kind, actor) in &cast.callers {
            let path = target(&cast.owner, &operation).await;
            let leaves = operation.name() == "DELETE /v1/users/me";
            let actor = if leaves { caller(kind).await } else { actor.clone() };
            found.push(verdict(&send(&actor, &operation, &path, false).await));
        }
        if found != expected {
            wrong.push(format!("{:<45} {}", operation.name(), found.join("  ")));
        }
    }
    assert!(wrong.is_empty(), "not as in permissions.txt, but:\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_denied_is_denied_before_the_body_is_read() {
    let (rows, cast) = (rows("operations", 2), Cast::make().await);
    for operation in operations().iter().filter(|one| one.body.is_some() || one.stream.is_some()) {
        let path = target(&cast.owner, operation).await;
        for ((kind, actor), cell) in cast.callers.iter().zip(&rows[&operation.name()]) {
            if ["401", "403"].contains(cell) {
                let answer = send(actor, operation, &path, true).await;
                assert_eq!(verdict(&answer), *cell, "{} by {kind}", operation.name());
            }
        }
    }
}

#[tokio::test]
async fn a_bad_token_opens_nothing_that_is_open() {
    let (stranger, owner) = (shop().anonymous().bearer("nonsense"), shop().customer().await);
    for operation in operations() {
        let path = target(&owner, &operation).await;
        send(&stranger, &operation, &path, true).await.problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let admin = shop().admin().await;
    let nothing = |part: &str| match part {
        "{product}" | "{slug}" => unique("none"),
        _ => "01h455vb4pex5vsknk084sn02q".to_owned(),
    };
    for operation in operations().iter().filter(|operation| operation.path.contains('{')) {
        let nouns = ["variants", "orders", "carts", "users", "addresses", "sessions", "imports", "reviews"];
        let nouns = nouns.into_iter().chain(["webhook-endpoints", "webhook-deliveries", "notices"]);
        let prefixes = ["var", "order", "cart", "user", "addr", "sess", "imp", "rev", "whep", "whdl", "notice"];
        let named: Vec<_> = nouns.zip(prefixes).collect();
        let prefix = named
            .into_iter()
            .rev()
            .find(|(noun, _)| operation.path.contains(&format!("/{noun}/{{")))
            .map(|(_, prefix)| format!("{prefix}_"));
        let parts = operation.path.split('/').map(|part| match part {
            "{id}" => format!("{}{}", prefix.clone().unwrap_or_default(), nothing(part)),
            "{line}" => format!("line_{}", nothing(part)),
            part if part.starts_with('{') => nothing(part),
            part => part.to_owned(),
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let mut body = operation.body.map(|schema| body(operation, schema)).unwrap_or_default();
        if let Some(token) = body.pointer_mut("/payment/token") {
            *token = json!("tok_ok");
        }
        let request = admin.request(operation.method.clone(), &path);
        let request = if operation.body.is_some() { request.json(&body) } else { request };
        request.send().await.problem(404, "not_found");
    }
}
