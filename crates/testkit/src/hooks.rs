//! Webhooks, deliveries and notices that are there, for tests to which it does not matter which.
use crate::{Backend, Shop, until};
use serde_json::json;

/// An address that nobody has: the name is reserved for that.
const NOWHERE: &str = "https://hooks.invalid/";

impl Shop {
    /// An endpoint that is not paused. The shop's only one, unless there are more already: a shop has few.
    pub async fn webhook_endpoint(&self) -> String {
        let admin = self.admin().await;
        until("there is an endpoint", async || {
            let all = admin.get("/v1/webhook-endpoints").send().await.expect(200);
            let Some(id) = all.json().pointer("/items/0/id").and_then(|id| id.as_str().map(str::to_owned)) else {
                let body = json!({ "url": NOWHERE, "events": ["order.shipped"] });
                return Some(admin.post("/v1/webhook-endpoints", body).send().await.expect(201).text("/endpoint/id"));
            };
            let path = format!("/v1/webhook-endpoints/{id}");
            (admin.patch(&path, json!({ "paused": false })).send().await.status == 200).then_some(id)
        })
        .await
    }
    /// A delivery to it.
    pub async fn webhook_delivery(&self) -> String {
        let admin = self.admin().await;
        until("something is sent", async || {
            let path = format!("/v1/webhook-endpoints/{}/test", self.webhook_endpoint().await);
            let sent = admin.post(&path, json!({})).send().await;
            // another test may have paused it meanwhile
            (sent.status == 202).then(|| sent.text("/id"))
        })
        .await
    }
    /// A notice, as if something had happened that staff is told of.
    pub fn notice(&self) -> String {
        let (id, now) = match self.backend {
            Backend::Sqlite => ("x'00000000000000000000000000000001'", "0"),
            Backend::Postgres => ("'00000000-0000-0000-0000-000000000001'", "now()"),
        };
        self.corrupt(
            "webhooks",
            &format!(
                "INSERT INTO notices (id, about, subject, data, times, created_at, updated_at) \
                 VALUES ({id}, 'order.payment_late', 'nobody', '{{}}', 1, {now}, {now}) ON CONFLICT DO NOTHING"
            ),
        );
        "notice_00000000000000000000000001".to_owned()
    }
}
