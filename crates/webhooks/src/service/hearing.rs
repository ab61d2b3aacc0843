//! What is done about an event: it is written into the journal, with a delivery to each endpoint that hears it, and staff
//! is told of what it should look at.
use super::{Moment, Service};
use crate::{
    domain::notice::NOTICED,
    store::{self, deliveries::New, journal},
};
use database::{Conn, outbox};
use kernel::{EventKind, Time};
use messaging::{Envelope, Heard, Listener, NotHandled};
use serde_json::Value;
use std::sync::Arc;
use webhooks_api::{WebhookEndpointId, WebhookEvent};

impl Service {
    pub(super) fn listener(self: &Arc<Self>) -> Listener {
        let heard = |kind: &EventKind| Heard { domain: kind.domain, kind: kind.name };
        let service = Arc::clone(self);
        Listener::default().on_all(self.kinds.iter().map(heard).collect::<Vec<_>>(), move |tx, envelopes| {
            hear(tx, envelopes, service.now())?;
            service.tail.will_grow();
            Ok(())
        })
    }
}

/// What came together takes its places in the journal together: each statement is one for all of it.
pub(super) fn hear(tx: &mut Conn, envelopes: &[Envelope], now: Time) -> Result<(), NotHandled> {
    let read = |envelope: &Envelope| {
        let body = serde_json::to_string(envelope).map_err(|error| NotHandled::Refused(error.to_string()))?;
        Ok::<_, NotHandled>(journal::New { event: envelope.id, kind: envelope.kind.clone(), envelope: body })
    };
    let events = envelopes.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let written = journal::append(tx, &events, now)?;
    if written.is_empty() {
        return Ok(());
    }
    let heard = store::endpoints::heard_by_each(tx)?;
    let mut deliveries = Vec::new();
    for journal::New { event, kind, envelope } in &events {
        let Some(position) = written.get(event) else { continue };
        let matching = heard.iter().filter(|(_, pattern)| pattern.matches(kind));
        let mut to: Vec<WebhookEndpointId> = matching.map(|(endpoint, _)| *endpoint).collect();
        to.dedup(); // in their order, so the same ones are neighbours
        let new = New { event: *event, kind, position: *position, body: envelope, now };
        deliveries.extend(to.into_iter().map(|endpoint| (new, endpoint)));
    }
    store::deliveries::insert(tx, &deliveries)?;
    for envelope in envelopes {
        if NOTICED.contains(&envelope.kind.as_str()) && written.contains_key(&envelope.id) {
            let moment = Moment { now, trace: envelope.trace() };
            notice(tx, &envelope.kind, &envelope.subject, &envelope.data, moment)?;
        }
    }
    Ok(())
}

/// Staff is told, unless it has not yet looked at the same.
pub(super) fn notice(tx: &mut Conn, about: &str, subject: &str, data: &Value, at: Moment) -> database::Result<()> {
    let Some(notice_id) = store::notices::open(tx, about, subject, data, at.now)? else { return Ok(()) };
    let opened = WebhookEvent::NoticeOpened { notice_id, about: about.to_owned(), subject: subject.to_owned() };
    outbox::publish(tx, &[opened], at.now, at.trace)
}
