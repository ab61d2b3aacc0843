//! Making access tokens. Believing them is `kernel::token`'s matter, in every process.
use crate::{domain::account::User, store, store::keys::SigningKey};
use database::{Database, Result};
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

pub(crate) struct Signer {
    header: Header,
    key: EncodingKey,
}

enum Key {}
impl kernel::Kind for Key {
    const PREFIX: &'static str = "key";
}

impl Signer {
    /// Signs with the newest key; makes one where there is none.
    pub(crate) async fn open(db: &Database, now: Time) -> Result<Self> {
        let made = make(now);
        let key = db
            .write(move |tx| match store::keys::all(tx)?.into_iter().next() {
                Some(newest) => Ok(newest),
                None => store::keys::insert(tx, &made).map(|()| made.clone()),
            })
            .await?;
        let header = Header { kid: Some(key.id), ..Header::new(Algorithm::EdDSA) };
        Ok(Self { header, key: EncodingKey::from_ed_der(&key.pkcs8) })
    }

    pub(crate) fn sign(&self, user: &User, session: SessionId, now: Time, seconds: u64) -> String {
        let (iat, lives) = (now.seconds(), i64::try_from(seconds).unwrap_or(i64::MAX));
        let claims = Claims {
            iss: ISSUER.into(),
            sub: *user.id.uuid(),
            sid: *session.uuid(),
            iat,
            exp: iat.saturating_add(lives),
            permissions: user.roles.permissions(),
        };
        encode(&self.header, &claims, &self.key).expect("claims are plain data and the key was made by us")
    }
}

fn make(now: Time) -> SigningKey {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the system gives random bytes");
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("made above");
    SigningKey {
        id: Id::<Key>::new().to_string(),
        pkcs8: pkcs8.as_ref().to_vec(),
        public_key: pair.public_key().as_ref().to_vec(),
        created_at: now,
    }
}
