//! What the shop itself concludes of how tries at an endpoint end.
use super::{Moment, Service, hearing::notice};
use crate::{
    domain::{
        delivery::Outcome,
        endpoint::{Endpoint, Paused, Reason},
    },
    store,
};
use database::{Conn, outbox};
use serde_json::json;
use std::time::Duration;
use webhooks_api::{WebhookEndpointId, WebhookEvent};

/// When an endpoint that fails is taken for dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dead {
    pub after: Duration,
    pub failures: i64,
}

impl Service {
    pub(super) fn dead(&self) -> Dead {
        Dead { after: self.settings.pause_after(), failures: self.settings.pause_failures }
    }
}

/// Keeps how a try ended. An endpoint that says it is gone, or has failed for too long, is paused, and staff told.
pub(super) fn conclude(
    tx: &mut Conn,
    id: WebhookEndpointId,
    outcome: &Outcome,
    dead: Dead,
    at: Moment,
) -> database::Result<()> {
    if outcome.is_success() {
        return store::endpoints::well(tx, id);
    }
    let Some(mut endpoint) = store::endpoints::hold(tx, id)? else { return Ok(()) };
    let since = *endpoint.failing_since.get_or_insert(at.now);
    endpoint.failures += 1;
    let failing = endpoint.failures >= dead.failures && since + dead.after <= at.now;
    let reason = if outcome.is_gone() { Some(Reason::Gone) } else { failing.then_some(Reason::Failing) };
    match reason {
        Some(reason) if endpoint.paused.is_none() => pause(tx, endpoint, reason, at),
        _ => store::endpoints::keep_health(tx, &endpoint),
    }
}

fn pause(tx: &mut Conn, mut endpoint: Endpoint, reason: Reason, at: Moment) -> database::Result<()> {
    endpoint.paused = Some(Paused { at: at.now, reason });
    endpoint.version += 1;
    endpoint.updated_at = at.now;
    store::endpoints::update(tx, &endpoint)?;
    let told = WebhookEvent::Paused { endpoint_id: endpoint.id, reason: reason.as_str().into() };
    outbox::publish(tx, &[told], at.now, at.trace)?;
    let data = json!({ "endpoint_id": endpoint.id, "reason": reason.as_str(), "failures": endpoint.failures });
    notice(tx, "webhook_endpoint.paused", &endpoint.id.to_string(), &data, at)?;
    tracing::warn!(endpoint = %endpoint.id, reason = reason.as_str(), "an endpoint is paused");
    Ok(())
}
