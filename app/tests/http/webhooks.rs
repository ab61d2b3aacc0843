//! Webhooks: a shop that posts to a receiver on this machine, and staff that hears the same as it happens.
use crate::{goods, shop_with};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};
use testkit::{Actor, Answer, Posted, Receiver, Reply, Shop, Topology, unique, until};

/// Tries again soon, and may post to this machine.
pub(crate) fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| {
        shop_with(&[
            ("CLEAVE__WEBHOOKS__ALLOW_HTTP", "true"),
            ("CLEAVE__WEBHOOKS__ALLOW_NETWORKS", "127.0.0.1/32"),
            ("CLEAVE__WEBHOOKS__RETRY_SECONDS", "1,1"),
            ("CLEAVE__WEBHOOKS__TIMEOUT_SECONDS", "2"),
            ("CLEAVE__WEBHOOKS__CONNECT_SECONDS", "2"),
            ("CLEAVE__WEBHOOKS__PAUSE_HOURS", "0"),
            ("CLEAVE__WEBHOOKS__PAUSE_FAILURES", "4"),
            ("CLEAVE__WEBHOOKS__HEARTBEAT_SECONDS", "1"),
            ("CLEAVE__WEBHOOKS__SECRET_KEYS", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ])
    })
}

/// An endpoint at a path of a receiver.
struct Endpoint {
    admin: Actor,
    path: String,
    id: String,
    secret: String,
}

impl Endpoint {
    async fn add(receiver: &Receiver, path: &str, events: &[&str]) -> Self {
        let admin = shop().admin().await;
        let body = json!({ "url": receiver.url(path), "events": events });
        let made = admin.post("/v1/webhook-endpoints", body).send().await.expect(201);
        let (id, secret) = (made.text("/endpoint/id"), made.text("/secret"));
        let at = format!("/v1/webhook-endpoints/{id}");
        assert_eq!(made.header("location"), Some(at.as_str()));
        Self { admin, path: at, id, secret }
    }
    async fn test(&self) -> String {
        self.admin.post(&format!("{}/test", self.path), json!({})).send().await.expect(202).text("/id")
    }
    async fn shown(&self) -> Answer {
        self.admin.get(&self.path).send().await.expect(200)
    }
    async fn patch(&self, body: Value) -> Answer {
        self.admin.patch(&self.path, body).send().await
    }
    /// The log of a delivery, once it is in this state.
    async fn logged(&self, delivery: &str, status: &str) -> Answer {
        let path = format!("/v1/webhook-deliveries/{delivery}");
        until(status, async || {
            let log = self.admin.get(&path).send().await.expect(200);
            (log.text("/delivery/status") == status).then_some(log)
        })
        .await
    }
}

async fn posted(receiver: &Receiver, path: &str, count: usize) -> Vec<Posted> {
    until("it is posted", async || Some(receiver.posted(path)).filter(|all| all.len() >= count)).await
}

/// By a library of somebody else.
fn verifies(secret: &str, posted: &Posted) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, posted.header(name).parse().expect("a header's value"));
    }
    Webhook::new(secret).expect("a secret").verify(posted.body.as_bytes(), &headers).is_ok()
}

#[tokio::test]
async fn what_happens_is_posted_signed_and_logged() {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::add(&receiver, "/all", &["product.*"]).await;
    let other = Endpoint::add(&receiver, "/orders", &["order.placed"]).await;
    let product = goods::made(shop(), goods::lamp()).await.text("/id");
    let all = until("the product is told", async || {
        let all = receiver.posted("/all");
        let of_it: Vec<_> = all.into_iter().filter(|one| one.json()["subject"] == product.as_str()).collect();
        (!of_it.is_empty()).then_some(of_it)
    })
    .await;
    let (event, sent) = (all[0].json(), &all[0]);
    assert_eq!((event["specversion"].as_str(), event["type"].as_str()), (Some("1.0"), Some("product.created")));
    assert_eq!(sent.header("webhook-id"), event["id"]);
    assert_eq!(sent.header("content-type"), "application/json");
    assert!(verifies(&endpoint.secret, sent) && !verifies(&other.secret, sent));
    let altered = Posted { body: sent.body.replace("product.created", "product.updated"), ..sent.clone() };
    assert!(!verifies(&endpoint.secret, &altered));
    assert!(receiver.posted("/orders").iter().all(|one| one.json()["type"] == "order.placed"));

    let list = endpoint.admin.get(&format!("{}/deliveries?status=delivered&limit=1", endpoint.path));
    let delivery = until("it is logged", async || {
        let page = endpoint.admin.get(&format!("{}/deliveries?limit=100", endpoint.path)).send().await.expect(200);
        let items = page.at("/items").as_array().unwrap().clone();
        items.into_iter().find(|one| one["event_id"] == event["id"] && one["status"] == "delivered")
    })
    .await;
    assert_eq!(list.send().await.expect(200).at("/items").as_array().unwrap().len(), 1);
    let log = endpoint.logged(delivery["id"].as_str().unwrap(), "delivered").await;
    assert_eq!((log.number("/tries/0/status"), log.at("/event")), (200, event));
    assert_eq!(log.at("/tries").as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_fails_is_tried_again_with_the_same_id_and_fails_in_the_end() {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::add(&receiver, "/flaky", &["order.shipped"]).await;
    let body = "no ".repeat(1000);
    let refused = Reply::With { status: 500, header: None, body };
    receiver.replies("/flaky", [refused, Reply::status(204)]);
    let delivery = endpoint.test().await;
    let log = endpoint.logged(&delivery, "delivered").await;
    assert_eq!((log.number("/tries/0/status"), log.number("/tries/1/status")), (204, 500));
    assert_eq!(log.text("/tries/1/answer").len(), 1024);
    let tries = receiver.posted("/flaky");
    assert_eq!(tries[0].header("webhook-id"), tries[1].header("webhook-id"));
    assert!(tries.iter().all(|one| verifies(&endpoint.secret, one)));
    assert_eq!(tries[0].json()["type"], "webhook.test");

    receiver.replies("/flaky", [Reply::status(503)]);
    let log = endpoint.logged(&endpoint.test().await, "failed").await;
    assert_eq!(log.number("/delivery/attempts"), 3, "the schedule has two waits");
    receiver.replies("/flaky", [Reply::status(200)]);
    let id = log.text("/delivery/id");
    let again = endpoint.admin.post(&format!("/v1/webhook-deliveries/{id}/redeliver"), json!({}));
    again.send().await.expect(202);
    assert_eq!(endpoint.logged(&id, "delivered").await.number("/delivery/attempts"), 4);
    let page = format!("{}/deliveries?status=failed", endpoint.path);
    assert_eq!(endpoint.admin.get(&page).send().await.expect(200).at("/items"), json!([]));
}

#[tokio::test]
async fn an_endpoint_may_ask_to_be_left_alone_for_a_while() {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::add(&receiver, "/busy", &["order.shipped"]).await;
    let busy = Reply::With { status: 429, header: Some(("retry-after", "3600".into())), body: String::new() };
    receiver.replies("/busy", [busy]);
    let id = endpoint.test().await;
    let path = format!("/v1/webhook-deliveries/{id}");
    let log = until("it was tried", async || {
        let log = endpoint.admin.get(&path).send().await.expect(200);
        (log.number("/delivery/attempts") == 1).then_some(log)
    })
    .await;
    assert!(log.text("/delivery/next_attempt_at") > log.text("/delivery/created_at"));
    receiver.replies("/busy", [Reply::status(200)]);
    endpoint.admin.post(&format!("{path}/redeliver"), json!({})).send().await.expect(202);
    endpoint.logged(&id, "delivered").await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_or_dead_is_paused_and_what_comes_is_held() {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::add(&receiver, "/gone", &["order.shipped"]).await;
    receiver.replies("/gone", [Reply::status(410)]);
    let delivery = endpoint.test().await;
    let paused = until("it is paused", async || Some(endpoint.shown().await).filter(|one| one.at("/paused") == true));
    assert_eq!(paused.await.text("/paused_reason"), "gone");
    endpoint.logged(&delivery, "held").await;
    let (test, again) = (format!("{}/test", endpoint.path), format!("/v1/webhook-deliveries/{delivery}/redeliver"));
    for path in [&test, &again] {
        endpoint.admin.post(path, json!({})).send().await.problem(409, "endpoint_paused");
    }
    let staff = shop().staff().await;
    let notice = until("staff is told", async || {
        let open = staff.get("/v1/notices?open=true&limit=100").send().await.expect(200);
        let items = open.at("/items").as_array().unwrap().clone();
        items.into_iter().find(|one| one["subject"] == endpoint.id.as_str())
    })
    .await;
    assert_eq!(
        (notice["about"].as_str(), notice["data"]["reason"].as_str()),
        (Some("webhook_endpoint.paused"), Some("gone"))
    );
    let acknowledge = format!("/v1/notices/{}/acknowledge", notice["id"].as_str().unwrap());
    let first = staff.post(&acknowledge, json!({})).send().await.expect(200);
    let second = shop().admin().await.post(&acknowledge, json!({})).send().await.expect(200);
    assert_eq!(first.text("/acknowledged_at"), second.text("/acknowledged_at"), "whoever was first stays");

    receiver.replies("/gone", [Reply::status(200)]);
    assert_eq!(endpoint.patch(json!({ "paused": false })).await.expect(200).at("/paused_reason"), Value::Null);
    endpoint.logged(&delivery, "delivered").await;

    receiver.replies("/gone", [Reply::status(500)]);
    for _ in 0..2 {
        endpoint.test().await;
    }
    let dead = until("it is given up", async || Some(endpoint.shown().await).filter(|one| one.at("/paused") == true));
    assert_eq!(dead.await.text("/paused_reason"), "failing");
}

#[tokio::test]
async fn two_secrets_sign_while_one_takes_the_place_of_the_other() {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::add(&receiver, "/rotated", &["order.shipped"]).await;
    let rotate = format!("{}/secret", endpoint.path);
    endpoint.admin.post(&rotate, json!({ "overlap_hours": 169 })).send().await.problem(422, "invalid");
    let new = endpoint.admin.post(&rotate, json!({})).send().await.expect(200).text("/secret");
    assert!(new.starts_with("whsec_") && new != endpoint.secret);
    endpoint.test().await;
    let both = posted(&receiver, "/rotated", 1).await.remove(0);
    assert_eq!(both.header("webhook-signature").split(' ').count(), 2);
    assert!(verifies(&endpoint.secret, &both) && verifies(&new, &both));
    let newest = endpoint.admin.post(&rotate, json!({ "overlap_hours": 0 })).send().await.expect(200).text("/secret");
    endpoint.test().await;
    let one = posted(&receiver, "/rotated", 2).await.remove(1);
    assert!(verifies(&newest, &one) && !verifies(&new, &one) && !verifies(&endpoint.secret, &one));
    assert!(!String::from_utf8_lossy(&endpoint.shown().await.bytes).contains("whsec_"), "shown once");
}

#[tokio::test]
async fn a_hostile_receiver_gets_nothing_and_holds_up_nobody() {
    let receiver = Receiver::start().await;
    let trap = Receiver::start().await;
    let away = ("location", trap.url("/latest/meta-data"));
    receiver.replies("/moved", [Reply::With { status: 302, header: Some(away), body: String::new() }]);
    receiver.replies("/endless", [Reply::Endless]);
    receiver.replies("/hangs", [Reply::Hangs]);
    let moved = Endpoint::add(&receiver, "/moved", &["order.shipped"]).await;
    let endless = Endpoint::add(&receiver, "/endless", &["order.shipped"]).await;
    let hangs = Endpoint::add(&receiver, "/hangs", &["order.shipped"]).await;
    let well = Endpoint::add(&receiver, "/well", &["order.shipped"]).await;

    let mut hanging = Vec::new();
    for _ in 0..20 {
        hanging.push(hangs.test().await);
    }
    posted(&receiver, "/hangs", 4).await;
    let again = format!("/v1/webhook-deliveries/{}/redeliver", hanging[0]);
    hangs.admin.post(&again, json!({})).send().await.problem(409, "delivery_under_way");
    let begun = Instant::now();
    for _ in 0..10 {
        well.test().await;
    }
    posted(&receiver, "/well", 10).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(receiver.posted("/hangs").len() < 20, "it has its own few places");

    let log = moved.logged(&moved.test().await, "failed").await;
    assert_eq!(log.number("/tries/0/status"), 302);
    assert_eq!(trap.posted("/latest/meta-data").len(), 0);
    let log = endless.logged(&endless.test().await, "delivered").await;
    assert_eq!(log.text("/tries/0/answer").len(), 1024);
    let log = until("its first try is over", async || {
        let log = hangs.admin.get(&format!("/v1/webhook-deliveries/{}", hanging[0])).send().await.expect(200);
        (log.number("/delivery/attempts") > 0).then_some(log)
    })
    .await;
    assert_eq!(log.text("/tries/0/error"), "no answer in time");
    for endpoint in [moved, endless, hangs, well] {
        endpoint.admin.delete(&endpoint.path).send().await.expect(204);
    }
}

#[tokio::test]
async fn what_cannot_be_an_endpoint_is_refused() {
    let admin = shop().admin().await;
    let add = async |url: &str, events: Value| {
        admin.post("/v1/webhook-endpoints", json!({ "url": url, "events": events })).send().await
    };
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://10.0.0.1/",
        "https://[::ffff:192.168.0.1]/",
        "https://2852039166/",
        "https://me:secret@example.com/",
        "ftp://example.com/",
        "nonsense",
    ] {
        let refused = add(url, json!(["*"])).await.problem(422, "invalid");
        assert_eq!(refused.text("/errors/0/pointer"), "/url", "{url}");
    }
    let refused =
        add("https://hooks.invalid/", json!(["order.*", "order.flown", "flight.*"])).await.problem(422, "invalid");
    assert_eq!(
        (refused.text("/errors/0/pointer"), refused.text("/errors/1/pointer")),
        ("/events/1".into(), "/events/2".into())
    );
    for events in [json!([]), json!(vec!["*"; 51])] {
        add("https://hooks.invalid/", events).await.problem(422, "invalid");
    }
    let made = add("https://hooks.invalid/", json!(["order.*", "order.*", "*"])).await.expect(201);
    assert_eq!(made.at("/endpoint/events"), json!(["*", "order.*"]));
    let path = format!("/v1/webhook-endpoints/{}", made.text("/endpoint/id"));
    admin.delete(&path).send().await.expect(204);
    admin.get(&path).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn an_endpoint_has_a_version() {
    let admin = shop().admin().await;
    let body = json!({ "url": "https://hooks.invalid/", "events": ["order.shipped"], "description": "warehouse" });
    let made = admin.post("/v1/webhook-endpoints", body).key(&unique("endpoint")).send().await.expect(201);
    let path = format!("/v1/webhook-endpoints/{}", made.text("/endpoint/id"));
    let shown = admin.get(&path).send().await.expect(200);
    let tag = shown.header("etag").unwrap().to_owned();
    admin.get(&path).header("if-none-match", &tag).send().await.expect(304);
    let changed = admin.patch(&path, json!({ "description": null, "events": ["order.*"] })).header("if-match", &tag);
    let changed = changed.send().await.expect(200);
    assert_eq!((changed.at("/description"), changed.number("/version")), (Value::Null, 2));
    admin
        .patch(&path, json!({ "paused": true }))
        .header("if-match", &tag)
        .send()
        .await
        .problem(412, "version_mismatch");
    admin
        .post(&format!("{path}/secret"), json!({}))
        .header("if-match", &tag)
        .send()
        .await
        .problem(412, "version_mismatch");
    admin.delete(&path).header("if-match", &tag).send().await.problem(412, "version_mismatch");
    assert_eq!(admin.patch(&path, json!({})).send().await.expect(200).number("/version"), 2, "nothing changed");
    let paused = admin.patch(&path, json!({ "paused": true })).send().await.expect(200);
    assert_eq!(paused.text("/paused_reason"), "asked");
    let all = admin.get("/v1/webhook-endpoints").send().await.expect(200);
    assert!(all.at("/items").as_array().unwrap().contains(&paused.json()));
    admin.delete(&path).send().await.expect(204);
}

/// A stream of events, read as it comes.
struct Stream {
    answer: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(path: &str, last: Option<&str>) -> Self {
        let staff = shop().staff().await;
        let request = staff.get(path);
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        Self { answer: request.stream().await, text: String::new() }
    }
    /// What comes next: the fields of an event, or a comment.
    async fn next(&mut self) -> Vec<(String, String)> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |line: &str| {
                    let (name, value) = line.split_once(':').expect("a field");
                    (name.to_owned(), value.trim().to_owned())
                };
                let fields = block.lines().map(field).collect();
                self.text = rest.to_owned();
                return fields;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.answer.chunk()).await;
            let chunk = chunk.expect("a sign of life").expect("the stream goes on").expect("it does not end");
            self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }
    /// The next event: its id, its kind, its data.
    async fn event(&mut self) -> (String, String, Value) {
        loop {
            let fields = self.next().await;
            let field = |name: &str| fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
            if let (Some(id), Some(kind), Some(data)) = (field("id"), field("event"), field("data")) {
                return (id, kind, serde_json::from_str(&data).expect("JSON"));
            }
        }
    }
    async fn about(&mut self, subject: &str) -> (String, String, Value) {
        loop {
            let event = self.event().await;
            if event.2["subject"] == subject {
                return event;
            }
        }
    }
}

#[tokio::test]
async fn staff_hears_what_happens_and_goes_on_where_it_stopped() {
    let mut stream = Stream::open("/v1/events/stream?types=product.*", None).await;
    let media = stream.answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(media, "text/event-stream");
    // What is said to nginx, nginx keeps to itself.
    let unbuffered = stream.answer.headers().get("x-accel-buffering").map(|value| value.to_str().unwrap() == "no");
    assert_eq!(unbuffered, (shop().topology == Topology::Single).then_some(true));
    let first = goods::made(shop(), goods::lamp()).await.text("/id");
    let (id, kind, data) = stream.about(&first).await;
    assert_eq!((kind.as_str(), data["type"].as_str()), ("product.created", Some("product.created")));
    // Only now: of two products either may be told first.
    let second = goods::made(shop(), goods::lamp()).await.text("/id");
    let (later, ..) = stream.about(&second).await;
    assert!(id.parse::<i64>().unwrap() < later.parse().unwrap());
    drop(stream);
    for mut again in [
        Stream::open("/v1/events/stream?types=product.created", Some(&id)).await,
        Stream::open(&format!("/v1/events/stream?types=product.*,order.placed&after={id}"), None).await,
    ] {
        let (position, kind, data) = again.about(&second).await;
        assert_eq!((position, kind.as_str()), (later.clone(), "product.created"));
        assert!(data["time"].is_string());
    }
}

#[tokio::test]
async fn a_stream_shows_that_it_lives_and_says_what_it_cannot_give() {
    let mut stream = Stream::open("/v1/events/stream?types=order.shipped", None).await;
    assert_eq!(stream.next().await, [("retry".to_owned(), "2000".to_owned())]);
    assert_eq!(stream.next().await, [(String::new(), String::new())], "nothing happened for a while");
    let mut ahead = Stream::open("/v1/events/stream", Some("9007199254740991")).await;
    let (_, kind, data) = ahead.event().await;
    assert!(kind == "reset" && data["after"].as_i64().unwrap() < 9_007_199_254_740_991, "{data}");
    let staff = shop().staff().await;
    for query in ["types=nonsense", "types=", "after=-1", "after=x", "since=1"] {
        staff.get(&format!("/v1/events/stream?{query}")).send().await.problem(400, "invalid_query");
    }
    staff.get("/v1/events/stream").header("last-event-id", "x").send().await.problem(400, "invalid_header");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_streams_as_may_be_and_they_end_with_the_process() {
    let mut shop = shop_with(&[("CLEAVE__WEBHOOKS__STREAMS", "1"), ("CLEAVE__HTTP__STOP_SECONDS", "15")]);
    let staff = shop.staff().await;
    let mut held = staff.get("/v1/events/stream").stream().await;
    assert!(held.chunk().await.unwrap().is_some());
    staff.get("/v1/events/stream").send().await.problem(503, "unavailable");
    let begun = Instant::now();
    tokio::task::block_in_place(|| shop.stop());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    while let Ok(Some(_)) = held.chunk().await {}
    shop.resume();
}
