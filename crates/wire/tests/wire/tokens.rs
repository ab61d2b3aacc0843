//! Which tokens are believed.
use crate::shop::Signer;
use kernel::{
    Clock, SystemClock,
    token::{Keys, Rejected},
};

#[test]
fn only_a_token_of_this_shop_is_believed() {
    let (shop, other) = (Signer::new("k1"), Signer::new("k1"));
    let (token, now) = (shop.token(60, &["shelf:read"]), SystemClock.now());
    assert!(shop.keys().verify(&token, now).unwrap().may("shelf:read", now));
    let rejected = |token: &str| shop.keys().verify(token, now).err();
    assert_eq!(rejected(&shop.token(-1, &[])), Some(Rejected::Expired));
    assert_eq!(rejected(&other.token(60, &[])), Some(Rejected::Invalid));
    assert_eq!(Keys::default().verify(&token, now).err(), Some(Rejected::UnknownKey));
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ"; // {"alg":"none","kid":"k1"}
    let hs256 = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0"; // {"alg":"HS256","kid":"k1"}
    for forged in [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{hs256}.{claims}.{signature}"),
        format!("{head}.{claims}x.{signature}"),
        format!("{head}.{claims}"),
        String::new(),
        "x".repeat(5000),
    ] {
        assert_eq!(rejected(&forged), Some(Rejected::Invalid), "{forged}");
    }
}
