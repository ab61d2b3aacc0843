//! The keys that tokens are signed with change while people shop, in processes that learn of it from one another.
use jsonwebtoken::decode_header;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use testkit::{Actor, Answer, Options, Shop, Topology, unique, until};
use tokio::task::JoinSet;

/// One a process that verifies the token: users, products, orders; and the storefront, which asks two of them with it.
const STAFFED: [&str; 4] = ["/v1/users", "/v1/products?status=draft", "/v1/orders", "/v1/storefront/account"];
/// Settings for a shop that rotates in seconds.
const QUICK: [(&str, &str); 2] =
    [("CLEAVE__USERS__ACCESS_TOKEN_SECONDS", "8"), ("CLEAVE__USERS__KEY_LEAD_SECONDS", "1")];

fn split(env: &[(&str, &str)]) -> Shop {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = Options { env, topology: Some(Topology::Split), ..Options::default() };
    Shop::start(env!("CARGO_BIN_EXE_cleave"), options)
}

/// The key that a token was signed with.
fn key_of(token: &str) -> String {
    decode_header(token).unwrap().kid.expect("a token names its key")
}

/// Of what `rotate-key` printed.
fn new_key(printed: &str) -> String {
    printed.split(' ').next().expect("the key's id comes first").to_owned()
}

/// Somebody with all permissions, who refreshes long before the token expires.
struct Clerk {
    anonymous: Actor,
    access: String,
    refresh: String,
    since: Instant,
}

impl Clerk {
    async fn sign_in(shop: &Shop) -> Self {
        let (email, password) = (format!("{}@test.example", unique("clerk")), "a clerk's password");
        let anonymous = shop.anonymous();
        let body = json!({ "email": email, "password": password, "name": "Clerk" });
        let id = anonymous.post("/v1/users", body).send().await.expect(201).text("/id");
        // A token of this very moment: the one that a shop keeps may have expired.
        let admin = shop.anonymous().signed_in("admin@test.example", "an admin's password").await;
        admin.patch(&format!("/v1/users/{id}"), json!({ "roles": ["admin"] })).send().await.expect(200);
        let tokens = anonymous.post("/v1/sessions", json!({ "email": email, "password": password })).send().await;
        Self::of(anonymous, &tokens.expect(201))
    }
    fn of(anonymous: Actor, tokens: &Answer) -> Self {
        let (access, refresh) = (tokens.text("/access_token"), tokens.text("/refresh_token"));
        Self { anonymous, access, refresh, since: Instant::now() }
    }
    async fn refreshed(self) -> Self {
        let tokens = self.anonymous.post("/v1/sessions/refresh", json!({ "refresh_token": self.refresh })).send().await;
        Self::of(self.anonymous, &tokens.expect(200))
    }
    async fn asks(&self, path: &str) -> Answer {
        self.with(&self.access, path).await
    }
    async fn with(&self, token: &str, path: &str) -> Answer {
        self.anonymous.clone().bearer(token).get(path).send().await
    }
    async fn is_believed_everywhere(&self) {
        for path in STAFFED {
            self.asks(path).await.expect(200);
        }
    }
    /// Not for its time, but for its key.
    async fn is_refused_everywhere(&self, token: &str) {
        for path in STAFFED {
            self.with(token, path).await.problem(401, "invalid_token");
        }
    }
}

/// Clerks at work, each asking one path again and again, until told to stop. Any answer but 200 ends the test.
struct Traffic {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    clerks: JoinSet<()>,
}

impl Traffic {
    async fn start(shop: &Shop) -> Self {
        let (stop, answers, mut clerks) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), JoinSet::new());
        for path in STAFFED {
            let (mut clerk, stop, answers) = (Clerk::sign_in(shop).await, Arc::clone(&stop), Arc::clone(&answers));
            clerks.spawn(async move {
                while !stop.load(SeqCst) {
                    if clerk.since.elapsed() > Duration::from_secs(1) {
                        clerk = clerk.refreshed().await;
                    }
                    clerk.asks(path).await.expect(200);
                    answers.fetch_add(1, SeqCst);
                }
            });
        }
        Self { stop, answers, clerks }
    }
    /// Everybody's work so far.
    fn answers(&self) -> u64 {
        self.answers.load(SeqCst)
    }
    async fn end(mut self) {
        self.stop.store(true, SeqCst);
        while let Some(ended) = self.clerks.join_next().await {
            ended.unwrap();
        }
    }
}

/// Refreshes until a token is signed with `key`.
async fn signs(shop: &Shop, mut clerk: Clerk, key: &str) -> Clerk {
    let begun = Instant::now();
    while key_of(&clerk.access) != key {
        // What does not sign yet is published already, so that whoever verifies has heard of it.
        assert!(published(shop).await.contains(&key.to_owned()));
        assert!(begun.elapsed() < Duration::from_secs(20), "waited 20 s in vain for {key} to sign");
        clerk = clerk.refreshed().await;
    }
    clerk
}

async fn published(shop: &Shop) -> Vec<String> {
    let keys = shop.anonymous().get("/.well-known/jwks.json").send().await.expect(200).at("/keys");
    keys.as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_no_request_fails() {
    let shop = split(&QUICK);
    let mut clerk = Clerk::sign_in(&shop).await;
    let first = clerk.access.clone();
    let traffic = Traffic::start(&shop).await;
    for _ in 0..4 {
        let before = traffic.answers();
        let key = new_key(&shop.run(&["users", "rotate-key"], ""));
        clerk = signs(&shop, clerk, &key).await;
        clerk.is_believed_everywhere().await;
        until("everybody works on", async || (traffic.answers() > before + 40).then_some(())).await;
    }
    let old = key_of(&first);
    until("the first key is gone", async || (!published(&shop).await.contains(&old)).then_some(())).await;
    // The next key lets every process look, and forget it.
    let key = new_key(&shop.run(&["users", "rotate-key"], ""));
    clerk = signs(&shop, clerk, &key).await;
    clerk.is_believed_everywhere().await;
    clerk.is_refused_everywhere(&first).await;
    traffic.end().await;
    until("one key is left", async || (published(&shop).await == [key.as_str()]).then_some(())).await;
    clerk.refreshed().await.is_believed_everywhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_key_is_dropped_at_once() {
    let mut shop = split(&[]);
    let clerk = Clerk::sign_in(&shop).await;
    clerk.is_believed_everywhere().await;
    let leaked = clerk.access.clone();
    // One that is published and has not signed yet goes as well.
    shop.run(&["users", "rotate-key"], "");
    assert_eq!(published(&shop).await.len(), 2);
    let printed = shop.run(&["users", "rotate-key", "--now"], "");
    let key = new_key(&printed);
    assert!(printed.contains("everybody refreshes or signs in again"), "{printed}");
    assert_eq!(published(&shop).await, [key.as_str()]);
    let clerk = clerk.refreshed().await;
    assert_eq!(key_of(&clerk.access), key);
    clerk.is_believed_everywhere().await;
    clerk.is_refused_everywhere(&leaked).await;
    // Who knows the key needs users no more.
    shop.stop_module("users");
    for path in ["/v1/products?status=draft", "/v1/orders"] {
        clerk.asks(path).await.expect(200);
        let answer = clerk.with(&leaked, path).await;
        assert_eq!(answer.status, 503, "users has to be asked for a key that is not known: {}", answer.json());
    }
}
