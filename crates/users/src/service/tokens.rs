//! Making access tokens. Believing them is `kernel::token`'s matter, in every process.
use crate::{domain::account::User, store::keys::SigningKey};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kernel::{
    Id, Time,
    token::{Claims, ISSUER},
};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};

use crate::domain::account::SessionId;

enum Key {}
impl kernel::Kind for Key {
    const PREFIX: &'static str = "key";
}

pub(crate) fn sign(key: &SigningKey, user: &User, session: SessionId, now: Time, seconds: u64) -> String {
    let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
    let (iat, lives) = (now.seconds(), i64::try_from(seconds).unwrap_or(i64::MAX));
    let claims = Claims {
        iss: ISSUER.into(),
        sub: *user.id.uuid(),
        sid: *session.uuid(),
        iat,
        exp: iat.saturating_add(lives),
        permissions: user.roles.permissions(),
    };
    let key = EncodingKey::from_ed_der(&key.pkcs8);
    encode(&header, &claims, &key).expect("claims are plain data and the key was made by us")
}

/// A key that signs from a time on.
pub(super) fn make(now: Time, signs_from: Time) -> SigningKey {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the system gives random bytes");
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("made above");
    SigningKey {
        id: Id::<Key>::new().to_string(),
        pkcs8: pkcs8.as_ref().to_vec(),
        public_key: pair.public_key().as_ref().to_vec(),
        created_at: now,
        signs_from,
    }
}
