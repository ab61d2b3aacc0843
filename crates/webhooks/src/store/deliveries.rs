//! Deliveries and their tries.
use super::{
    one_more,
    schema::{attempts, deliveries, endpoints},
    wrong,
};
use crate::domain::delivery::{Attempt, Delivery, DeliveryId, Logged, Outcome, Status};
use database::{Conn, Now, Result, chunks};
use diesel::{dsl::exists, prelude::*};
use kernel::{BadCursor, Cursor, Page, Time};
use messaging::EventId;
use std::time::Duration;
use webhooks_api::WebhookEndpointId;

const PENDING: &str = "pending";
const SOME: i64 = 500;

/// An event for an endpoint.
#[derive(Clone, Copy)]
pub(crate) struct New<'a> {
    pub event: EventId,
    pub kind: &'a str,
    /// Where it stands in the journal, or where that stood.
    pub position: i64,
    pub body: &'a str,
    pub now: Time,
}

#[derive(Insertable)]
#[diesel(table_name = deliveries, treat_none_as_default_value = false)]
struct NewRow<'a> {
    id: DeliveryId,
    endpoint_id: WebhookEndpointId,
    event_id: EventId,
    kind: &'a str,
    position: i64,
    body: &'a str,
    state: &'a str,
    tries: i64,
    attempts: i64,
    redelivered: i64,
    due_at: Time,
    epoch: i64,
    created_at: Time,
}

const COLUMNS: usize = 13;

impl<'a> NewRow<'a> {
    fn of(new: &New<'a>, endpoint_id: WebhookEndpointId) -> Self {
        Self {
            id: DeliveryId::new(),
            endpoint_id,
            event_id: new.event,
            kind: new.kind,
            position: new.position,
            body: new.body,
            state: PENDING,
            tries: 0,
            attempts: 0,
            redelivered: 0,
            due_at: new.now,
            epoch: 0,
            created_at: new.now,
        }
    }
}

/// A delivery of each; their ids.
pub(crate) fn insert(tx: &mut Conn, new: &[(New<'_>, WebhookEndpointId)]) -> Result<Vec<DeliveryId>> {
    let rows: Vec<_> = new.iter().map(|(new, endpoint)| NewRow::of(new, *endpoint)).collect();
    for rows in chunks(&rows, COLUMNS) {
        diesel::insert_into(deliveries::table).values(rows).execute(tx)?;
    }
    Ok(rows.iter().map(|row| row.id).collect())
}

/// Endpoints to which something is due. Endpoints are few: each is looked at by its own part of an index.
pub(crate) fn due(conn: &mut Conn, now: Time) -> Result<Vec<WebhookEndpointId>> {
    let free = deliveries::leased_until.is_null().or(deliveries::leased_until.lt(Now));
    let due = deliveries::table
        .filter(deliveries::endpoint_id.eq(endpoints::id))
        .filter(deliveries::state.eq(PENDING).and(deliveries::due_at.le(now)).and(free));
    let open = endpoints::table.filter(endpoints::paused_at.is_null().and(endpoints::deleted_at.is_null()));
    Ok(open.filter(exists(due)).select(endpoints::id).load(conn)?)
}

/// One that is this process's to try, until its lease is over.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = deliveries)]
pub(crate) struct Claimed {
    pub id: DeliveryId,
    pub endpoint_id: WebhookEndpointId,
    pub event_id: EventId,
    pub body: String,
    pub tries: i64,
    pub attempts: i64,
    epoch: i64,
}

/// Takes some of what is due to an endpoint, in the order in which it became so, and of the journal.
pub(crate) fn claim(
    tx: &mut Conn,
    endpoint: WebhookEndpointId,
    now: Time,
    lease: Duration,
    limit: i64,
) -> Result<Vec<Claimed>> {
    let free = deliveries::leased_until.is_null().or(deliveries::leased_until.lt(Now));
    let due: Vec<DeliveryId> = deliveries::table
        .filter(deliveries::endpoint_id.eq(endpoint))
        .filter(deliveries::state.eq(PENDING).and(deliveries::due_at.le(now)).and(free))
        .order((deliveries::due_at, deliveries::position))
        .limit(limit)
        .select(deliveries::id)
        .for_update()
        .skip_locked()
        .load(tx)?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let taken = diesel::update(deliveries::table.filter(deliveries::id.eq_any(due)))
        .set((deliveries::leased_until.eq(Now.plus(lease)), deliveries::epoch.eq(deliveries::epoch + 1)))
        .returning(Claimed::as_returning());
    Ok(taken.get_results(tx)?)
}

/// What becomes of a delivery after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Delivered,
    Failed,
    Again(Time),
}

/// Ends a try. `false`: it was not this process's any more, and nothing is kept of the try.
pub(crate) fn settle(tx: &mut Conn, claimed: &Claimed, attempt: &Attempt, after: After, now: Time) -> Result<bool> {
    let (state, due_at, finished_at) = match after {
        After::Delivered => (Status::Delivered.as_str(), now, Some(now)),
        After::Failed => (Status::Failed.as_str(), now, Some(now)),
        After::Again(at) => (PENDING, at, None),
    };
    let mine = deliveries::table.find(claimed.id).filter(deliveries::epoch.eq(claimed.epoch));
    let settled = diesel::update(mine.filter(deliveries::state.eq(PENDING)))
        .set((
            deliveries::state.eq(state),
            deliveries::tries.eq(claimed.tries + 1),
            deliveries::attempts.eq(attempt.number),
            deliveries::due_at.eq(due_at),
            deliveries::leased_until.eq(None::<Time>),
            deliveries::finished_at.eq(finished_at),
        ))
        .execute(tx)?;
    if settled == 0 {
        return Ok(false);
    }
    let (status, error, answer) = match &attempt.outcome {
        Outcome::Answered { status, answer } => (Some(*status), None, Some(answer.as_str())),
        Outcome::Unanswered(error) => (None, Some(error.as_str()), None),
    };
    let row = (
        attempts::delivery_id.eq(claimed.id),
        attempts::number.eq(attempt.number),
        attempts::at.eq(attempt.at),
        attempts::latency_ms.eq(attempt.latency_ms),
        attempts::status.eq(status),
        attempts::error.eq(error),
        attempts::answer.eq(answer),
    );
    diesel::insert_into(attempts::table).values(row).execute(tx)?;
    Ok(true)
}

/// Sends it once more, as if it were new; `false` when it is under way.
pub(crate) fn again(tx: &mut Conn, id: DeliveryId, now: Time) -> Result<bool> {
    let free = deliveries::leased_until.is_null().or(deliveries::leased_until.lt(Now));
    let changed = diesel::update(deliveries::table.find(id).filter(free))
        .set((
            deliveries::state.eq(PENDING),
            deliveries::tries.eq(0),
            deliveries::redelivered.eq(deliveries::redelivered + 1),
            deliveries::due_at.eq(now),
            deliveries::leased_until.eq(None::<Time>),
            deliveries::finished_at.eq(None::<Time>),
            deliveries::epoch.eq(deliveries::epoch + 1),
        ))
        .execute(tx)?;
    Ok(changed == 1)
}

#[derive(Queryable)]
struct Row {
    id: DeliveryId,
    endpoint_id: WebhookEndpointId,
    event_id: EventId,
    kind: String,
    state: String,
    attempts: i64,
    redelivered: i64,
    due_at: Time,
    created_at: Time,
    finished_at: Option<Time>,
    paused_at: Option<Time>,
}

const fn columns() -> (
    deliveries::id,
    deliveries::endpoint_id,
    deliveries::event_id,
    deliveries::kind,
    deliveries::state,
    deliveries::attempts,
    deliveries::redelivered,
    deliveries::due_at,
    deliveries::created_at,
    deliveries::finished_at,
    endpoints::paused_at,
) {
    (
        deliveries::id,
        deliveries::endpoint_id,
        deliveries::event_id,
        deliveries::kind,
        deliveries::state,
        deliveries::attempts,
        deliveries::redelivered,
        deliveries::due_at,
        deliveries::created_at,
        deliveries::finished_at,
        endpoints::paused_at,
    )
}

impl Row {
    fn read(self) -> Result<Delivery> {
        let status = match self.state.parse::<Status>().map_err(|_| wrong("a delivery's state"))? {
            Status::Pending if self.paused_at.is_some() => Status::Held,
            status => status,
        };
        Ok(Delivery {
            id: self.id,
            endpoint: self.endpoint_id,
            event: self.event_id,
            kind: self.kind,
            status,
            attempts: self.attempts,
            redelivered: self.redelivered,
            next_attempt_at: (status == Status::Pending).then_some(self.due_at),
            created_at: self.created_at,
            finished_at: self.finished_at,
        })
    }
}

/// Where a list stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(DeliveryId);

fn binding(
    endpoint: WebhookEndpointId,
    status: Option<Status>,
) -> (&'static str, WebhookEndpointId, Option<&'static str>) {
    ("deliveries", endpoint, status.map(Status::as_str))
}

impl Place {
    pub(crate) fn read(endpoint: WebhookEndpointId, status: Option<Status>, text: &str) -> Result<Self, BadCursor> {
        Cursor::read(text, &binding(endpoint, status)).map(Self)
    }
}

/// Those of an endpoint, the newest first.
pub(crate) fn page(
    conn: &mut Conn,
    endpoint: WebhookEndpointId,
    status: Option<Status>,
    after: Option<Place>,
    limit: usize,
) -> Result<Page<Delivery>> {
    let mut rows = deliveries::table
        .inner_join(endpoints::table.on(endpoints::id.eq(deliveries::endpoint_id)))
        .filter(deliveries::endpoint_id.eq(endpoint))
        .order(deliveries::id.desc())
        .limit(one_more(limit))
        .select(columns())
        .into_boxed();
    if let Some(Place(last)) = after {
        rows = rows.filter(deliveries::id.lt(last));
    }
    rows = match status {
        None => rows,
        Some(Status::Pending) => rows.filter(deliveries::state.eq(PENDING).and(endpoints::paused_at.is_null())),
        Some(Status::Held) => rows.filter(deliveries::state.eq(PENDING).and(endpoints::paused_at.is_not_null())),
        Some(ended) => rows.filter(deliveries::state.eq(ended.as_str())),
    };
    let rows: Vec<Row> = rows.load(conn)?;
    let rows = rows.into_iter().map(Row::read).collect::<Result<_>>()?;
    Ok(Page::of(rows, limit, |last: &Delivery| Cursor::new(&binding(endpoint, status), &last.id)))
}

pub(crate) fn one(conn: &mut Conn, id: DeliveryId) -> Result<Option<Delivery>> {
    let row = deliveries::table
        .inner_join(endpoints::table.on(endpoints::id.eq(deliveries::endpoint_id)))
        .filter(deliveries::id.eq(id).and(endpoints::deleted_at.is_null()))
        .select(columns());
    row.first::<Row>(conn).optional()?.map(Row::read).transpose()
}

/// With what was sent and every try, the latest first.
pub(crate) fn logged(conn: &mut Conn, id: DeliveryId) -> Result<Option<Logged>> {
    let Some(delivery) = one(conn, id)? else { return Ok(None) };
    let body = deliveries::table.find(id).select(deliveries::body).first(conn)?;
    let columns =
        (attempts::number, attempts::at, attempts::latency_ms, attempts::status, attempts::error, attempts::answer);
    type Found = (i64, Time, i64, Option<i64>, Option<String>, Option<String>);
    let rows: Vec<Found> = attempts::table
        .filter(attempts::delivery_id.eq(id))
        .order(attempts::number.desc())
        .limit(100)
        .select(columns)
        .load(conn)?;
    let attempt = |(number, at, latency_ms, status, error, answer): Found| {
        let outcome = match (status, error) {
            (Some(status), _) => Outcome::Answered { status, answer: answer.unwrap_or_default() },
            (None, error) => Outcome::Unanswered(error.unwrap_or_default()),
        };
        Attempt { number, at, latency_ms, outcome }
    };
    Ok(Some(Logged { delivery, body, attempts: rows.into_iter().map(attempt).collect() }))
}

/// Deletes some of what is older, whatever became of it, and of what belonged to endpoints that are gone; whether there
/// is more. What is being tried stays.
pub(crate) fn purge(tx: &mut Conn, before: Time) -> Result<bool> {
    let free = deliveries::leased_until.is_null().or(deliveries::leased_until.lt(Now));
    let old = deliveries::table.filter(deliveries::created_at.lt(before)).filter(free);
    let mut old: Vec<DeliveryId> = old.select(deliveries::id).limit(SOME).load(tx)?;
    if old.is_empty() {
        let gone = endpoints::table.filter(endpoints::deleted_at.is_not_null()).select(endpoints::id);
        let gone: Vec<WebhookEndpointId> = gone.load(tx)?;
        let theirs = deliveries::table.filter(deliveries::endpoint_id.eq_any(gone)).filter(free);
        old = theirs.select(deliveries::id).limit(SOME).load(tx)?;
    }
    diesel::delete(attempts::table.filter(attempts::delivery_id.eq_any(&old))).execute(tx)?;
    diesel::delete(deliveries::table.filter(deliveries::id.eq_any(&old))).execute(tx)?;
    Ok(old.len() as i64 == SOME)
}
