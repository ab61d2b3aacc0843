use crate::{
    goods::{self, pages, refused},
    shop, shop_with,
};
use serde_json::{Value, json};
use testkit::{Actor, Answer, unique};

const PASSWORD: &str = "a good password";

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "name": "Ann" })
}

fn address_of(word: &str) -> String {
    format!("{}@Test.example", unique(word))
}

/// Somebody new, and the address they signed in with.
async fn somebody() -> (Actor, String) {
    let email = address_of("ann");
    let anonymous = shop().anonymous();
    anonymous.post("/v1/users", registration(&email)).send().await.expect(201);
    (anonymous.signed_in(&email, PASSWORD).await, email)
}

async fn id_of(actor: &Actor) -> String {
    actor.get("/v1/users/me").send().await.expect(200).text("/id")
}

#[tokio::test]
async fn a_registration_answers_the_account() {
    let email = address_of("ann");
    let made = shop().anonymous().post("/v1/users", registration(&email)).send().await.expect(201);
    assert!(made.text("/id").starts_with("user_"));
    assert_eq!((made.text("/email"), made.text("/name")), (email, "Ann".to_owned()));
    assert_eq!((made.at("/roles"), made.number("/version")), (json!(["customer"]), 1));
    assert!(made.text("/created_at").ends_with('Z'));
    assert_eq!(made.json().as_object().unwrap().len(), 6, "and no more: {}", made.json());
}

#[tokio::test]
async fn an_address_is_taken_in_any_case() {
    let email = address_of("ann");
    let anonymous = shop().anonymous();
    anonymous.post("/v1/users", registration(&email)).send().await.expect(201);
    anonymous.post("/v1/users", registration(&email.to_uppercase())).send().await.problem(409, "email_taken");
}

#[tokio::test]
async fn a_bad_registration_is_told_all_at_once() {
    let body = json!({ "email": "ann", "password": "short", "name": " " });
    let answer = shop().anonymous().post("/v1/users", body).send().await;
    refused(answer, &[("/email", "invalid_format"), ("/password", "invalid_format"), ("/name", "required")]);
}

#[tokio::test]
async fn a_registration_is_repeated_with_its_key() {
    let (email, key) = (address_of("ann"), unique("registration"));
    let anonymous = shop().anonymous();
    let first = anonymous.post("/v1/users", registration(&email)).key(&key).send().await.expect(201);
    let again = anonymous.post("/v1/users", registration(&email)).key(&key).send().await.expect(201);
    assert_eq!((first.bytes, again.header("idempotent-replayed")), (again.bytes.clone(), Some("true")));
    let other = registration(&address_of("ann"));
    anonymous.post("/v1/users", other).key(&key).send().await.problem(422, "idempotency_key_reused");
    anonymous.post("/v1/users", registration(&email)).key("short").send().await.problem(400, "invalid_header");
}

#[tokio::test]
async fn nobody_is_anonymous_to_themselves() {
    shop().anonymous().get("/v1/users/me").send().await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn an_account_is_not_sent_twice() {
    let (me, email) = somebody().await;
    let shown = me.get("/v1/users/me").send().await.expect(200);
    assert_eq!(shown.text("/email"), email);
    let tag = shown.header("etag").unwrap().to_owned();
    let again = me.get("/v1/users/me").header("if-none-match", &tag).send().await.expect(304);
    assert!(again.bytes.is_empty());
    assert_eq!(again.header("etag"), Some(tag.as_str()));
    me.get("/v1/users/me").header("if-none-match", "\"1-0000000000000000\"").send().await.expect(200);
}

#[tokio::test]
async fn a_stale_change_is_refused() {
    let (me, _) = somebody().await;
    let tag = me.get("/v1/users/me").send().await.header("etag").unwrap().to_owned();
    let name = |name: &str| me.patch("/v1/users/me", json!({ "name": name })).header("if-match", &tag);
    let changed = name("Bea").send().await.expect(200);
    assert_eq!((changed.text("/name"), changed.number("/version")), ("Bea".to_owned(), 2));
    name("Cat").send().await.problem(412, "version_mismatch");
    assert_eq!(me.get("/v1/users/me").send().await.text("/name"), "Bea");
    let bad = me.patch("/v1/users/me", json!({ "name": "D" })).header("if-match", "2");
    bad.send().await.problem(400, "invalid_header");
}

#[tokio::test]
async fn a_new_password_asks_for_the_old_one() {
    let (me, email) = somebody().await;
    let change = |body: Value| me.patch("/v1/users/me", body).send();
    refused(change(json!({ "password": "another password" })).await, &[("/current_password", "required")]);
    let wrong = json!({ "password": "another password", "current_password": "guess" });
    change(wrong).await.problem(401, "invalid_credentials");
    change(json!({ "password": "another password", "current_password": PASSWORD })).await.expect(200);
    let sign_in = |password: &str| {
        shop().anonymous().post("/v1/sessions", json!({ "email": email, "password": password })).send()
    };
    sign_in(PASSWORD).await.problem(401, "invalid_credentials");
    sign_in("another password").await.expect(201);
}

#[tokio::test]
async fn a_new_password_ends_other_sessions_and_keeps_this_one() {
    let (me, email) = somebody().await;
    let credentials = json!({ "email": email, "password": PASSWORD });
    let other = shop().anonymous().post("/v1/sessions", credentials).send().await.text("/refresh_token");
    let body = json!({ "password": "another password", "current_password": PASSWORD });
    me.patch("/v1/users/me", body).send().await.expect(200);
    let refresh = shop().anonymous().post("/v1/sessions/refresh", json!({ "refresh_token": other })).send().await;
    refresh.problem(401, "invalid_refresh_token");
    assert_eq!(me.get("/v1/sessions").send().await.at("/items").as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_moves_when_it_is_free() {
    let ((me, _), (_, taken)) = (somebody().await, somebody().await);
    let moved = |email: &str| me.patch("/v1/users/me", json!({ "email": email, "current_password": PASSWORD })).send();
    moved(&taken.to_lowercase()).await.problem(409, "email_taken");
    let free = address_of("bea");
    assert_eq!(moved(&free).await.expect(200).text("/email"), free);
    let again = shop().anonymous().signed_in(&free, PASSWORD).await;
    assert_eq!(again.get("/v1/users/me").send().await.text("/email"), free);
}

#[tokio::test]
async fn a_deleted_account_is_gone() {
    let (me, email) = somebody().await;
    me.delete("/v1/users/me").send().await.expect(204);
    let credentials = json!({ "email": email, "password": PASSWORD });
    shop().anonymous().post("/v1/sessions", credentials).send().await.problem(401, "invalid_credentials");
    me.get("/v1/users/me").send().await.problem(404, "not_found");
    shop().anonymous().post("/v1/users", registration(&email)).send().await.expect(201);
}

#[tokio::test]
async fn an_address_book_is_kept() {
    let (me, _) = somebody().await;
    let added = me.post("/v1/users/me/addresses", goods::address()).send().await.expect(201);
    let path = format!("/v1/users/me/addresses/{}", added.text("/id"));
    assert_eq!(added.header("location"), Some(path.as_str()));
    let shown = me.get(&path).send().await.expect(200);
    assert_eq!(shown.json(), added.json());
    let tag = shown.header("etag").unwrap().to_owned();
    me.get(&path).header("if-none-match", &tag).send().await.expect(304);

    let mut other = goods::address();
    other["city"] = json!("Köln");
    let replaced = me.put(&path, other.clone()).header("if-match", &tag).send().await.expect(200);
    assert_eq!((replaced.text("/city"), replaced.number("/version")), ("Köln".to_owned(), 2));
    me.put(&path, other).header("if-match", &tag).send().await.problem(412, "version_mismatch");
    let listed = me.get("/v1/users/me/addresses").send().await.expect(200);
    assert_eq!(listed.at("/items"), json!([replaced.json()]));

    me.delete(&path).send().await.expect(204);
    me.delete(&path).send().await.problem(404, "not_found");
    assert_eq!(me.get("/v1/users/me/addresses").send().await.at("/items"), json!([]));
}

#[tokio::test]
async fn a_bad_address_is_told_where() {
    let (me, _) = somebody().await;
    let body = json!({ "name": "", "line1": "x", "city": "y", "country": "Germany", "phone": "1".repeat(41) });
    let answer = me.post("/v1/users/me/addresses", body).send().await;
    refused(answer, &[("/phone", "too_long"), ("/name", "required"), ("/country", "invalid_format")]);
}

#[tokio::test]
async fn anothers_address_is_not_found() {
    let ((me, _), (other, _)) = (somebody().await, somebody().await);
    let theirs = other.post("/v1/users/me/addresses", goods::address()).send().await.text("/id");
    let path = format!("/v1/users/me/addresses/{theirs}");
    me.get(&path).send().await.problem(404, "not_found");
    me.put(&path, goods::address()).send().await.problem(404, "not_found");
    me.delete(&path).send().await.problem(404, "not_found");
    other.get(&path).send().await.expect(200);
}

#[tokio::test]
async fn an_administrator_gives_roles() {
    let (somebody, _) = somebody().await;
    let path = format!("/v1/users/{}", id_of(&somebody).await);
    let admin = shop().admin().await;
    let changed = admin.patch(&path, json!({ "roles": ["staff"] })).header("if-match", "\"1\"").send().await;
    assert_eq!(changed.expect(200).at("/roles"), json!(["customer", "staff"]));
    let stale = admin.patch(&path, json!({ "roles": [] })).header("if-match", "\"1\"").send().await;
    stale.problem(412, "version_mismatch");
    refused(admin.patch(&path, json!({ "roles": ["staff", "root"] })).send().await, &[("/roles/1", "invalid_format")]);
    shop().staff().await.patch(&path, json!({ "roles": ["admin"] })).send().await.problem(403, "forbidden");
    somebody.patch(&path, json!({ "roles": ["admin"] })).send().await.problem(403, "forbidden");
}

#[tokio::test]
async fn new_roles_count_from_the_next_token_on() {
    let (me, email) = somebody().await;
    let path = format!("/v1/users/{}", id_of(&me).await);
    shop().admin().await.patch(&path, json!({ "roles": ["admin"] })).send().await.expect(200);
    me.get("/v1/users").send().await.problem(403, "forbidden");
    shop().anonymous().signed_in(&email, PASSWORD).await.get("/v1/users").send().await.expect(200);
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let shop = shop_with(&[]);
    let admin = shop.admin().await;
    let path = format!("/v1/users/{}", id_of(&admin).await);
    let resign = || admin.patch(&path, json!({ "roles": ["staff"] })).send();
    resign().await.problem(409, "last_administrator");
    admin.delete("/v1/users/me").send().await.problem(409, "last_administrator");
    let heir = id_of(&shop.customer().await).await;
    admin.patch(&format!("/v1/users/{heir}"), json!({ "roles": ["admin"] })).send().await.expect(200);
    resign().await.expect(200);
}

#[tokio::test]
async fn users_are_listed_page_by_page() {
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(id_of(&somebody().await.0).await);
    }
    let all = pages(&shop().admin().await, "/v1/users", 2, "/id").await;
    let mut unique = all.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), all.len(), "nobody is there twice");
    let mine: Vec<_> = all.into_iter().filter(|id| made.contains(id)).collect();
    made.reverse();
    assert_eq!(mine, made, "newest first");
}

#[tokio::test]
async fn a_user_is_found_by_address() {
    let (me, email) = somebody().await;
    let admin = shop().admin().await;
    let find = |email: String| admin.get(&format!("/v1/users?email={email}")).send();
    let found: Answer = find(email.to_uppercase()).await.expect(200);
    assert_eq!(found.at("/items").as_array().unwrap().len(), 1);
    assert_eq!(found.text("/items/0/id"), id_of(&me).await);
    assert_eq!(find(address_of("nobody")).await.expect(200).at("/items"), json!([]));
    find("nonsense".into()).await.problem(400, "invalid_query");
    let page = admin.get("/v1/users?limit=1").send().await.text("/next");
    let other = admin.get(&format!("/v1/users?limit=1&email={email}&cursor={page}")).send().await;
    other.problem(400, "invalid_cursor");
}
