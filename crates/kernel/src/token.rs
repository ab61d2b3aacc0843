//! Signed user tokens (EdDSA JWT). A [`Verified`] exists only because a signature was checked in this process.
use crate::Time;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// The `iss` of every token.
pub const ISSUER: &str = "cleave";
/// No token of ours is longer; a longer one is refused unread.
pub const MAX_LEN: usize = 4096;

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    /// The user.
    pub sub: Uuid,
    /// The session that the token was made for.
    pub sid: Uuid,
    /// Seconds since 1970.
    pub iat: i64,
    pub exp: i64,
    /// What the user may do, expanded from roles when the token was made.
    pub permissions: Vec<String>,
}

/// A user whose token was verified here.
#[derive(Clone, Debug)]
pub struct Verified(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    claims: Claims,
    /// As it came: it travels on and is verified again by whoever receives it. Never stored.
    token: String,
}

impl Verified {
    pub fn subject(&self) -> Uuid {
        self.0.claims.sub
    }
    pub fn session(&self) -> Uuid {
        self.0.claims.sid
    }
    pub fn token(&self) -> &str {
        &self.0.token
    }
    /// Asked at every callee, local ones too: a token may expire between two calls.
    pub fn live(&self, now: Time) -> bool {
        self.0.claims.exp > now.seconds()
    }
    pub fn may(&self, permission: &str, now: Time) -> bool {
        self.live(now) && self.0.claims.permissions.iter().any(|held| held == permission)
    }
}

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Signed by a key that is not known here: the published keys may have changed.
    #[error("signed by an unknown key")]
    UnknownKey,
    #[error("expired")]
    Expired,
    #[error("not a token of this shop")]
    Invalid,
}

/// users' published keys.
#[derive(Clone, Default)]
pub struct Keys(HashMap<String, DecodingKey>);

impl Keys {
    /// Key id and Ed25519 public key.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, &'a [u8; 32])>) -> Self {
        let decoding = |key: &[u8; 32]| DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(key)).ok();
        Self(keys.into_iter().filter_map(|(id, key)| Some((id.to_owned(), decoding(key)?))).collect())
    }
    /// The only way to a [`Verified`].
    pub fn verify(&self, token: &str, now: Time) -> Result<Verified, Rejected> {
        if token.len() > MAX_LEN {
            return Err(Rejected::Invalid);
        }
        let header = decode_header(token).map_err(|_| Rejected::Invalid)?;
        if header.alg != Algorithm::EdDSA {
            return Err(Rejected::Invalid);
        }
        let key = header.kid.and_then(|kid| self.0.get(&kid)).ok_or(Rejected::UnknownKey)?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "iss", "sub"]);
        rules.validate_exp = false; // by our clock, below
        rules.validate_aud = false;
        let claims: Claims = decode(token, key, &rules).map_err(|_| Rejected::Invalid)?.claims;
        let verified = Verified(Arc::new(Inner { claims, token: token.to_owned() }));
        if verified.live(now) { Ok(verified) } else { Err(Rejected::Expired) }
    }
}
