//! An event that nobody can handle: operators read it, try it again, and let it be.
use crate::shop_with;
use serde_json::Value;
use testkit::{Backend, Shop, until};

/// An account is gone, and nobody says whose.
fn poison(shop: &Shop) {
    let columns = "INSERT INTO outbox (id, kind, subject, payload, trace, occurred_at)";
    let values = match shop.backend {
        Backend::Sqlite => "randomblob(16), 'user.deleted', randomblob(16), '{}', '0', unixepoch() * 1000000",
        Backend::Postgres => "gen_random_uuid(), 'user.deleted', gen_random_uuid(), '{}', '0', now()",
    };
    shop.corrupt("users", &format!("{columns} VALUES ({values})"));
}

/// What a domain has given up.
fn given_up(shop: &Shop, module: &str) -> Vec<Value> {
    let listed = shop.command_of(module, &["events", "list", "--json"]).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let all: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    all.into_iter().filter(|event| event["domain"] == module).collect()
}

async fn until_given_up(shop: &Shop, module: &str) -> Value {
    until("it is given up", async || given_up(shop, module).pop()).await
}

fn says(shop: &Shop, module: &str, arguments: &[&str]) -> (bool, String) {
    let ended = shop.command_of(module, arguments).output().unwrap();
    (ended.status.success(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
}

#[tokio::test]
async fn what_cannot_be_handled_is_read_tried_again_and_let_be() {
    let mut shop = shop_with(&[("CLEAVE__EVENTS__PACE__TRIES", "2")]);
    shop.ends_unaudited("its outbox holds an event that is none");
    poison(&shop);
    let dead = until_given_up(&shop, "orders").await;
    assert_eq!((dead["type"].as_str(), dead["tries"].as_i64()), (Some("user.deleted"), Some(2)));
    assert!(dead["error"].as_str().unwrap().contains("user_id"), "{dead}");
    until_given_up(&shop, "products").await;

    let id = dead["id"].as_str().unwrap();
    let (done, shown) = says(&shop, "orders", &["events", "show", id]);
    assert!(done && shown.contains("\"specversion\": \"1.0\"") && shown.contains(id), "{shown}");
    let (audit, found) = says(&shop, "orders", &["audit"]);
    assert!(!audit && found.contains("orders.nothing_was_given_up"), "{found}");
    // What else is told goes on meanwhile.
    let order = shop.guest_cart(&[(&shop.goods(500, 5).await.variant, 1)]).await.bought().await;
    assert_eq!(order.text("/status"), "placed");

    let (done, said) = says(&shop, "orders", &["events", "redrive", id]);
    assert!(done && said.contains("is tried again"), "{said}");
    let again = until_given_up(&shop, "orders").await;
    assert_eq!(again["id"], dead["id"]);
    let (done, said) = says(&shop, "orders", &["events", "discard", id]);
    assert!(done, "{said}");
    assert!(given_up(&shop, "orders").is_empty());
    let (done, said) = says(&shop, "orders", &["events", "show", id]);
    assert!(!done || shop.topology == testkit::Topology::Single, "{said}");
    let (done, said) = says(&shop, "orders", &["events", "show", "order_1"]);
    assert!(!done && said.contains("not an id of the form evt_"), "{said}");
}
