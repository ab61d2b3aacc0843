//! Whoever is not a module of this shop is refused, whichever end it stands at, and both ends know.
use crate::{
    authority::{Authority, Folder, Leaf},
    meeting::meet,
    open,
};
use rcgen::{CertificateParams, date_time_ymd};
use rustls::{
    ClientConfig, ConfigBuilder, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion, client,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use std::sync::Arc;
use wire::tls::Certificates;

struct Stranger {
    leaf: Leaf,
    why: &'static str,
    alert: &'static str,
}

fn strangers(ours: &Authority) -> Vec<Stranger> {
    let stranger = |leaf, why, alert| Stranger { leaf, why, alert };
    let named = |uris: &[&str], why| stranger(ours.sign(uris, |_| {}), why, "CertificateUnknown");
    let past = |params: &mut CertificateParams| params.not_after = date_time_ymd(2001, 1, 1);
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2999, 1, 1);
    vec![
        stranger(Authority::new("another").issue("orders"), "UnknownIssuer", "UnknownCA"),
        stranger(ours.sign(&["spiffe://shop/orders"], past), "certificate expired", "CertificateExpired"),
        stranger(ours.sign(&["spiffe://shop/orders"], future), "certificate not valid yet", "CertificateExpired"),
        named(&["spiffe://elsewhere/orders"], "shows spiffe://elsewhere/orders, expected"),
        named(&["spiffe://shop/orders", "spiffe://shop/users"], "shows spiffe://shop/orders, spiffe://shop/users,"),
        named(&["spiffe://shop/orders", "https://orders.example"], "shows spiffe://shop/orders, https://orders"),
        named(&["spiffe://shop/orders/7"], "shows spiffe://shop/orders/7, expected"),
        named(&["spiffe://shop/"], "shows spiffe://shop/, expected"),
        named(&[], "shows no URI, expected"),
    ]
}

/// Believes our authority and the name, as any TLS client would.
fn client(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.root().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots)
}

impl Leaf {
    fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).map(Result::unwrap).collect();
        (chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }
    fn client(&self, authority: &Authority, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let (chain, key) = self.parts();
        client(authority, versions).with_client_auth_cert(chain, key).unwrap()
    }
    fn server(&self) -> ServerConfig {
        let (chain, key) = self.parts();
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
    }
}

#[tokio::test]
async fn at_the_clients_end() {
    let authority = Authority::new("one");
    let products = open(&Folder::new(&authority, &["products"]), &["products"]);
    for Stranger { leaf, why, alert } in strangers(&authority) {
        for versions in [&[&TLS13], &[&TLS12]] {
            let config = leaf.client(&authority, versions);
            meet(products.server(), Arc::new(config), Certificates::server_name("products"))
                .await
                .server_refused(why, alert);
        }
    }
}

#[tokio::test]
async fn at_the_servers_end() {
    let authority = Authority::new("one");
    let products = open(&Folder::new(&authority, &["products"]), &["products"]);
    for Stranger { leaf, why, alert } in strangers(&authority) {
        let config = products.client("products", "orders").unwrap();
        meet(Arc::new(leaf.server()), config, Certificates::server_name("orders")).await.client_refused(why, alert);
    }
}

#[tokio::test]
async fn without_a_certificate() {
    let authority = Authority::new("one");
    let products = open(&Folder::new(&authority, &["products"]), &["products"]);
    let config = client(&authority, &[&TLS13]).with_no_client_auth();
    meet(products.server(), Arc::new(config), Certificates::server_name("products"))
        .await
        .server_refused("peer sent no certificates", "CertificateRequired");
}

#[tokio::test]
async fn a_certificate_that_is_not_for_clients() {
    let authority = Authority::new("one");
    let products = open(&Folder::new(&authority, &["products"]), &["products"]);
    let servers_only = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    };
    let leaf = authority.sign(&["spiffe://shop/orders"], servers_only);
    meet(products.server(), Arc::new(leaf.client(&authority, &[&TLS13])), Certificates::server_name("products"))
        .await
        .server_refused("does not allow extended key usage for client", "UnsupportedCertificate");
}

/// Otherwise a leaf that has expired goes on, by the ticket of when it had not.
#[tokio::test]
async fn no_session_outlives_its_certificate() {
    let authority = Authority::new("one");
    let products = open(&Folder::new(&authority, &["products"]), &["products"]);
    for versions in [&[&TLS13], &[&TLS12]] {
        let config = Arc::new(authority.issue("orders").client(&authority, versions));
        for _ in 0..2 {
            let met = meet(products.server(), config.clone(), Certificates::server_name("products")).await.went_well();
            assert_eq!(met.server.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
    let remembers = Arc::new(authority.issue("users").server());
    let config = products.client("products", "users").unwrap();
    for _ in 0..2 {
        let met = meet(remembers.clone(), config.clone(), Certificates::server_name("users")).await.went_well();
        assert_eq!(met.client.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    }
}
