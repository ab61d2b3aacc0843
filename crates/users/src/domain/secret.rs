//! Random texts that only their holder knows; the shop keeps their hash.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// 256 random bits as text.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
    pub(crate) fn hash(&self) -> Vec<u8> {
        hash(&self.0)
    }
}

/// The form in which a secret is looked up.
pub(crate) fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}
