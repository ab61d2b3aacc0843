//! The log of deliveries, sending one again, and sending something to see whether an endpoint hears.
use super::{Error, Service};
use crate::{
    domain::{
        delivery::{Delivery, DeliveryId, Logged, Status, TEST},
        endpoint::Endpoint,
    },
    store::{self, deliveries::New},
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, Page};
use messaging::{Envelope, EventId, MediaType, SpecVersion};
use serde_json::json;
use webhooks_api::WebhookEndpointId;

impl Service {
    pub(crate) async fn deliveries(
        &self,
        endpoint: WebhookEndpointId,
        status: Option<Status>,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<Page<Delivery>, Error> {
        let after = cursor.map(|text| store::deliveries::Place::read(endpoint, status, &text)).transpose()?;
        let unit = move |conn: &mut Conn| {
            store::endpoints::one(conn, endpoint)?.ok_or(Error::NotFound)?;
            Ok(store::deliveries::page(conn, endpoint, status, after, limit)?)
        };
        self.db.read(unit).await
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> Result<Logged, Error> {
        self.db.read(move |conn| store::deliveries::logged(conn, id)).await?.ok_or(Error::NotFound)
    }

    /// Whatever became of it, as if it were new. What waits for its next try is tried at once.
    pub(crate) async fn redeliver(&self, id: DeliveryId, once: Once<Delivery>) -> Result<Kept<Delivery>, Error> {
        let now = self.now();
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let delivery = store::deliveries::one(tx, id)?.ok_or(Error::NotFound)?;
                open(tx, delivery.endpoint)?;
                if !store::deliveries::again(tx, id, now)? {
                    return Err(Error::UnderWay);
                }
                store::deliveries::one(tx, id)?.ok_or(Error::NotFound)
            })
        };
        let sent = self.db.write(unit).await?;
        self.due.notify_one();
        Ok(sent)
    }

    /// To this endpoint only, whatever it hears; it does not stand in the journal.
    pub(crate) async fn test(
        &self,
        call: &Call,
        id: WebhookEndpointId,
        once: Once<Delivery>,
    ) -> Result<Kept<Delivery>, Error> {
        let (now, event) = (self.now(), EventId::new());
        let envelope = Envelope {
            specversion: SpecVersion::V1,
            id: event,
            source: "/webhooks".into(),
            kind: TEST.into(),
            subject: id.to_string(),
            time: now,
            datacontenttype: MediaType::Json,
            dataschema: "/docs/webhooks#webhook.test".into(),
            traceparent: format!("00-{:032x}-{:016x}-01", call.trace.0, event.uuid().as_u64_pair().1),
            data: json!({ "endpoint_id": id }),
        };
        let body = serde_json::to_string(&envelope).expect("an envelope is plain data");
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                open(tx, id)?;
                let position = store::journal::reach(tx)?.head;
                let new = New { event, kind: TEST, position, body: &body, now };
                let sent = store::deliveries::insert(tx, &[(new, id)])?;
                let sent = sent.first().copied().ok_or(Error::NotFound)?;
                store::deliveries::one(tx, sent)?.ok_or(Error::NotFound)
            })
        };
        let sent = self.db.write(unit).await?;
        self.due.notify_one();
        Ok(sent)
    }
}

/// An endpoint to which something is sent.
fn open(conn: &mut Conn, id: WebhookEndpointId) -> Result<Endpoint, Error> {
    let endpoint = store::endpoints::one(conn, id)?.ok_or(Error::NotFound)?;
    if endpoint.paused.is_some() { Err(Error::Paused) } else { Ok(endpoint) }
}
