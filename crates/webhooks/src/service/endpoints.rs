//! Endpoints: added, changed, given new secrets, deleted.
use super::{Error, Moment, Service};
use crate::{
    domain::{
        endpoint::{Changes, Endpoint, MAX_ENDPOINTS, NewEndpoint, Paused, Reason, WithSecret},
        pattern::Pattern,
        secret::SigningSecret,
    },
    store,
};
use database::{
    Conn,
    once::{Kept, Once},
    outbox,
};
use kernel::Call;
use std::time::Duration;
use webhooks_api::{WebhookEndpointId, WebhookEvent};

impl Service {
    pub(crate) async fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        Ok(self.db.read(store::endpoints::all).await?)
    }

    pub(crate) async fn endpoint(&self, id: WebhookEndpointId) -> Result<Endpoint, Error> {
        self.db.read(move |conn| store::endpoints::one(conn, id)).await?.ok_or(Error::NotFound)
    }

    pub(crate) async fn add_endpoint(
        &self,
        call: &Call,
        new: NewEndpoint,
        once: Once<WithSecret>,
    ) -> Result<Kept<WithSecret>, Error> {
        let (id, moment, secret) = (WebhookEndpointId::new(), self.moment(call), SigningSecret::generate());
        let endpoint = Endpoint {
            id,
            url: new.url.as_str().to_owned(),
            description: new.description,
            patterns: new.patterns,
            paused: None,
            old_secret_until: None,
            failures: 0,
            failing_since: None,
            version: 1,
            created_at: moment.now,
            updated_at: moment.now,
        };
        let sealed = self.vault.close(id, &secret);
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                // Whoever adds one waits here for whoever adds another, so nobody counts one too few.
                let hears_from = store::journal::hold(tx)?;
                if store::endpoints::count(tx)? >= MAX_ENDPOINTS as i64 {
                    return Err(Error::TooManyEndpoints);
                }
                store::endpoints::insert(tx, &endpoint, &sealed, hears_from)?;
                let events = heard(&endpoint);
                tell(tx, &[WebhookEvent::Created { endpoint_id: id, events }], moment)?;
                Ok(WithSecret { endpoint: endpoint.clone(), secret: secret.clone() })
            })
        };
        self.db.write(unit).await
    }

    pub(crate) async fn change_endpoint(
        &self,
        call: &Call,
        id: WebhookEndpointId,
        expected: Option<i64>,
        changes: Changes,
    ) -> Result<Endpoint, Error> {
        let moment = self.moment(call);
        let unit = move |tx: &mut Conn| {
            let hears_from = store::journal::hold(tx)?;
            let before = in_version(store::endpoints::hold(tx, id)?, expected)?;
            let (mut after, events) = changed(&before, &changes, moment);
            if events.is_empty() {
                return Ok::<_, Error>(before);
            }
            after.version += 1;
            after.updated_at = moment.now;
            store::endpoints::update(tx, &after)?;
            if after.patterns != before.patterns {
                store::endpoints::replace_patterns(tx, &after, hears_from)?;
            }
            tell(tx, &events, moment)?;
            Ok(after)
        };
        let after = self.db.write(unit).await?;
        self.due.notify_one();
        Ok(after)
    }

    /// A new secret; the one before signs beside it for `overlap`.
    pub(crate) async fn rotate_secret(
        &self,
        call: &Call,
        id: WebhookEndpointId,
        expected: Option<i64>,
        overlap: Duration,
        once: Once<WithSecret>,
    ) -> Result<Kept<WithSecret>, Error> {
        let (moment, secret) = (self.moment(call), SigningSecret::generate());
        let sealed = self.vault.close(id, &secret);
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let mut endpoint = in_version(store::endpoints::hold(tx, id)?, expected)?;
                let until = (!overlap.is_zero()).then(|| moment.now + overlap);
                endpoint.old_secret_until = until;
                endpoint.version += 1;
                endpoint.updated_at = moment.now;
                store::endpoints::rotate(tx, &endpoint, &sealed, until)?;
                tell(tx, &[WebhookEvent::SecretRotated { endpoint_id: id }], moment)?;
                Ok(WithSecret { endpoint, secret: secret.clone() })
            })
        };
        self.db.write(unit).await
    }

    pub(crate) async fn delete_endpoint(
        &self,
        call: &Call,
        id: WebhookEndpointId,
        expected: Option<i64>,
    ) -> Result<(), Error> {
        let moment = self.moment(call);
        let unit = move |tx: &mut Conn| {
            in_version(store::endpoints::hold(tx, id)?, expected)?;
            store::endpoints::delete(tx, id, moment.now)?;
            Ok(tell(tx, &[WebhookEvent::Deleted { endpoint_id: id }], moment)?)
        };
        self.db.write(unit).await
    }
}

/// The endpoint, if it is still in the version that the caller read; `None` stands for any.
fn in_version(endpoint: Option<Endpoint>, expected: Option<i64>) -> Result<Endpoint, Error> {
    let endpoint = endpoint.ok_or(Error::NotFound)?;
    match expected {
        Some(version) if version != endpoint.version => Err(Error::Stale),
        _ => Ok(endpoint),
    }
}

/// As it is after the changes, and what is told of them; nothing where nothing changes.
fn changed(before: &Endpoint, changes: &Changes, at: Moment) -> (Endpoint, Vec<WebhookEvent>) {
    let (mut after, mut events, endpoint_id) = (before.clone(), Vec::new(), before.id);
    let Changes { url, description, patterns, paused } = changes.clone();
    after.url = url.map_or(after.url, |url| url.as_str().to_owned());
    after.description = description.unwrap_or(after.description);
    after.patterns = patterns.unwrap_or(after.patterns);
    if after != *before {
        events.push(WebhookEvent::Updated { endpoint_id, events: heard(&after) });
    }
    match (paused, before.paused) {
        (Some(true), None) => {
            after.paused = Some(Paused { at: at.now, reason: Reason::Asked });
            events.push(WebhookEvent::Paused { endpoint_id, reason: Reason::Asked.as_str().into() });
        }
        (Some(false), Some(_)) => {
            // It begins anew: what failed before is no reason any more.
            (after.paused, after.failures, after.failing_since) = (None, 0, None);
            events.push(WebhookEvent::Enabled { endpoint_id });
        }
        _ => (),
    }
    (after, events)
}

fn heard(endpoint: &Endpoint) -> Vec<String> {
    endpoint.patterns.iter().map(Pattern::to_string).collect()
}

fn tell(tx: &mut Conn, events: &[WebhookEvent], at: Moment) -> database::Result<()> {
    outbox::publish(tx, events, at.now, at.trace)
}
