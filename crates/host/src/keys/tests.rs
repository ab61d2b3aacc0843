//! A users that counts how often it is asked and answers when a test says so. Nothing looks by itself but where that is
//! what the test is about.
use super::*;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use kernel::{
    CallError,
    token::{Claims, ISSUER},
};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use std::{
    convert::Infallible,
    sync::{Mutex as Lock, atomic::AtomicI64},
};
use tokio::sync::Semaphore;

const NEVER: Duration = Duration::from_secs(24 * 3600);
const SOON: Duration = Duration::from_millis(5);

/// Signs tokens; its public half is published or not.
struct Key {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl Key {
    fn new(id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let key = pair.public_key().as_ref().try_into().unwrap();
        Self { pair, public: PublicKey { id: id.into(), key } }
    }
    /// Good until so many seconds of the test's clock have passed.
    fn token(&self, until: i64) -> String {
        let (sub, sid) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
        let claims = Claims { iss: ISSUER.into(), sub, sid, iat: 0, exp: until, permissions: Vec::new() };
        let header = serde_json::json!({ "alg": "EdDSA", "kid": self.public.id }).to_string();
        let claims = serde_json::to_string(&claims).unwrap();
        let said = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(said.as_bytes()));
        format!("{said}.{signature}")
    }
}

/// Publishes keys, when it answers.
struct Users {
    published: Lock<Vec<PublicKey>>,
    away: Lock<bool>,
    asked: AtomicU64,
    /// A permit an answer.
    answers: Semaphore,
}

#[async_trait]
impl Tokens for Users {
    async fn keys(&self, _: &Call, (): ()) -> Result<Vec<PublicKey>, CallError<Infallible>> {
        self.asked.fetch_add(1, SeqCst);
        let published = self.published.lock().unwrap().clone();
        self.answers.acquire().await.unwrap().forget();
        if *self.away.lock().unwrap() { Err(Failure::UNAVAILABLE.into()) } else { Ok(published) }
    }
}

#[derive(Default)]
struct Seconds(AtomicI64);
impl Clock for Seconds {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(SeqCst) * 1_000_000)
    }
}

struct Process {
    users: Arc<Users>,
    clock: Arc<Seconds>,
    ring: Arc<KeyRing>,
}

impl Process {
    fn start(keys: &[&Key]) -> Self {
        Self::with(Habits { look: NEVER, pause: NEVER, most: REMEMBERED }, keys)
    }
    fn with(habits: Habits, keys: &[&Key]) -> Self {
        let users = Arc::new(Users {
            published: Lock::default(),
            away: Lock::new(false),
            asked: AtomicU64::new(0),
            answers: Semaphore::new(1_000_000),
        });
        let clock = Arc::new(Seconds::default());
        let ring = KeyRing::with(habits, users.clone(), clock.clone());
        let process = Self { users, clock, ring };
        process.publish(keys);
        process
    }
    fn publish(&self, keys: &[&Key]) {
        *self.users.published.lock().unwrap() = keys.iter().map(|key| key.public.clone()).collect();
    }
    fn asked(&self) -> u64 {
        self.users.asked.load(SeqCst)
    }
    async fn verify(&self, token: &str) -> Result<(), Rejected> {
        match self.ring.verify(token).await {
            Ok(_) => Ok(()),
            Err(Unverified::Rejected(why)) => Err(why),
            Err(Unverified::Failure(failure)) => panic!("{failure}"),
        }
    }
    async fn fails(&self, token: &str) -> bool {
        matches!(self.ring.verify(token).await, Err(Unverified::Failure(_)))
    }
    async fn look(&self) {
        let _ = self.ring.look().await; // what became of it shows in what is believed
    }
    /// Until so often was asked.
    async fn until_asked(&self, times: u64) {
        let waits = async {
            while self.asked() < times {
                tokio::time::sleep(SOON).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_by_all_who_wait() {
    let key = Key::new("k1");
    let (process, token) = (Process::start(&[&key]), key.token(60));
    assert!(join_all((0..100).map(|_| process.verify(&token))).await.iter().all(Result::is_ok));
    assert_eq!(process.asked(), 1);
    process.verify(&key.token(60)).await.unwrap();
    assert_eq!(process.asked(), 1, "its key is known");
}

#[tokio::test]
async fn a_key_published_while_one_asks_is_asked_for_again() {
    let (old, new) = (Key::new("k1"), Key::new("k2"));
    let process = Process::start(&[&old]);
    process.users.answers.forget_permits(usize::MAX);
    let (first, second) = (old.token(60), new.token(60));
    let late = async {
        process.publish(&[&old, &new]); // users has answered the first by what was published before
        process.users.answers.add_permits(2);
        process.verify(&second).await
    };
    assert_eq!(tokio::join!(process.verify(&first), late), (Ok(()), Ok(())));
    assert_eq!(process.asked(), 2);
}

#[tokio::test]
async fn who_asks_and_goes_away_leaves_the_question_to_the_next() {
    let key = Key::new("k1");
    let (process, token) = (Process::start(&[&key]), key.token(60));
    process.users.answers.forget_permits(usize::MAX);
    let mut gone = Box::pin(process.verify(&token));
    assert!(futures_util::poll!(&mut gone).is_pending());
    let mut waits = Box::pin(process.verify(&token));
    assert!(futures_util::poll!(&mut waits).is_pending());
    drop(gone);
    process.users.answers.add_permits(1);
    waits.await.unwrap();
}

#[tokio::test]
async fn made_up_ids_are_limited_and_a_new_key_becomes_known_all_the_same() {
    let (old, new) = (Key::new("k1"), Key::new("k2"));
    let process = Process::start(&[&old]);
    let attack = async |many: usize| {
        for number in 0..many {
            let made_up = Key::new(&format!("made-up-{number}")).token(60);
            assert_eq!(process.verify(&made_up).await, Err(Rejected::UnknownKey));
        }
    };
    attack(100).await;
    let burst = u64::from(AT_ONCE.get());
    assert_eq!(process.asked(), burst);
    process.publish(&[&old, &new]);
    assert_eq!(process.verify(&new.token(60)).await, Err(Rejected::UnknownKey), "too many ask");
    process.look().await;
    assert_eq!(process.asked(), burst + 1);
    process.verify(&new.token(60)).await.unwrap();
    process.verify(&old.token(60)).await.unwrap();
    assert_eq!(process.asked(), burst + 1);
}

#[tokio::test]
async fn who_asked_too_much_may_ask_again_later() {
    let process = Process::with(Habits { look: NEVER, pause: SOON, most: REMEMBERED }, &[]);
    let attack = async {
        loop {
            assert_eq!(process.verify(&Key::new("made-up").token(60)).await, Err(Rejected::UnknownKey));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = attack => {}, () = process.until_asked(u64::from(AT_ONCE.get()) + 3) => {} }
}

#[tokio::test]
async fn it_looks_by_itself_as_long_as_it_is_held() {
    let key = Key::new("k1");
    let process = Process::with(Habits { look: SOON, pause: NEVER, most: REMEMBERED }, &[&key]);
    process.until_asked(3).await;
    let Process { users, ring, .. } = process;
    let gone = Arc::downgrade(&ring);
    drop(ring);
    let waits = async {
        while Arc::strong_count(&users) > 1 {
            tokio::time::sleep(SOON).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap();
    assert!(gone.upgrade().is_none());
}

#[tokio::test]
async fn a_key_that_is_gone_is_believed_no_longer() {
    let (old, new) = (Key::new("k1"), Key::new("k2"));
    let process = Process::start(&[&old, &new]);
    let (cached, kept) = (old.token(60), new.token(60));
    process.verify(&cached).await.unwrap();
    process.verify(&kept).await.unwrap();
    let verifying = process.ring.held();
    process.publish(&[&new]);
    process.verify(&cached).await.unwrap();
    process.look().await;
    // Somebody was verifying by the old keys when they went, and remembers what came of it only now.
    let (name, verified) = (Sha256::digest(&cached).into(), verifying.keys.verify(&cached, process.ring.now()));
    verifying.verified.insert(name, verified.unwrap());
    for token in [&cached, &old.token(60)] {
        assert_eq!(process.verify(token).await, Err(Rejected::UnknownKey));
    }
    process.verify(&kept).await.unwrap();
}

#[tokio::test]
async fn another_key_of_the_same_id_is_another_key() {
    let (old, new) = (Key::new("k1"), Key::new("k1"));
    let process = Process::start(&[&old]);
    let token = old.token(60);
    process.verify(&token).await.unwrap();
    process.publish(&[&new]);
    process.look().await;
    assert_eq!(process.verify(&token).await, Err(Rejected::Invalid));
    process.verify(&new.token(60)).await.unwrap();
}

#[tokio::test]
async fn old_keys_stay_good_while_users_is_away() {
    let (old, new) = (Key::new("k1"), Key::new("k2"));
    let process = Process::start(&[&old]);
    let token = old.token(9_000);
    process.verify(&token).await.unwrap();
    *process.users.away.lock().unwrap() = true;
    for _ in 0..10 {
        process.look().await;
    }
    process.verify(&token).await.unwrap();
    process.verify(&old.token(60)).await.unwrap();
    process.publish(&[&old, &new]);
    assert!(process.fails(&new.token(60)).await, "nobody knows, so nobody is refused for it");
    *process.users.away.lock().unwrap() = false;
    process.verify(&new.token(60)).await.unwrap();
}

#[tokio::test]
async fn a_remembered_token_expires() {
    let key = Key::new("k1");
    let (process, token) = (Process::start(&[&key]), key.token(60));
    process.verify(&token).await.unwrap();
    process.clock.0.store(59, SeqCst);
    process.verify(&token).await.unwrap();
    process.clock.0.store(60, SeqCst);
    for _ in 0..2 {
        assert_eq!(process.verify(&token).await, Err(Rejected::Expired));
    }
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let key = Key::new("k1");
    let process = Process::with(Habits { look: NEVER, pause: NEVER, most: 10 }, &[&key]);
    let tokens: Vec<String> = (0..200).map(|_| key.token(60)).collect();
    for token in &tokens {
        process.verify(token).await.unwrap();
    }
    let held = process.ring.held();
    held.verified.run_pending_tasks();
    assert!((1..=10).contains(&held.verified.entry_count()), "{}", held.verified.entry_count());
    process.verify(&tokens[0]).await.unwrap();
}
