//! NATS in its own trouble.
use crate::{
    away::{self, Server, fails, in_time, subscribed},
    place::{PATIENCE, Place, events, firsts, group, hear, nats_at, variable},
};
use launch::{Nats, NatsOptions, NatsTls};
use messaging::{NatsSettings, TlsSettings, open_nats};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::{fs, path::Path};
use tempfile::TempDir;

/// Publishes what is none of ours.
pub(crate) async fn say(settings: &NatsSettings, subject: &str, text: &'static str) {
    let client = async_nats::connect(&settings.servers[..]).await.unwrap();
    let context = async_nats::jetstream::new(client);
    context.publish(format!("{}.{subject}", settings.prefix), text.into()).await.unwrap().await.unwrap();
}

fn start(options: NatsOptions) -> (Nats, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let program = variable("CLEAVE_TEST_NATS_SERVER");
    (Nats::start(Path::new(&program), &folder.path().join("nats"), options).unwrap(), folder)
}

struct Stopped(Nats);

impl Server for Stopped {
    fn goes(&mut self) {
        self.0.kill().unwrap();
    }
    fn comes_back(&mut self) {
        self.0.start_again().unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let (mut nats, _folder) = start(NatsOptions::default());
    nats.stop();
    away::comes_and_goes(Place::Nats(nats_at(nats.url())), Stopped(nats)).await;
}

#[tokio::test]
async fn a_subscription_outlives_a_restart_or_says_so() {
    let (mut nats, _folder) = start(NatsOptions::default());
    let broker = open_nats(&nats_at(nats.url())).await.unwrap();
    let sent = events(&["order_a", "order_b"], 200);
    broker.publish(&sent[..200]).await.unwrap();
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    // More is under way than was taken.
    let mut came = hear(&mut *subscription, 20, false).await;
    nats.kill().unwrap();
    nats.start_again().unwrap();
    in_time("publish", || broker.publish(&sent[200..])).await;
    let began = std::time::Instant::now();
    while firsts(&came.events).len() < sent.len() {
        assert!(began.elapsed() < PATIENCE, "{} came", came.events.len());
        match subscription.next(50, std::time::Duration::from_secs(1)).await {
            Ok(batch) => {
                came.position = batch.position.or(came.position);
                came.events.extend(batch.events);
            }
            Err(_) => {
                subscription = subscribed(&broker, group("stock", came.position)).await;
            }
        }
    }
    assert!(firsts(&came.events).into_iter().eq(&sent), "in the stream's own order");
}

#[tokio::test]
async fn a_lost_stream_is_heard_from_its_beginning() {
    let (mut nats, folder) = start(NatsOptions::default());
    let broker = open_nats(&nats_at(nats.url())).await.unwrap();
    broker.publish(&events(&["order_a"], 3)).await.unwrap();
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    let position = hear(&mut *subscription, 3, true).await.position;
    assert_eq!(position, Some(3));
    nats.stop();
    fs::remove_dir_all(folder.path().join("nats/store")).unwrap();
    nats.start_again().unwrap();
    // It is longer than the old one already.
    let sent = events(&["order_b"], 5);
    in_time("publish", || broker.publish(&sent)).await;
    let mut subscription = subscribed(&broker, group("stock", position)).await;
    assert_eq!(hear(&mut *subscription, 5, true).await.events, sent);
}

#[tokio::test]
async fn tells_how_many_wait() {
    let Place::Nats(settings) = crate::place::nats() else { unreachable!("it is NATS") };
    let broker = open_nats(&settings).await.unwrap();
    broker.publish(&events(&["order_a"], 10)).await.unwrap();
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    let batch = subscription.next(4, PATIENCE).await.unwrap();
    let last = batch.events.last().unwrap().data["number"].as_u64().unwrap();
    assert_eq!((batch.position, batch.behind), (Some(last + 1), Some(9 - last)));
}

/// A certificate authority in files, and whom it vouches for.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".into(), "localhost".into()]).unwrap();
        let signed = params.signed_by(&key, &authority).unwrap();
        fs::write(folder.join(format!("{name}.pem")), signed.pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test]
async fn encrypted_and_with_a_password() {
    let files = tempfile::tempdir().unwrap();
    certificates(files.path());
    let file = |name: &str| files.path().join(name);
    let tls = NatsTls { certificate: file("server.pem"), key: file("server.key"), clients: Some(file("ca.pem")) };
    let login = Some(("shop".to_owned(), "right-horse".to_owned()));
    let (nats, _folder) = start(NatsOptions { login, tls: Some(tls) });
    let tls = TlsSettings {
        required: true,
        authority: file("ca.pem"),
        certificate: file("client.pem"),
        key: file("client.key"),
    };
    let good = NatsSettings { user: "shop".into(), password: "right-horse".into(), tls, ..nats_at(nats.url()) };
    let broker = open_nats(&good).await.unwrap();
    let sent = events(&["order_a"], 3);
    broker.publish(&sent).await.unwrap();
    let mut subscription = broker.subscribe(&group("stock", None)).await.unwrap();
    assert_eq!(hear(&mut *subscription, 3, true).await.events, sent);

    let wrong = NatsSettings { password: "wrong-horse".into(), ..good.clone() };
    let why = fails(open_nats(&wrong).await.unwrap().publish(&sent)).await.to_string();
    assert!(why.contains("authorization violation") && !why.contains("horse"), "{why}");
    let nobody = NatsSettings {
        tls: TlsSettings { certificate: "".into(), key: "".into(), ..good.tls.clone() },
        ..good.clone()
    };
    fails(open_nats(&nobody).await.unwrap().ping()).await;
    // A server whose authority nobody here knows.
    let stranger = tempfile::tempdir().unwrap();
    certificates(stranger.path());
    let tls = TlsSettings { authority: stranger.path().join("ca.pem"), ..good.tls.clone() };
    fails(open_nats(&NatsSettings { tls, ..good }).await.unwrap().ping()).await;
}

#[tokio::test]
async fn settings_that_cannot_become_right_are_refused() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("shop.creds");
    fs::write(&path, "SUAsecret").unwrap();
    let settings = NatsSettings { credentials: path, ..nats_at("nats://127.0.0.1:1".into()) };
    let why = open_nats(&settings).await.err().expect("no credentials").to_string();
    assert!(why.contains("events.nats.credentials") && !why.contains("SUAsecret"), "{why}");
    let settings = NatsSettings { servers: vec!["nats://shop:horse@127.0.0.1".into()], ..Default::default() };
    let why = open_nats(&settings).await.err().expect("a password in an address").to_string();
    assert!(why.contains("events.nats.servers") && !why.contains("horse"), "{why}");
}
