//! What both shops are asked, in order: every operation's good answer, and every answer that it documents.
pub(crate) mod buying;
pub(crate) mod catalogue;
pub(crate) mod hearing;
pub(crate) mod odd;
pub(crate) mod people;
pub(crate) mod walk;

use crate::pair::{Pair, Who};
use serde_json::{Value, json};

/// A request that everybody may make, more often than three times a minute.
pub(crate) async fn limited(pair: &mut Pair, anyone: &Who) {
    let account = json!({ "email": "few@test.example", "password": "a customer's password", "name": "Few" });
    let session = json!({ "email": account["email"], "password": account["password"] });
    let guess = json!({ "password": "a better password", "current_password": "guessed" });
    pair.send(anyone.post("/v1/users", account.clone())).await.expect(201);
    let me = pair.send(anyone.post("/v1/sessions", session.clone())).await.expect(201).text("/access_token");
    let me = Who::bearer(&me);
    pair.send(me.patch("/v1/users/me", guess.clone())).await.problem(401, "invalid_credentials");
    pair.send(me.patch("/v1/users/me", guess)).await.problem(429, "too_many_requests");
    pair.send(anyone.post("/v1/sessions", session)).await.problem(429, "too_many_requests");
    let refresh = json!({ "refresh_token": "x" });
    pair.send(anyone.post("/v1/sessions/refresh", refresh)).await.problem(429, "too_many_requests");
    pair.send(anyone.post("/v1/users", account)).await.problem(429, "too_many_requests");
    pair.send(anyone.get("/v1/products")).await.expect(200);
}

/// A thing of which others exist with other ids.
pub(crate) fn nothing(kind: &str) -> String {
    format!("{kind}_01h455vb4pex5vsknk084sn02q")
}

/// A product of one variant that anybody may buy.
pub(crate) fn lamp(slug: &str, stock: i64) -> Value {
    json!({
        "title": format!("Lamp {slug}"),
        "slug": slug,
        "status": "active",
        "variants": [{ "sku": format!("sku-{slug}"), "prices": [{ "amount": 1999, "currency": "EUR" }], "stock": stock }],
    })
}
