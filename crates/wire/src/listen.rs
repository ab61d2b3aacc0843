//! The gRPC listener of a process: who connects is known before a byte of a call is read.
use crate::{
    refusals::Refusals,
    serve::{Admission, Routes, served},
    tls::Certificates,
};
use guard::{Inbound, Verify};
use kernel::{Contract, Each, Peer, To};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::either::Either;
use tonic::transport::server::Connected;

/// In plain text a peer says who it is.
pub(crate) const PEER: &str = "cleave-peer";

/// A handshake takes as long as this, and so many run at once.
const HANDSHAKE: Duration = Duration::from_secs(5);
const HANDSHAKES: usize = 256;
/// A connection is closed, in order, at this age: certificates and allow-lists reach old connections too.
const AGE: Duration = Duration::from_secs(3600);
/// A connection that says nothing for so long is asked whether it is still there, and given up.
const ASK: Duration = Duration::from_secs(20);
const GIVE_UP: Duration = Duration::from_secs(10);
const STREAMS: u32 = 1024;

/// The traits that this process serves to others.
pub struct Services {
    admission: Admission,
    routes: tonic::service::RoutesBuilder,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
}

impl Services {
    /// `longest`: what a peer may ask a call to take at most.
    pub fn new(verify: Arc<dyn Verify>, longest: Duration) -> Self {
        let admission = Admission { verify, longest };
        Self { admission, routes: tonic::service::RoutesBuilder::default(), names: Vec::new(), descriptors: Vec::new() }
    }

    /// Serves `T` where it runs here; `descriptors` is the `pb::DESCRIPTORS` of `W`'s crate.
    pub fn add<T, W>(&mut self, inbound: &Option<Inbound<To<T>>>, descriptors: &'static [u8])
    where
        T: Contract + Each<Routes<W, Inbound<To<T>>>> + ?Sized,
        W: 'static,
    {
        let Some(inbound) = inbound else { return };
        self.routes.add_service(served::<T, W>(inbound.clone(), self.admission.clone()));
        self.names.push(T::SERVICE);
        if !self.descriptors.contains(&descriptors) {
            self.descriptors.push(descriptors);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Serves until `stop` comes: then takes nothing new, and ends what runs. Health and reflection are served besides,
    /// to whoever has a certificate.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        certificates: Option<Arc<Certificates>>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (reporter, health) = tonic_health::server::health_reporter();
        for name in &self.names {
            reporter.set_service_status(name, tonic_health::ServingStatus::Serving).await;
        }
        self.routes.add_service(health);
        let mut reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        for set in &self.descriptors {
            reflection = reflection.register_encoded_file_descriptor_set(set);
        }
        self.routes.add_service(reflection.build_v1().map_err(io::Error::other)?);
        let names = self.names.clone();
        let stopping = async move {
            stop.await;
            for name in names.into_iter().chain([""]) {
                reporter.set_service_status(name, tonic_health::ServingStatus::NotServing).await;
            }
        };
        let (send, connections) = mpsc::channel(16);
        let accepting = tokio::spawn(accept(listener, certificates, send));
        let served = tonic::transport::Server::builder()
            .max_connection_age(AGE)
            .http2_keepalive_interval(Some(ASK))
            .http2_keepalive_timeout(Some(GIVE_UP))
            .max_concurrent_streams(STREAMS)
            .layer(Refusals)
            .add_routes(self.routes.routes())
            .serve_with_incoming_shutdown(ReceiverStream::new(connections), stopping)
            .await;
        accepting.abort();
        served.map_err(io::Error::other)
    }
}

async fn accept(
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    send: mpsc::Sender<io::Result<Accepted>>,
) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Nobody takes connections any more: whoever comes is to be refused, not greeted and dropped.
            () = send.closed() => return,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles, most likely: they come back.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let (certificates, send) = (certificates.clone(), send.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE, greet(tcp, address, certificates)).await {
                Ok(Ok(accepted)) => drop(send.send(Ok(accepted)).await), // nobody waits for it any more
                Ok(Err(error)) => refused(address, &error.to_string()),
                Err(_) => refused(address, "the handshake took too long"),
            }
            drop(permit);
        });
    }
}

fn refused(address: SocketAddr, why: &str) {
    metrics::counter!("cleave_grpc_refused_connections_total").increment(1);
    tracing::warn!(%address, why, "connection refused");
}

async fn greet(tcp: TcpStream, address: SocketAddr, certificates: Option<Arc<Certificates>>) -> io::Result<Accepted> {
    tcp.set_nodelay(true)?;
    let Some(certificates) = certificates else {
        return Ok(Accepted { io: Either::Left(tcp), origin: Origin { peer: None, encrypted: false, address } });
    };
    let tls = tokio_rustls::TlsAcceptor::from(certificates.server()).accept(tcp).await?;
    let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = certificates.module_of(chain).ok_or_else(|| io::Error::other("it names no module of this shop"))?;
    Ok(Accepted { io: Either::Right(Box::new(tls)), origin: Origin { peer: Some(peer), encrypted: true, address } })
}

/// Where a call came from: decided once a connection.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The module of the certificate that mutual TLS has verified.
    pub peer: Option<Peer>,
    pub encrypted: bool,
    pub address: SocketAddr,
}

struct Accepted {
    io: Either<TcpStream, Box<tokio_rustls::server::TlsStream<TcpStream>>>,
    origin: Origin,
}

impl Connected for Accepted {
    type ConnectInfo = Origin;
    fn connect_info(&self) -> Origin {
        self.origin.clone()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, to)
    }
}
impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, from)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, from)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
