//! What may stand in the files, and what is said about the rest.
use crate::{
    authority::{Authority, Folder},
    open,
};
use kernel::Time;
use rcgen::date_time_ymd;
use std::fs;
use wire::tls::Certificates;

#[test]
fn what_is_wrong_is_told_with_the_file() {
    let authority = Authority::new("one");
    let orders = ["spiffe://shop/orders"];
    let expired = authority.sign(&orders, |params| params.not_after = date_time_ymd(2001, 2, 3));
    let early = authority.sign(&orders, |params| params.not_before = date_time_ymd(2999, 1, 1));
    let cases: [(&str, &str, &dyn Fn(&Folder)); 12] = [
        ("authority.pem", "there is no such file", &|it| fs::remove_file(it.path().join("authority.pem")).unwrap()),
        ("orders.key", "there is no such file", &|it| fs::remove_file(it.path().join("orders.key")).unwrap()),
        ("orders.pem", "holds no certificate", &|it| it.put("orders.pem", "")),
        ("authority.pem", "holds no certificate", &|it| it.put("authority.pem", "none")),
        ("authority.pem", "is not an authority's", &|it| it.put("authority.pem", &authority.issue("orders").chain)),
        ("orders.key", "others may read this private key (mode 660)", &|it| it.mode("orders.key", 0o660)),
        ("orders.key", "chmod 600", &|it| it.mode("orders.key", 0o604)),
        ("orders.key", "this key cannot be used", &|it| it.put("orders.key", &authority.issue("orders").key)),
        ("orders.key", "is not PEM: no items found", &|it| it.put("orders.key", &authority.root())),
        ("orders.pem", "expired at 2001-02-03T00:00:00Z", &|it| it.put_leaf("orders", &expired)),
        ("orders.pem", "valid only from 2999-01-01T00:00:00Z", &|it| it.put_leaf("orders", &early)),
        ("orders.pem", "shows spiffe://shop/users, but must show exactly one URI: spiffe://shop/orders", &|it| {
            it.put_leaf("orders", &authority.issue("users"));
        }),
    ];
    for (file, why, spoil) in cases {
        let folder = Folder::new(&authority, &["orders"]);
        open(&folder, &["orders"]);
        spoil(&folder);
        let bad = Certificates::open(folder.path(), "shop", &["orders"]).unwrap_err();
        assert_eq!(bad.file, folder.path().join(file), "{bad}");
        assert!(bad.to_string().contains(why), "expected {why:?} in {bad}");
    }
}

#[test]
fn a_trust_domain_is_one_word_of_spiffe() {
    let folder = Folder::new(&Authority::new("one"), &["orders"]);
    for name in ["", "Shop", "shop/orders", "shop:1", &"a".repeat(256)] {
        let bad = Certificates::open(folder.path(), name, &["orders"]).unwrap_err();
        assert!(bad.to_string().contains(&format!("`{name}` is not a trust domain")), "{bad}");
    }
}

#[test]
fn the_first_to_expire_is_named() {
    let authority = Authority::new("one");
    let folder = Folder::new(&authority, &["orders", "users"]);
    let users = authority.sign(&["spiffe://shop/users"], |params| params.not_after = date_time_ymd(2999, 1, 1));
    folder.put_leaf("users", &users);
    let at = Time::from_micros(32_472_144_000_000_000);
    assert_eq!(open(&folder, &["orders", "users"]).expires(), ("users.pem".into(), at));
}

/// During a change of authority the old root may stay in the file for too long.
#[test]
fn a_root_that_has_expired_is_left_out() {
    let (old, new) = (Authority::expired("old"), Authority::new("new"));
    let folder = Folder::new(&new, &["orders"]);
    folder.put("authority.pem", &(old.root() + &new.root()));
    open(&folder, &["orders"]);

    folder.put_leaf("orders", &old.issue("orders"));
    let bad = Certificates::open(folder.path(), "shop", &["orders"]).unwrap_err();
    assert!(bad.to_string().contains("UnknownIssuer"), "{bad}");
    folder.put("authority.pem", &old.root());
    let bad = Certificates::open(folder.path(), "shop", &["orders"]).unwrap_err();
    assert!(bad.to_string().contains("authority.pem: expired at 2001-01-01"), "{bad}");
}
