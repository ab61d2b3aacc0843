//! How a process says it is.
use super::Health;
use crate::settings::HttpAddress;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `/readyz`. Behind TLS there is nobody who could be asked.
pub(super) async fn health(address: &HttpAddress) -> Health {
    if address.tls {
        return Health::Unknown;
    }
    match timeout(PATIENCE, status(address)).await {
        Ok(Ok(200)) => Health::Ready,
        Ok(Ok(503)) => Health::NotReady,
        _ => Health::OutOfReach,
    }
}

async fn status(address: &HttpAddress) -> std::io::Result<u16> {
    let endpoint = &address.endpoint;
    let mut stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    // HTTP/1.1 200
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    let status = std::str::from_utf8(&head[9..]).ok().and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn saying(line: &'static str) -> Health {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(line.as_bytes()).await.unwrap();
        });
        let health = health(&address).await;
        answering.await.unwrap();
        health
    }

    #[tokio::test]
    async fn the_status_tells() {
        assert_eq!(saying("HTTP/1.1 200 OK\r\n\r\n").await, Health::Ready);
        assert_eq!(saying("HTTP/1.1 503 Service Unavailable\r\n\r\n").await, Health::NotReady);
        assert_eq!(saying("SSH-2.0-something else").await, Health::OutOfReach);
        assert_eq!(saying("").await, Health::OutOfReach);
    }
}
