//! Accounts, sessions, addresses.
use super::nothing;
use crate::pair::{Pair, Who};
use serde_json::json;
use testkit::{ADMIN, address};

/// Who uses the shop, of every kind.
pub(crate) struct People {
    pub anyone: Who,
    pub customer: Who,
    pub clerk: Who,
    pub admin: Who,
    /// The customer's id.
    pub user: String,
}

const PASSWORD: &str = "a customer's password";

/// A new account, and who it is.
pub(crate) async fn registered(pair: &mut Pair, name: &str) -> (Who, String) {
    let email = format!("{name}@test.example");
    let account = json!({ "email": email, "password": PASSWORD, "name": name });
    let id = pair.send(Who::default().post("/v1/users", account)).await.expect(201).text("/id");
    (signed_in(pair, &email, PASSWORD).await, id)
}

async fn signed_in(pair: &mut Pair, email: &str, password: &str) -> Who {
    let session = json!({ "email": email, "password": password });
    let session = pair.send(Who::default().post("/v1/sessions", session)).await.expect(201);
    Who::bearer(&session.text("/access_token"))
}

pub(crate) async fn staff(pair: &mut Pair) -> People {
    let (email, password) = ADMIN;
    let admin = signed_in(pair, email, password).await;
    let (clerk, id) = registered(pair, "clerk").await;
    pair.send(admin.patch(&format!("/v1/users/{id}"), json!({ "roles": ["staff"] }))).await.expect(200);
    // What a token may, it may until it ends.
    pair.send(clerk.get("/v1/imports/x")).await.expect(403);
    let clerk = signed_in(pair, "clerk@test.example", PASSWORD).await;
    let (customer, user) = registered(pair, "customer").await;
    People { anyone: Who::default(), customer, clerk, admin, user }
}

pub(crate) async fn script(pair: &mut Pair, people: &People) {
    accounts(pair, people).await;
    sessions(pair, people).await;
    addresses(pair, people).await;
}

async fn accounts(pair: &mut Pair, People { anyone, customer, admin, user, .. }: &People) {
    pair.send(anyone.get("/.well-known/jwks.json")).await.expect(200);
    let ann = json!({ "email": "ann@test.example", "password": PASSWORD, "name": "Ann" });
    pair.twice(anyone.post("/v1/users", ann.clone()), "register-ann-0001").await.expect(201);
    pair.send(anyone.post("/v1/users", ann.clone())).await.problem(409, "email_taken");
    let other = json!({ "email": "other@test.example", "password": PASSWORD, "name": "Other" });
    let reused = anyone.post("/v1/users", other).header("idempotency-key", "register-ann-0001");
    pair.send(reused).await.problem(422, "idempotency_key_reused");
    let bad = json!({ "email": "nonsense", "password": "x", "name": "" });
    pair.send(anyone.post("/v1/users", bad)).await.problem(422, "invalid");

    let me = "/v1/users/me";
    let shown = pair.send(customer.get(me)).await.expect(200);
    let tag = shown.tag();
    pair.send(customer.get(me).header("if-none-match", &tag)).await.expect(304);
    pair.send(customer.get(me).header("if-none-match", &format!("\"0-0\", W/{tag}"))).await.expect(304);
    pair.send(customer.ask("HEAD", me)).await.expect(200);
    let renamed = customer.patch(me, json!({ "name": "Customer II" }));
    pair.send(renamed.clone().header("if-match", &tag)).await.expect(200);
    pair.send(renamed.header("if-match", &tag)).await.problem(412, "version_mismatch");
    let change =
        |email: &str, password: &str| customer.patch(me, json!({ "email": email, "current_password": password }));
    pair.send(change("ann@test.example", PASSWORD)).await.problem(409, "email_taken");
    pair.send(change("new@test.example", "wrong")).await.problem(401, "invalid_credentials");
    pair.send(change("nonsense", PASSWORD)).await.problem(422, "invalid");
    pair.send(admin.delete(me)).await.problem(409, "last_administrator");
    let leaver = registered(pair, "leaver").await.0;
    pair.send(leaver.delete(me)).await.expect(204);
    pair.send(leaver.get(me)).await;

    let first = pair.send(admin.get("/v1/users?limit=2")).await.expect(200);
    pair.send(admin.get(&format!("/v1/users?limit=2&cursor={}", first.text("/next")))).await.expect(200);
    pair.send(admin.get("/v1/users?email=ann@test.example")).await.expect(200);
    pair.send(admin.get("/v1/users?limit=0")).await.problem(400, "invalid_query");
    let path = format!("/v1/users/{user}");
    let roles = |roles: &[&str]| admin.patch(&path, json!({ "roles": roles }));
    let staff = pair.send(roles(&["staff"])).await.expect(200);
    pair.send(roles(&["customer"]).header("if-match", "\"1-0\"")).await.problem(412, "version_mismatch");
    pair.send(roles(&["customer"]).header("if-match", &staff.tag())).await.expect(200);
    pair.send(roles(&["nonsense"])).await.problem(422, "invalid");
    let own = pair.send(admin.get(me)).await.expect(200).text("/id");
    let fired = admin.patch(&format!("/v1/users/{own}"), json!({ "roles": ["customer"] }));
    pair.send(fired).await.problem(409, "last_administrator");
}

async fn sessions(pair: &mut Pair, People { anyone, customer, .. }: &People) {
    let session =
        |password: &str| anyone.post("/v1/sessions", json!({ "email": "ann@test.example", "password": password }));
    pair.send(session("wrong")).await.problem(401, "invalid_credentials");
    let first = pair.send(session(PASSWORD)).await.expect(201);
    let refresh = |token: &str| anyone.post("/v1/sessions/refresh", json!({ "refresh_token": token }));
    let second = pair.send(refresh(&first.text("/refresh_token"))).await.expect(200);
    pair.send(refresh(&second.text("/refresh_token"))).await.expect(200);
    pair.send(refresh("nonsense")).await.problem(401, "invalid_refresh_token");
    pair.send(session(PASSWORD)).await.expect(201);
    let ann = Who::bearer(&second.text("/access_token"));
    let listed = pair.send(ann.get("/v1/sessions")).await.expect(200).text("/items/0/id");
    pair.send(customer.delete(&format!("/v1/sessions/{listed}"))).await.problem(404, "not_found");
    pair.send(ann.delete(&format!("/v1/sessions/{listed}"))).await.expect(204);
    pair.send(ann.delete("/v1/sessions/current")).await;
    for token in ["nonsense", "a.b.c", ""] {
        pair.send(Who::bearer(token).get("/v1/users/me")).await.expect(401);
        pair.send(Who::bearer(token).get("/v1/products")).await.expect(401);
    }
}

async fn addresses(pair: &mut Pair, People { anyone, customer, admin, .. }: &People) {
    let all = "/v1/users/me/addresses";
    let made = pair.twice(customer.post(all, address()), "address-0001").await.expect(201);
    let one = format!("{all}/{}", made.text("/id"));
    pair.send(customer.post(all, json!({ "name": "", "country": "XX" }))).await.expect(422);
    pair.send(customer.get(all)).await.expect(200);
    let tag = pair.send(customer.get(&one)).await.expect(200).tag();
    pair.send(customer.get(&one).header("if-none-match", &tag)).await.expect(304);
    pair.send(customer.put(&one, address()).header("if-match", &tag)).await.expect(200);
    pair.send(customer.put(&one, address()).header("if-match", &tag)).await.problem(412, "version_mismatch");
    pair.send(customer.put(&one, json!({ "name": 1 }))).await.expect(422);
    for who in [admin, anyone] {
        pair.send(who.get(&one)).await;
        pair.send(who.put(&one, address())).await;
        pair.send(who.delete(&one)).await;
    }
    pair.send(customer.delete(&one)).await.expect(204);
    pair.send(customer.delete(&one)).await.problem(404, "not_found");
    pair.send(customer.get(&format!("{all}/{}", nothing("addr")))).await.problem(404, "not_found");
}
