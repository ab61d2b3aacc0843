//! Endpoints and what they hear. What was deleted is there for nobody; its rows go with its last delivery.
use super::{
    schema::{deliveries, endpoint_patterns as patterns, endpoints},
    wrong,
};
use crate::domain::{
    endpoint::{Endpoint, Paused, Reason},
    pattern::Pattern,
};
use database::{Conn, Result};
use diesel::{dsl::exists, prelude::*};
use kernel::Time;
use std::collections::BTreeMap;
use webhooks_api::WebhookEndpointId;

#[derive(Queryable, Selectable)]
#[diesel(table_name = endpoints)]
struct Row {
    id: WebhookEndpointId,
    url: String,
    description: Option<String>,
    paused_at: Option<Time>,
    paused_reason: Option<String>,
    old_secret_until: Option<Time>,
    failures: i64,
    failing_since: Option<Time>,
    version: i64,
    created_at: Time,
    updated_at: Time,
}

impl Row {
    fn read(self, patterns: Vec<Pattern>) -> Result<Endpoint> {
        let reason = |text: String| Reason::ALL.into_iter().find(|reason| reason.as_str() == text);
        let paused = match (self.paused_at, self.paused_reason) {
            (Some(at), Some(text)) => {
                Some(Paused { at, reason: reason(text).ok_or_else(|| wrong("why it is paused"))? })
            }
            _ => None,
        };
        Ok(Endpoint {
            id: self.id,
            url: self.url,
            description: self.description,
            patterns,
            paused,
            old_secret_until: self.old_secret_until,
            failures: self.failures,
            failing_since: self.failing_since,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = patterns, treat_none_as_default_value = false)]
struct Heard<'a> {
    endpoint_id: WebhookEndpointId,
    pattern: &'a str,
}

/// The newest first; there are few.
pub(crate) fn all(conn: &mut Conn) -> Result<Vec<Endpoint>> {
    let mut heard: BTreeMap<WebhookEndpointId, Vec<Pattern>> = BTreeMap::new();
    for (endpoint, pattern) in heard_by_each(conn)? {
        heard.entry(endpoint).or_default().push(pattern);
    }
    let rows = endpoints::table.filter(endpoints::deleted_at.is_null()).order(endpoints::id.desc());
    let rows: Vec<Row> = rows.select(Row::as_select()).load(conn)?;
    rows.into_iter()
        .map(|row| {
            let own = heard.remove(&row.id).unwrap_or_default();
            row.read(own)
        })
        .collect()
}

/// Every endpoint with every pattern of its own, in order.
pub(crate) fn heard_by_each(conn: &mut Conn) -> Result<Vec<(WebhookEndpointId, Pattern)>> {
    let all = patterns::table
        .inner_join(endpoints::table.on(endpoints::id.eq(patterns::endpoint_id)))
        .filter(endpoints::deleted_at.is_null())
        .order((patterns::endpoint_id, patterns::pattern))
        .select((patterns::endpoint_id, patterns::pattern));
    let rows: Vec<(WebhookEndpointId, String)> = all.load(conn)?;
    Ok(rows.into_iter().map(|(endpoint, pattern)| (endpoint, Pattern::kept(pattern))).collect())
}

pub(crate) fn one(conn: &mut Conn, id: WebhookEndpointId) -> Result<Option<Endpoint>> {
    let row = endpoints::table.find(id).filter(endpoints::deleted_at.is_null());
    let row: Option<Row> = row.select(Row::as_select()).first(conn).optional()?;
    row.map(|row| with_patterns(conn, row)).transpose()
}

/// The same, and nobody changes it until this transaction has ended.
pub(crate) fn hold(tx: &mut Conn, id: WebhookEndpointId) -> Result<Option<Endpoint>> {
    let row = endpoints::table.find(id).filter(endpoints::deleted_at.is_null()).select(Row::as_select());
    let row: Option<Row> = row.for_update().first(tx).optional()?;
    row.map(|row| with_patterns(tx, row)).transpose()
}

fn with_patterns(conn: &mut Conn, row: Row) -> Result<Endpoint> {
    let own = patterns::table.filter(patterns::endpoint_id.eq(row.id)).order(patterns::pattern);
    let own: Vec<String> = own.select(patterns::pattern).load(conn)?;
    row.read(own.into_iter().map(Pattern::kept).collect())
}

pub(crate) fn count(conn: &mut Conn) -> Result<i64> {
    Ok(endpoints::table.filter(endpoints::deleted_at.is_null()).count().get_result(conn)?)
}

/// `hears_from` is where the journal stands.
pub(crate) fn insert(tx: &mut Conn, endpoint: &Endpoint, secret: &[u8], hears_from: i64) -> Result<()> {
    let row = (
        endpoints::id.eq(endpoint.id),
        endpoints::url.eq(&endpoint.url),
        endpoints::description.eq(&endpoint.description),
        endpoints::secret.eq(secret),
        endpoints::hears_from.eq(hears_from),
        endpoints::failures.eq(0),
        endpoints::version.eq(endpoint.version),
        endpoints::created_at.eq(endpoint.created_at),
        endpoints::updated_at.eq(endpoint.updated_at),
    );
    diesel::insert_into(endpoints::table).values(row).execute(tx)?;
    insert_patterns(tx, endpoint)
}

fn insert_patterns(tx: &mut Conn, endpoint: &Endpoint) -> Result<()> {
    let row = |pattern| Heard { endpoint_id: endpoint.id, pattern: Pattern::as_str(pattern) };
    let rows: Vec<_> = endpoint.patterns.iter().map(row).collect();
    diesel::insert_into(patterns::table).values(&rows).execute(tx)?;
    Ok(())
}

/// Writes what may change of it. Whoever calls this has it.
pub(crate) fn update(tx: &mut Conn, endpoint: &Endpoint) -> Result<()> {
    diesel::update(endpoints::table.find(endpoint.id))
        .set((
            endpoints::url.eq(&endpoint.url),
            endpoints::description.eq(&endpoint.description),
            endpoints::paused_at.eq(endpoint.paused.map(|paused| paused.at)),
            endpoints::paused_reason.eq(endpoint.paused.map(|paused| paused.reason.as_str())),
            endpoints::failures.eq(endpoint.failures),
            endpoints::failing_since.eq(endpoint.failing_since),
            endpoints::version.eq(endpoint.version),
            endpoints::updated_at.eq(endpoint.updated_at),
        ))
        .execute(tx)?;
    Ok(())
}

/// Hears other events from now on.
pub(crate) fn replace_patterns(tx: &mut Conn, endpoint: &Endpoint, hears_from: i64) -> Result<()> {
    diesel::delete(patterns::table.filter(patterns::endpoint_id.eq(endpoint.id))).execute(tx)?;
    insert_patterns(tx, endpoint)?;
    diesel::update(endpoints::table.find(endpoint.id)).set(endpoints::hears_from.eq(hears_from)).execute(tx)?;
    Ok(())
}

/// A new secret; the one before signs until `until`, where that is said.
pub(crate) fn rotate(tx: &mut Conn, endpoint: &Endpoint, secret: &[u8], until: Option<Time>) -> Result<()> {
    let row = endpoints::table.find(endpoint.id);
    let current: Vec<u8> = row.select(endpoints::secret).first(tx)?;
    diesel::update(row)
        .set((
            endpoints::secret.eq(secret),
            endpoints::old_secret.eq(until.map(|_| current)),
            endpoints::old_secret_until.eq(until),
            endpoints::version.eq(endpoint.version),
            endpoints::updated_at.eq(endpoint.updated_at),
        ))
        .execute(tx)?;
    Ok(())
}

/// How a try ended, for the endpoint's own account.
pub(crate) fn keep_health(tx: &mut Conn, endpoint: &Endpoint) -> Result<()> {
    diesel::update(endpoints::table.find(endpoint.id))
        .set((endpoints::failures.eq(endpoint.failures), endpoints::failing_since.eq(endpoint.failing_since)))
        .execute(tx)?;
    Ok(())
}

/// It hears again after tries in vain.
pub(crate) fn well(tx: &mut Conn, id: WebhookEndpointId) -> Result<()> {
    let failing = endpoints::table.find(id).filter(endpoints::failures.gt(0));
    diesel::update(failing).set((endpoints::failures.eq(0), endpoints::failing_since.eq(None::<Time>))).execute(tx)?;
    Ok(())
}

/// Gone, with its secrets.
pub(crate) fn delete(tx: &mut Conn, id: WebhookEndpointId, now: Time) -> Result<()> {
    diesel::update(endpoints::table.find(id))
        .set((
            endpoints::deleted_at.eq(Some(now)),
            endpoints::secret.eq(Vec::<u8>::new()),
            endpoints::old_secret.eq(None::<Vec<u8>>),
            endpoints::old_secret_until.eq(None::<Time>),
        ))
        .execute(tx)?;
    Ok(())
}

/// Deletes the rows of those that are gone and have no delivery left.
pub(crate) fn purge(tx: &mut Conn) -> Result<()> {
    let left = exists(deliveries::table.filter(deliveries::endpoint_id.eq(endpoints::id)));
    let gone = endpoints::table.filter(endpoints::deleted_at.is_not_null()).filter(diesel::dsl::not(left));
    let gone: Vec<WebhookEndpointId> = gone.select(endpoints::id).load(tx)?;
    diesel::delete(patterns::table.filter(patterns::endpoint_id.eq_any(&gone))).execute(tx)?;
    diesel::delete(endpoints::table.filter(endpoints::id.eq_any(&gone))).execute(tx)?;
    Ok(())
}

/// Where it is, and its secrets as they lie here: the current one, and the one before while both sign.
#[derive(Clone, Debug)]
pub(crate) struct Sendable {
    pub id: WebhookEndpointId,
    pub url: String,
    pub secrets: Vec<Vec<u8>>,
}

/// `None` while nothing is sent to it.
pub(crate) fn sendable(conn: &mut Conn, id: WebhookEndpointId, now: Time) -> Result<Option<Sendable>> {
    type Found = (String, Vec<u8>, Option<Vec<u8>>, Option<Time>);
    let columns = (endpoints::url, endpoints::secret, endpoints::old_secret, endpoints::old_secret_until);
    let open = endpoints::table.find(id).filter(endpoints::deleted_at.is_null().and(endpoints::paused_at.is_null()));
    let found: Option<Found> = open.select(columns).first(conn).optional()?;
    Ok(found.map(|(url, secret, old, until)| {
        let old = old.filter(|_| until.is_some_and(|until| now < until));
        Sendable { id, url, secrets: [secret].into_iter().chain(old).collect() }
    }))
}

/// Every secret as it lies here.
pub(crate) fn secrets(conn: &mut Conn) -> Result<Vec<(WebhookEndpointId, Vec<u8>)>> {
    let all = endpoints::table.filter(endpoints::deleted_at.is_null());
    Ok(all.select((endpoints::id, endpoints::secret)).load(conn)?)
}
