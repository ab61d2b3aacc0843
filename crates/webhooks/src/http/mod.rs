//! webhooks over HTTP: the table, a file per noun.
mod deliveries;
mod endpoints;
mod notices;
mod problems;
mod stream;

use deliveries::{DeliveryBody, LoggedBody};
use endpoints::{ChangeEndpoint, EndpointBody, NewEndpointBody, Rotation, SecretBody};
use kernel::{Code, Needs};
use notices::NoticeBody;
use web::{Paged, Route, delete, get, patch, post};

const READ: Needs = Needs::Permission("webhooks:read");
const WRITE: Needs = Needs::Permission("webhooks:write");

/// What webhooks serves.
pub fn routes() -> Vec<Route> {
    [endpoint_routes(), delivery_routes(), staff_routes()].concat()
}

fn endpoint_routes() -> Vec<Route> {
    vec![
        get("/v1/webhook-endpoints", READ, endpoints::list).says("Webhook endpoints, the newest first").gives::<Paged<
            EndpointBody,
        >>(
            200,
            "All of them",
        ),
        post("/v1/webhook-endpoints", WRITE, endpoints::add)
            .says("Add a webhook endpoint; its secret is shown this once")
            .takes::<NewEndpointBody>()
            .gives::<SecretBody>(201, "The endpoint and its secret")
            .keyed(),
        get("/v1/webhook-endpoints/{id}", READ, endpoints::show)
            .says("A webhook endpoint")
            .gives::<EndpointBody>(200, "The endpoint")
            .gives_nothing(304, "What the client has"),
        patch("/v1/webhook-endpoints/{id}", WRITE, endpoints::change)
            .says("Change, pause or enable a webhook endpoint")
            .takes::<ChangeEndpoint>()
            .gives::<EndpointBody>(200, "The endpoint")
            .conditional(),
        delete("/v1/webhook-endpoints/{id}", WRITE, endpoints::remove)
            .says("Delete a webhook endpoint, with what was not delivered yet")
            .gives_nothing(204, "Gone")
            .conditional(),
        post("/v1/webhook-endpoints/{id}/secret", WRITE, endpoints::rotate)
            .says("A new secret, shown this once; the one before signs beside it for a while")
            .takes::<Rotation>()
            .gives::<SecretBody>(200, "The endpoint and its secret")
            .keyed()
            .conditional(),
        post("/v1/webhook-endpoints/{id}/test", WRITE, endpoints::test)
            .says("Send a `webhook.test` to this endpoint only")
            .gives::<DeliveryBody>(202, "On its way")
            .keyed()
            .fails(&[Code::EndpointPaused]),
    ]
}

fn delivery_routes() -> Vec<Route> {
    vec![
        get("/v1/webhook-endpoints/{id}/deliveries", READ, deliveries::list)
            .says("What was sent to an endpoint, the newest first")
            .gives::<Paged<DeliveryBody>>(200, "A page")
            .paged()
            .query("status", "pending, held, delivered or failed"),
        get("/v1/webhook-deliveries/{id}", READ, deliveries::show)
            .says("A delivery, with what was sent and each try")
            .gives::<LoggedBody>(200, "The delivery"),
        post("/v1/webhook-deliveries/{id}/redeliver", WRITE, deliveries::redeliver)
            .says("Send it again now, whatever became of it")
            .gives::<DeliveryBody>(202, "On its way")
            .keyed()
            .fails(&[Code::EndpointPaused, Code::DeliveryUnderWay]),
    ]
}

fn staff_routes() -> Vec<Route> {
    vec![
        get("/v1/events/stream", Needs::Permission("events:read"), stream::stream)
            .says("What happens in the shop, as server-sent events; goes on after `Last-Event-ID`")
            .gives_stream(200, "text/event-stream", "Events without end")
            .query("after", "the position of the last event that the client has, in place of the header")
            .query("types", "kinds and patterns with commas, such as order.*,stock.low; all when not given")
            .fails(&[Code::InvalidQuery, Code::InvalidHeader, Code::Unavailable]),
        get("/v1/notices", Needs::Permission("notices:read"), notices::list)
            .says("What staff should look at, the newest first")
            .gives::<Paged<NoticeBody>>(200, "A page")
            .paged()
            .query("open", "true: only what nobody has acknowledged"),
        post("/v1/notices/{id}/acknowledge", Needs::Permission("notices:write"), notices::acknowledge)
            .says("Say that it was looked at")
            .gives::<NoticeBody>(200, "The notice")
            .keyed(),
    ]
}
