//! What is done about an event: it is written into the journal, with a delivery to each endpoint that hears it, and staff
//! is told of what it should look at.
use super::{Moment, Service};
use crate::{
    domain::notice::NOTICED,
    store::{self, deliveries::New},
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
        Listener::default().on_all(self.kinds.iter().map(heard).collect::<Vec<_>>(), move |tx, envelope| {
            let now = service.now();
            hear(tx, envelope, now)?;
            service.tail.will_grow();
            Ok(())
        })
    }
}

pub(super) fn hear(tx: &mut Conn, envelope: &Envelope, now: Time) -> Result<(), NotHandled> {
    let body = serde_json::to_string(envelope).map_err(|error| NotHandled::Refused(error.to_string()))?;
    let Some(position) = store::journal::append(tx, envelope.id, &envelope.kind, &body, now)? else {
        return Ok(());
    };
    let heard = store::endpoints::heard_by_each(tx)?;
    let matching = heard.into_iter().filter(|(_, pattern)| pattern.matches(&envelope.kind));
    let mut to: Vec<WebhookEndpointId> = matching.map(|(endpoint, _)| endpoint).collect();
    to.dedup(); // in their order, so the same ones are neighbours
    if !to.is_empty() {
        let new = New { event: envelope.id, kind: &envelope.kind, position, body: &body, now };
        store::deliveries::insert(tx, &new, &to)?;
    }
    if NOTICED.contains(&envelope.kind.as_str()) {
        let moment = Moment { now, trace: envelope.trace() };
        notice(tx, &envelope.kind, &envelope.subject, &envelope.data, moment)?;
    }
    Ok(())
}

/// Staff is told, unless it has not yet looked at the same.
pub(super) fn notice(tx: &mut Conn, about: &str, subject: &str, data: &Value, at: Moment) -> database::Result<()> {
    let Some(notice_id) = store::notices::open(tx, about, subject, data, at.now)? else { return Ok(()) };
    let opened = WebhookEvent::NoticeOpened { notice_id, about: about.to_owned(), subject: subject.to_owned() };
    outbox::publish(tx, &[opened], at.now, at.trace)
}
