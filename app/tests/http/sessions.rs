use crate::{shop, shop_with};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde_json::{Value, json};
use testkit::{Actor, Answer, unique, until};

const PASSWORD: &str = "a good password";

/// Signed in, with all that the sign-in answered.
async fn signed_in() -> (Actor, Answer) {
    let (anonymous, email) = (shop().anonymous(), format!("{}@test.example", unique("ann")));
    let body = json!({ "email": email, "password": PASSWORD, "name": "Ann" });
    anonymous.post("/v1/users", body).send().await.expect(201);
    let tokens = anonymous.post("/v1/sessions", json!({ "email": email, "password": PASSWORD })).send().await;
    let tokens = tokens.expect(201);
    (anonymous.bearer(&tokens.text("/access_token")), tokens)
}

async fn refresh(token: &str) -> Answer {
    shop().anonymous().post("/v1/sessions/refresh", json!({ "refresh_token": token })).send().await
}

/// What a token says, unverified.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}

async fn asks_who_it_is(token: &str) -> Answer {
    shop().anonymous().bearer(token).get("/v1/users/me").send().await
}

#[tokio::test]
async fn a_sign_in_answers_tokens() {
    let (me, tokens) = signed_in().await;
    assert_eq!((tokens.text("/token_type"), tokens.number("/expires_in")), ("Bearer".to_owned(), 900));
    assert_eq!(tokens.header("cache-control"), Some("no-store"));
    me.get("/v1/users/me").send().await.expect(200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_look_the_same() {
    let (me, _) = signed_in().await;
    let email = me.get("/v1/users/me").send().await.text("/email");
    let sign_in =
        |email: &str| shop().anonymous().post("/v1/sessions", json!({ "email": email, "password": "guess" })).send();
    let wrong = sign_in(&email).await.problem(401, "invalid_credentials");
    for unknown in ["nobody@test.example", "no address", ""] {
        let answer = sign_in(unknown).await.problem(401, "invalid_credentials");
        assert_eq!(answer.text("/detail"), wrong.text("/detail"));
    }
}

#[tokio::test]
async fn a_refresh_gives_new_tokens() {
    let (_, first) = signed_in().await;
    let second = refresh(&first.text("/refresh_token")).await.expect(200);
    assert_ne!(first.text("/refresh_token"), second.text("/refresh_token"));
    asks_who_it_is(&second.text("/access_token")).await.expect(200);
    refresh(&second.text("/refresh_token")).await.expect(200);
    refresh("nonsense").await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_refresh_token_shown_twice_ends_the_session() {
    let (_, first) = signed_in().await;
    let second = refresh(&first.text("/refresh_token")).await.expect(200);
    refresh(&first.text("/refresh_token")).await.problem(401, "refresh_token_reused");
    // the newest one too: who of the two is the thief cannot be told
    refresh(&second.text("/refresh_token")).await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let (me, tokens) = signed_in().await;
    me.delete("/v1/sessions/current").send().await.expect(204);
    me.delete("/v1/sessions/current").send().await.expect(204);
    refresh(&tokens.text("/refresh_token")).await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let (me, _) = signed_in().await;
    let email = me.get("/v1/users/me").send().await.text("/email");
    let other = shop().anonymous().post("/v1/sessions", json!({ "email": email, "password": PASSWORD })).send().await;
    let listed = me.get("/v1/sessions").send().await.expect(200).at("/items");
    let ids = |current| -> Vec<String> {
        let items = listed.as_array().unwrap().iter().filter(|item| item["current"] == json!(current));
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids(true).len(), ids(false).len()), (1, 1), "{listed}");
    let path = format!("/v1/sessions/{}", ids(false)[0]);
    signed_in().await.0.delete(&path).send().await.problem(404, "not_found");
    me.delete(&path).send().await.expect(204);
    me.delete(&path).send().await.problem(404, "not_found");
    refresh(&other.text("/refresh_token")).await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_token_is_verified_with_the_published_keys() {
    let (_, tokens) = signed_in().await;
    let token = tokens.text("/access_token");
    let keys = shop().anonymous().get("/.well-known/jwks.json").send().await.expect(200);
    let kid = decode_header(&token).unwrap().kid.expect("a token names its key");
    let key = keys.at("/keys").as_array().unwrap().iter().find(|key| key["kid"] == json!(kid)).cloned().unwrap();
    for (member, value) in [("kty", "OKP"), ("crv", "Ed25519"), ("alg", "EdDSA"), ("use", "sig")] {
        assert_eq!(key[member], json!(value), "{member}");
    }
    assert!(key.get("d").is_none(), "the private half stays at home");
    let key = DecodingKey::from_ed_components(key["x"].as_str().unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_issuer(&["cleave"]);
    decode::<Value>(&token, &key, &rules).unwrap();
}

#[tokio::test]
async fn a_token_says_nothing_of_the_person() {
    let (me, tokens) = signed_in().await;
    let account = me.get("/v1/users/me").send().await;
    let said = claims(&tokens.text("/access_token"));
    assert_eq!(said["permissions"], json!([]));
    assert!(!said.to_string().contains(&account.text("/email")), "{said}");
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let shop = shop_with(&[("CLEAVE__USERS__ACCESS_TOKEN_SECONDS", "1")]);
    let me = shop.customer().await;
    let refused = until("the token expires", || async {
        let answer = me.get("/v1/users/me").send().await;
        (answer.status == 401).then_some(answer)
    });
    refused.await.problem(401, "token_expired");
    // on a public route as well: better told than taken for a stranger
    me.get("/v1/products").send().await.problem(401, "token_expired");
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let (_, tokens) = signed_in().await;
    let token = tokens.text("/access_token");
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let mut raised = claims(&token);
    raised["permissions"] = json!(["users:write"]);
    let raised = URL_SAFE_NO_PAD.encode(raised.to_string());
    asks_who_it_is(&format!("{header}.{raised}.{signature}")).await.problem(401, "invalid_token");
    asks_who_it_is(&token[..token.len() - 2]).await.problem(401, "invalid_token");
    asks_who_it_is(&format!("{token}A")).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let (_, tokens) = signed_in().await;
    let token = tokens.text("/access_token");
    let kid = decode_header(&token).unwrap().kid.unwrap();
    let payload = token.split('.').nth(1).unwrap();
    for algorithm in ["none", "None", "HS256"] {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "typ": "JWT", "kid": kid }).to_string());
        asks_who_it_is(&format!("{header}.{payload}.")).await.problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn a_token_of_another_key_is_refused() {
    let (_, tokens) = signed_in().await;
    let token = tokens.text("/access_token");
    let pkcs8 = ring::signature::Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let ours = EncodingKey::from_ed_der(pkcs8.as_ref());
    for kid in [decode_header(&token).unwrap().kid, Some("key_made_up".to_owned()), None] {
        let header = Header { kid, ..Header::new(Algorithm::EdDSA) };
        let forged = encode(&header, &claims(&token), &ours).unwrap();
        asks_who_it_is(&forged).await.problem(401, "invalid_token");
    }
    // signed with what everybody can read
    let keys = shop().anonymous().get("/.well-known/jwks.json").send().await.text("/keys/0/x");
    let header = Header { kid: decode_header(&token).unwrap().kid, ..Header::new(Algorithm::HS256) };
    let forged = encode(&header, &claims(&token), &EncodingKey::from_secret(keys.as_bytes())).unwrap();
    asks_who_it_is(&forged).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    for token in ["x", "a.b.c", "..", &"x".repeat(5000)] {
        asks_who_it_is(token).await.problem(401, "invalid_token");
    }
    for header in ["Basic YTpi", "Bearer", "bearer ", "\u{e9}"] {
        let answer = shop().anonymous().get("/v1/users/me").header("authorization", header).send().await;
        let answer = answer.problem(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}
