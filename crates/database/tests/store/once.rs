use crate::{
    harness::{Shop, on_both},
    shop::{self, Variant, stocked},
};
use database::{
    Conn, Error,
    once::{self, Kept, Once, Refused},
    schema::idempotency,
};
use diesel::prelude::*;
use kernel::Id;
use std::time::Duration;

on_both! {
    a_replay_is_byte_equal,
    another_request_is_refused,
    twins_have_one_effect,
    a_failure_keeps_nothing,
    a_lease_keeps_others_out,
    a_dead_owner_is_taken_over_and_fenced,
    giving_up_frees_the_key,
    a_day_later_it_never_was,
    the_table_tells_nothing,
    without_a_key_nothing_is_kept,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("no")]
    No,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Database(#[from] Error),
}

const HOUR: Duration = Duration::from_secs(3600);

fn keyed(body: &str) -> Once<i64> {
    scoped("POST /v1/lamps", body)
}
fn scoped(scope: &str, body: &str) -> Once<i64> {
    Once::keyed("a key of some length", scope, body.as_bytes(), |n| format!("{{\"n\": {n}}}").into_bytes())
}
/// Takes one and answers how many are taken.
async fn take(db: &Shop, once: &Once<i64>, variant: Id<Variant>) -> Result<Kept<i64>, Failed> {
    let once = once.clone();
    db.write(move |tx| {
        once.run(tx, |tx| {
            shop::reserve(tx, variant, 1)?;
            Ok(shop::reserved(tx, variant)?)
        })
    })
    .await
}
async fn begin(db: &Shop, once: &Once<i64>, lease: Duration) -> Result<Option<Vec<u8>>, Failed> {
    let once = once.clone();
    db.write(move |tx| once.begin(tx, lease)).await
}
async fn finish(db: &Shop, once: &Once<i64>, answer: i64) -> Result<(), Error> {
    let once = once.clone();
    db.write(move |tx| once.finish(tx, &answer)).await
}

async fn a_replay_is_byte_equal(db: Shop) {
    let variant = stocked(&db, 10).await;
    let first = keyed("body");
    assert_eq!(take(&db, &first, variant).await.unwrap(), Kept::Fresh(1));
    for again in [first, keyed("body")] {
        assert_eq!(take(&db, &again, variant).await.unwrap(), Kept::Replayed(b"{\"n\": 1}".to_vec()));
    }
    assert_eq!(take(&db, &scoped("POST /v1/chairs", "body"), variant).await.unwrap(), Kept::Fresh(2));
}

async fn another_request_is_refused(db: Shop) {
    let variant = stocked(&db, 10).await;
    take(&db, &keyed("body"), variant).await.unwrap();
    let other = take(&db, &keyed("other"), variant).await;
    assert!(matches!(other, Err(Failed::Refused(Refused::Reused))), "{other:?}");
    begin(&db, &scoped("long", "body"), HOUR).await.unwrap();
    let other = begin(&db, &scoped("long", "other"), HOUR).await;
    assert!(matches!(other, Err(Failed::Refused(Refused::Reused))), "{other:?}");
    assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 1);
}

async fn twins_have_one_effect(db: Shop) {
    let variant = stocked(&db, 100).await;
    let twins: Vec<_> = (0..40)
        .map(|_| {
            let (db, once) = (db.clone(), keyed("body"));
            tokio::spawn(async move {
                db.write(move |tx| {
                    once.run(tx, |tx| {
                        shop::reserve(tx, variant, 1)?;
                        Ok::<_, Failed>(shop::reserved(tx, variant)?)
                    })
                })
                .await
            })
        })
        .collect();
    let mut fresh = 0;
    for twin in twins {
        match twin.await.unwrap().unwrap() {
            Kept::Fresh(n) => fresh += n,
            Kept::Replayed(bytes) => assert_eq!(bytes, b"{\"n\": 1}"),
        }
    }
    assert_eq!(fresh, 1);
    assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 1);
}

async fn a_failure_keeps_nothing(db: Shop) {
    let once = keyed("body");
    let failing = once.clone();
    let failed = db.write(move |tx| failing.run(tx, |_| Err::<i64, _>(Failed::No))).await;
    assert!(matches!(failed, Err(Failed::No)), "{failed:?}");
    let variant = stocked(&db, 10).await;
    assert_eq!(take(&db, &once, variant).await.unwrap(), Kept::Fresh(1));
}

async fn a_lease_keeps_others_out(db: Shop) {
    let (first, second) = (keyed("body"), keyed("body"));
    assert_eq!(begin(&db, &first, HOUR).await.unwrap(), None);
    assert_eq!(begin(&db, &first, HOUR).await.unwrap(), None, "its own, once more");
    let other = begin(&db, &second, HOUR).await;
    assert!(matches!(other, Err(Failed::Refused(Refused::InProgress))), "{other:?}");
    finish(&db, &first, 7).await.unwrap();
    for once in [first, second] {
        assert_eq!(begin(&db, &once, HOUR).await.unwrap(), Some(b"{\"n\": 7}".to_vec()));
    }
}

async fn a_dead_owner_is_taken_over_and_fenced(db: Shop) {
    let (dead, next) = (keyed("body"), keyed("body"));
    begin(&db, &dead, Duration::ZERO).await.unwrap();
    assert_eq!(begin(&db, &next, HOUR).await.unwrap(), None, "the lease is over");
    let late = finish(&db, &dead, 1).await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    let late = dead.clone();
    db.write(move |tx| late.give_up(tx)).await.unwrap();
    finish(&db, &next, 2).await.unwrap();
    assert!(finish(&db, &next, 3).await.is_err(), "an answer stays");
    assert_eq!(begin(&db, &dead, HOUR).await.unwrap(), Some(b"{\"n\": 2}".to_vec()));
}

async fn giving_up_frees_the_key(db: Shop) {
    let (first, second) = (keyed("body"), keyed("other"));
    begin(&db, &first, HOUR).await.unwrap();
    let over = first.clone();
    db.write(move |tx| over.give_up(tx)).await.unwrap();
    assert_eq!(begin(&db, &second, HOUR).await.unwrap(), None);
}

async fn a_day_later_it_never_was(db: Shop) {
    let variant = stocked(&db, 10).await;
    take(&db, &keyed("body"), variant).await.unwrap();
    let age = |hours: u64| {
        move |tx: &mut Conn| {
            let then = database::Now.minus(HOUR * u32::try_from(hours).unwrap());
            diesel::update(idempotency::table).set(idempotency::created_at.eq(then)).execute(tx)?;
            Ok::<_, Error>(())
        }
    };
    db.write(age(23)).await.unwrap();
    assert!(matches!(take(&db, &keyed("body"), variant).await.unwrap(), Kept::Replayed(_)));
    db.write(age(25)).await.unwrap();
    assert_eq!(take(&db, &keyed("another body"), variant).await.unwrap(), Kept::Fresh(2));
    assert_eq!(once::purge(&db).await.unwrap(), 0);
    db.write(age(25)).await.unwrap();
    assert_eq!(once::purge(&db).await.unwrap(), 1);
}

async fn the_table_tells_nothing(db: Shop) {
    let answer = "a secret that the client was told";
    let once = Once::keyed("the client's key", "scope", b"the client's password", move |(): &()| answer.into());
    db.write(move |tx| once.run(tx, |_| Ok::<_, Failed>(()))).await.unwrap();
    type Row = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);
    let columns = (idempotency::record, idempotency::request, idempotency::answer);
    let row: Row = db.read(move |c| Ok::<_, Error>(idempotency::table.select(columns).first(c)?)).await.unwrap();
    let bytes = [row.0, row.1, row.2.unwrap()].concat();
    let holds = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    assert!(!["secret", "told", "key", "password", "client", "scope"].into_iter().any(holds));
    assert_eq!(bytes.len(), 32 + 32 + answer.len() + 16);
}

async fn without_a_key_nothing_is_kept(db: Shop) {
    let (variant, once) = (stocked(&db, 10).await, Once::unkeyed());
    assert_eq!(take(&db, &once, variant).await.unwrap(), Kept::Fresh(1));
    assert_eq!(take(&db, &once, variant).await.unwrap(), Kept::Fresh(2));
    assert_eq!(begin(&db, &once, HOUR).await.unwrap(), None);
    finish(&db, &once, 1).await.unwrap();
    let rows = db.read(|c| Ok::<_, Error>(idempotency::table.count().get_result::<i64>(c)?)).await.unwrap();
    assert_eq!(rows, 0);
}
