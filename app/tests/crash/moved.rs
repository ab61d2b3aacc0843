//! A shop whose data moves to databases of the other kind, and one that is restored from a backup: who buys there cannot
//! tell.
use crate::{replayed, start};
use serde_json::json;
use std::process::Output;
use testkit::{Actor, Backend, Cart, Shop, pay, unique};

const DOMAINS: [&str; 4] = ["users", "products", "orders", "webhooks"];

/// Somebody who bought, and could ask for it again.
pub(crate) struct Bought {
    cart: Cart,
    token: String,
    key: String,
    answer: Vec<u8>,
    number: i64,
}

/// What a shop shows, byte by byte.
pub(crate) async fn shown(shop: &Shop, admin: &str) -> Vec<Vec<u8>> {
    let (admin, anyone) = (shop.anonymous().bearer(admin), shop.anonymous());
    let mut all = Vec::new();
    for path in ["/v1/orders?limit=100&count=true", "/v1/users?limit=100", "/v1/sessions", "/v1/products?limit=100"] {
        all.push(admin.get(path).send().await.expect(200).bytes);
    }
    for path in ["/v1/products?limit=100&sort=title", "/v1/categories", "/.well-known/jwks.json"] {
        all.push(anyone.get(path).send().await.expect(200).bytes);
    }
    all
}

async fn buy(shop: &Shop, variant: &str) -> Bought {
    let cart = shop.guest_cart(&[(variant, 2)]).await;
    let key = unique("moved");
    let placed = cart.checkout("tok_ok").key(&key).send().await.expect(201);
    let (token, number) = (cart.made.text("/token"), placed.text("/number").parse().expect("digits"));
    Bought { cart, token, key, answer: placed.bytes, number }
}

/// Categories one in the other, products in them, somebody with an address, two orders. The last order.
pub(crate) async fn populate(shop: &Shop, admin: &Actor) -> Bought {
    let names = [unique("Rooms"), unique("Attic")];
    let make = |body| async { admin.post("/v1/categories", body).send().await.expect(201).text("/slug") };
    let parent = make(json!({ "name": names[0] })).await;
    make(json!({ "name": names[1], "parent": parent })).await;
    let goods = shop.goods(1250, 50).await;
    let customer = shop.customer().await;
    customer.post("/v1/users/me/addresses", testkit::address()).send().await.expect(201);
    customer.cart(&[(&goods.variant, 1)]).await.ready().await.bought().await;
    buy(shop, &goods.variant).await
}

fn fails(shop: &Shop, args: &[&str]) -> String {
    let Output { status, stderr, .. } = shop.command(args).output().expect("it ends");
    assert!(!status.success(), "{args:?} succeeded");
    String::from_utf8_lossy(&stderr).into_owned()
}

/// Sells on as if nothing had happened.
pub(crate) async fn goes_on(shop: &Shop, last: &Bought) {
    let again = shop.anonymous().cart_token(&last.token);
    let again = again.post(&last.cart.path("/checkout"), pay("tok_ok")).key(&last.key).send().await.expect(201);
    assert!(replayed(&again));
    assert_eq!(again.bytes, last.answer);
    let variant = again.text("/lines/0/variant_id");
    let (on_hand, reserved, _) = shop.stock(&variant).await;
    assert_eq!(buy(shop, &variant).await.number, last.number + 1);
    assert_eq!(shop.stock(&variant).await, (on_hand, reserved + 2, on_hand - reserved - 2));
}

#[tokio::test]
async fn a_shop_sells_on_where_its_data_was_moved_to() {
    let mut shop = start();
    let admin = shop.admin().await;
    let last = populate(&shop, &admin).await;
    let admin = admin.token().expect("signed in").to_owned();
    let before = shown(&shop, &admin).await;
    let moved = match shop.backend {
        Backend::Postgres => None,
        Backend::Sqlite => Some(testkit::database("moved")),
    };
    let to = |domain: &str| moved.clone().unwrap_or_else(|| format!("sqlite:moved-{domain}.db"));

    let refused = fails(&shop, &["copy", "--module", "orders", "--to", &to("orders")]);
    assert!(refused.contains("stop the server first"), "{refused}");
    shop.stop();
    let refused = fails(&shop, &["copy", "--module", "orders", "--to", "postgres://me:secret@127.0.0.1:1/db"]);
    assert!(refused.contains("127.0.0.1") && !refused.contains("secret"), "{refused}");
    for domain in DOMAINS {
        let told = shop.run(&["copy", "--module", domain, "--to", &to(domain)], "");
        assert!(told.contains("outbox") && told.contains(&format!("modules.{domain}.database")), "{told}");
        shop.set(&format!("CLEAVE__MODULES__{}__DATABASE", domain.to_uppercase()), &to(domain));
    }
    shop.resume();
    assert_eq!(shown(&shop, &admin).await, before);
    goes_on(&shop, &last).await;
}

#[tokio::test]
async fn a_backup_of_a_running_shop_is_restored_by_copying() {
    let mut shop = start();
    let admin = shop.admin().await;
    let last = populate(&shop, &admin).await;
    let admin = admin.token().expect("signed in").to_owned();
    let before = shown(&shop, &admin).await;
    let folder = shop.scratch("backup");
    let told = shop.run(&["backup", "--to", &folder.display().to_string()], "");
    assert!(DOMAINS.iter().all(|domain| told.contains(&format!("{domain}.db"))), "{told}");
    // what comes later is not in it
    let later = buy(&shop, &last.cart.show().await.text("/lines/0/variant_id")).await;
    assert_eq!(later.number, last.number + 1);
    shop.stop();
    for domain in DOMAINS {
        let from = format!("sqlite:{}", folder.join(format!("{domain}.db")).display());
        let refused = fails(&shop, &["copy", "--module", domain, "--from", &from]);
        assert!(refused.contains("is not empty"), "{refused}");
        shop.set(
            &format!("CLEAVE__MODULES__{}__DATABASE", domain.to_uppercase()),
            &format!("sqlite:again-{domain}.db"),
        );
        shop.run(&["copy", "--module", domain, "--from", &from], "");
    }
    shop.resume();
    assert_eq!(shown(&shop, &admin).await, before);
    goes_on(&shop, &last).await;
}
