//! What only a network can do: nobody there, a connection that breaks, strangers, other versions.
use crate::{
    authority::{Authority, Folder},
    shop::{Door, LIMITS, PATIENT, Shop, Signer, Way, anonymous, begin, serve},
};
use guard::inbound;
use kernel::{Call, CallError, Clock, Contract, Failure, Id, Principal, SystemClock, Trace};
use prost::Message;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{io::AsyncReadExt, net::TcpListener};
use wire::{Dial, Link, Place, Settings, tls::Certificates};
use wire_probe::{Shelf, TakeError, Wire, pb};

/// Without TLS, to whoever listens there.
fn plain(place: Place, settings: Settings) -> Arc<dyn Shelf> {
    let dial = Dial { peer: "orders".into(), callee: "products", certificates: None };
    wire::remote::<dyn Shelf, Wire>(&Link::open(place, dial, settings), LIMITS)
}
fn one(address: impl ToString) -> Place {
    Place::One(address.to_string())
}

#[tokio::test]
async fn nobody_listens() {
    let shelf = plain(one("127.0.0.1:1"), PATIENT);
    assert_eq!(shelf.take(&anonymous(), Id::new()).await, Err(Failure::UNAVAILABLE.into()));
}

/// A host that is gone without a word, or a listener that never comes to its handshake.
#[tokio::test]
async fn who_takes_a_connection_and_says_nothing_was_told_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let folder = Folder::new(&Authority::new("shop"), &["orders"]);
    let certificates = Certificates::open(folder.path(), "shop", &["orders"]).unwrap();
    let dial = Dial { peer: "orders".into(), callee: "products", certificates: Some(certificates) };
    let shelf = wire::remote::<dyn Shelf, Wire>(&Link::open(one(address), dial, PATIENT), LIMITS);
    let outcome = shelf.take(&begin(Principal::Anonymous, 15_000), Id::new()).await;
    assert_eq!(outcome, Err(Failure::UNAVAILABLE.into()));
}

#[tokio::test]
async fn a_connection_that_breaks_during_a_change_is_unknown_and_during_a_read_unavailable() {
    let shop = Shop::open(Way::Remote).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Takes the request, then dies.
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            for _ in 0..3 {
                let _ = tokio::time::timeout(Duration::from_millis(50), socket.read(&mut bytes)).await;
            }
        }
    });
    let shelf = plain(one(address), PATIENT);
    assert_eq!(shelf.take(&anonymous(), Id::new()).await, Err(CallError::Unknown));
    assert_eq!(shelf.look(&shop.user(&["shelf:read"]), ()).await, Err(Failure::UNAVAILABLE.into()));
}

/// A door that closes between two calls, and opens again.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_away_and_came_back_is_used_again() {
    let shop = Shop::open(Way::Remote).await;
    let door = Door::before(shop.network().address).await;
    let folder = Folder::new(&shop.network().authority, &["orders"]);
    let certificates = Certificates::open(folder.path(), "shop", &["orders"]).unwrap();
    let dial = Dial { peer: "orders".into(), callee: "products", certificates: Some(certificates) };
    let shelf = wire::remote::<dyn Shelf, Wire>(&Link::open(one(door.address), dial, PATIENT), LIMITS);
    assert_eq!(shelf.take(&anonymous(), Id::new()).await, Ok(1));
    door.set(false);
    let mut outcome = shelf.take(&begin(Principal::Anonymous, 500), Id::new()).await;
    assert!(matches!(outcome, Err(CallError::Unavailable { .. } | CallError::Unknown)), "{outcome:?}");
    door.set(true);
    let until = Instant::now() + Duration::from_secs(10);
    while outcome != Ok(1) && Instant::now() < until {
        outcome = shelf.take(&anonymous(), Id::new()).await;
    }
    assert_eq!(outcome, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_addresses_those_that_answer_are_used() {
    let shop = Shop::open(Way::Local).await;
    let service: Arc<dyn Shelf> = shop.board.clone();
    let inbound = inbound(service, &["orders".into()], Arc::new(SystemClock), LIMITS);
    let (one, _stop) = serve(inbound.clone(), shop.signer.keys(), None).await;
    let (other, _stop) = serve(inbound, shop.signer.keys(), None).await;
    let places = ["127.0.0.1:1".to_owned(), one.to_string(), other.to_string()];
    let shelf = plain(Place::Each(places.into()), PATIENT);
    for _ in 0..12 {
        assert_eq!(shelf.take(&anonymous(), Id::new()).await, Ok(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_before_any_work() {
    let shop = Shop::open(Way::Remote).await;
    let network = shop.network();
    let outcome = async |certificates: &Arc<Certificates>| {
        let link = network.link_with("orders", certificates, PATIENT);
        wire::remote::<dyn Shelf, Wire>(&link, LIMITS).take(&anonymous(), Id::new()).await
    };
    // Another shop's authority signed it, and so it believes nobody here.
    let theirs = Authority::new("another");
    let folder = Folder::new(&theirs, &["orders"]);
    let stranger = Certificates::open(folder.path(), "shop", &["orders"]).unwrap();
    assert_eq!(outcome(&stranger).await, Err(Failure::UNAVAILABLE.into()));
    // It believes us; we do not believe it.
    folder.put("authority.pem", &(theirs.root() + &network.authority.root()));
    assert!(stranger.reload().unwrap());
    assert!(outcome(&stranger).await.is_err());
    // Plain text where TLS is spoken.
    let spoken = plain(one(network.address), PATIENT).take(&anonymous(), Id::new()).await;
    assert!(spoken.is_err(), "{spoken:?}");
    assert_eq!(shop.done(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_only_the_caller_believes_is_found_out() {
    let (shop, forger) = (Shop::open(Way::Remote).await, Signer::new("k1"));
    for signer in [forger, Signer::new("k2")] {
        let token = signer.token(60, &["shelf:read"]);
        let believed_here = signer.keys().verify(&token, SystemClock.now()).unwrap();
        let call = begin(Principal::User(believed_here), 3000);
        assert_eq!(shop.shelf("orders").look(&call, ()).await, Err(CallError::Denied));
    }
    assert_eq!(shop.done(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_may_not_ask_for_ever() {
    let shop = Shop::open(Way::Remote).await;
    let patient = Call::begin(Principal::Anonymous, Trace(1), Duration::from_secs(24 * 3600));
    assert_eq!(shop.shelf("orders").take(&patient, Id::new()).await, Ok(1));
    let seen = shop.board.seen.lock().unwrap().clone().unwrap();
    assert!(seen.time_left().unwrap() <= Duration::from_secs(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_something_else_says_so() {
    let shop = Shop::open(Way::Remote).await;
    let network = shop.network();
    let link = network.link("orders", PATIENT);
    assert_eq!(link.probe(<dyn Shelf>::SERVICE, Duration::from_secs(5)).await, Ok(()));
    let told = link.probe("cleave.users.v1.Tokens", Duration::from_secs(5)).await.unwrap_err();
    assert!(told.contains("does not serve cleave.users.v1.Tokens"), "{told}");
    // An operator sees what is wrong, not "transport error".
    let folder = Folder::new(&Authority::new("another"), &["orders"]);
    let stranger = Certificates::open(folder.path(), "shop", &["orders"]).unwrap();
    let link = network.link_with("orders", &stranger, PATIENT);
    let told = link.probe(<dyn Shelf>::SERVICE, Duration::from_secs(5)).await.unwrap_err();
    assert!(told.contains("certificate"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_shows_the_contract_to_whoever_has_a_certificate() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest,
    };
    let shop = Shop::open(Way::Local).await;
    let service: Arc<dyn Shelf> = shop.board.clone();
    let inbound = inbound(service, &["orders".into()], Arc::new(SystemClock), LIMITS);
    let (address, _stop) = serve(inbound, shop.signer.keys(), None).await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let mut client = ServerReflectionClient::new(channel);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(<dyn Shelf>::SERVICE.into())),
    };
    let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let answer = format!("{:?}", answers.message().await.unwrap().unwrap());
    assert!(answer.contains("FileDescriptorResponse"), "{answer}");
}

/// A newer server may answer with an error, or an error's kind, that this version does not know.
#[test]
fn what_a_newer_version_says_is_malformed_here() {
    let newer = |bytes: &[u8]| {
        wire::get::<Wire, Result<u32, TakeError>, _>(pb::TakeResponse::decode(bytes).unwrap()).unwrap_err()
    };
    assert_eq!(newer(&[0x12, 0x02, 0x4a, 0x00]).to_string(), "malformed message: no kind that this version knows");
    assert_eq!(newer(&[0x1a, 0x00]).to_string(), "malformed message: no result that this version knows");
    let bad_id = pb::TakeRequest { id: "order_01h455vb4pex5vsknk084sn02q".into() };
    let wrong = wire::get::<Wire, wire_probe::CrateId, _>(bad_id).unwrap_err();
    assert_eq!(wrong.to_string(), "malformed message: id.not an id of the form crate_..");
}

/// After so many failures in a row most calls are not tried at all.
#[tokio::test]
async fn the_breaker_opens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, tried) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = tried.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, SeqCst);
        }
    });
    let settings = Settings { breaker_failures: 5, breaker_pause: Duration::from_secs(3600), ..PATIENT };
    let shelf = plain(one(address), settings);
    for _ in 0..30 {
        shelf.take(&anonymous(), Id::new()).await.unwrap_err();
    }
    assert!(tried.load(SeqCst) <= 5, "{} of 30 calls, three tries each", tried.load(SeqCst));
    let refused = shelf.take(&anonymous(), Id::new()).await;
    assert!(matches!(refused, Err(CallError::Unavailable { retry_after: Some(_) })), "{refused:?}");
}
