//! Secrets of endpoints, and what is signed with them: Standard Webhooks.
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::Time;
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use std::fmt;

/// What an endpoint's owner verifies with. Shown once.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SigningSecret(Vec<u8>);

const PREFIX: &str = "whsec_";
const LENGTH: usize = 32;

impl SigningSecret {
    pub(crate) fn generate() -> Self {
        let mut bytes = vec![0; LENGTH];
        SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
        Self(bytes)
    }
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
    /// As its owner gets it.
    pub(crate) fn shown(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }
    fn sign(&self, content: &[u8]) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), content);
        format!("v1,{}", STANDARD.encode(tag))
    }
}
impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_***")
    }
}

/// The three headers of a message: its id, when it was sent, and a signature a secret.
pub(crate) fn headers(secrets: &[SigningSecret], id: &str, now: Time, body: &str) -> [(&'static str, String); 3] {
    let seconds = now.seconds().to_string();
    let content = [id, ".", &seconds, ".", body].concat();
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(content.as_bytes())).collect();
    [("webhook-id", id.to_owned()), ("webhook-timestamp", seconds), ("webhook-signature", signatures.join(" "))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SigningSecret {
        SigningSecret(STANDARD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap())
    }

    /// The example that the specification's own libraries test with.
    #[test]
    fn the_published_example_is_signed_as_it_is_there() {
        let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let now = Time::from_micros(1_614_265_330_000_000);
        let [id, time, signature] = headers(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", now, r#"{"test": 2432232314}"#);
        assert_eq!((id.1.as_str(), time.1.as_str()), ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"));
        assert_eq!(signature.1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_long_new_and_never_printed() {
        let (one, other) = (SigningSecret::generate(), SigningSecret::generate());
        assert!(one != other && secret(&one.shown()) == one);
        assert_eq!(one.bytes().len(), 32);
        assert_eq!(format!("{one:?}"), "whsec_***");
    }

    #[test]
    fn each_secret_signs() {
        let secrets = [SigningSecret::generate(), SigningSecret::generate()];
        let signed = |secrets: &[SigningSecret]| headers(secrets, "evt", Time::from_micros(0), "{}")[2].1.clone();
        assert_eq!(signed(&secrets), format!("{} {}", signed(&secrets[..1]), signed(&secrets[1..])));
    }
}
