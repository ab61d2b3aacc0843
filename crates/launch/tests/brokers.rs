//! Servers of a test's own: there, gone, and there again.
use launch::{Nats, NatsOptions, Tansu};
use std::{env, net::TcpStream, path::PathBuf};

fn program(variable: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| panic!("{variable} names the server; `cargo xtask test` sets it")).into()
}

#[test]
fn nats_comes_back_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let program = program("CLEAVE_TEST_NATS_SERVER");
    let login = Some(("shop".to_owned(), "with \"quotes\" and \\".to_owned()));
    let mut nats = Nats::start(&program, folder.path(), NatsOptions { login, tls: None }).unwrap();
    let (address, url) = (nats.address(), nats.url());
    nats.stop();
    assert!(TcpStream::connect(address).is_err());
    nats.start_again().unwrap();
    assert_eq!((nats.address(), nats.url()), (address, url));
    nats.kill().unwrap();
    assert!(TcpStream::connect(address).is_err());
    nats.start_again().unwrap();
}

#[test]
fn what_does_not_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Some(launch::NatsTls { certificate: "/nowhere/cert".into(), key: "/nowhere/key".into(), clients: None });
    let started = Nats::start(&program("CLEAVE_TEST_NATS_SERVER"), folder.path(), NatsOptions { login: None, tls });
    let why = started.err().expect("a certificate is missing").to_string();
    assert!(why.contains("NATS does not answer") && why.contains("/nowhere/"), "{why}");
}

#[test]
fn tansu_comes_back_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut tansu = Tansu::start(&program("CLEAVE_TEST_KAFKA_SERVER"), folder.path()).unwrap();
    let address = tansu.address();
    tansu.stop();
    assert!(TcpStream::connect(address).is_err());
    tansu.start_again().unwrap();
    assert_eq!(tansu.address(), address);
    tansu.kill().unwrap();
    assert!(TcpStream::connect(address).is_err());
}
