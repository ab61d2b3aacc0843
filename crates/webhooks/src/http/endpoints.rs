use super::deliveries::DeliveryBody;
use crate::{
    domain::{
        delivery::Delivery,
        endpoint::{Changes, Endpoint, MAX_OVERLAP, MAX_PATTERNS, NewEndpoint, WithSecret},
        pattern::Pattern,
    },
    service::Service,
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use kernel::Time;
use outward::Target;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;
use web::{Body, Caller, Fields, Paged, PathId, Pointer, Post, Problem, Reply, Versioned, reason};
use webhooks_api::{WebhookEndpoint, WebhookEndpointId};

const DESCRIPTION: usize = 200;
const OVERLAP: i64 = 24;

/// A new webhook endpoint.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookEndpoint)]
pub(crate) struct NewEndpointBody {
    #[schema(format = "uri", max_length = 2048)]
    url: String,
    /// Kinds such as `order.placed`, all of a noun's such as `order.*`, or `*`.
    #[schema(min_items = 1, max_items = 50)]
    events: Vec<String>,
    #[schema(max_length = 200)]
    description: Option<String>,
}

/// What changes of a webhook endpoint.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeWebhookEndpoint)]
pub(crate) struct ChangeEndpoint {
    #[schema(format = "uri", max_length = 2048)]
    url: Option<String>,
    #[schema(min_items = 1, max_items = 50)]
    events: Option<Vec<String>>,
    /// null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 200)]
    description: Option<Option<String>>,
    /// false enables it again, and what was held goes out.
    paused: Option<bool>,
}

/// How a secret takes the place of another.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretRotation)]
pub(crate) struct Rotation {
    /// For how long both sign; 24 when not given.
    #[schema(minimum = 0, maximum = 168)]
    overlap_hours: Option<i64>,
}

/// A webhook endpoint.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(crate) struct EndpointBody {
    #[schema(value_type = String)]
    id: WebhookEndpointId,
    url: String,
    events: Vec<String>,
    description: Option<String>,
    paused: bool,
    /// `asked`, `gone` (it answered 410) or `failing`.
    paused_reason: Option<&'static str>,
    paused_at: Option<Time>,
    /// Until then the secret before this one signs as well.
    old_secret_until: Option<Time>,
    /// Tries in vain since the last that was answered well.
    failures: i64,
    failing_since: Option<Time>,
    version: i64,
    created_at: Time,
    updated_at: Time,
}

/// A webhook endpoint with its new secret, which is not shown again.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookEndpointWithSecret)]
pub(crate) struct SecretBody {
    /// What signatures are verified with: `whsec_` and base64.
    secret: String,
    endpoint: EndpointBody,
}

impl From<&Endpoint> for EndpointBody {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id,
            url: endpoint.url.clone(),
            events: endpoint.patterns.iter().map(Pattern::to_string).collect(),
            description: endpoint.description.clone(),
            paused: endpoint.paused.is_some(),
            paused_reason: endpoint.paused.map(|paused| paused.reason.as_str()),
            paused_at: endpoint.paused.map(|paused| paused.at),
            old_secret_until: endpoint.old_secret_until,
            failures: endpoint.failures,
            failing_since: endpoint.failing_since,
            version: endpoint.version,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}
impl From<&WithSecret> for SecretBody {
    fn from(with: &WithSecret) -> Self {
        Self { secret: with.secret.shown(), endpoint: EndpointBody::from(&with.endpoint) }
    }
}

/// A member that is there, null or not.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn url(service: &Service, fields: &mut Fields, text: &str) -> Option<Target> {
    fields.take(&Pointer::root().at("url"), service.poster.target(text))
}

fn patterns(service: &Service, fields: &mut Fields, texts: &[String]) -> Option<Vec<Pattern>> {
    let at = Pointer::root().at("events");
    if texts.is_empty() || texts.len() > MAX_PATTERNS {
        fields.refuse(&at, reason::RANGE, format!("1 to {MAX_PATTERNS}"));
        return None;
    }
    let each = texts.iter().enumerate();
    let each = each.map(|(n, text)| fields.take_as(&at.at(n), reason::UNKNOWN, Pattern::parse(text, &service.kinds)));
    let mut patterns = each.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()?;
    patterns.sort_unstable();
    patterns.dedup();
    Some(patterns)
}

fn description(fields: &mut Fields, text: &str) -> Option<String> {
    let text = fields.text(&Pointer::root().at("description"), text, 0, DESCRIPTION);
    text.filter(|text| !text.is_empty())
}

pub(crate) async fn list(service: Data<Service>) -> Result<HttpResponse, Problem> {
    let items = service.endpoints().await?.iter().map(EndpointBody::from).collect();
    Ok(HttpResponse::Ok().json(Paged { items, next: None, count: None, count_capped: None }))
}

pub(crate) async fn add(
    service: Data<Service>,
    caller: Caller,
    post: Post<NewEndpointBody>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::new();
    let url = url(&service, &mut fields, &post.body.url);
    let patterns = patterns(&service, &mut fields, &post.body.events);
    let description = post.body.description.as_ref().and_then(|text| description(&mut fields, text));
    let new = fields.done((|| Some(NewEndpoint { url: url?, description, patterns: patterns? }))())?;
    let kept = post.once(|with: &WithSecret| {
        Reply::json(201, &SecretBody::from(with)).location(format!("/v1/webhook-endpoints/{}", with.endpoint.id))
    });
    Ok(kept.answer(service.add_endpoint(&caller.call, new, kept.handle()).await?))
}

pub(crate) async fn show(
    service: Data<Service>,
    request: HttpRequest,
    id: PathId<WebhookEndpoint>,
) -> Result<HttpResponse, Problem> {
    let endpoint = service.endpoint(id.0).await?;
    Ok(Versioned::read(&request, endpoint.version, &EndpointBody::from(&endpoint)))
}

pub(crate) async fn change(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<WebhookEndpoint>,
    body: Body<ChangeEndpoint>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, body) = (Fields::new(), body.0);
    let changes = Changes {
        url: body.url.and_then(|text| url(&service, &mut fields, &text)),
        patterns: body.events.and_then(|texts| patterns(&service, &mut fields, &texts)),
        description: body.description.map(|text| text.and_then(|text| description(&mut fields, &text))),
        paused: body.paused,
    };
    fields.check()?;
    let expected = Versioned::expected(&request)?;
    let endpoint = service.change_endpoint(&caller.call, id.0, expected, changes).await?;
    Ok(Reply::json(200, &EndpointBody::from(&endpoint)).etag(endpoint.version).into())
}

pub(crate) async fn remove(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<WebhookEndpoint>,
) -> Result<HttpResponse, Problem> {
    service.delete_endpoint(&caller.call, id.0, Versioned::expected(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn rotate(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<WebhookEndpoint>,
    post: Post<Rotation>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, hours) = (Fields::new(), post.body.overlap_hours.unwrap_or(OVERLAP));
    if !(0..=MAX_OVERLAP).contains(&hours) {
        fields.refuse(&Pointer::root().at("overlap_hours"), reason::RANGE, format!("0 to {MAX_OVERLAP}"));
    }
    fields.check()?;
    let (overlap, expected) = (Duration::from_secs(hours.unsigned_abs() * 3600), Versioned::expected(&request)?);
    let kept = post.once(|with: &WithSecret| Reply::json(200, &SecretBody::from(with)));
    Ok(kept.answer(service.rotate_secret(&caller.call, id.0, expected, overlap, kept.handle()).await?))
}

/// Nothing is said of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

pub(crate) async fn test(
    service: Data<Service>,
    caller: Caller,
    id: PathId<WebhookEndpoint>,
    post: Post<Empty>,
) -> Result<HttpResponse, Problem> {
    let kept = post.once(|delivery: &Delivery| DeliveryBody::reply(202, delivery));
    Ok(kept.answer(service.test(&caller.call, id.0, kept.handle()).await?))
}
