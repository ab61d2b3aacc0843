//! The proxy, before somebody who says back whatever is said.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};
use testkit::{Proxy, Way};

const ANY: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0));
const LATE: Duration = Duration::from_millis(200);

/// An echo, and the proxy before it.
fn echo() -> Proxy {
    let listener = TcpListener::bind(ANY).unwrap();
    let target = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    Proxy::start(ANY, target).unwrap()
}

struct Caller(TcpStream);
impl Caller {
    fn to(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }
    fn say(&mut self, word: &str) {
        self.0.write_all(word.as_bytes()).unwrap();
    }
    fn hears(&mut self, word: &str) {
        let mut heard = vec![0; word.len()];
        self.0.read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), word);
    }
    /// Nothing more comes, because the connection ended.
    fn is_cut(&mut self) {
        match self.0.read(&mut [0]) {
            Ok(0) => (),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => (),
            other => panic!("not cut: {other:?}"),
        }
    }
}

fn until(what: &str, ready: impl Fn() -> bool) {
    let asked = Instant::now();
    while !ready() {
        assert!(asked.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        thread::yield_now();
    }
}

#[test]
fn what_is_said_goes_through_and_is_counted() {
    let proxy = echo();
    let mut caller = Caller::to(&proxy);
    caller.say("hello");
    caller.hears("hello");
    Caller::to(&proxy).say("you");
    until("the second is counted", || proxy.bytes(Way::Requests) == 8 && proxy.bytes(Way::Answers) == 8);
    assert_eq!(proxy.connections(), 2);
    until("the second is gone", || proxy.open() == 1);
    caller.0.shutdown(std::net::Shutdown::Write).unwrap();
    caller.is_cut();
}

#[test]
fn each_way_is_late_by_itself_and_in_order() {
    for (way, other) in [(Way::Requests, Way::Answers), (Way::Answers, Way::Requests)] {
        let proxy = echo();
        let mut caller = Caller::to(&proxy);
        caller.say("at once");
        caller.hears("at once");
        proxy.delay(way, LATE);
        let asked = Instant::now();
        for word in ["one ", "two ", "three"] {
            caller.say(word);
        }
        caller.hears("one two three");
        let took = asked.elapsed();
        assert!(took >= LATE && took < LATE * 3, "{way:?}: not one after another, but {took:?}");
        proxy.delay(way, Duration::ZERO);
        proxy.delay(other, LATE);
        let asked = Instant::now();
        caller.say("again");
        caller.hears("again");
        assert!(asked.elapsed() >= LATE, "{other:?}");
    }
}

#[test]
fn a_cut_ends_what_is_there_and_lets_others_come() {
    let proxy = echo();
    let mut callers = [Caller::to(&proxy), Caller::to(&proxy)];
    for caller in &mut callers {
        caller.say("x");
        caller.hears("x");
    }
    proxy.cut();
    callers.iter_mut().for_each(Caller::is_cut);
    let mut next = Caller::to(&proxy);
    next.say("y");
    next.hears("y");
}

#[test]
fn a_swallowed_answer_never_comes_and_its_request_arrived() {
    let proxy = echo();
    let (mut caller, mut silent) = (Caller::to(&proxy), Caller::to(&proxy));
    for caller in [&mut caller, &mut silent] {
        caller.say("x");
        caller.hears("x");
    }
    proxy.swallow_answers();
    caller.say("lost");
    // What was said came back from the other side: it had arrived there.
    until("the answer is swallowed", || proxy.bytes(Way::Answers) == 6);
    assert_eq!(proxy.bytes(Way::Requests), 6);
    proxy.deliver_answers();
    caller.is_cut();
    silent.say("y");
    silent.hears("y");
}

#[test]
fn a_held_answer_waits_and_the_next_may_be_lost() {
    let proxy = echo();
    let mut caller = Caller::to(&proxy);
    caller.say("x");
    caller.hears("x");
    proxy.hold_answers();
    caller.say("first");
    until("it is done", || proxy.bytes(Way::Answers) == 6);
    caller.0.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(caller.0.read(&mut [0]).is_err(), "nobody heard of it");
    caller.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    proxy.swallow_answers();
    proxy.release_answers();
    caller.hears("first");
    caller.say("second");
    until("it is done, too", || proxy.bytes(Way::Answers) == 12);
    proxy.deliver_answers();
    caller.is_cut();
}

#[test]
fn who_is_refused_may_come_again_later() {
    let proxy = echo();
    let mut before = Caller::to(&proxy);
    before.say("x");
    before.hears("x");
    proxy.refuse();
    assert_eq!(TcpStream::connect(proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    before.say("y");
    before.hears("y");
    proxy.take();
    let mut after = Caller::to(&proxy);
    after.say("z");
    after.hears("z");
    let address = proxy.address();
    drop(proxy);
    assert!(TcpStream::connect(address).is_err());
    after.is_cut();
}

#[test]
fn nobody_behind_it_is_an_end_and_no_silence() {
    let away = TcpListener::bind(ANY).unwrap().local_addr().unwrap();
    Caller::to(&Proxy::start(ANY, away).unwrap()).is_cut();
}
