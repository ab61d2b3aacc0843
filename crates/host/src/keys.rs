//! Believing access tokens by users' published keys: kept here, asked for anew when a token names a key that is not.
#[cfg(test)]
mod tests;

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
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::Mutex;
use users_api::{PublicKey, Tokens};

/// An unknown key id asks users at once, but made-up ids must not become a load: so many at once, then one a pause.
const PAUSE: Duration = Duration::from_secs(2);
const AT_ONCE: NonZeroU32 = NonZeroU32::new(5).expect("not zero");
const PATIENCE: Duration = Duration::from_secs(2);
const REMEMBERED: u64 = 10_000;

/// The keys that this process believes.
pub struct KeyRing {
    tokens: Arc<dyn Tokens>,
    clock: Arc<dyn Clock>,
    believed: RwLock<Arc<Believed>>,
    most: u64,
    made_up: DefaultDirectRateLimiter,
    /// How often users was asked.
    begun: AtomicU64,
    /// The last answer. Held while one asks: the others wait for that one.
    answer: Mutex<Answer>,
}

/// Keys and what they have verified. They go together: whatever a key that is gone has signed is forgotten with it,
/// also what is being verified by it right now.
struct Believed {
    published: Vec<PublicKey>,
    keys: Keys,
    /// By the SHA-256 of its text: a signature costs more than a call.
    verified: Cache<[u8; 32], Verified>,
}

/// How a ring behaves; tests have other ones.
struct Habits {
    look: Duration,
    pause: Duration,
    /// Tokens that are remembered as verified.
    most: u64,
}

struct Answer {
    /// Which question it is the answer to, as `begun` counts. Who asks may be gone before the answer comes.
    to: u64,
    outcome: Result<(), Failure>,
}

impl KeyRing {
    /// Keys that are gone are forgotten within this time, and new ones known before the first token that they signed.
    pub const LOOK: Duration = Duration::from_secs(30);

    /// Looks for keys at once and then now and then, as long as it is held.
    pub fn open(tokens: Arc<dyn Tokens>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::with(Habits { look: Self::LOOK, pause: PAUSE, most: REMEMBERED }, tokens, clock)
    }
    fn with(habits: Habits, tokens: Arc<dyn Tokens>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let Habits { look, pause, most } = habits;
        let quota = Quota::with_period(pause).expect("a pause").allow_burst(AT_ONCE);
        let nothing = Believed { published: Vec::new(), keys: Keys::default(), verified: Cache::new(most) };
        let ring = Arc::new(Self {
            tokens,
            clock,
            most,
            believed: RwLock::new(Arc::new(nothing)),
            made_up: RateLimiter::direct(quota),
            begun: AtomicU64::new(0),
            answer: Mutex::new(Answer { to: 0, outcome: Err(Failure::UNAVAILABLE) }),
        });
        let held = Arc::downgrade(&ring);
        tokio::spawn(async move {
            loop {
                let Some(ring) = held.upgrade() else { return };
                // Who cannot have keys looks again soon: from then on users may be away.
                let rest = if ring.look().await.is_ok() { look } else { pause.min(look) };
                drop(ring);
                tokio::time::sleep(rest).await;
            }
        });
        ring
    }
    fn held(&self) -> Arc<Believed> {
        Arc::clone(&self.believed.read().expect("never poisoned"))
    }
    /// Asks, however many made-up ids there are.
    async fn look(&self) -> Result<(), Failure> {
        let mut answer = self.answer.lock().await;
        self.ask(&mut answer).await;
        answer.outcome
    }
    /// Old keys stay good while users is away.
    async fn ask(&self, answer: &mut Answer) {
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        let call = Call::begin(Principal::Anonymous, Trace(0), PATIENCE);
        let told = answer.to > 0 && answer.outcome.is_err();
        let outcome = match self.tokens.keys(&call, ()).await {
            Ok(published) => {
                self.believe_in(published);
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
        *answer = Answer { to: number, outcome };
    }
    /// A key is unknown only after a question that was asked after its token came, or when too many ask.
    async fn learn(&self, token: &str, begun: u64) -> Result<Verified, Unverified> {
        let mut answer = self.answer.lock().await;
        let known = self.believe(token);
        if !matches!(known, Err(Rejected::UnknownKey)) {
            return known.map_err(Unverified::Rejected); // whoever asked meanwhile brought its key
        }
        if answer.to <= begun && self.made_up.check().is_ok() {
            self.ask(&mut answer).await;
        }
        answer.outcome.map_err(Unverified::Failure)?;
        self.believe(token).map_err(Unverified::Rejected)
    }
    /// Only who holds `answer` comes here.
    fn believe_in(&self, published: Vec<PublicKey>) {
        let held = self.held();
        let gone = held.published.iter().any(|key| !published.contains(key));
        let verified = if gone { Cache::new(self.most) } else { held.verified.clone() };
        let keys = Keys::new(published.iter().map(|key| (key.id.as_str(), &key.key)));
        *self.believed.write().expect("never poisoned") = Arc::new(Believed { published, keys, verified });
    }
    /// By the keys at hand.
    fn believe(&self, token: &str) -> Result<Verified, Rejected> {
        let (held, name): (_, [u8; 32]) = (self.held(), Sha256::digest(token).into());
        if let Some(verified) = held.verified.get(&name) {
            if verified.live(self.now()) {
                return Ok(verified);
            }
            held.verified.invalidate(&name);
            return Err(Rejected::Expired);
        }
        let verified = held.keys.verify(token, self.now())?;
        held.verified.insert(name, verified.clone());
        Ok(verified)
    }
    fn now(&self) -> Time {
        self.clock.now()
    }
}

#[async_trait]
impl Verify for KeyRing {
    async fn verify(&self, token: &str) -> Result<Verified, Unverified> {
        let begun = self.begun.load(SeqCst);
        match self.believe(token) {
            Err(Rejected::UnknownKey) => self.learn(token, begun).await,
            outcome => outcome.map_err(Unverified::Rejected),
        }
    }
    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}
