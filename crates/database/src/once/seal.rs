//! What an `Idempotency-Key` hides: nobody who reads the table, or a backup of it, reads the answer or tests guesses.
//!
//! The record's name is SHA-256 of scope and key. From the key, by HKDF-SHA256 with the record's name as context, come
//! a key for the HMAC of the request (a plain hash of a guessable body would tell it) and one for ChaCha20-Poly1305. The
//! nonce is random and stored; the record's name is authenticated too, so an answer cannot be moved to another record.
use crate::error::{Error, Result};
use diesel::result::Error as Diesel;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use sha2::{Digest as _, Sha256};

pub(super) struct Seal {
    record: [u8; 32],
    request: [u8; 32],
    key: LessSafeKey,
}

impl Seal {
    pub(super) fn new(key: &str, scope: &str, request: &[u8]) -> Self {
        let mut name = Sha256::new();
        for part in [scope, key] {
            name.update((part.len() as u64).to_be_bytes()); // or "a"+"bc" were "ab"+"c"
            name.update(part);
        }
        let record: [u8; 32] = name.finalize().into();
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"cleave idempotency").extract(key.as_bytes());
        let derived = |purpose: &[u8]| {
            let mut bytes = [0; 32];
            let context = [purpose, &record];
            let derived = secret.expand(&context, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut bytes));
            derived.expect("32 bytes are less than HKDF gives");
            bytes
        };
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &derived(b"request")), request);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &derived(b"answer")).expect("its keys have 32 bytes");
        Self { record, request: tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes"), key: LessSafeKey::new(key) }
    }
    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }
    pub(super) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Nonce and ciphertext.
    pub(super) fn close(&self, mut answer: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the system has randomness");
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(self.record), &mut answer)
            .expect("an answer is shorter than 256 GiB");
        (nonce.to_vec(), answer)
    }

    pub(super) fn open(&self, nonce: &[u8], mut sealed: Vec<u8>) -> Result<Vec<u8>> {
        let damaged = || Error::Query(Diesel::DeserializationError("a damaged idempotency record".into()));
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let opened = self.key.open_in_place(nonce, Aad::from(self.record), &mut sealed).map_err(|_| damaged())?;
        Ok(opened.to_vec())
    }
}
