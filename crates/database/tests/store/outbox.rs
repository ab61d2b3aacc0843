use crate::harness::{Shop, on_both};
use database::{Conn, Error, outbox::publish, schema::outbox};
use diesel::prelude::*;
use kernel::{BadEvent, Event, EventKind, Time, Trace};
use serde_json::{Value, json};
use uuid::Uuid;

on_both! { events_are_kept_with_their_change, a_long_batch_is_written_whole }

#[derive(serde::Serialize)]
struct Told {
    n: u32,
    #[serde(skip)]
    subject: Uuid,
}
impl Event for Told {
    const KINDS: &'static [EventKind] = &[];
    fn kind(&self) -> &'static str {
        "lamp.lit"
    }
    fn subject(&self) -> Uuid {
        self.subject
    }
    fn read(kind: &str, _: &Value) -> Result<Self, BadEvent> {
        Err(BadEvent { kind: kind.into(), why: "nobody hears it".into() })
    }
}

async fn events_are_kept_with_their_change(db: Shop) {
    let (subject, at, trace) = (Uuid::now_v7(), Time::from_micros(1_700_000_000_123_456), Trace(0xABC));
    let told = move |n| Told { n, subject };
    let undone = move |tx: &mut Conn| {
        publish(tx, &[told(9)], at, trace)?;
        Err::<(), _>(Error::Unavailable("changed its mind".into()))
    };
    db.write(undone).await.unwrap_err();
    db.write(move |tx| publish(tx, &[told(1), told(2)], at, trace)).await.unwrap();
    db.write(move |tx| publish::<Told>(tx, &[], at, trace)).await.unwrap();
    type Row = (String, Uuid, Value, String, Time, Option<Time>);
    let columns =
        (outbox::kind, outbox::subject, outbox::payload, outbox::trace, outbox::occurred_at, outbox::published_at);
    let rows: Vec<Row> =
        db.read(move |c| Ok::<_, Error>(outbox::table.select(columns).order(outbox::position).load(c)?)).await.unwrap();
    let row = |n: u32| ("lamp.lit".into(), subject, json!({"n": n}), format!("{:032x}", 0xABC), at, None);
    assert_eq!(rows, [row(1), row(2)]);
}

async fn a_long_batch_is_written_whole(db: Shop) {
    let unit = |tx: &mut Conn| {
        let events: Vec<_> = (0..12_000).map(|n| Told { n, subject: Uuid::nil() }).collect();
        publish(tx, &events, Time::from_micros(0), Trace(1))
    };
    db.write(unit).await.unwrap();
    let payloads = outbox::table.select(outbox::payload).order(outbox::position);
    let rows: Vec<Value> = db.read(move |c| Ok::<_, Error>(payloads.load(c)?)).await.unwrap();
    assert_eq!(rows, (0..12_000).map(|n| json!({"n": n})).collect::<Vec<_>>());
}
