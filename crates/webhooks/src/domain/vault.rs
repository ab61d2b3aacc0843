//! How secrets lie in the database: under a key of the settings where there is one, else as they are.
use super::secret::SigningSecret;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::Secret;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use webhooks_api::WebhookEndpointId;

/// The first byte of what is kept.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// The first key seals; any of them opens.
pub(crate) struct Vault(Vec<LessSafeKey>);

/// None of the keys opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("none of webhooks.secret_keys opens the secret of {0}")]
pub(crate) struct Shut(WebhookEndpointId);

impl Vault {
    /// `None` when a key is not 32 bytes in base64.
    pub(crate) fn new(keys: &[Secret]) -> Option<Self> {
        let key = |key: &Secret| {
            let bytes = STANDARD.decode(key.expose()).ok()?;
            Some(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok()?))
        };
        keys.iter().map(key).collect::<Option<_>>().map(Self)
    }

    /// What is kept of a secret; it opens for this endpoint only.
    pub(crate) fn close(&self, endpoint: WebhookEndpointId, secret: &SigningSecret) -> Vec<u8> {
        let Some(key) = self.0.first() else { return [&[PLAIN], secret.bytes()].concat() };
        let (mut nonce, mut sealed) = ([0; NONCE_LEN], secret.bytes().to_vec());
        SystemRandom::new().fill(&mut nonce).expect("the system has randomness");
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(endpoint.uuid()), &mut sealed)
            .expect("a secret is short");
        [&[SEALED], &nonce[..], &sealed].concat()
    }

    pub(crate) fn open(&self, endpoint: WebhookEndpointId, kept: &[u8]) -> Result<SigningSecret, Shut> {
        let opened = match kept.split_first() {
            Some((&PLAIN, plain)) => Some(plain.to_vec()),
            Some((&SEALED, sealed)) => sealed.split_at_checked(NONCE_LEN).and_then(|(nonce, sealed)| {
                let nonce: [u8; NONCE_LEN] = nonce.try_into().ok()?;
                self.0.iter().find_map(|key| {
                    let (nonce, mut sealed) = (Nonce::assume_unique_for_key(nonce), sealed.to_vec());
                    key.open_in_place(nonce, Aad::from(endpoint.uuid()), &mut sealed).ok().map(|plain| plain.to_vec())
                })
            }),
            _ => None,
        };
        opened.map(SigningSecret::from_bytes).ok_or(Shut(endpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(keys: &[u8]) -> Vault {
        let keys: Vec<Secret> = keys.iter().map(|byte| STANDARD.encode([*byte; 32]).as_str().into()).collect();
        Vault::new(&keys).unwrap()
    }

    #[test]
    fn the_first_key_seals_and_each_opens() {
        let (endpoint, secret) = (WebhookEndpointId::new(), SigningSecret::generate());
        let plain = vault(&[]).close(endpoint, &secret);
        let sealed = vault(&[1]).close(endpoint, &secret);
        assert!(plain.ends_with(secret.bytes()) && !sealed.windows(8).any(|part| secret.bytes().starts_with(part)));
        for (keys, kept) in [(&[][..], &plain), (&[1], &plain), (&[1], &sealed), (&[2, 1], &sealed)] {
            assert_eq!(vault(keys).open(endpoint, kept), Ok(secret.clone()), "{keys:?}");
        }
        assert_eq!(vault(&[2]).open(endpoint, &sealed), Err(Shut(endpoint)));
        assert_eq!(vault(&[]).open(endpoint, &sealed), Err(Shut(endpoint)));
        let other = WebhookEndpointId::new();
        assert_eq!(vault(&[1]).open(other, &sealed), Err(Shut(other)), "another endpoint's");
        assert_eq!(vault(&[1]).open(endpoint, &[]), Err(Shut(endpoint)));
    }

    #[test]
    fn a_key_has_32_bytes() {
        for key in ["", "short", "AAAA"] {
            assert!(Vault::new(&[key.into()]).is_none(), "{key}");
        }
    }
}
