//! `cleave demo`, from its first line to the order that its greeting buys. It uses SQLite, whatever the run is about.
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Ends with the test.
struct Demo {
    child: Child,
    url: String,
    greeting: String,
}
impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it ended before: nothing to kill
        let _ = self.child.wait();
    }
}

/// The last line of the sequence that a greeting prints.
const LAST: &str = "/v1/orders/$ORDER\" -H";

fn demo(data: &Path) -> Demo {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleave"));
    command.args(["demo", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let (mut lines, mut greeting) = (BufReader::new(child.stdout.take().expect("piped")).lines(), String::new());
    let mut url = None;
    loop {
        let line = lines.next().expect("the greeting ended early").expect("text");
        match line.strip_prefix("listening on ") {
            Some(found) => url = Some(found.to_owned()),
            None => greeting += &(line.clone() + "\n"),
        }
        if line.contains(LAST) {
            break;
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
    Demo { child, url: url.expect("it says where it listens"), greeting }
}

/// Runs what the greeting says, word for word, and gives the order that it ends with.
fn bought(demo: &Demo) -> Value {
    assert!(Command::new("curl").arg("--version").output().is_ok(), "this test needs curl: the greeting uses it");
    let script = &demo.greeting[demo.greeting.find("SHOP=").expect("the sequence begins with SHOP=")..];
    let mut shell = Command::new("sh");
    let mut shell = shell.arg("-eu").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
    shell.stdin.take().expect("piped").write_all(script.as_bytes()).expect("it reads its input");
    let done = shell.wait_with_output().expect("it ends");
    let said = String::from_utf8(done.stdout).expect("text");
    assert!(done.status.success(), "{said}");
    serde_json::from_str(said.lines().last().expect("an answer"))
        .unwrap_or_else(|_| panic!("no order at the end: {said}"))
}

async fn count(url: &str) -> u64 {
    testkit::clients_can_be_made();
    let list = reqwest::get(format!("{url}/v1/products?count=true")).await.expect("it answers").text().await;
    let list: Value = serde_json::from_str(&list.expect("text")).expect("JSON");
    list["count"].as_u64().expect("a count")
}

#[tokio::test]
async fn the_demonstration_sells_as_its_greeting_says_and_is_seeded_once() {
    let data = TempDir::new().expect("a temporary folder");
    let first = demo(data.path());
    let seconds = first.greeting.split("From start to the first answer: ").nth(1).expect("it says how long it took");
    let seconds: f64 = seconds.split(' ').next().and_then(|text| text.parse().ok()).expect("seconds");
    assert!(seconds > 0.0);
    let products = count(&first.url).await;
    assert!(products >= 20, "{products} products");
    let order = bought(&first);
    assert_eq!(order["fulfilment_status"], "fulfilled", "{order}");
    drop(first);
    let second = demo(data.path());
    assert_eq!(count(&second.url).await, products, "a second start does not seed again");
    assert_eq!(bought(&second)["fulfilment_status"], "fulfilled");
}
