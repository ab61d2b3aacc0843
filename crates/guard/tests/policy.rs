//! The policy of every call, seen from a caller: what a handle in this process answers. The wire's tests run the same
//! bodies over a network.
#![expect(clippy::unwrap_used, reason = "what a test sets up either works or the test fails")]

use guard::{Limits, inbound, local};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kernel::{
    Call, CallError, Clock, Failure, Id, Kind, Needs, Peer, Principal, SystemClock, Time, Trace, async_trait, contract,
    token::{Claims, ISSUER, Keys, Rejected},
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

pub enum Box_ {}
impl Kind for Box_ {
    const PREFIX: &'static str = "box";
}
type BoxId = Id<Box_>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    #[error("only {0} are left")]
    Empty(u32),
}

#[contract(shelf = "cleave.test.v1.Shelf")]
pub trait Shelf {
    #[idempotent(Peer)]
    async fn take(&self, call: &Call, id: BoxId) -> Result<u32, CallError<TakeError>>;
    #[once(User)]
    async fn put(&self, call: &Call, units: u32) -> Result<(), CallError<Infallible>>;
    #[read(Permission("shelf:read"))]
    async fn look(&self, call: &Call, request: ()) -> Result<u32, CallError<Infallible>>;
}

/// Remembers who called; works as long as its gate is shut.
#[derive(Default)]
struct Board {
    begun: AtomicUsize,
    done: AtomicUsize,
    gate: Mutex<Option<Arc<Semaphore>>>,
    seen: Mutex<Option<Call>>,
}

impl Board {
    async fn work(&self, call: &Call) {
        *self.seen.lock().unwrap() = Some(call.clone());
        self.begun.fetch_add(1, SeqCst);
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            drop(gate.acquire().await.unwrap());
        }
        self.done.fetch_add(1, SeqCst);
    }
}

#[async_trait]
impl Shelf for Board {
    async fn take(&self, call: &Call, _: BoxId) -> Result<u32, CallError<TakeError>> {
        self.work(call).await;
        Ok(1)
    }
    async fn put(&self, call: &Call, units: u32) -> Result<(), CallError<Infallible>> {
        self.work(call).await;
        assert!(units > 0, "a bug of the callee");
        Ok(())
    }
    async fn look(&self, call: &Call, (): ()) -> Result<u32, CallError<Infallible>> {
        self.work(call).await;
        Ok(7)
    }
}

struct Shop {
    board: Arc<Board>,
    inbound: guard::Inbound<kernel::To<dyn Shelf>>,
    pair: Vec<u8>,
    public: [u8; 32],
}

const LIMITS: Limits = Limits { outbound: 8, inbound: 12 };

impl Shop {
    fn open() -> Self {
        let board = Arc::new(Board::default());
        let service: Arc<dyn Shelf> = board.clone();
        let pair = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap().as_ref().to_vec();
        let public = Ed25519KeyPair::from_pkcs8(&pair).unwrap().public_key().as_ref().try_into().unwrap();
        let peers = [Peer::from("orders")];
        Self { inbound: inbound(service, &peers, Arc::new(SystemClock), LIMITS), board, pair, public }
    }
    fn shelf(&self, peer: &str) -> Arc<dyn Shelf> {
        local(peer.into(), self.inbound.clone(), LIMITS)
    }
    fn token(&self, seconds: i64, permissions: &[&str]) -> String {
        let iat = SystemClock.now().seconds();
        let permissions = permissions.iter().map(|p| (*p).to_owned()).collect();
        let claims = Claims {
            iss: ISSUER.into(),
            sub: uuid::Uuid::now_v7(),
            sid: uuid::Uuid::now_v7(),
            iat,
            exp: iat + seconds,
            permissions,
        };
        let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &EncodingKey::from_ed_der(&self.pair)).unwrap()
    }
    fn keys(&self) -> Keys {
        Keys::new([("k1", &self.public)])
    }
    fn user(&self, permissions: &[&str]) -> Call {
        self.holding(&self.token(60, permissions), SystemClock.now())
    }
    fn holding(&self, token: &str, now: Time) -> Call {
        begin(Principal::User(self.keys().verify(token, now).unwrap()), 5000)
    }
    fn shut(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.board.gate.lock().unwrap() = Some(gate.clone());
        gate
    }
    async fn until(&self, counter: fn(&Board) -> &AtomicUsize, count: usize) {
        let reached = async {
            while counter(&self.board).load(SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), reached).await.expect("within five seconds");
    }
}

fn begin(principal: Principal, millis: u64) -> Call {
    Call::begin(principal, Trace(42), Duration::from_millis(millis))
}
fn anonymous() -> Call {
    begin(Principal::Anonymous, 5000)
}

#[tokio::test]
async fn answers_come_back() {
    let shop = Shop::open();
    assert_eq!(shop.shelf("orders").take(&anonymous(), Id::new()).await, Ok(1));
    assert_eq!(shop.shelf("orders").look(&shop.user(&["shelf:read"]), ()).await, Ok(7));
}

#[tokio::test]
async fn who_is_not_listed_or_may_not_is_denied_before_any_work() {
    let shop = Shop::open();
    let denied = Err(CallError::Denied);
    assert_eq!(shop.shelf("storefront").take(&shop.user(&["shelf:read"]), Id::new()).await, Err(CallError::Denied));
    for call in [anonymous(), shop.user(&[]), shop.user(&["shelf:write"])] {
        assert_eq!(shop.shelf("orders").look(&call, ()).await, denied);
    }
    assert_eq!(shop.shelf("orders").put(&anonymous(), 1).await, Err(CallError::Denied));
    assert_eq!(shop.board.begun.load(SeqCst), 0);
}

#[tokio::test]
async fn a_token_that_expired_since_it_was_verified_is_denied() {
    let shop = Shop::open();
    // Verified while it was good; the callee asks its own clock.
    let call = shop.holding(
        &shop.token(-60, &["shelf:read"]),
        Time::from_micros((SystemClock.now().seconds() - 3600) * 1_000_000),
    );
    assert_eq!(shop.shelf("orders").look(&call, ()).await, Err(CallError::Denied));
}

#[tokio::test]
async fn no_time_left_is_refused_and_time_shrinks() {
    let shop = Shop::open();
    assert_eq!(
        shop.shelf("orders").take(&begin(Principal::Anonymous, 0), Id::new()).await,
        Err(Failure::UNAVAILABLE.into())
    );
    let (call, id) = (anonymous(), Id::new());
    shop.shelf("orders").take(&call, id).await.unwrap();
    let seen = shop.board.seen.lock().unwrap().clone().unwrap();
    assert!(seen.deadline < call.deadline);
    assert_eq!((&*seen.peer().0, seen.key(), seen.trace), ("orders", Some(id.into()), call.trace));
}

#[tokio::test]
async fn a_late_read_is_unavailable_and_a_late_change_unknown() {
    let shop = Shop::open();
    let gate = shop.shut();
    let hurried = |call: Call| begin(call.principal, 60);
    let read = shop.shelf("orders").look(&hurried(shop.user(&["shelf:read"])), ()).await;
    assert_eq!(read, Err(Failure::UNAVAILABLE.into()));
    assert_eq!(shop.shelf("orders").take(&hurried(anonymous()), Id::new()).await, Err(CallError::Unknown));
    gate.add_permits(9);
    shop.until(|board| &board.done, 1).await; // the change went on to its end
}

#[tokio::test]
async fn hanging_up_cancels_no_change_and_makes_no_room() {
    let shop = Shop::open();
    let gate = shop.shut();
    let handles = [shop.shelf("orders"), shop.shelf("orders")];
    let callers: Vec<_> = (0..LIMITS.inbound)
        .map(|n| {
            let shelf = Arc::clone(&handles[n % handles.len()]);
            tokio::spawn(async move { shelf.take(&anonymous(), Id::new()).await })
        })
        .collect();
    shop.until(|board| &board.begun, LIMITS.inbound).await;
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    for caller in callers {
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    let refused = handles[0].take(&anonymous(), Id::new()).await;
    assert!(matches!(refused, Err(CallError::Unavailable { retry_after: Some(_) })), "{refused:?}");
    gate.add_permits(99);
    shop.until(|board| &board.done, LIMITS.inbound).await;
    assert_eq!(handles[0].take(&anonymous(), Id::new()).await, Ok(1));
}

#[tokio::test]
async fn one_caller_cannot_take_all_the_room() {
    let shop = Shop::open();
    let gate = shop.shut();
    let shelf = shop.shelf("orders");
    let waiting: Vec<_> = (0..LIMITS.outbound)
        .map(|_| {
            let shelf = Arc::clone(&shelf);
            tokio::spawn(async move { shelf.take(&anonymous(), Id::new()).await })
        })
        .collect();
    shop.until(|board| &board.begun, LIMITS.outbound).await;
    assert!(matches!(shelf.take(&anonymous(), Id::new()).await, Err(CallError::Unavailable { retry_after: Some(_) })));
    gate.add_permits(99);
    for caller in waiting {
        assert_eq!(caller.await.unwrap(), Ok(1));
    }
}

#[tokio::test]
async fn a_panic_of_the_callee_is_unknown_and_the_next_call_works() {
    let shop = Shop::open();
    assert_eq!(shop.shelf("orders").put(&shop.user(&[]), 0).await, Err(CallError::Unknown));
    assert_eq!(shop.shelf("orders").put(&shop.user(&[]), 1).await, Ok(()));
}

#[test]
fn only_a_token_of_this_shop_is_believed() {
    let (shop, other) = (Shop::open(), Shop::open());
    let (token, now) = (shop.token(60, &["shelf:read"]), SystemClock.now());
    assert!(shop.keys().verify(&token, now).unwrap().may("shelf:read", now));
    let rejected = |token: &str| shop.keys().verify(token, now).err();
    assert_eq!(rejected(&shop.token(-1, &[])), Some(Rejected::Expired));
    assert_eq!(rejected(&other.token(60, &[])), Some(Rejected::Invalid));
    assert_eq!(Keys::default().verify(&token, now).err(), Some(Rejected::UnknownKey));
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ"; // {"alg":"none","kid":"k1"}
    let hs256 = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0"; // {"alg":"HS256","kid":"k1"}
    for forged in [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{hs256}.{claims}.{signature}"),
        format!("{head}.{claims}x.{signature}"),
        format!("{head}.{claims}"),
        String::new(),
        "x".repeat(5000),
    ] {
        assert_eq!(rejected(&forged), Some(Rejected::Invalid), "{forged}");
    }
}

#[test]
fn methods_say_what_they_need() {
    let needs: Vec<_> = <dyn Shelf as kernel::Contract>::METHODS.iter().map(|spec| (spec.method, spec.needs)).collect();
    assert_eq!(needs, [("take", Needs::Peer), ("put", Needs::User), ("look", Needs::Permission("shelf:read"))]);
}
