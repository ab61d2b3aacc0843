//! Where a domain is to be found: its addresses, asked for again and again, and a connection to each.
use crate::{listen::PEER, tls::Certificates};
use hyper_util::rt::TokioIo;
use kernel::Peer;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::{
        Arc, RwLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpStream, lookup_host},
    sync::watch,
};
use tokio_util::either::Either;
use tonic::transport::{Channel, Endpoint};

/// Where a domain runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `host:port`, one address or a name that stands for one: resolved anew for each connection.
    One(String),
    /// `host:port`s: every address behind them takes its turn.
    Each(Vec<String>),
}

/// Who connects to whom, and how.
#[derive(Clone)]
pub struct Dial {
    /// The module that calls.
    pub peer: Peer,
    /// The module that is called.
    pub callee: &'static str,
    /// `None`: in plain text, which `app` allows on loopback only.
    pub certificates: Option<Arc<Certificates>>,
}

/// Three tries fit into a request: who cannot be connected to is surely without effect, and not out of time.
const CONNECT: Duration = Duration::from_millis(1500);
/// A connection that says nothing for so long is asked whether it is still there, and given up.
const ASK: Duration = Duration::from_secs(10);
const GIVE_UP: Duration = Duration::from_secs(5);
/// An address that failed comes last for so long.
const SHUN: Duration = Duration::from_secs(2);

pub(crate) struct Pool {
    dial: Dial,
    seats: watch::Sender<Arc<[Arc<Seat>]>>,
    next: AtomicUsize,
}

/// One address, and the connection to it.
pub(crate) struct Seat {
    target: String,
    channel: Channel,
    shunned: RwLock<Option<Instant>>,
}

impl Seat {
    fn new(target: String, dial: &Dial) -> Arc<Self> {
        let to = (target.clone(), dial.clone());
        let connect = tower::service_fn(move |_: http::Uri| {
            let (target, dial) = to.clone();
            async move { dial.connect_in_time(&target).await.map(TokioIo::new) }
        });
        // The scheme is for tonic, which would encrypt by itself; the name is for whoever reads a trace.
        let endpoint = Endpoint::from_shared(format!("http://{}", dial.callee)).expect("a module's name is a host");
        let channel = endpoint
            .http2_keep_alive_interval(ASK)
            .keep_alive_timeout(GIVE_UP)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connect);
        Arc::new(Self { target, channel, shunned: RwLock::new(None) })
    }
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }
    pub(crate) fn failed(&self) {
        *self.shunned.write().expect("never poisoned") = Some(Instant::now() + SHUN);
    }
    fn shunned(&self) -> bool {
        self.shunned.read().expect("never poisoned").is_some_and(|until| until > Instant::now())
    }
}

type Stream = Either<TcpStream, tokio_rustls::client::TlsStream<TcpStream>>;

impl Dial {
    /// tonic's own limit would not tell apart what was never sent: a connection that does not come is one of those.
    async fn connect_in_time(&self, target: &str) -> io::Result<Stream> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        tokio::time::timeout(CONNECT, self.connect(target)).await.unwrap_or_else(|_| Err(late()))
    }
    async fn connect(&self, target: &str) -> io::Result<Stream> {
        let tcp = TcpStream::connect(target).await?;
        tcp.set_nodelay(true)?;
        let Some(certificates) = &self.certificates else { return Ok(Either::Left(tcp)) };
        let config = certificates.client(&self.peer.0, self.callee);
        let config = config.ok_or_else(|| io::Error::other(format!("no certificate of {} is here", self.peer.0)))?;
        let connector = tokio_rustls::TlsConnector::from(config);
        connector.connect(Certificates::server_name(self.callee), tcp).await.map(Either::Right)
    }
    /// In plain text nothing proves who calls: it is said.
    pub(crate) fn introduce(&self, metadata: &mut tonic::metadata::MetadataMap) {
        if self.certificates.is_none()
            && let Ok(name) = self.peer.0.parse()
        {
            metadata.insert(PEER, name);
        }
    }
}

impl Pool {
    /// Looks for addresses every `resolve`, as long as it is held.
    pub(crate) fn open(place: Place, dial: Dial, resolve: Duration) -> Arc<Self> {
        let (seats, names) = match place {
            Place::One(target) => (vec![Seat::new(target, &dial)], None),
            Place::Each(names) => (Vec::new(), Some(names)),
        };
        let pool = Arc::new(Self { dial, seats: watch::Sender::new(seats.into()), next: AtomicUsize::new(0) });
        if let Some(names) = names {
            tokio::spawn(look_again(Arc::downgrade(&pool), names, resolve));
        }
        pool
    }

    pub(crate) fn dial(&self) -> &Dial {
        &self.dial
    }
    fn seats(&self) -> Arc<[Arc<Seat>]> {
        Arc::clone(&self.seats.borrow())
    }

    /// The next in turn, as soon as there is one.
    pub(crate) async fn seat(&self) -> Arc<Seat> {
        let mut known = self.seats.subscribe();
        loop {
            if let Some(seat) = self.next_seat() {
                return seat;
            }
            known.changed().await.expect("the sender is ours");
        }
    }

    /// One that failed lately only when all have.
    fn next_seat(&self) -> Option<Arc<Seat>> {
        let seats = self.seats();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = |n: usize| seats.get((first + n) % seats.len());
        let all = || (0..seats.len()).filter_map(turn);
        all().find(|seat| !seat.shunned()).or_else(|| all().next()).map(Arc::clone)
    }

    /// Keeps the connections to addresses that are still there.
    fn set(&self, found: &BTreeSet<SocketAddr>) {
        let old = self.seats();
        let seat = |address: &SocketAddr| {
            let target = address.to_string();
            let kept = old.iter().find(|seat| seat.target == target);
            kept.map_or_else(|| Seat::new(target, &self.dial), Arc::clone)
        };
        self.seats.send_replace(found.iter().map(seat).collect());
    }
}

/// A name that cannot be looked up just now keeps the addresses that it had.
async fn look_again(pool: Weak<Pool>, names: Vec<String>, every: Duration) {
    let mut known = BTreeSet::new();
    let mut behind: BTreeMap<&str, BTreeSet<SocketAddr>> = BTreeMap::new();
    loop {
        for name in &names {
            match lookup_host(name).await {
                Ok(addresses) => drop(behind.insert(name, addresses.collect())),
                Err(error) => tracing::warn!(name, %error, "the name cannot be resolved"),
            }
        }
        let found: BTreeSet<SocketAddr> = behind.values().flatten().copied().collect();
        let Some(pool) = pool.upgrade() else { return };
        if found != known {
            tracing::info!(domain = pool.dial.callee, addresses = ?found, "addresses");
            pool.set(&found);
            known = found;
        }
        drop(pool);
        // Until there is one, somebody is waiting.
        tokio::time::sleep(if known.is_empty() { every.min(Duration::from_millis(500)) } else { every }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_take_turns_come_and_go() {
        let dial = Dial { peer: "orders".into(), callee: "products", certificates: None };
        let pool = Pool::open(Place::One("127.0.0.1:1".into()), dial, Duration::from_secs(3600));
        let set = |all: &[&str]| pool.set(&all.iter().map(|one| one.parse().unwrap()).collect());
        let turns = |n: usize| (0..n).map(|_| pool.next_seat().unwrap().target.clone()).collect::<BTreeSet<_>>();
        set(&["127.0.0.1:7", "127.0.0.2:7", "127.0.0.3:7"]);
        assert_eq!(turns(3).len(), 3);
        let kept = pool.seats()[1].clone();
        kept.failed();
        assert_eq!(turns(6).len(), 2, "the one that failed is left out");
        set(&["127.0.0.2:7"]);
        assert!(Arc::ptr_eq(&kept, &pool.seats()[0]), "its connection is kept");
        assert_eq!(turns(1).len(), 1, "the last resort");
        set(&[]);
        assert!(pool.next_seat().is_none());
    }

    #[tokio::test]
    async fn a_name_is_every_address_behind_it() {
        let dial = Dial { peer: "orders".into(), callee: "products", certificates: None };
        let names = vec!["127.0.0.1:7".into(), "127.0.0.2:7".into()];
        let pool = Pool::open(Place::Each(names), dial, Duration::from_secs(3600));
        let found = async {
            while pool.seats().len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), found).await.expect("both are found");
    }
}
