use super::endpoints::Empty;
use crate::{
    domain::delivery::{Attempt, Delivery, DeliveryId, Logged, Outcome, Sent},
    service::Service,
};
use actix_web::{HttpResponse, web::Data};
use kernel::Time;
use messaging::EventId;
use serde::Serialize;
use serde_json::Value;
use web::{PathId, Post, Problem, Query, Reply, page};
use webhooks_api::{WebhookEndpoint, WebhookEndpointId};

/// An event on its way to a webhook endpoint.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookDelivery)]
pub(crate) struct DeliveryBody {
    #[schema(value_type = String)]
    id: DeliveryId,
    #[schema(value_type = String)]
    endpoint_id: WebhookEndpointId,
    /// The same for every endpoint and every try: `webhook-id`.
    #[schema(value_type = String)]
    event_id: EventId,
    r#type: String,
    /// `pending`, `held` (the endpoint is paused), `delivered` or `failed`.
    status: &'static str,
    attempts: i64,
    /// How often staff asked for it again.
    redelivered: i64,
    next_attempt_at: Option<Time>,
    created_at: Time,
    finished_at: Option<Time>,
}

/// A delivery with what was sent and each try.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookDeliveryLog)]
pub(crate) struct LoggedBody {
    delivery: DeliveryBody,
    /// The event as it is sent: a CloudEvent.
    #[schema(value_type = Object)]
    event: Value,
    /// The latest first; a hundred at most.
    tries: Vec<AttemptBody>,
}

/// One try of a delivery.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookTry)]
pub(crate) struct AttemptBody {
    number: i64,
    at: Time,
    latency_ms: i64,
    /// What the endpoint answered.
    status: Option<i64>,
    /// Why it did not.
    error: Option<String>,
    /// The first KiB of the answer's body.
    answer: Option<String>,
}

impl From<&Delivery> for DeliveryBody {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            endpoint_id: delivery.endpoint,
            event_id: delivery.event,
            r#type: delivery.kind.clone(),
            status: delivery.status.as_str(),
            attempts: delivery.attempts,
            redelivered: delivery.redelivered,
            next_attempt_at: delivery.next_attempt_at,
            created_at: delivery.created_at,
            finished_at: delivery.finished_at,
        }
    }
}
impl DeliveryBody {
    pub(super) fn reply(status: u16, delivery: &Delivery) -> Reply {
        Reply::json(status, &Self::from(delivery)).location(format!("/v1/webhook-deliveries/{}", delivery.id))
    }
}
impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        let Attempt { number, at, latency_ms, outcome } = attempt;
        let (status, error, answer) = match outcome {
            Outcome::Answered { status, answer } => (Some(status), None, Some(answer)),
            Outcome::Unanswered(error) => (None, Some(error), None),
        };
        Self { number, at, latency_ms, status, error, answer }
    }
}

pub(crate) async fn list(
    service: Data<Service>,
    id: PathId<WebhookEndpoint>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (limit, cursor, status) = (query.limit()?, query.cursor()?, query.parse("status")?);
    query.end()?;
    let deliveries = service.deliveries(id.0, status, cursor, limit).await?;
    Ok(HttpResponse::Ok().json(page(deliveries, |delivery| DeliveryBody::from(&delivery))))
}

pub(crate) async fn show(service: Data<Service>, id: PathId<Sent>) -> Result<HttpResponse, Problem> {
    let Logged { delivery, body, attempts } = service.delivery(id.0).await?;
    let event = serde_json::from_str(&body).map_err(Problem::internal)?;
    let tries = attempts.into_iter().map(AttemptBody::from).collect();
    Ok(HttpResponse::Ok().json(LoggedBody { delivery: DeliveryBody::from(&delivery), event, tries }))
}

pub(crate) async fn redeliver(
    service: Data<Service>,
    id: PathId<Sent>,
    post: Post<Empty>,
) -> Result<HttpResponse, Problem> {
    let kept = post.once(|delivery: &Delivery| DeliveryBody::reply(202, delivery));
    Ok(kept.answer(service.redeliver(id.0, kept.handle()).await?))
}
