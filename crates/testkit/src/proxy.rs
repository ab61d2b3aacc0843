//! A network that a test can break: a TCP proxy before somebody's address. What goes through may be encrypted; it only
//! knows bytes.
//!
//! Threads, not tasks: a shop outlives the runtime of the test that started it.
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From who calls to who is called.
    Requests,
    /// Back.
    Answers,
}

/// Lets everything through until it is told otherwise. Nobody gets through any more once it is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    target: SocketAddr,
    /// Present while connections are taken.
    accepting: Option<Arc<()>>,
    swallowing: bool,
    /// Answers wait before it.
    gate: Option<Arc<Gate>>,
    requests: Traffic,
    answers: Traffic,
    connections: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Clone, Copy, Default)]
struct Traffic {
    delay: Duration,
    bytes: u64,
}

/// Both ends of a connection; what it lost an answer of is of no more use.
struct Open {
    ends: [TcpStream; 2],
    maimed: bool,
}

impl Proxy {
    /// Listens on `address` (port 0: any) for `target`, which need not be there yet.
    pub fn start(address: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let (requests, answers) = (Traffic::default(), Traffic::default());
        let state = State {
            target,
            accepting: None,
            swallowing: false,
            gate: None,
            requests,
            answers,
            connections: 0,
            open: BTreeMap::new(),
        };
        let proxy = Self { address, state: Arc::new(Mutex::new(state)) };
        proxy.accept(listener);
        Ok(proxy)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whatever comes from now on arrives so much later, in its order; what is under way stays so.
    pub fn delay(&self, way: Way, by: Duration) {
        self.lock().traffic(way).delay = by;
    }
    /// Ends every connection, whatever is under way.
    pub fn cut(&self) {
        self.lock().cut(|_| true);
    }
    /// From now on requests arrive and nobody hears of it. A connection that is made meanwhile gets no further than the
    /// first word of the other side.
    pub fn swallow_answers(&self) {
        self.lock().swallowing = true;
    }
    /// Answers come through again. Connections that lost some are cut: what comes next would make no sense.
    pub fn deliver_answers(&self) {
        let mut state = self.lock();
        state.swallowing = false;
        state.cut(|open| open.maimed);
    }
    /// From now on answers wait, in their order: what was asked for is done, and nobody has heard of it yet.
    pub fn hold_answers(&self) {
        self.lock().gate.get_or_insert_default();
    }
    /// What waits arrives. What comes from now on fares as was said last: it may be swallowed.
    pub fn release_answers(&self) {
        if let Some(gate) = self.lock().gate.take() {
            gate.open();
        }
    }
    /// New connections are refused; those there are stay.
    pub fn refuse(&self) {
        if self.lock().accepting.take().is_some() {
            // It waits for somebody to come, and closes when that is us. The listener is gone when nobody answers.
            while TcpStream::connect(self.address).is_ok() {
                thread::yield_now();
            }
        }
    }
    pub fn take(&self) {
        if self.lock().accepting.is_none() {
            self.accept(TcpListener::bind(self.address).expect("our own address is free again"));
        }
    }

    /// Connections made so far.
    pub fn connections(&self) -> u64 {
        self.lock().connections
    }
    /// Connections there are now.
    pub fn open(&self) -> usize {
        self.lock().open.len()
    }
    /// Bytes that were taken from whoever sent them.
    pub fn bytes(&self, way: Way) -> u64 {
        self.lock().traffic(way).bytes
    }

    fn accept(&self, listener: TcpListener) {
        let (token, state) = (Arc::new(()), Arc::clone(&self.state));
        self.lock().accepting = Some(Arc::clone(&token));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !locked(&state).accepting.as_ref().is_some_and(|current| Arc::ptr_eq(current, &token)) {
                    return;
                }
                let state = Arc::clone(&state);
                // Whoever is away is away: the client's connection closes.
                thread::spawn(move || drop(connect(&state, client)));
            }
        });
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
        self.cut();
        self.release_answers();
    }
}

impl State {
    fn traffic(&mut self, way: Way) -> &mut Traffic {
        match way {
            Way::Requests => &mut self.requests,
            Way::Answers => &mut self.answers,
        }
    }
    fn cut(&mut self, which: impl Fn(&Open) -> bool) {
        self.open.retain(|_, open| {
            let cut = which(open);
            if cut {
                close(&open.ends);
            }
            !cut
        });
    }
}

#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }
    fn wait(&self) {
        let is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(is_open, |is_open| !*is_open));
    }
}

/// When bytes go on.
struct Pass {
    at: Instant,
    gate: Option<Arc<Gate>>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn close(ends: &[TcpStream; 2]) {
    // Whoever closed before us is closed.
    ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
}

fn connect(state: &Arc<Mutex<State>>, client: TcpStream) -> io::Result<()> {
    let target = locked(state).target;
    let server = TcpStream::connect_timeout(&target, Duration::from_secs(5))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let id = {
        let mut state = locked(state);
        state.connections += 1;
        let id = state.connections;
        state.open.insert(id, Open { ends: [client.try_clone()?, server.try_clone()?], maimed: false });
        id
    };
    let back = (server.try_clone()?, client.try_clone()?, Arc::clone(state));
    let answers = thread::spawn(move || carry(back.0, back.1, Way::Answers, id, &back.2));
    carry(client, server, Way::Requests, id, state);
    let _ = answers.join(); // it ends with its sockets
    locked(state).open.remove(&id);
    Ok(())
}

/// Until one side says no more; then the other hears so, when all that was said before has arrived.
fn carry(mut from: TcpStream, mut to: TcpStream, way: Way, id: u64, state: &Mutex<State>) {
    let (sender, due) = mpsc::channel::<(Pass, Vec<u8>)>();
    let writer = thread::spawn(move || {
        for (Pass { at, gate }, bytes) in due {
            gate.iter().for_each(|gate| gate.wait());
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write); // whoever closed before us is closed
    });
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let Some(pass) = passes(state, way, id, read) else { continue };
        if sender.send((pass, bytes[..read].to_vec())).is_err() {
            break;
        }
    }
    drop(sender);
    let _ = writer.join();
}

/// When these bytes arrive, if they do.
fn passes(state: &Mutex<State>, way: Way, id: u64, read: usize) -> Option<Pass> {
    let mut state = locked(state);
    let swallowed = way == Way::Answers && state.swallowing;
    if swallowed && let Some(open) = state.open.get_mut(&id) {
        open.maimed = true;
    }
    let gate = state.gate.clone().filter(|_| way == Way::Answers);
    let traffic = state.traffic(way);
    traffic.bytes += read as u64;
    let at = Instant::now() + traffic.delay;
    (!swallowed).then_some(Pass { at, gate })
}
