//! Nonsense, for every operation that the OpenAPI document knows. Sent as an administrator, so that no permission hides
//! what is behind it, to a shop of its own. Whatever comes, the answer is a problem document or makes sense; it is never
//! a 5xx and never silence.
use crate::{goods, shop_with};
use futures_util::{StreamExt, stream};
use kernel::Code;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::OnceLock, time::Duration};
use testkit::{
    Actor, Answer, Shop,
    document::{Operation, Place, Targets, operations, places, sample},
    exchange, unique,
};
use tokio::time::timeout;

fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| shop_with(&[]))
}

/// One of each.
async fn targets(admin: &Actor) -> Targets {
    let product = goods::made(shop(), goods::lamp()).await;
    let variant = product.text("/variants/0/id");
    let order = goods::ordered(admin, &variant, 1).await;
    let cart = goods::cart(admin, &variant, 1).await;
    let address = admin.post("/v1/users/me/addresses", goods::address()).send().await.expect(201);
    let reviews = format!("/v1/products/{}/reviews", product.text("/id"));
    let review = admin.post(&reviews, json!({ "mark": 3 })).send().await.expect(201);
    let user = shop().customer().await.get("/v1/users/me").send().await.text("/id");
    Targets(BTreeMap::from([
        ("{product}", product.text("/id")),
        ("{slug}", product.text("/slug")),
        ("{provider}", "test".to_owned()),
        ("/variants/{id}", variant),
        ("/orders/{id}", order.text("/id")),
        ("/carts/{id}", cart.text("/id")),
        ("{line}", cart.text("/lines/0/id")),
        ("/addresses/{id}", address.text("/id")),
        ("/users/{id}", user),
        ("/reviews/{id}", review.text("/id")),
        ("/sessions/{id}", "sess_01h455vb4pex5vsknk084sn02q".to_owned()),
        ("/imports/{id}", "imp_01h455vb4pex5vsknk084sn02q".to_owned()),
        ("/webhook-endpoints/{id}", shop().webhook_endpoint().await),
        ("/webhook-deliveries/{id}", shop().webhook_delivery().await),
        ("/notices/{id}", shop().notice()),
    ]))
}

/// What any answer to nonsense must be.
#[track_caller]
fn sensible(answer: &Answer, sent: &str) {
    let sent: String = sent.chars().take(200).collect();
    let shown = String::from_utf8_lossy(&answer.bytes);
    assert!(answer.status < 500, "{} to {}: {sent}\n{shown}", answer.status, answer.what);
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}: {sent}\n{shown}", answer.what);
        let (code, status) = (answer.text("/code"), answer.status);
        let known = Code::ALL.iter().any(|known| known.as_str() == code && known.status() == status);
        assert!(known, "{status} {code} to {}: {sent}", answer.what);
        assert!(shown.len() < 20_000, "a short answer to {}: {sent}\n{shown}", answer.what);
    }
}

async fn send(admin: &Actor, operation: &Operation, path: &str, media: &str, body: impl Into<Vec<u8>>) -> Answer {
    let body = body.into();
    let sent = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    let request = admin.request(operation.method.clone(), path).body(media, body).send();
    let answer = timeout(Duration::from_secs(20), request).await;
    let answer = answer.unwrap_or_else(|_| panic!("no answer to {} {path}: {sent}", operation.method));
    sensible(&answer, &sent);
    answer
}

const JSON: &str = "application/json";

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    let admin = shop().admin().await;
    let targets = targets(&admin).await;
    let malformed: Vec<(Vec<u8>, &[u16])> = vec![
        (b"{\"a\":".to_vec(), &[400, 422]), // an unknown member may be met first
        (b"{".to_vec(), &[400]),
        (b"}".to_vec(), &[400]),
        (b"{} {}".to_vec(), &[400, 422]), // what is missing may be met first
        (b"\xff\xfe".to_vec(), &[400]),
        (b"{\"\xc3\x28\": 1}".to_vec(), &[400, 422]),
        (b"{\"\\ud800\": 1}".to_vec(), &[400, 422]),
        (b"NaN".to_vec(), &[400]),
        (b"\xef\xbb\xbf{}".to_vec(), &[400]),
        (b"\0".to_vec(), &[400]),
        (b"null".to_vec(), &[422]),
        (b"7".to_vec(), &[422]),
        (b"\"text\"".to_vec(), &[422]),
        (b"[[]]".to_vec(), &[400, 422]),
        (b"1e400".to_vec(), &[400, 422]),
        ([b"[".repeat(10_000), b"]".repeat(10_000)].concat(), &[400, 422]),
        ([b"{\"a\":".repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat(), &[400, 422]),
        (vec![b' '; 10 << 20], &[413]),
        (vec![b'['; 1 << 20], &[400, 422]),
    ];
    for operation in operations().iter().filter(|operation| operation.body.is_some()) {
        let path = targets.path(operation);
        for (body, expected) in &malformed {
            let answer = send(&admin, operation, &path, JSON, body.clone()).await;
            let shown: String = String::from_utf8_lossy(body).chars().take(30).collect();
            // What is in somebody else's form is understood or not.
            let expected = if operation.foreign && answer.status != 413 { &[400] } else { *expected };
            assert!(expected.contains(&answer.status), "{} to {}: {shown}", answer.status, operation.name());
        }
        send(&admin, operation, &path, JSON, "").await;
    }
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let admin = shop().admin().await;
    let targets = targets(&admin).await;
    for operation in operations().iter().filter(|operation| operation.body.is_some()) {
        // no length announced: it must be counted
        let endless = stream::iter((0..160).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 << 10])));
        let body = reqwest::Body::wrap_stream(endless);
        let request = admin.request(operation.method.clone(), &targets.path(operation)).body(JSON, body);
        match timeout(Duration::from_secs(20), request.try_send()).await.expect("an answer") {
            Ok(answer) => drop(answer.problem(413, "body_too_large")),
            // the server hung up while we still sent: what it said is lost on the way
            Err(error) => assert!(!error.is_timeout(), "{}: {error}", operation.name()),
        }
    }
}

#[tokio::test]
async fn bodies_of_another_media_type_are_refused() {
    let admin = shop().admin().await;
    let targets = targets(&admin).await;
    for operation in operations() {
        let (body, expected) = match (&operation.body, &operation.stream) {
            (Some(schema), _) => (sample(schema).to_string(), JSON),
            (None, Some(media)) => ("a,b\n".to_owned(), media.as_str()),
            (None, None) => continue,
        };
        for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense", "text/csv"]
        {
            if media != expected {
                let answer = send(&admin, &operation, &targets.path(&operation), media, body.clone()).await;
                answer.problem(415, "unsupported_media_type");
            }
        }
    }
}

/// Values to try at a place, as JSON text; the word says whether its schema can take them.
fn nonsense(place: &Place) -> Vec<(String, bool)> {
    let takes = |kind| place.takes(kind) || place.takes("any");
    let text = |text: &str| (json!(text).to_string(), takes("string"));
    let long = "x".repeat(100_000);
    let mut all = vec![
        ("null".to_owned(), takes("null")),
        ("true".to_owned(), takes("boolean")),
        ("1.5".to_owned(), false),
        ("{}".to_owned(), takes("object")),
        ("[]".to_owned(), takes("array")),
        ("[null]".to_owned(), false),
        ("{\"nonsense\": {}}".to_owned(), false),
        ("1e400".to_owned(), false),
        ("\"\\ud800\"".to_owned(), false),
        (json!(long).to_string(), takes("string") && place.longest.is_none()),
        text(""),
        text(" "),
        text("'; DROP TABLE users; --"),
        text("\" OR 1=1; --"),
        text("<script>alert(1)</script>"),
        text("\0"),
        text("a\0b"),
        text("\u{202e}\u{feff}\u{1f600}\u{301}"),
        text("%00%n{}${jndi:ldap://x}"),
    ];
    let numbers = [0, -1, 1 << 53, -(1 << 53), i64::MAX, i64::MIN, 2_147_483_648].map(|n: i64| n.to_string());
    all.extend(numbers.into_iter().map(|number| (number, takes("integer"))));
    all.push((u64::MAX.to_string(), false));
    all.push(("1".repeat(400), false));
    all
}

/// `body` with something else at a place.
fn with(body: &Value, pointer: &str, text: &str) -> String {
    const HERE: &str = "@here@";
    let mut body = body.clone();
    if let Some(value) = body.pointer_mut(pointer) {
        *value = json!(HERE);
    }
    body.to_string().replace(&json!(HERE).to_string(), text)
}

fn without(body: &Value, pointer: &str) -> Option<Value> {
    let (parent, name) = pointer.rsplit_once('/')?;
    let mut body = body.clone();
    body.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
    Some(body)
}

/// The members that lists and maps of the sample leave empty are tried as well.
fn filled(operation: &Operation) -> Value {
    let mut body = sample(operation.body.expect("it takes a body"));
    if let Some(options) = body.get_mut("options").filter(|options| options.is_array()) {
        *options = json!([{ "name": "Color", "values": ["Red"] }]);
    }
    if let Some(categories) = body.get_mut("categories") {
        *categories = json!(["sample"]);
    }
    body
}

#[tokio::test]
async fn every_member_of_every_body_is_checked() {
    let admin = shop().admin().await;
    for operation in operations().iter().filter(|operation| operation.body.is_some()) {
        let targets = targets(&admin).await;
        let (path, body) = (targets.path(operation), filled(operation));
        let before = version(&admin, &path).await;
        let mut tries = Vec::new();
        for place in places(operation.body.expect("filtered")) {
            if body.pointer(&place.pointer).is_none() {
                continue;
            }
            tries.extend(nonsense(&place).into_iter().map(|(text, fits)| (with(&body, &place.pointer, &text), !fits)));
            if let Some(body) = without(&body, &place.pointer) {
                tries.push((body.to_string(), place.required));
            }
        }
        let mut surplus = body.clone();
        surplus["nonsense"] = json!(1);
        tries.push((surplus.to_string(), true));
        let (admin, path) = (&admin, path.as_str());
        let answers = tries.into_iter().map(|(body, bad)| async move {
            let answer = send(admin, operation, path, JSON, body.clone()).await;
            let shown: String = body.chars().take(300).collect();
            assert!(!bad || answer.status >= 400, "{} took {shown}", operation.name());
            // what is wrong in form is found before what is wrong in the shop
            // (a sign-in tells nobody what an address or a password may look like)
            let silent = answer.status == 401;
            let early = silent || [400, 422].contains(&answer.status);
            assert!(!bad || early, "{} to {}: {shown}", answer.status, operation.name());
            u64::from(answer.status < 300)
        });
        let taken: u64 = stream::iter(answers).buffer_unordered(8).fold(0, |sum, one| async move { sum + one }).await;
        if let (Some(before), Some(after)) = (before, version(admin, path).await) {
            assert!(after - before <= taken.cast_signed(), "{} changed what it refused to", operation.name());
        }
    }
}

/// Of what lies at a path, where something with a version does.
async fn version(admin: &Actor, path: &str) -> Option<i64> {
    let readable = ["/v1/users/me/addresses/", "/v1/products/", "/v1/carts/", "/v1/orders/"];
    let depth = path.matches('/').count();
    let fits = readable.iter().any(|start| path.starts_with(start) && depth == start.matches('/').count());
    if !fits {
        return None;
    }
    Some(admin.get(path).send().await.expect(200).number("/version"))
}

#[tokio::test]
async fn every_query_parameter_is_checked() {
    let admin = shop().admin().await;
    let targets = targets(&admin).await;
    let (long, longer) = ("x".repeat(600), "1".repeat(6000));
    let values = [
        "",
        "%00",
        "a%00b",
        "nonsense",
        "-1",
        "0",
        "1.5",
        "99999999999999999999999",
        "1e400",
        "%27%20OR%201=1;--",
        "%3Cscript%3E",
        "%FF%FE",
        "%zz",
        "%",
        "%C3%28",
        "+",
        "%F0%9F%92%A1",
        "null",
        "[]",
        "true",
        &long,
        &longer,
    ];
    for operation in operations().iter().filter(|operation| operation.method == "GET") {
        let path = targets.path(operation);
        for name in operation.query.iter().map(String::as_str).chain(["nonsense", "%00", "%zz", "limit%5B%5D"]) {
            for value in values {
                let answer = ask(&admin, &format!("{path}?{name}={value}")).await;
                let known = operation.query.iter().any(|known| known == name);
                let refused = answer.status == 400;
                assert!(known || operation.query.is_empty() || refused, "{} took {name}", operation.name());
            }
            let twice = ask(&admin, &format!("{path}?{name}=1&{name}=2")).await;
            assert!(operation.query.is_empty() || twice.status == 400, "{} took {name} twice", operation.name());
        }
        if operation.query.iter().any(|name| name == "limit") {
            for limit in ["0", "-1", "101", "99999999999999999999", "ten", "1e1", "", "%00"] {
                ask(&admin, &format!("{path}?limit={limit}")).await.problem(400, "invalid_query");
            }
            // nothing; too short; another list's; not JSON; more than fits
            for cursor in ["", "AAAA", "_-_-", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA", "%27", "%00", "..", &long] {
                ask(&admin, &format!("{path}?cursor={cursor}")).await.problem(400, "invalid_cursor");
            }
        }
    }
    for (method, query) in
        [("POST", "format=nonsense"), ("POST", "currency=XXX"), ("POST", "dry_run=2"), ("POST", "a=b")]
    {
        let request = admin.request(method.parse().unwrap(), &format!("/v1/imports?{query}"));
        request.body("text/csv", "Handle\n").send().await.problem(400, "invalid_query");
    }
}

async fn ask(admin: &Actor, path: &str) -> Answer {
    let answer = timeout(Duration::from_secs(20), admin.get(path).send()).await.expect("an answer");
    sensible(&answer, "");
    answer
}

#[tokio::test]
async fn every_path_parameter_is_checked() {
    let admin = shop().admin().await;
    let targets = targets(&admin).await;
    let token = admin.token().expect("signed in");
    let long = "x".repeat(8000);
    let strange = [
        "x",
        "%00",
        "a%00b",
        "..",
        ".",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "%ff%fe",
        "%c3%28",
        "%zz",
        "%",
        "%2",
        "%F0%9F%92%A1",
        "'%20OR%201=1;--",
        "%3Cscript%3E",
        "prod_00000000000000000000000000",
        "var_01h455vb4pex5vsknk084sn02q",
        "PROD_01H455VB4PEX5VSKNK084SN02Q",
        "prod_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "prod_",
        "_",
        "{id}",
        "%20",
        "-",
        "*",
        &long,
    ];
    for operation in operations().iter().filter(|operation| operation.path.contains('{')) {
        let body = operation.body.map(|schema| sample(schema).to_string()).unwrap_or_default();
        let real = targets.path(operation);
        let names: Vec<_> = operation.path.split('/').enumerate().filter(|(_, part)| part.starts_with('{')).collect();
        for (at, _) in names {
            for text in strange {
                let path: Vec<_> =
                    real.split('/').enumerate().map(|(n, part)| if n == at { text } else { part }).collect();
                let (path, length) = (path.join("/"), body.len());
                let head = format!(
                    "{} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
                     Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
                    operation.method
                );
                let answer = exchange(&shop().url, head.as_bytes()).await;
                let answer = answer.unwrap_or_else(|why| panic!("{} {path}: {why}", operation.method));
                sensible(&answer, &body);
                let expected = [400, 404].contains(&answer.status);
                assert!(expected, "{} to {} {path}", answer.status, operation.method);
            }
        }
    }
}

#[tokio::test]
async fn conditions_and_keys_are_checked() {
    let admin = shop().admin().await;
    let targets = targets(&admin).await;
    let (long, huge) = ("k".repeat(256), "\"99999999999999999999\"");
    let tags = ["", "x", "\"", "\"\"", "\"x\"", "\"1\", \"2\"", "W/", huge, "\u{e9}"];
    let keys = ["", " ", "a b", "\u{e9}", &long];
    for operation in operations() {
        let headers = tags.map(|tag| ("if-match", tag)).into_iter().filter(|_| operation.conditional);
        let headers = headers.chain(keys.map(|key| ("idempotency-key", key)).into_iter().filter(|_| operation.keyed));
        for (name, value) in headers {
            let request = admin.request(operation.method.clone(), &targets.path(&operation)).header(name, value);
            let request = match (&operation.body, &operation.stream) {
                (Some(_), _) if operation.path.ends_with("/lines/{line}") => request.json(&json!({ "quantity": 1 })),
                (Some(_), _) if operation.conditional => request.json(&valid(&operation)),
                (Some(schema), _) => request.json(&sample(schema)),
                (None, Some(media)) => request.body(media, "Handle\n"),
                (None, None) => request,
            };
            let answer = request.send().await;
            sensible(&answer, value);
            assert_eq!(
                (answer.status, answer.text("/code").as_str()),
                (400, "invalid_header"),
                "{}: {name}: {value}: {}",
                operation.name(),
                answer.json()
            );
        }
    }
}

/// A body that is no reason to refuse a change.
fn valid(operation: &Operation) -> Value {
    if operation.path.ends_with("/moderation") {
        return json!({ "status": "rejected" });
    }
    let whole = operation.path.contains("/addresses/") || operation.path.starts_with("/v1/users/{");
    if whole { sample(operation.body.expect("it takes a body")) } else { json!({}) }
}

#[tokio::test]
async fn headers_are_checked() {
    let admin = shop().admin().await;
    let targets = targets(&admin).await;
    let path = format!("/v1/products/{}", targets.0["{product}"]);
    for tag in ["x", "\"", "W/", "\u{e9}", ""] {
        sensible(&admin.get(&path).header("if-none-match", tag).send().await.expect(200), tag);
    }
    let long = "t".repeat(200);
    for token in ["", "\u{e9}", &long] {
        let answer = shop().anonymous().get("/v1/products").header("x-cart-token", token).send().await;
        answer.problem(400, "invalid_header");
    }
    for accept in ["nonsense", "text/html", "*/*;q=x"] {
        let request = admin.get(&path).header("accept", accept).header("accept-encoding", accept);
        sensible(&request.send().await.expect(200), accept);
    }
}

#[tokio::test]
async fn what_was_refused_is_not_half_there() {
    let (admin, slug) = (shop().admin().await, unique("half"));
    let mut product = goods::lamp();
    product["slug"] = json!(slug);
    for bad in
        [json!({ "stock": -1 }), json!({ "prices": [{ "amount": -1, "currency": "EUR" }] }), json!({ "sku": "\0" })]
    {
        let mut product = product.clone();
        product["variants"].as_array_mut().unwrap().push(bad);
        admin.post("/v1/products", product).send().await.problem(422, "invalid");
        admin.get(&format!("/v1/products/{slug}")).send().await.problem(404, "not_found");
    }
    admin.post("/v1/products", product).send().await.expect(201);

    let variant = goods::variant(shop(), 5).await;
    let cart = goods::cart(&admin, &variant, 1).await.text("/id");
    let lines = json!({ "currency": "EUR", "lines": [
        { "variant_id": variant, "quantity": 1 }, { "variant_id": "var_01h455vb4pex5vsknk084sn02q", "quantity": 1 }] });
    goods::refused(admin.post("/v1/carts", lines).send().await, &[("/lines/1/variant_id", "not_usable")]);
    let before = admin.get(&format!("/v1/carts/{cart}")).send().await.json();
    let mut address = goods::address();
    address["country"] = json!("XX");
    let change = json!({ "email": "other@test.example", "shipping_address": address });
    let refused = admin.patch(&format!("/v1/carts/{cart}"), change).send().await;
    goods::refused(refused, &[("/shipping_address/country", "invalid_format")]);
    assert_eq!(admin.get(&format!("/v1/carts/{cart}")).send().await.json(), before);
}
