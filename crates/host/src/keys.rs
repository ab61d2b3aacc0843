//! Believing access tokens by users' published keys: kept here, asked for anew when a token names a key that is not.
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use guard::{Unverified, Verify};
use kernel::{
    Call, Clock, Failure, Principal, Time, Trace, async_trait,
    token::{Keys, Rejected, Verified},
};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use std::{
    num::NonZeroU32,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::Mutex;
use users_api::{PublicKey, Tokens};

/// An unknown key id asks users at once, but made-up ids must not become a load: so many at once, then one a pause.
const PAUSE: Duration = Duration::from_secs(2);
const AT_ONCE: NonZeroU32 = NonZeroU32::new(5).expect("not zero");
const PATIENCE: Duration = Duration::from_secs(2);
/// Keys that are gone are forgotten, and new ones known before the first token that they signed.
const LOOK: Duration = Duration::from_secs(30);
/// Tokens that are remembered as verified.
const REMEMBERED: u64 = 10_000;

/// The keys that this process believes.
pub struct KeyRing {
    tokens: Arc<dyn Tokens>,
    clock: Arc<dyn Clock>,
    keys: RwLock<Arc<Keys>>,
    /// What was verified here, by the SHA-256 of its text: a signature costs more than a call.
    verified: Cache<[u8; 32], Verified>,
    asking: DefaultDirectRateLimiter,
    /// When users was asked last, and what became of it. Held while one asks: the others wait for that answer.
    asked: Mutex<Option<Asked>>,
}

struct Asked {
    at: Instant,
    outcome: Result<(), Failure>,
    published: Vec<PublicKey>,
}

impl KeyRing {
    /// Looks for keys at once and then now and then, as long as it is held.
    pub fn open(tokens: Arc<dyn Tokens>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let quota = Quota::with_period(PAUSE).expect("a pause").allow_burst(AT_ONCE);
        let ring = Arc::new(Self {
            tokens,
            clock,
            keys: RwLock::default(),
            verified: Cache::new(REMEMBERED),
            asking: RateLimiter::direct(quota),
            asked: Mutex::new(None),
        });
        let held = Arc::downgrade(&ring);
        tokio::spawn(async move {
            loop {
                let Some(ring) = held.upgrade() else { return };
                // Who knows no keys yet looks again soon: from then on users may be away.
                let pause = if ring.ask().await.is_ok() { LOOK } else { PAUSE };
                drop(ring);
                tokio::time::sleep(pause).await;
            }
        });
        ring
    }
    fn held(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().expect("never poisoned"))
    }
    /// Not when it was asked too often. Old keys stay good while users is away.
    async fn ask(&self) -> Result<(), Failure> {
        let came = Instant::now();
        let mut asked = self.asked.lock().await;
        if let Some(last) = &*asked
            && (last.at >= came || self.asking.check().is_err())
        {
            return last.outcome;
        }
        let call = Call::begin(Principal::Anonymous, Trace(0), PATIENCE);
        let told = asked.as_ref().is_some_and(|last| last.outcome.is_err());
        let mut published = asked.take().map(|last| last.published).unwrap_or_default();
        let outcome = match self.tokens.keys(&call, ()).await {
            Ok(keys) => {
                let fresh = Keys::new(keys.iter().map(|key| (key.id.as_str(), &key.key)));
                *self.keys.write().expect("never poisoned") = Arc::new(fresh);
                if published.iter().any(|key| !keys.contains(key)) {
                    // Whatever a key that is gone has signed is believed no longer.
                    self.verified.invalidate_all();
                }
                published = keys;
                Ok(())
            }
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "users' keys cannot be had; those at hand stay good");
                }
                match error.split() {
                    Ok(never) => match never {},
                    Err(failure) => Err(failure),
                }
            }
        };
        *asked = Some(Asked { at: Instant::now(), outcome, published });
        outcome
    }
    /// By the keys at hand.
    fn believe(&self, token: &str) -> Result<Verified, Rejected> {
        let name: [u8; 32] = Sha256::digest(token).into();
        if let Some(verified) = self.verified.get(&name) {
            if verified.live(self.now()) {
                return Ok(verified);
            }
            self.verified.invalidate(&name);
            return Err(Rejected::Expired);
        }
        let verified = self.held().verify(token, self.now())?;
        self.verified.insert(name, verified.clone());
        Ok(verified)
    }
    fn now(&self) -> Time {
        self.clock.now()
    }
}

#[async_trait]
impl Verify for KeyRing {
    async fn verify(&self, token: &str) -> Result<Verified, Unverified> {
        match self.believe(token) {
            Err(Rejected::UnknownKey) => {
                self.ask().await.map_err(Unverified::Failure)?;
                self.believe(token).map_err(Unverified::Rejected)
            }
            outcome => outcome.map_err(Unverified::Rejected),
        }
    }
    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}
