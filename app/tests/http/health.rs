use crate::{BINARY, shop, shop_with};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Output, Stdio},
};
use testkit::unique;

/// What operators are answered, by each process.
async fn internal(path: &str) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    for (_, at) in shop().internals() {
        let answer = Client::new().get(format!("{at}{path}")).send().await.expect("an answer");
        answers.push((answer.status().as_u16(), answer.text().await.expect("text")));
    }
    answers
}

#[tokio::test]
async fn both_listeners_tell_their_health() {
    for (path, status) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let public = shop().anonymous().get(path).send().await.expect(200);
        assert_eq!(public.json(), json!({ "status": status }));
        for answer in internal(path).await {
            assert_eq!(answer, (200, public.json().to_string()));
        }
    }
}

#[tokio::test]
async fn measures_are_for_operators() {
    shop().anonymous().get("/v1/products").send().await.expect(200);
    let told = internal("/metrics").await;
    assert!(told.iter().all(|(status, _)| *status == 200));
    for name in ["cleave_http_seconds", "cleave_database_statements_total", "cleave_database_transactions_total"] {
        assert!(told.iter().any(|(_, text)| text.contains(name)), "{name} is not measured");
    }
    shop().anonymous().get("/metrics").send().await.problem(404, "not_served_here");
    assert!(internal("/v1/products").await.iter().all(|(status, _)| *status == 404));
}

#[tokio::test]
async fn ids_in_paths_make_no_new_measures() {
    let word = unique("measured");
    shop().anonymous().get(&format!("/v1/products/{word}")).send().await.problem(404, "not_found");
    shop().anonymous().get(&format!("/{word}")).send().await.problem(404, "not_served_here");
    assert!(!internal("/metrics").await.iter().any(|(_, text)| text.contains(&word)));
}

#[tokio::test]
async fn a_request_keeps_its_id() {
    let anonymous = shop().anonymous();
    let id = unique("request");
    let answer = anonymous.get("/v1/products/none").header("x-request-id", &id).send().await.problem(404, "not_found");
    assert_eq!((answer.header("x-request-id"), answer.text("/request_id")), (Some(id.as_str()), id.clone()));
    let long = "x".repeat(65);
    for strange in ["short", "with space", "semi;colon-is-out", &long] {
        let answer = anonymous.get("/v1/products/none").header("x-request-id", strange).send().await;
        let given = answer.header("x-request-id").unwrap();
        assert!(given != strange && given.len() >= 8, "{given}");
        assert_eq!(answer.text("/request_id"), given);
    }
}

#[tokio::test]
async fn a_trace_goes_on() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";
    let anonymous = shop().anonymous();
    let traced = |header: String| anonymous.get("/v1/products").header("traceparent", header).send();
    let trace = |answer: &testkit::Answer| -> Vec<String> {
        answer.header("traceparent").unwrap().split('-').map(str::to_owned).collect()
    };
    let kept = trace(&traced(format!("00-{TRACE}-{PARENT}-01")).await);
    assert_eq!((kept.len(), kept[1].as_str()), (4, TRACE));
    assert_ne!(kept[2], PARENT, "the span is a new one");
    for strange in
        ["nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", &format!("ff-{TRACE}-{PARENT}-01")]
    {
        let begun = trace(&traced(strange.to_owned()).await);
        assert!(begun[1].len() == 32 && begun[1] != TRACE && begun[1].bytes().any(|b| b != b'0'), "{begun:?}");
    }
}

#[tokio::test]
async fn a_path_that_nobody_serves_is_a_problem() {
    for path in ["/", "/v1", "/v1/", "/v1/nothing", "/v2/products", "/v1/products/", "//v1/products", "/favicon.ico"] {
        shop().anonymous().get(path).send().await.problem(404, "not_served_here");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_know_is_a_problem() {
    let anonymous = shop().anonymous();
    let ask = |method: Method, path: &'static str| anonymous.request(method, path).send();
    let answer = ask(Method::PUT, "/v1/products").await.problem(405, "method_not_allowed");
    let mut allowed: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    ask(Method::POST, "/v1/users/me").await.problem(405, "method_not_allowed");
    ask(Method::OPTIONS, "/v1/orders").await.problem(405, "method_not_allowed");
    ask(Method::from_bytes(b"NONSENSE").unwrap(), "/v1/carts").await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn where_get_is_answered_head_is_too() {
    let shop = shop();
    let public = ["/v1/products", "/healthz", "/openapi.json"].map(|path| (shop.url.clone(), path));
    let internal = shop.internals().into_iter().map(|(_, at)| (at, "/readyz"));
    for (at, path) in public.into_iter().chain(internal) {
        let answer = reqwest::Client::new().head(format!("{at}{path}")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.bytes().await.expect("a body").is_empty(), "{path}");
    }
    shop.anonymous().post("/healthz", serde_json::json!({})).send().await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn what_a_browser_guesses_does_no_harm() {
    let answer = shop().anonymous().get("/v1/products").send().await;
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

/// `cleave`, apart from any shop.
pub(crate) fn cleave(args: &[&str], env: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(BINARY);
    command.args(args).current_dir(folder.path()).envs(env.iter().copied()).stdin(Stdio::null());
    command.output().expect("the binary starts")
}

#[test]
fn settings_are_shown_without_their_secrets() {
    let url = "postgres://u:sesame@h/db";
    let shown = cleave(&["config"], &[("CLEAVE__DATABASE__URL", url), ("CLEAVE__MODULES__USERS__DATABASE", url)]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && !text.contains("sesame"), "{text}");
    assert_eq!(text.matches("postgres://u:***@h/db").count(), 2, "{text}");
}

#[test]
fn all_that_is_wrong_with_the_settings_is_told_at_once() {
    let env = [
        ("CLEAVE__NONSENSE__X", "1"),
        ("CLEAVE__HTTP__PORT", "80"),
        ("CLEAVE__DATABASE__QUEUE", "many"),
        ("CLEAVE__PAYMENTS__PROVIDERS", "gold"),
    ];
    for command in ["config", "serve", "migrate"] {
        let refused = cleave(&[command], &env);
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{command}");
        for problem in ["nonsense", "port", "database.queue", "gold"] {
            assert!(told.contains(problem), "{command} does not tell of {problem}:\n{told}");
        }
    }
}

#[test]
fn a_data_folder_has_one_server() {
    let shop = shop_with(&[]);
    let second = shop.command(&["serve"]).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && second.stdout.is_empty(), "{told}");
    assert!(told.contains("data") && !told.contains("panicked"), "{told}");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_and_begins_again() {
    let mut shop = shop_with(&[]);
    let before = shop.customer().await.get("/v1/users/me").send().await.text("/email");
    shop.stop();
    assert!(Client::new().get(format!("{}/healthz", shop.url)).send().await.is_err());
    shop.resume();
    let found = shop.admin().await.get(&format!("/v1/users?email={before}")).send().await.expect(200);
    assert_eq!(found.text("/items/0/email"), before);
}

#[tokio::test]
async fn logs_are_an_object_a_line() {
    let shop = shop_with(&[]);
    let mut command = shop.another("products");
    let data = tempfile::tempdir().unwrap();
    command.env("CLEAVE__LOG__FORMAT", "json").env("CLEAVE__LOG__FILTER", "info");
    command.env("CLEAVE__DATA_DIR", data.path());
    let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").expect("it says where it listens");
    let id = unique("logged");
    Client::new().get(format!("{url}/v1/products?q=x")).header("x-request-id", &id).send().await.unwrap();
    let ended = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(ended.success());
    let mut logs = String::new();
    server.stderr.take().unwrap().read_to_string(&mut logs).unwrap();
    assert!(server.wait().unwrap().success(), "{logs}");
    let lines: Vec<Value> = logs.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let access = lines.iter().find(|line| line.to_string().contains(&id)).expect("a line of the request");
    assert_eq!((&access["status"], &access["path"]), (&json!(200), &json!("/v1/products")), "{access}");
    assert!(!logs.contains("q=x"), "what was asked may be private");
}
