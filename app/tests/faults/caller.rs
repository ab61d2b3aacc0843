//! Whoever calls without being asked to: raw gRPC, with any certificate.
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{fs, io, sync::Arc};
use testkit::{Domain, Shop};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{Ascii, MetadataKey},
    transport::{Channel, Endpoint},
};

/// Who signs certificates.
pub(crate) struct Authority(Issuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub(crate) struct Leaf {
    chain: String,
    key: String,
}

impl Authority {
    /// The shop's own: somebody has its key.
    pub(crate) fn of(shop: &Shop) -> Self {
        let read = |name| fs::read_to_string(shop.certificates().join(name)).unwrap();
        let key = KeyPair::from_pem(&read("authority.key")).unwrap();
        Self(Issuer::from_ca_cert_pem(&read("authority.pem"), key).unwrap())
    }
    pub(crate) fn another() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(params, key).unwrap();
        let key = KeyPair::from_pem(&root.key().serialize_pem()).unwrap();
        Self(Issuer::from_ca_cert_pem(&root.pem(), key).unwrap())
    }
    pub(crate) fn leaf(&self, id: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Leaf { chain: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}

impl Leaf {
    /// What the process of `module` shows.
    pub(crate) fn stolen(shop: &Shop, module: &str) -> Self {
        let read = |ending| fs::read_to_string(shop.certificates().join(format!("{module}.{ending}"))).unwrap();
        Self { chain: read("pem"), key: read("key") }
    }
}

fn tls(shop: &Shop, leaf: Option<&Leaf>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let root = fs::read(shop.certificates().join("authority.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = match leaf {
        None => config.with_no_client_auth(),
        Some(leaf) => {
            let chain = CertificateDer::pem_slice_iter(leaf.chain.as_bytes()).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn connect(tls: &TlsConnector, address: &str, callee: Domain) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(callee.name()).unwrap();
    tls.connect(name, TcpStream::connect(address).await?).await
}

/// Knocks with this certificate, or with none, and says nothing: why nobody opens.
pub(crate) async fn knock(shop: &Shop, callee: Domain, leaf: Option<&Leaf>) -> String {
    let knocking = async {
        let mut stream = connect(&tls(shop, leaf), &shop.grpc_of(callee), callee).await?;
        // Only now the other end has looked at what was shown.
        let mut first = [0];
        stream.read_exact(&mut first).await
    };
    knocking.await.expect_err("nobody who is let in hears nothing").to_string()
}

/// Speaks HTTP where TLS is spoken.
pub(crate) async fn shout(shop: &Shop, callee: Domain) {
    let mut stream = TcpStream::connect(shop.grpc_of(callee)).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    // An alert or a reset: it ends.
    let _ = stream.read_to_end(&mut all).await;
    assert!(!all.starts_with(b"HTTP") && all.len() < 16, "{all:?}");
}

/// A connection of its own to a domain's process.
pub(crate) struct Caller(Channel);

/// What goes along with a call.
pub(crate) type Metadata<'a> = &'a [(&'static str, &'a str)];

pub(crate) const SOON: (&str, &str) = ("grpc-timeout", "5S");

impl Caller {
    /// As whoever `leaf` names.
    pub(crate) async fn with(shop: &Shop, leaf: &Leaf, callee: Domain) -> Self {
        let (tls, address) = (tls(shop, Some(leaf)), shop.grpc_of(callee));
        let connect = tower::service_fn(move |_: http::Uri| {
            let (tls, address) = (tls.clone(), address.clone());
            async move { connect(&tls, &address, callee).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_shared(format!("http://{}", callee.name())).unwrap();
        Self(endpoint.connect_with_connector(connect).await.unwrap())
    }
    /// With the certificate of a process of the shop.
    pub(crate) async fn of(shop: &Shop, module: &str, callee: Domain) -> Self {
        Self::with(shop, &Leaf::stolen(shop, module), callee).await
    }

    pub(crate) async fn call(
        &self,
        path: &'static str,
        body: impl Into<Bytes>,
        metadata: Metadata<'_>,
    ) -> Result<Bytes, Status> {
        let mut request = Request::new(body.into());
        for (name, value) in metadata {
            let name: MetadataKey<Ascii> = name.parse().unwrap();
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await.unwrap();
        grpc.unary(request, PathAndQuery::from_static(path), Raw).await.map(tonic::Response::into_inner)
    }
}

/// Bytes that may be a message.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        *self
    }
    fn decoder(&mut self) -> Self {
        *self
    }
}
impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}
impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
