//! What a wire promises, over real connections: who is believed, with files that change meanwhile; the contract that a
//! handle in this process and a remote one keep alike; and what only a network can do.
#![expect(clippy::unwrap_used, reason = "what a test sets up either works or the test fails")]
mod allocations;
mod authority;
mod contract;
mod files;
mod meeting;
mod network;
mod reload;
mod shop;
mod strangers;
mod tokens;

use authority::{Authority, Folder};
use meeting::{Meeting, meet};
use std::{alloc::System, sync::Arc};
use wire::tls::Certificates;

counted::global!(System);

fn open(folder: &Folder, modules: &[&str]) -> Arc<Certificates> {
    Certificates::open(folder.path(), "shop", modules).unwrap()
}

/// `peer` of one process calls `callee` of another.
async fn call(callers: &Certificates, peer: &str, callee: &str, callees: &Certificates) -> Meeting {
    meet(callees.server(), callers.client(peer, callee).unwrap(), Certificates::server_name(callee)).await
}

#[tokio::test]
async fn each_side_sees_the_others_module() {
    let authority = Authority::new("one");
    let orders = open(&Folder::new(&authority, &["orders"]), &["orders"]);
    let products = open(&Folder::new(&authority, &["products"]), &["products"]);

    let met = call(&orders, "orders", "products", &products).await.went_well();
    assert_eq!(orders.module_of(&met.shown()), Some("products".into()));
    assert_eq!(products.module_of(&met.calls()), Some("orders".into()));
    assert_eq!(met.server.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(met.client.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert!(orders.client("users", "products").is_none(), "users is not of this process");
}

#[tokio::test]
async fn an_authority_may_sign_through_another() {
    let authority = Authority::new("one");
    let below = authority.below();
    let folder = Folder::new(&authority, &["orders"]);
    let mut leaf = below.issue("orders");
    leaf.chain += &below.root();
    folder.put_leaf("orders", &leaf);
    let orders = open(&folder, &["orders"]);
    let products = open(&Folder::new(&authority, &["products"]), &["products"]);
    call(&orders, "orders", "products", &products).await.went_well();
    call(&products, "products", "orders", &orders).await.went_well();
}

#[tokio::test]
async fn the_server_name_picks_the_certificate() {
    let authority = Authority::new("one");
    let several = open(&Folder::new(&authority, &["users", "products"]), &["users", "products"]);
    let orders = open(&Folder::new(&authority, &["orders", "storefront"]), &["orders", "storefront"]);
    for callee in ["users", "products"] {
        for peer in ["orders", "storefront"] {
            let met = call(&orders, peer, callee, &several).await.went_well();
            assert_eq!(orders.module_of(&met.shown()), Some(callee.into()));
            assert_eq!(several.module_of(&met.calls()), Some(peer.into()));
        }
    }
    // Whoever asks for nobody here gets the first.
    let to_users = orders.client("orders", "users").unwrap();
    meet(several.server(), to_users, Certificates::server_name("nobody")).await.went_well();
}

#[tokio::test]
async fn a_callee_that_is_another_module_is_refused() {
    let authority = Authority::new("one");
    let orders = open(&Folder::new(&authority, &["orders"]), &["orders"]);
    let products = open(&Folder::new(&authority, &["products"]), &["products"]);
    let met = call(&orders, "orders", "users", &products).await;
    met.client_refused("shows spiffe://shop/products, expected spiffe://shop/users", "CertificateUnknown");
}
