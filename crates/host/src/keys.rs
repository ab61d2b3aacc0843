//! Believing access tokens by users' published keys: kept here, asked for anew when a token names a key that is not.
use guard::{Unverified, Verify};
use kernel::{
    Call, Clock, Failure, Principal, Time, Trace, async_trait,
    token::{Keys, Rejected, Verified},
};
use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::Mutex;
use users_api::Tokens;

/// An unknown key id asks users at once, but no more often than this: made-up ids must not become a load.
const PAUSE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(2);

/// The keys that this process believes.
pub struct KeyRing {
    tokens: Arc<dyn Tokens>,
    clock: Arc<dyn Clock>,
    keys: RwLock<Arc<Keys>>,
    /// When users answered last, and what became of it. Held while one asks: the others wait for that answer.
    asked: Mutex<Option<(Instant, Result<(), Failure>)>>,
}

impl KeyRing {
    pub fn new(tokens: Arc<dyn Tokens>, clock: Arc<dyn Clock>) -> Self {
        Self { tokens, clock, keys: RwLock::default(), asked: Mutex::new(None) }
    }
    fn held(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().expect("never poisoned"))
    }
    /// Not when it was asked a moment ago. Old keys stay good while users is away.
    async fn ask(&self) -> Result<(), Failure> {
        let came = Instant::now();
        let mut asked = self.asked.lock().await;
        if let Some((at, outcome)) = *asked
            && (at >= came || (outcome.is_ok() && at.elapsed() < PAUSE))
        {
            return outcome;
        }
        let call = Call::begin(Principal::Anonymous, Trace(0), PATIENCE);
        let outcome = match self.tokens.keys(&call, ()).await {
            Ok(keys) => {
                let fresh = Keys::new(keys.iter().map(|key| (key.id.as_str(), &key.key)));
                *self.keys.write().expect("never poisoned") = Arc::new(fresh);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "users' keys cannot be had");
                match error.split() {
                    Ok(never) => match never {},
                    Err(failure) => Err(failure),
                }
            }
        };
        *asked = Some((Instant::now(), outcome));
        outcome
    }
    fn now(&self) -> Time {
        self.clock.now()
    }
}

#[async_trait]
impl Verify for KeyRing {
    async fn verify(&self, token: &str) -> Result<Verified, Unverified> {
        match self.held().verify(token, self.now()) {
            Err(Rejected::UnknownKey) => {
                self.ask().await.map_err(Unverified::Failure)?;
                self.held().verify(token, self.now()).map_err(Unverified::Rejected)
            }
            outcome => outcome.map_err(Unverified::Rejected),
        }
    }
    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}
