//! Two ends of a real connection.
use rustls::{
    ClientConfig, ServerConfig,
    pki_types::{CertificateDer, ServerName},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

pub(crate) struct Meeting {
    pub(crate) server: io::Result<server::TlsStream<TcpStream>>,
    pub(crate) client: io::Result<client::TlsStream<TcpStream>>,
}

/// Connects, and sends a byte each way: in TLS 1.3 a client learns on its first read that it was refused.
pub(crate) async fn meet(server: Arc<ServerConfig>, client: Arc<ClientConfig>, name: ServerName<'static>) -> Meeting {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = async {
        let mut stream = TlsAcceptor::from(server).accept(listener.accept().await?.0).await?;
        say(&mut stream).await?;
        hear(&mut stream).await?;
        Ok(stream)
    };
    let calling = async {
        let mut stream = TlsConnector::from(client).connect(name, TcpStream::connect(address).await?).await?;
        hear(&mut stream).await?;
        say(&mut stream).await?;
        Ok(stream)
    };
    let both = timeout(Duration::from_secs(20), async { tokio::join!(answering, calling) });
    let (server, client) = both.await.expect("both ends know within 20 seconds");
    Meeting { server, client }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(b"!").await?;
    stream.flush().await
}

async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    stream.read_u8().await.map(drop)
}

/// The ends of a connection that stands.
pub(crate) struct Pair {
    pub(crate) server: server::TlsStream<TcpStream>,
    pub(crate) client: client::TlsStream<TcpStream>,
}

impl Pair {
    /// What the server showed.
    pub(crate) fn shown(&self) -> Vec<CertificateDer<'static>> {
        self.client.get_ref().1.peer_certificates().unwrap().to_vec()
    }
    /// What the client showed.
    pub(crate) fn calls(&self) -> Vec<CertificateDer<'static>> {
        self.server.get_ref().1.peer_certificates().unwrap().to_vec()
    }
    pub(crate) async fn still_talks(&mut self) {
        say(&mut self.client).await.unwrap();
        hear(&mut self.server).await.unwrap();
        say(&mut self.server).await.unwrap();
        hear(&mut self.client).await.unwrap();
    }
}

impl Meeting {
    #[track_caller]
    pub(crate) fn went_well(self) -> Pair {
        Pair { server: self.server.unwrap(), client: self.client.unwrap() }
    }
    /// Both ends failed: whoever refused says why, the other one heard an alert.
    #[track_caller]
    pub(crate) fn server_refused(self, why: &str, alert: &str) {
        said(self.server.map(drop), why);
        said(self.client.map(drop), alert);
    }
    #[track_caller]
    pub(crate) fn client_refused(self, why: &str, alert: &str) {
        said(self.client.map(drop), why);
        said(self.server.map(drop), alert);
    }
}

#[track_caller]
fn said(end: io::Result<()>, part: &str) {
    let error = end.expect_err(part).to_string();
    assert!(error.contains(part), "expected {part:?} in {error:?}");
}
