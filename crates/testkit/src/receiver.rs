//! Somebody outside to whom a shop posts: hears what comes, and answers as it is told, well or ill.
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::Result,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// How it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// With this status, a header more, and a body.
    With { status: u16, header: Option<(&'static str, String)>, body: String },
    /// 200 and a body that does not end.
    Endless,
    /// Not at all.
    Hangs,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self::With { status, header: None, body: String::new() }
    }
}

/// What came.
#[derive(Clone, Debug)]
pub struct Posted {
    pub path: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Posted {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("what is posted is JSON")
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Shared {
    replies: Mutex<BTreeMap<String, Vec<Reply>>>,
    posted: Mutex<Vec<Posted>>,
}

/// Ends with the test that started it.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    listens: JoinHandle<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    /// On this machine, answering 200.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared::default());
        let of_each = Arc::clone(&shared);
        let listens = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&of_each);
                tokio::spawn(async move { serve(stream, &shared).await });
            }
        });
        Self { address, shared, listens }
    }
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
    /// How a path is answered, one after the other; the last goes on.
    pub fn replies(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        locked(&self.shared.replies).insert(path.to_owned(), replies.into_iter().collect());
    }
    /// What came to a path so far.
    pub fn posted(&self, path: &str) -> Vec<Posted> {
        locked(&self.shared.posted).iter().filter(|one| one.path == path).cloned().collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listens.abort();
    }
}

/// Until the connection ends.
async fn serve(stream: TcpStream, shared: &Shared) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(posted)) = request(&mut stream).await {
        let reply = {
            let mut replies = locked(&shared.replies);
            match replies.get_mut(&posted.path) {
                Some(all) if all.len() > 1 => all.remove(0),
                Some(all) => all.first().cloned().unwrap_or(Reply::status(200)),
                None => Reply::status(200),
            }
        };
        locked(&shared.posted).push(posted);
        if answer(&mut stream, reply).await.is_err() {
            return;
        }
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, reply: Reply) -> Result<()> {
    match reply {
        Reply::With { status, header, body } => {
            let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
            let head = format!("HTTP/1.1 {status} X\r\n{header}content-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(head.as_bytes()).await
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        Reply::Hangs => std::future::pending().await,
    }
}

async fn request(stream: &mut BufReader<TcpStream>) -> Result<Option<Posted>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines.first().and_then(|first| first.split(' ').nth(1)).unwrap_or_default().to_owned();
    let pairs = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    let headers: BTreeMap<_, _> =
        pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Posted { path, headers, body: String::from_utf8_lossy(&body).into_owned() }))
}
