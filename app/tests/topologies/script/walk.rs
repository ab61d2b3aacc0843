//! Every operation, by every kind of caller, and with nonsense in every part of the request.
use super::{buying, lamp, nothing, people::People};
use crate::pair::{Ask, Pair, Who};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::{
    address,
    document::{Operation, Targets, sample},
};

/// All but the stream of events: it does not end, so there is no whole answer to compare.
pub(crate) fn operations() -> Vec<Operation> {
    let all = testkit::document::operations().into_iter();
    all.filter(|operation| operation.path != "/v1/events/stream").collect()
}

/// Things of `owner`'s that are there, for the operation after which they may be gone.
async fn targets(pair: &mut Pair, people: &People, owner: &Who, number: usize) -> Targets {
    let clerk = &people.clerk;
    let product = pair.send(clerk.post("/v1/products", lamp(&format!("target-{number}"), 9))).await.expect(201);
    let variant = product.text("/variants/0/id");
    let order = order(pair, owner, &product.text("/id"), &variant).await;
    let cart = buying::cart(pair, owner, &variant, 1).await;
    let address = pair.send(owner.post("/v1/users/me/addresses", address())).await.expect(201).text("/id");
    let import = clerk.ask("POST", "/v1/imports").body("text/csv", "Handle\n");
    let import = pair.send(import).await.expect(202).text("/id");
    let ended = |import: &Value| import["status"] == "done" || import["status"] == "failed";
    pair.until(clerk.get(&format!("/v1/imports/{import}")), ended).await;
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    Targets(BTreeMap::from([
        ("{product}", product.text("/id")),
        ("{slug}", product.text("/slug")),
        ("{provider}", "test".to_owned()),
        ("/variants/{id}", variant),
        ("/orders/{id}", last(&order)),
        ("/carts/{id}", last(&cart.path)),
        ("{line}", last(&cart.line)),
        ("/addresses/{id}", address),
        ("/users/{id}", people.user.clone()),
        ("/sessions/{id}", nothing("sess")),
        ("/imports/{id}", import),
        ("/reviews/{id}", nothing("rev")),
        ("/webhook-endpoints/{id}", nothing("whep")),
        ("/webhook-deliveries/{id}", nothing("whdl")),
        ("/notices/{id}", nothing("notice")),
    ]))
}

/// An order that products have heard of: from then on its buyer's reviews say so, whoever asks and whichever process.
async fn order(pair: &mut Pair, owner: &Who, product: &str, variant: &str) -> String {
    let review = owner.post(&format!("/v1/products/{product}/reviews"), json!({ "mark": 3 }));
    let review = format!("/v1/reviews/{}", pair.send(review).await.expect(201).text("/id"));
    let order = buying::cart(pair, owner, variant, 1).await.bought(pair).await;
    pair.until(owner.get(&review), |review| review["verified"] == true).await.expect(200);
    pair.send(owner.delete(&review)).await.expect(204);
    order
}

/// With a body that looks valid.
fn good(who: &Who, operation: &Operation, path: &str) -> Ask {
    let ask = who.ask(operation.method.as_str(), path);
    match (&operation.body, &operation.stream) {
        (Some(schema), _) => ask.json(&sample(schema)),
        (None, Some(media)) => ask.body(media, "Handle\n"),
        (None, None) => ask,
    }
}

fn has_body(operation: &Operation) -> bool {
    operation.body.is_some() || operation.stream.is_some()
}

pub(crate) async fn permissions(pair: &mut Pair, people: &People) {
    let guest = pair.send(people.anyone.post("/v1/carts", json!({ "currency": "EUR" }))).await.expect(201);
    let guest = Who::guest(&guest.text("/token"));
    let owner = super::people::registered(pair, "owner").await.0;
    for (number, operation) in operations().iter().enumerate() {
        if operation.name() == "DELETE /v1/users/me" {
            continue; // nobody would be left to ask
        }
        let path = targets(pair, people, &owner, number).await.path(operation);
        // Who owns it comes last: until then it is there.
        for who in [&people.anyone, &guest, &people.customer, &people.clerk, &people.admin, &owner] {
            pair.send(good(who, operation, &path)).await;
            if has_body(operation) {
                pair.send(who.ask(operation.method.as_str(), &path).body("text/plain", "\0")).await;
            }
        }
    }
}

const MALFORMED: &[&[u8]] =
    &[b"{\"a\":", b"{} {}", b"\xff\xfe", b"NaN", b"\0", b"null", b"[[]]", b"{\"nonsense\": 1}", b""];

pub(crate) async fn nonsense(pair: &mut Pair, people: &People) {
    let targets = targets(pair, people, &people.admin, 1000).await;
    let (admin, clerk) = (&people.admin, &people.clerk);
    for operation in &operations() {
        let (method, path) = (operation.method.as_str(), targets.path(operation));
        let ask = || admin.ask(method, &path);
        pair.send(good(&Who::bearer("nonsense"), operation, &path)).await.problem(401, "invalid_token");
        pair.send(good(&Who::guest("\u{e9}"), operation, &path)).await;
        for body in MALFORMED.iter().filter(|_| operation.body.is_some()) {
            pair.send(ask().body("application/json", *body)).await;
            pair.send(clerk.ask(method, &path).body("application/json", *body).chunked()).await;
        }
        if has_body(operation) {
            for media in ["text/plain", "nonsense", "multipart/form-data; boundary=x"] {
                pair.send(ask().body(media, "{}")).await;
            }
            // Announced, and refused before any of it has come.
            let length = (100_u64 << 20).to_string();
            let media = operation.stream.as_deref().unwrap_or("application/json");
            let large = ask().header("content-type", media).header("content-length", &length);
            pair.send(large).await.problem(413, "body_too_large");
        }
        if operation.conditional {
            pair.send(good(admin, operation, &path).header("if-match", "nonsense")).await;
        }
        if operation.keyed {
            for key in ["", "a b", &"k".repeat(300)] {
                pair.send(good(admin, operation, &path).header("idempotency-key", key)).await;
            }
        }
        if method == "GET" {
            pair.send(admin.ask("HEAD", &path)).await;
            for query in ["?nonsense=1", "?limit=%zz", "?limit=1&limit=2", "?cursor=AAAA", "?", "?%00"] {
                pair.send(admin.get(&format!("{path}{query}"))).await;
            }
        }
        if path != operation.path {
            let gone =
                operation.path.replace("{product}", "none").replace("{slug}", "none").replace("{provider}", "none");
            let kinds = ["var", "order", "cart", "user", "addr", "sess", "imp", "rev", "whep", "whdl", "notice"];
            let nouns = "variants orders carts users addresses sessions imports reviews webhook-endpoints \
                         webhook-deliveries notices";
            let gone = nouns.split(' ').zip(kinds).fold(gone, |path, (noun, kind)| {
                path.replace(&format!("/{noun}/{{id}}"), &format!("/{noun}/{}", nothing(kind)))
            });
            let gone = gone.replace("{line}", &nothing("line"));
            pair.send(good(admin, operation, &gone)).await;
        }
        for other in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "NONSENSE"] {
            let documented = operations().iter().any(|one| one.path == operation.path && one.method == other);
            if !documented {
                pair.send(admin.ask(other, &path)).await;
            }
        }
    }
}
