//! Whoever comes over gRPC and is not welcome: refused, told once by the process that refused, and nothing is done.
use crate::{
    caller::{Authority, Caller, SOON, knock, shout},
    stage::Stage,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode_header, encode};
use orders_remote::pb as orders;
use products_remote::pb as products;
use rcgen::date_time_ymd;
use ring::{rand::SystemRandom, signature::Ed25519KeyPair};
use serde_json::Value;
use std::cell::Cell;
use testkit::{Actor, Domain, Shop, until};
use tonic::{Code, Status};
use users_remote::pb as users;
use wire::prost::Message;

const RESERVE: &str = "/cleave.products.v1.Stock/Reserve";
const SHIP: &str = "/cleave.products.v1.Stock/Ship";
const QUOTE: &str = "/cleave.products.v1.Catalogue/Quote";
const ACCOUNTS: &str = "/cleave.users.v1.Accounts/Accounts";
const KEYS: &str = "/cleave.users.v1.Tokens/Keys";
const LATEST: &str = "/cleave.orders.v1.OrderHistory/Latest";

/// Hears what a process complains of, line by line.
struct Ear<'a> {
    shop: &'a Shop,
    of: Domain,
    heard: Cell<usize>,
}

impl<'a> Ear<'a> {
    fn at(shop: &'a Shop, of: Domain) -> Self {
        Self { shop, of, heard: Cell::new(shop.said(of.name()).len()) }
    }
    /// The next line holds all of these words. Whatever is told twice is the next line, and does not.
    async fn hears(&self, words: &[&str]) {
        let said = || self.shop.said(self.of.name()).get(self.heard.get()).cloned();
        let line = until(&format!("{} tells of {words:?}", self.of.name()), async || said()).await;
        self.heard.set(self.heard.get() + 1);
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
    }
    /// Nothing more: whatever comes next is of somebody who comes next.
    async fn hears_no_more(self) {
        shout(self.shop, self.of).await;
        self.hears(&["connection refused", "address=127.0.0.1"]).await;
        assert_eq!(self.shop.said(self.of.name()).len(), self.heard.get());
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code) {
    assert_eq!(answer.expect_err("it is refused").code(), code);
}

/// A hold that products would grant to orders.
fn reserve(variant: &str) -> Vec<u8> {
    let line = products::ReserveLine { variant: variant.into(), quantity: 1, unit_price: 500 };
    let hold_for = Some(wire::prost_types::Duration { seconds: 60, nanos: 0 });
    let reservation = kernel::Id::<products_api::Reservation>::new().to_string();
    products::ReserveRequest { reservation, currency: "EUR".into(), lines: vec![line], hold_for }.encode_to_vec()
}
fn quote(variant: &str) -> Vec<u8> {
    products::QuoteRequest { variants: vec![variant.into()] }.encode_to_vec()
}
fn accounts(id: &str) -> Vec<u8> {
    users::AccountsRequest { ids: vec![id.into()] }.encode_to_vec()
}
fn latest(user: &str) -> Vec<u8> {
    orders::LatestRequest { users: vec![user.into()], limit: 5 }.encode_to_vec()
}
fn held(shop: &Shop) -> i64 {
    shop.number("products", "SELECT count(*) AS number FROM reservations")
}

/// Whoever has just signed in, and their id.
async fn customer(shop: &Shop) -> (Actor, String, String) {
    let actor = shop.customer().await;
    let id = actor.get("/v1/users/me").send().await.expect(200).text("/id");
    let bearer = format!("Bearer {}", actor.token().unwrap());
    (actor, id, bearer)
}

/// The shop, and something that it sells.
async fn goods(shop: &Shop) -> testkit::Goods {
    // Tokens live for seconds here: everybody signs in anew.
    let admin = shop.anonymous().signed_in("admin@test.example", "an admin's password").await;
    let body = testkit::product(&testkit::unique("Thing"), 1, 500, 10);
    let made = admin.post("/v1/products", body).send().await.expect(201);
    testkit::Goods { product: made.text("/id"), variant: made.text("/variants/0/id") }
}

#[tokio::test]
async fn whoever_is_no_module_of_the_shop_is_not_let_in() {
    let shop = Stage::Attacks.shop().await;
    let (ours, ear) = (Authority::of(&shop), Ear::at(&shop, Domain::Products));
    let past = |params: &mut rcgen::CertificateParams| params.not_after = date_time_ymd(2001, 1, 1);
    let strangers = [
        (None, "CertificateRequired", "no certificates"),
        (Some(Authority::another().leaf("spiffe://shop/orders", |_| {})), "UnknownCA", "UnknownIssuer"),
        (Some(ours.leaf("spiffe://shop/orders", past)), "CertificateExpired", "expired"),
        (Some(ours.leaf("spiffe://elsewhere/orders", |_| {})), "CertificateUnknown", "spiffe://elsewhere/orders"),
        (Some(ours.leaf("https://shop/orders", |_| {})), "CertificateUnknown", "https://shop/orders"),
    ];
    for (leaf, alert, why) in &strangers {
        let told = knock(&shop, Domain::Products, leaf.as_ref()).await;
        assert!(told.contains(alert), "{alert}: {told}");
        ear.hears(&["connection refused", "address=127.0.0.1", why]).await;
    }
    // Nobody of the shop, and a name that nothing is listed for.
    let stranger = Caller::with(&shop, &ours.leaf("spiffe://shop/warehouse", |_| {}), Domain::Products).await;
    refused(stranger.call(QUOTE, quote("x"), &[SOON]).await, Code::PermissionDenied);
    ear.hears(&["call denied", "cleave.products.v1.Catalogue", "peer=\"warehouse\""]).await;
    ear.hears_no_more().await;
}

#[tokio::test]
async fn a_module_calls_no_trait_that_is_not_listed_for_it() {
    let shop = Stage::Attacks.shop().await;
    let goods = goods(&shop).await;
    let before = held(&shop);
    let (_, id, bearer) = customer(&shop).await;
    let with_token = [SOON, ("authorization", bearer.as_str())];
    let attacks = [
        ("users", Domain::Products, RESERVE, reserve(&goods.variant)),
        ("storefront", Domain::Products, RESERVE, reserve(&goods.variant)),
        ("products", Domain::Products, SHIP, reserve(&goods.variant)),
        ("users", Domain::Products, QUOTE, quote(&goods.variant)),
        ("orders", Domain::Users, ACCOUNTS, accounts(&id)),
        ("products", Domain::Users, ACCOUNTS, accounts(&id)),
        ("users", Domain::Orders, LATEST, latest(&id)),
        ("products", Domain::Orders, LATEST, latest(&id)),
    ];
    for (module, callee, path, body) in attacks {
        let ear = Ear::at(&shop, callee);
        let caller = Caller::of(&shop, module, callee).await;
        refused(caller.call(path, body, &with_token).await, Code::PermissionDenied);
        let service = path.trim_start_matches('/').split('/').next().unwrap();
        ear.hears(&["call denied", service, &format!("peer=\"{module}\""), "address=127.0.0.1"]).await;
        ear.hears_no_more().await;
    }
    assert_eq!(held(&shop), before);
    // The same, by whom it is listed for.
    let orders = Caller::of(&shop, "orders", Domain::Products).await;
    orders.call(RESERVE, reserve(&goods.variant), &[SOON]).await.unwrap();
    assert_eq!(held(&shop), before + 1);
}

/// Says what `token` says, signed by nobody whom the shop knows.
fn forged(token: &str, kid: Option<String>) -> String {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let mut claims: Value = serde_json::from_slice(&payload).unwrap();
    claims["permissions"] = serde_json::json!(["users:read", "orders:read"]);
    let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let header = Header { kid, ..Header::new(Algorithm::EdDSA) };
    encode(&header, &claims, &EncodingKey::from_ed_der(pair.as_ref())).unwrap()
}

#[tokio::test]
async fn a_token_that_is_forged_absent_or_expired_opens_nothing() {
    let shop = Stage::Attacks.shop().await;
    for (callee, path) in [(Domain::Users, ACCOUNTS), (Domain::Orders, LATEST)] {
        let ear = Ear::at(&shop, callee);
        let storefront = Caller::of(&shop, "storefront", callee).await;
        let (actor, id, bearer) = customer(&shop).await;
        let body = if path == ACCOUNTS { accounts(&id) } else { latest(&id) };
        let call = async |shown: &str| storefront.call(path, body.clone(), &[SOON, ("authorization", shown)]).await;
        call(&bearer).await.unwrap();

        let genuine = actor.token().unwrap();
        let kid = decode_header(genuine).unwrap().kid;
        let bearer_of = |token: &str| format!("Bearer {token}");
        let denied = ["call denied", "peer=storefront"];
        for (shown, why) in [
            (bearer_of(&forged(genuine, kid)), "not a token of this shop"),
            (bearer_of(&forged(genuine, Some("made-up".into()))), "unknown key"),
            (bearer_of("eyJhbGciOiJub25lIn0.e30."), "not a token of this shop"),
            (bearer_of(&"x".repeat(5000)), "not a token of this shop"),
            ("Basic YTpi".into(), "no token"),
        ] {
            refused(call(&shown).await, Code::PermissionDenied);
            ear.hears(&[denied[0], denied[1], why]).await;
        }
        refused(storefront.call(path, body.clone(), &[SOON]).await, Code::PermissionDenied);
        ear.hears(&denied).await;
        let expired = until("the token expires", async || call(&bearer).await.err()).await;
        assert_eq!(expired.code(), Code::PermissionDenied);
        ear.hears(&[denied[0], denied[1], "expired"]).await;
        ear.hears_no_more().await;
    }
}

#[tokio::test]
async fn a_customer_sees_nobody_else() {
    let shop = Stage::Attacks.shop().await;
    let goods = goods(&shop).await;
    let ears = [Domain::Users, Domain::Orders].map(|domain| Ear::at(&shop, domain));
    let users = Caller::of(&shop, "storefront", Domain::Users).await;
    let orders = Caller::of(&shop, "storefront", Domain::Orders).await;
    let seen = async |id: &str, bearer: &str| {
        let with = [SOON, ("authorization", bearer)];
        let found = users.call(ACCOUNTS, accounts(id), &with).await.unwrap();
        let found = match users::AccountsResponse::decode(found).unwrap().result {
            Some(users::accounts_response::Result::Ok(list)) => list.items.len(),
            other => panic!("{other:?}"),
        };
        let bought = orders.call(LATEST, latest(id), &with).await.unwrap();
        match orders::LatestResponse::decode(bought).unwrap().result {
            Some(orders::latest_response::Result::Ok(list)) => (found, list.items.len()),
            other => panic!("{other:?}"),
        }
    };
    let (one, one_id, bearer) = customer(&shop).await;
    one.cart(&[(&goods.variant, 1)]).await.ready().await.bought().await;
    assert_eq!(seen(&one_id, &bearer).await, (1, 1));
    let (_, other_id, other) = customer(&shop).await;
    assert_eq!(seen(&other_id, &other).await, (1, 0));
    assert_eq!(seen(&one_id, &other).await, (0, 0), "left out, as if there were nobody");
    for ear in ears {
        ear.hears_no_more().await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_told_once() {
    let shop = Stage::Attacks.shop().await;
    let goods = goods(&shop).await;
    let (before, ear) = (held(&shop), Ear::at(&shop, Domain::Products));
    let orders = Caller::of(&shop, "orders", Domain::Products).await;
    let bad_id = products::ShipRequest { reservation: "order_no".into() }.encode_to_vec();
    let large = vec![0; (4 << 20) + 1];
    for (path, body, code) in [
        (RESERVE, vec![0xff; 16], Code::InvalidArgument),
        (SHIP, bad_id, Code::InvalidArgument),
        (RESERVE, large, Code::OutOfRange),
        ("/cleave.products.v1.Stock/Steal", reserve(&goods.variant), Code::Unimplemented),
        ("/cleave.products.v1.Till/Empty", Vec::new(), Code::Unimplemented),
    ] {
        refused(orders.call(path, body, &[SOON]).await, code);
        ear.hears(&["call refused", path, "orders", "127.0.0.1"]).await;
    }
    for metadata in [&[][..], &[("grpc-timeout", "soon")]] {
        refused(orders.call(RESERVE, reserve(&goods.variant), metadata).await, Code::Unavailable);
        ear.hears(&["call refused", "how long it may take", "orders"]).await;
    }
    assert_eq!(held(&shop), before);
    // A day is more than anybody gets: it is answered in the time that there is.
    orders.call(QUOTE, quote(&goods.variant), &[("grpc-timeout", "24H")]).await.unwrap();
    orders.call(RESERVE, reserve(&goods.variant), &[("grpc-timeout", "24H")]).await.unwrap();
    ear.hears_no_more().await;
    assert_eq!(held(&shop), before + 1);
    // Everybody in the shop may ask for the keys, and nobody else.
    for module in ["users", "products", "orders", "webhooks", "storefront"] {
        Caller::of(&shop, module, Domain::Users).await.call(KEYS, Vec::new(), &[SOON]).await.unwrap();
    }
    let stranger = Authority::of(&shop).leaf("spiffe://shop/warehouse", |_| {});
    let (ear, stranger) = (Ear::at(&shop, Domain::Users), Caller::with(&shop, &stranger, Domain::Users).await);
    refused(stranger.call(KEYS, Vec::new(), &[SOON]).await, Code::PermissionDenied);
    ear.hears(&["call denied", "cleave.users.v1.Tokens", "warehouse"]).await;
    ear.hears_no_more().await;
}
