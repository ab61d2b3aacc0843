//! Files change while connections stand.
use crate::{
    authority::{Authority, Folder},
    call, open,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use wire::tls::Flaw;

#[tokio::test]
async fn new_connections_show_what_is_in_the_files_now() {
    let authority = Authority::new("one");
    let folder = Folder::new(&authority, &["products"]);
    let products = open(&folder, &["products"]);
    let orders = open(&Folder::new(&authority, &["orders"]), &["orders"]);
    let mut before = call(&orders, "orders", "products", &products).await.went_well();
    assert!(!products.reload().unwrap(), "nothing has changed");

    let leaf = authority.issue("products");
    folder.put_leaf("products", &leaf);
    assert!(products.reload().unwrap());
    assert!(!products.reload().unwrap(), "in use already");

    let after = call(&orders, "orders", "products", &products).await.went_well();
    assert_eq!(after.shown(), [CertificateDer::from_pem_slice(leaf.chain.as_bytes()).unwrap()]);
    assert_ne!(after.shown(), before.shown());
    before.still_talks().await;
}

#[tokio::test]
async fn a_broken_file_leaves_the_old_ones_in_use() {
    let authority = Authority::new("one");
    let folder = Folder::new(&authority, &["products"]);
    let products = open(&folder, &["products"]);
    let orders = open(&Folder::new(&authority, &["orders"]), &["orders"]);
    let shown = call(&orders, "orders", "products", &products).await.went_well().shown();

    let leaf = authority.issue("products");
    folder.put("products.pem", &leaf.chain[..leaf.chain.len() / 2]);
    let bad = products.reload().unwrap_err();
    assert!(matches!(bad.flaw, Flaw::NotPem(_)), "{bad}");
    assert!(bad.to_string().starts_with(&format!("{}: ", folder.path().join("products.pem").display())), "{bad}");
    assert_eq!(call(&orders, "orders", "products", &products).await.went_well().shown(), shown);

    // The leaf is there already, its key is not.
    folder.put("products.pem", &leaf.chain);
    let bad = products.reload().unwrap_err();
    assert!(matches!(bad.flaw, Flaw::Key(_)), "{bad}");
    assert_eq!(call(&orders, "orders", "products", &products).await.went_well().shown(), shown);

    folder.put("products.key", &leaf.key);
    assert!(products.reload().unwrap());
    assert_ne!(call(&orders, "orders", "products", &products).await.went_well().shown(), shown);
}

#[tokio::test]
async fn a_change_of_authority_loses_no_connection() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (at_orders, at_products) = (Folder::new(&old, &["orders"]), Folder::new(&old, &["products"]));
    let (orders, products) = (open(&at_orders, &["orders"]), open(&at_products, &["products"]));
    let mut open = vec![call(&orders, "orders", "products", &products).await.went_well()];

    // One process at a time: both roots everywhere, then leafs of the new one, then only the new root.
    let both = old.root() + &new.root();
    let steps: [(_, _, &dyn Fn()); 6] = [
        ("both roots at orders", &orders, &|| at_orders.put("authority.pem", &both)),
        ("both roots at products", &products, &|| at_products.put("authority.pem", &both)),
        ("a new leaf for products", &products, &|| at_products.put_leaf("products", &new.issue("products"))),
        ("a new leaf for orders", &orders, &|| at_orders.put_leaf("orders", &new.issue("orders"))),
        ("the new root at products", &products, &|| at_products.put("authority.pem", &new.root())),
        ("the new root at orders", &orders, &|| at_orders.put("authority.pem", &new.root())),
    ];
    for (step, process, change) in steps {
        change();
        assert!(process.reload().unwrap(), "{step}");
        let there = call(&orders, "orders", "products", &products).await;
        let back = call(&products, "products", "orders", &orders).await;
        open.extend([there.went_well(), back.went_well()]);
    }
    for pair in &mut open {
        pair.still_talks().await;
    }
    let left_behind = crate::open(&Folder::new(&old, &["users"]), &["users"]);
    call(&left_behind, "users", "products", &products).await.client_refused("UnknownIssuer", "UnknownCA");
}

#[test]
fn leafs_of_another_authority_are_not_taken() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = Folder::new(&old, &["orders"]);
    let orders = open(&folder, &["orders"]);
    folder.put_leaf("orders", &new.issue("orders"));
    let bad = orders.reload().unwrap_err();
    assert!(matches!(bad.flaw, Flaw::NotBelieved(_)), "{bad}");
}
