//! Guessing costs more than it gives. A shop of its own, where three tries a minute are enough.
use serde_json::{Value, json};
use testkit::Shop;

fn shop(more: &[(&str, &str)]) -> Shop {
    let env: Vec<_> = [("CLEAVE__HTTP__TRIES_PER_MINUTE", "3")].iter().chain(more).copied().collect();
    crate::shop_with(&env)
}

#[tokio::test]
async fn too_many_tries_of_credentials_are_refused_with_a_time_to_wait() {
    let shop = shop(&[]);
    let tried = |path: &'static str, body: Value| {
        let actor = shop.anonymous();
        async move { actor.post(path, body).send().await }
    };
    let wrong = json!({ "email": "nobody@test.example", "password": "wrong" });
    for left in ["2", "1", "0"] {
        let answer = tried("/v1/sessions", wrong.clone()).await.problem(401, "invalid_credentials");
        let limit = answer.header("ratelimit").unwrap().to_owned();
        assert!(limit.contains(&format!("r={left}")), "{limit}");
        assert_eq!(answer.header("ratelimit-policy"), Some("\"tries\";q=3;w=60"));
    }
    let refused = tried("/v1/sessions", wrong).await.problem(429, "too_many_requests");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    tried("/v1/sessions/refresh", json!({ "refresh_token": "x" })).await.problem(429, "too_many_requests");
    let account = json!({ "email": "a@test.example", "password": "long enough", "name": "A" });
    tried("/v1/users", account).await.problem(429, "too_many_requests");
    // What tries no credentials is not limited.
    shop.anonymous().get("/v1/products").send().await.expect(200);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_tries() {
    let shop = shop(&[("CLEAVE__HTTP__TRUSTED_PROXIES", "127.0.0.1")]);
    let wrong = json!({ "email": "nobody@test.example", "password": "wrong" });
    let tried = |client: &'static str| {
        let request = shop.anonymous().post("/v1/sessions", wrong.clone()).header("x-forwarded-for", client);
        async move { request.send().await.status }
    };
    for _ in 0..3 {
        assert_eq!(tried("10.9.9.9, 192.0.2.1").await, 401);
    }
    assert_eq!(tried("10.9.9.8, 192.0.2.1").await, 429, "what a client says of itself does not count");
    assert_eq!(tried("192.0.2.2").await, 401);
}
