//! Notices for staff: one open of what it is about, however often that happens.
use super::{one_more, schema::notices};
use crate::domain::notice::{Acknowledged, Notice};
use database::{Conn, Result};
use diesel::prelude::*;
use kernel::{BadCursor, Cursor, Page, Time};
use serde_json::Value;
use uuid::Uuid;
use webhooks_api::NoticeId;

#[derive(Queryable, Selectable)]
#[diesel(table_name = notices)]
struct Row {
    id: NoticeId,
    about: String,
    subject: String,
    data: Value,
    times: i64,
    created_at: Time,
    updated_at: Time,
    acknowledged_at: Option<Time>,
    acknowledged_by: Option<Uuid>,
}
impl From<Row> for Notice {
    fn from(row: Row) -> Self {
        let Row { id, about, subject, data, times, created_at, updated_at, acknowledged_at, acknowledged_by } = row;
        let acknowledged = acknowledged_at.zip(acknowledged_by).map(|(at, by)| Acknowledged { at, by });
        Self { id, about, subject, data, times, created_at, updated_at, acknowledged }
    }
}

/// A new one, or `None` where an open one is counted once more.
pub(crate) fn open(tx: &mut Conn, about: &str, subject: &str, data: &Value, now: Time) -> Result<Option<NoticeId>> {
    let open = notices::table
        .filter(notices::about.eq(about).and(notices::subject.eq(subject)).and(notices::acknowledged_at.is_null()));
    let again = diesel::update(open)
        .set((notices::times.eq(notices::times + 1), notices::data.eq(data), notices::updated_at.eq(now)))
        .execute(tx)?;
    if again > 0 {
        return Ok(None);
    }
    let id = NoticeId::new();
    let row = (
        notices::id.eq(id),
        notices::about.eq(about),
        notices::subject.eq(subject),
        notices::data.eq(data),
        notices::times.eq(1),
        notices::created_at.eq(now),
        notices::updated_at.eq(now),
    );
    diesel::insert_into(notices::table).values(row).execute(tx)?;
    Ok(Some(id))
}

/// `false` when somebody has before, or it is not there.
pub(crate) fn acknowledge(tx: &mut Conn, id: NoticeId, by: Uuid, now: Time) -> Result<bool> {
    let open = notices::table.find(id).filter(notices::acknowledged_at.is_null());
    let set = (notices::acknowledged_at.eq(Some(now)), notices::acknowledged_by.eq(Some(by)));
    Ok(diesel::update(open).set(set).execute(tx)? == 1)
}

pub(crate) fn one(conn: &mut Conn, id: NoticeId) -> Result<Option<Notice>> {
    Ok(notices::table.find(id).select(Row::as_select()).first(conn).optional()?.map(Notice::from))
}

/// Where a list stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(NoticeId);

impl Place {
    pub(crate) fn read(open: bool, text: &str) -> Result<Self, BadCursor> {
        Cursor::read(text, &("notices", open)).map(Self)
    }
}

/// The newest first.
pub(crate) fn page(conn: &mut Conn, open: bool, after: Option<Place>, limit: usize) -> Result<Page<Notice>> {
    let mut rows =
        notices::table.order(notices::id.desc()).limit(one_more(limit)).select(Row::as_select()).into_boxed();
    if open {
        rows = rows.filter(notices::acknowledged_at.is_null());
    }
    if let Some(Place(last)) = after {
        rows = rows.filter(notices::id.lt(last));
    }
    let rows: Vec<Row> = rows.load(conn)?;
    let rows = rows.into_iter().map(Notice::from).collect();
    Ok(Page::of(rows, limit, |last: &Notice| Cursor::new(&("notices", open), &last.id)))
}

/// Deletes some that were acknowledged before; whether there are more.
pub(crate) fn purge(tx: &mut Conn, before: Time) -> Result<bool> {
    const SOME: i64 = 500;
    let old = notices::table.filter(notices::acknowledged_at.lt(before)).select(notices::id).limit(SOME);
    let old: Vec<NoticeId> = old.load(tx)?;
    diesel::delete(notices::table.filter(notices::id.eq_any(&old))).execute(tx)?;
    Ok(old.len() as i64 == SOME)
}
