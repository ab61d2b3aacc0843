//! Just enough HTTP: a thread a connection, one request after another.
use super::{
    Fault,
    state::{Asked, Form, State, error},
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Result, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What connections share.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    ended: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
    /// Nobody is listened to any more.
    pub(super) fn end(&self, address: SocketAddr) {
        self.ended.store(true, Ordering::Release);
        // wakes whoever accepts
        drop(TcpStream::connect(address));
    }
    /// Once nobody accepts any more: what is connected ends.
    pub(super) fn hang_up(&self) {
        for stream in self.open().drain(..) {
            let _ = stream.shutdown(Shutdown::Both); // it may have ended by itself
        }
    }
}

/// Where it listens, and who does.
pub(super) fn listen(address: SocketAddr, shared: &Arc<Shared>) -> Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    shared.ended.store(false, Ordering::Release);
    let shared = Arc::clone(shared);
    let listens = thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if shared.has_ended() {
                return;
            }
            let Ok(other) = stream.try_clone() else { continue };
            shared.open().push(other);
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                serve(&stream, &shared);
                // the copy among the open ones would keep it open
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    });
    Ok((address, listens))
}

/// Until the connection ends, or is to end.
fn serve(stream: &TcpStream, shared: &Shared) {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some(Heard { what, headers, form }) = request(&mut reader) {
        let key = headers.get("idempotency-key").cloned();
        let (status, answer, replayed) = if headers.get("authorization") == Some(&format!("Bearer {}", super::KEY)) {
            let fault = shared.state().meets(&what, key.as_ref());
            match answered(shared, &Asked { what, key, form }, fault) {
                Some(answer) => answer,
                None => return,
            }
        } else {
            (401, error("invalid_request_error", ""), false)
        };
        let (body, extra) = (answer.to_string(), if replayed { "idempotent-replayed: true\r\n" } else { "" });
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n",
            body.len()
        );
        if writer.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

/// `None`: the connection ends.
fn answered(shared: &Shared, asked: &Asked, fault: Option<Fault>) -> Option<(u16, Value, bool)> {
    match fault {
        Some(Fault::Lost) => return None,
        Some(Fault::Hangs) => {
            // What was asked for: no answer, as long as the server is there.
            while !shared.has_ended() {
                thread::sleep(Duration::from_millis(20));
            }
            return None;
        }
        Some(Fault::Busy) => return Some((429, error("rate_limit_error", "rate_limit"), false)),
        _ => {}
    }
    if let Some((status, answer, replayed)) = shared.state().claim(asked) {
        return Some((status, answer, replayed));
    }
    if let Some(Fault::Late(by)) = fault {
        thread::sleep(by); // what was asked for: it is slow
    }
    let (status, answer) = shared.state().finish(asked, fault);
    (fault != Some(Fault::DoneThenLost)).then_some((status, answer, false))
}

struct Heard {
    /// `METHOD path`.
    what: String,
    headers: Form,
    /// Of the body, or of the query.
    form: Form,
}

fn request(reader: &mut impl BufRead) -> Option<Heard> {
    let mut line = String::new();
    let mut next = || -> Option<String> {
        line.clear();
        (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let first = next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Form::new();
    loop {
        let line = next()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let body = String::from_utf8(body).ok()?;
    let form = serde_urlencoded::from_str(if method == "GET" { query } else { &body }).ok()?;
    Some(Heard { what: format!("{method} {path}"), headers, form })
}
