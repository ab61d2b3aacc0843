//! Webhooks and notices: what is told to others, and to staff.
use super::{buying, lamp, people::People};
use crate::pair::{Pair, Who};
use serde_json::{Value, json};
use testkit::Receiver;

pub(crate) async fn script(pair: &mut Pair, people: &People, receiver: &Receiver) {
    let one = endpoint(pair, people, receiver).await;
    deliveries(pair, &people.admin, &one).await;
    leaves(pair, &people.admin, &one).await;
    notices(pair, people).await;
}

/// The path of one that is told of nothing that happens here.
async fn endpoint(pair: &mut Pair, People { admin, .. }: &People, receiver: &Receiver) -> String {
    let all = "/v1/webhook-endpoints";
    let wanted = json!({ "url": receiver.url("/hook"), "events": ["order.completed"], "description": "books" });
    let made = pair.twice(admin.post(all, wanted), "endpoint-0001").await.expect(201);
    let one = format!("{all}/{}", made.text("/endpoint/id"));
    pair.send(admin.post(all, json!({ "url": "ftp://x", "events": ["nonsense"] }))).await.problem(422, "invalid");
    let metadata = json!({ "url": "http://169.254.169.254/", "events": ["*"] });
    pair.send(admin.post(all, metadata)).await.problem(422, "invalid");
    pair.send(admin.get(all)).await.expect(200);
    let tag = pair.send(admin.get(&one)).await.expect(200).tag();
    pair.send(admin.get(&one).header("if-none-match", &tag)).await.expect(304);
    let changed = admin.patch(&one, json!({ "description": "the books" }));
    pair.send(changed.clone().header("if-match", &tag)).await.expect(200);
    pair.send(changed.header("if-match", &tag)).await.problem(412, "version_mismatch");
    pair.send(admin.patch(&one, json!({ "events": [] }))).await.problem(422, "invalid");
    let rotate = |hours: i64| admin.post(&format!("{one}/secret"), json!({ "overlap_hours": hours }));
    pair.send(rotate(1).header("if-match", &tag)).await.problem(412, "version_mismatch");
    pair.send(rotate(1)).await.expect(200);
    pair.send(rotate(100_000)).await.problem(422, "invalid");
    one
}

async fn deliveries(pair: &mut Pair, admin: &Who, endpoint: &str) {
    let test = admin.post(&format!("{endpoint}/test"), json!({}));
    let delivery = format!("/v1/webhook-deliveries/{}", pair.send(test.clone()).await.expect(202).text("/id"));
    let delivered = |log: &Value| log["delivery"]["status"] == "delivered";
    pair.until(admin.get(&delivery), delivered).await.expect(200);
    pair.send(admin.get(&format!("{endpoint}/deliveries?limit=10"))).await.expect(200);
    pair.send(admin.get(&format!("{endpoint}/deliveries?status=failed"))).await.expect(200);
    pair.send(admin.get(&format!("{endpoint}/deliveries?status=nonsense"))).await.problem(400, "invalid_query");
    let again = admin.post(&format!("{delivery}/redeliver"), json!({}));
    pair.send(again.clone()).await.expect(202);
    let twice = |log: &Value| delivered(log) && log["tries"].as_array().is_some_and(|tries| tries.len() == 2);
    pair.until(admin.get(&delivery), twice).await.expect(200);
    pair.send(admin.patch(endpoint, json!({ "paused": true }))).await.expect(200);
    pair.send(test).await.problem(409, "endpoint_paused");
    pair.send(again).await.problem(409, "endpoint_paused");
}

async fn leaves(pair: &mut Pair, admin: &Who, endpoint: &str) {
    pair.send(admin.delete(endpoint).header("if-match", "\"1-0\"")).await.problem(412, "version_mismatch");
    pair.send(admin.delete(endpoint)).await.expect(204);
    pair.send(admin.delete(endpoint)).await.problem(404, "not_found");
    pair.send(admin.patch(endpoint, json!({ "paused": false }))).await.problem(404, "not_found");
}

async fn notices(pair: &mut Pair, People { clerk, customer, .. }: &People) {
    let variant = pair.send(clerk.post("/v1/products", lamp("scarce", 2))).await.expect(201).text("/variants/0/id");
    buying::cart(pair, customer, &variant, 1).await.bought(pair).await;
    let open = clerk.get("/v1/notices?open=true");
    let told = |page: &Value| page["items"].as_array().is_some_and(|items| !items.is_empty());
    let notice = pair.until(open.clone(), told).await.expect(200).text("/items/0/id");
    let seen = clerk.post(&format!("/v1/notices/{notice}/acknowledge"), json!({}));
    pair.send(seen.clone()).await.expect(200);
    pair.send(seen).await.expect(200);
    pair.send(open).await.expect(200);
}
