//! A shelf that remembers, and the ways to it: in this process, over mutual TLS, over a network that is slow and breaks.
use crate::authority::{Authority, Folder};
use guard::{Inbound, Limits, Unverified, Verify, inbound, local};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kernel::{
    Call, CallError, Clock, Peer, Principal, SystemClock, Time, To, Trace, async_trait,
    token::{Claims, ISSUER, Keys, Rejected, Verified},
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot, watch},
};
use wire::{Dial, Link, Place, Services, Settings, tls::Certificates};
use wire_probe::{CrateId, Shelf, TakeError, Wire, pb};

pub(crate) const LIMITS: Limits = Limits { outbound: 8, inbound: 12 };
pub(crate) const PATIENT: Settings = Settings {
    tries: 3,
    retry_percent: 100,
    breaker_failures: 1000,
    breaker_pause: Duration::from_millis(100),
    resolve: Duration::from_secs(3600),
};

/// Remembers who called; works as long as its gate is shut.
#[derive(Default)]
pub(crate) struct Board {
    pub(crate) begun: AtomicUsize,
    pub(crate) done: AtomicUsize,
    pub(crate) gate: Mutex<Option<Arc<Semaphore>>>,
    pub(crate) seen: Mutex<Option<Call>>,
    pub(crate) empty: AtomicBool,
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
    async fn take(&self, call: &Call, _: CrateId) -> Result<u32, CallError<TakeError>> {
        self.work(call).await;
        if self.empty.load(SeqCst) { Err(CallError::Domain(TakeError::Empty { left: 3 })) } else { Ok(1) }
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

/// Signs tokens of one shop and believes them; its keys can change.
pub(crate) struct Signer {
    pair: Vec<u8>,
    public: [u8; 32],
    kid: &'static str,
}

impl Signer {
    pub(crate) fn new(kid: &'static str) -> Self {
        let pair = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap().as_ref().to_vec();
        let public = Ed25519KeyPair::from_pkcs8(&pair).unwrap().public_key().as_ref().try_into().unwrap();
        Self { pair, public, kid }
    }
    pub(crate) fn token(&self, seconds: i64, permissions: &[&str]) -> String {
        let iat = SystemClock.now().seconds();
        let permissions = permissions.iter().map(|p| (*p).to_owned()).collect();
        let (sub, sid) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
        let claims = Claims { iss: ISSUER.into(), sub, sid, iat, exp: iat + seconds, permissions };
        let header = Header { kid: Some(self.kid.into()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &EncodingKey::from_ed_der(&self.pair)).unwrap()
    }
    pub(crate) fn keys(&self) -> Keys {
        Keys::new([(self.kid, &self.public)])
    }
}

struct Believes(Keys);

#[async_trait]
impl Verify for Believes {
    async fn verify(&self, token: &str) -> Result<Verified, Unverified> {
        self.0.verify(token, SystemClock.now()).map_err(|why: Rejected| Unverified::Rejected(why))
    }
    fn clock(&self) -> &dyn Clock {
        &SystemClock
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A handle in this process.
    Local,
    /// Mutual TLS on loopback.
    Remote,
    /// The same over a network that takes its time, and cuts every other connection once it has said something.
    Shaky,
}

pub(crate) struct Shop {
    pub(crate) board: Arc<Board>,
    pub(crate) signer: Signer,
    inbound: Inbound<To<dyn Shelf>>,
    network: Option<Network>,
}

/// A process that serves the shelf, as far as a network can tell.
pub(crate) struct Network {
    pub(crate) authority: Authority,
    /// Where the shelf is served.
    pub(crate) address: SocketAddr,
    /// Where callers are sent.
    reach: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Shop {
    pub(crate) async fn open(way: Way) -> Self {
        let board = Arc::new(Board::default());
        let (service, signer): (Arc<dyn Shelf>, _) = (board.clone(), Signer::new("k1"));
        let inbound = inbound(service, &["orders".into()], Arc::new(SystemClock), LIMITS);
        let network = match way {
            Way::Local => None,
            Way::Remote | Way::Shaky => Some(Network::open(inbound.clone(), signer.keys(), way).await),
        };
        Self { board, signer, inbound, network }
    }
    pub(crate) fn network(&self) -> &Network {
        self.network.as_ref().unwrap()
    }
    /// As `peer` sees it.
    pub(crate) fn shelf(&self, peer: &str) -> Arc<dyn Shelf> {
        match &self.network {
            None => local(Peer::from(peer), self.inbound.clone(), LIMITS),
            Some(network) => wire::remote::<dyn Shelf, Wire>(&network.link(peer, PATIENT), LIMITS),
        }
    }
    pub(crate) fn user(&self, permissions: &[&str]) -> Call {
        self.holding(&self.signer.token(60, permissions), SystemClock.now())
    }
    pub(crate) fn holding(&self, token: &str, now: Time) -> Call {
        begin(Principal::User(self.signer.keys().verify(token, now).unwrap()), 5000)
    }
    pub(crate) fn shut(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.board.gate.lock().unwrap() = Some(gate.clone());
        gate
    }
    pub(crate) fn done(&self) -> usize {
        self.board.done.load(SeqCst)
    }
    pub(crate) async fn until(&self, counter: fn(&Board) -> &AtomicUsize, count: usize) {
        let reached = async {
            while counter(&self.board).load(SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reached).await.expect("within ten seconds");
    }
}

pub(crate) fn begin(principal: Principal, millis: u64) -> Call {
    Call::begin(principal, Trace(42), Duration::from_millis(millis))
}
pub(crate) fn anonymous() -> Call {
    begin(Principal::Anonymous, 5000)
}

/// Serves the shelf on loopback, as `module` of `certificates`.
pub(crate) async fn serve(
    inbound: Inbound<To<dyn Shelf>>,
    keys: Keys,
    certificates: Option<Arc<Certificates>>,
) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut services = Services::new(Arc::new(Believes(keys)), Duration::from_secs(30));
    services.add::<dyn Shelf, Wire>(&Some(inbound), pb::DESCRIPTORS);
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = async move { drop(stopped.await) };
    tokio::spawn(services.serve(listener, certificates, stopping));
    (address, stop)
}

impl Network {
    async fn open(inbound: Inbound<To<dyn Shelf>>, keys: Keys, way: Way) -> Self {
        let authority = Authority::new("shop");
        let folder = Folder::new(&authority, &["products"]);
        let certificates = Certificates::open(folder.path(), "shop", &["products"]).unwrap();
        let (address, stop) = serve(inbound, keys, Some(certificates)).await;
        let reach = if way == Way::Shaky { shaky(address).await } else { address };
        Self { authority, address, reach, _stop: stop }
    }
    /// `peer`'s way to the shelf, with a certificate of this shop.
    pub(crate) fn link(&self, peer: &str, settings: Settings) -> Arc<Link> {
        let folder = Folder::new(&self.authority, &[peer]);
        self.link_with(peer, &Certificates::open(folder.path(), "shop", &[peer]).unwrap(), settings)
    }
    pub(crate) fn link_with(&self, peer: &str, certificates: &Arc<Certificates>, settings: Settings) -> Arc<Link> {
        let dial = Dial { peer: peer.into(), callee: "products", certificates: Some(Arc::clone(certificates)) };
        Link::open(Place::One(self.reach.to_string()), dial, settings)
    }
}

/// Bytes go either way some milliseconds late; of the connections, every other one is cut in the middle.
async fn shaky(to: SocketAddr) -> SocketAddr {
    const LATE: Duration = Duration::from_millis(10);
    /// More than a handshake and a few calls.
    const CUT: usize = 12_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0_usize.. {
            let Ok((from, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let Ok(to) = TcpStream::connect(to).await else { return };
                let ((mut from_in, mut from_out), (mut to_in, mut to_out)) = (from.into_split(), to.into_split());
                let cut = if number.is_multiple_of(2) { CUT } else { usize::MAX };
                tokio::select! {
                    () = late(&mut from_in, &mut to_out, LATE, cut) => (),
                    () = late(&mut to_in, &mut from_out, LATE, cut) => (),
                }
            });
        }
    });
    address
}

async fn late(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    by: Duration,
    mut cut: usize,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut bytes = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(by).await;
        if read > cut || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
        cut -= read;
    }
}

/// A way that can be closed: connections end, and nobody answers until it is opened again.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Door {
    pub(crate) async fn before(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, open) = (listener.local_addr().unwrap(), watch::Sender::new(true));
        let state = open.subscribe();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let mut state = state.clone();
                tokio::spawn(async move {
                    if !*state.borrow() {
                        return;
                    }
                    let Ok(mut to) = TcpStream::connect(to).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut from, &mut to) => (),
                        _ = state.wait_for(|open| !open) => (),
                    }
                });
            }
        });
        Self { address, open }
    }
    pub(crate) fn set(&self, open: bool) {
        self.open.send_replace(open);
    }
}
