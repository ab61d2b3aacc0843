//! Units of work: alone, together, failing, panicking, abandoned.
use crate::{
    harness::{self, Shop, on_both},
    shop::{self, PlaceError, Variant, stocked},
};
use database::{Conn, Error, Violates};
use diesel::{
    connection::{Connection, SimpleConnection},
    prelude::*,
};
use kernel::Id;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

on_both! {
    fifty_are_never_oversold,
    a_failure_hurts_nobody_else,
    a_swallowed_error_does_not_commit,
    panics_are_answered,
    a_caller_who_leaves_changes_nothing,
    opposite_orders_deadlock_nobody,
    a_read_cannot_write,
    a_full_queue_says_busy,
    closing_finishes_what_is_queued,
}

async fn fifty_are_never_oversold(db: Shop) {
    let variant = stocked(&db, 50).await;
    let buyers: Vec<_> = (0..500)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move { db.write(move |tx| shop::reserve(tx, variant, 1)).await.unwrap() })
        })
        .collect();
    let mut won = 0;
    for buyer in buyers {
        won += u32::from(buyer.await.unwrap());
    }
    assert_eq!(won, 50);
    assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 50);
}

async fn a_failure_hurts_nobody_else(db: Shop) {
    let variant = stocked(&db, 1000).await;
    let units: Vec<_> = (0..200)
        .map(|n| {
            let db = db.clone();
            let unit = move |tx: &mut Conn| {
                shop::reserve(tx, variant, 1)?;
                match n % 4 {
                    1 => Err(PlaceError::OutOfStock(n)),
                    2 => Err(diesel::sql_query("SELECT nonsense").execute(tx).map_err(Error::from).unwrap_err().into()),
                    3 => {
                        shop::set_reserved(tx, variant, -1).violates("stock_not_oversold", PlaceError::Oversold)?;
                        Ok(())
                    }
                    _ => Ok(()),
                }
            };
            tokio::spawn(async move { (n, db.write(unit).await) })
        })
        .collect();
    for unit in units {
        match unit.await.unwrap() {
            (n, Ok(())) => assert_eq!(n % 4, 0),
            (n, Err(PlaceError::OutOfStock(m))) => assert!(n == m && n % 4 == 1),
            (n, Err(PlaceError::Database(_))) => assert_eq!(n % 4, 2),
            (n, Err(PlaceError::Oversold)) => assert_eq!(n % 4, 3),
            (_, Err(error)) => panic!("{error:?}"),
        }
    }
    assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 50);
}

/// PostgreSQL would commit nothing after an error; SQLite would happily go on.
async fn a_swallowed_error_does_not_commit(db: Shop) {
    let variant = stocked(&db, 10).await;
    let unit = move |tx: &mut Conn| {
        assert!(shop::set_reserved(tx, variant, 99).is_err());
        shop::reserve(tx, variant, 1)
    };
    db.write(unit).await.unwrap_err();
    let unit = move |tx: &mut Conn| {
        shop::reserve(tx, variant, 1)?;
        assert!(tx.on(|c| c.batch_execute("nonsense"), |c| c.batch_execute("nonsense")).is_err());
        Ok::<_, Error>(())
    };
    db.write(unit).await.unwrap_err();
    assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 0);
    let unit = move |tx: &mut Conn| {
        assert!(tx.transaction(|tx| shop::set_reserved(tx, variant, 99)).is_err());
        shop::reserve(tx, variant, 1)
    };
    assert!(db.write(unit).await.unwrap());
}

async fn panics_are_answered(db: Shop) {
    let variant = stocked(&db, 10).await;
    let units: Vec<_> = (0..20)
        .map(|n| {
            let db = db.clone();
            let unit = move |tx: &mut Conn| {
                let done = shop::reserve(tx, variant, 1)?;
                assert!(n != 7, "boom");
                Ok::<_, Error>(done)
            };
            tokio::spawn(async move { db.write(unit).await })
        })
        .collect();
    let mut panicked = 0;
    for unit in units {
        panicked += u32::from(matches!(unit.await.unwrap(), Err(Error::Panicked)));
    }
    assert_eq!(panicked, 1);
    assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 10);
    for _ in 0..8 {
        let inside = |c: &mut Conn| c.transaction(|_| -> Result<(), Error> { panic!("boom") });
        assert!(matches!(db.read(inside).await, Err(Error::Panicked)));
    }
    assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 10);
}

async fn a_caller_who_leaves_changes_nothing(db: Shop) {
    let variant = stocked(&db, 10_000).await;
    let began = Arc::new(AtomicU32::new(0));
    let callers: Vec<_> = (0..200)
        .map(|n| {
            let (db, began) = (db.clone(), began.clone());
            let unit = move |tx: &mut Conn| {
                began.fetch_add(1, SeqCst);
                shop::reserve(tx, variant, 1)?;
                shop::reserve(tx, variant, 1)
            };
            let patience = if n % 2 == 0 { Duration::from_secs(60) } else { Duration::from_micros(1) };
            tokio::spawn(async move {
                tokio::time::timeout(patience, db.write(unit)).await.map_or(Ok(()), |done| done.map(drop))
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    db.close().await;
    let again = harness::Shop::open(harness::Place::again(&db.place));
    let settled = again.read(move |c| shop::reserved(c, variant)).await.unwrap();
    assert_eq!(settled % 2, 0, "half a unit was kept");
    assert!(settled >= 200);
}

async fn opposite_orders_deadlock_nobody(db: Shop) {
    let (a, b) = (stocked(&db, 100_000).await, stocked(&db, 100_000).await);
    let units: Vec<_> = (0..8)
        .map(|n| {
            let db = db.clone();
            let pair: [Id<Variant>; 2] = if n % 2 == 0 { [a, b] } else { [b, a] };
            let unit = move |tx: &mut Conn| {
                shop::reserve(tx, pair[0], 1)?;
                tx.on(|_| Ok(()), |pg| pg.batch_execute("SELECT pg_sleep(0.005)"))?;
                shop::reserve(tx, pair[1], 1)
            };
            // On a busy machine a unit may run out of tries: that is `Busy`, surely without effect, so it is asked again.
            tokio::spawn(async move {
                for _ in 0..20 {
                    match db.write(unit).await {
                        Err(Error::Busy) => (),
                        ended => return ended,
                    }
                }
                Err(Error::Busy)
            })
        })
        .collect();
    let mut done = 0;
    for unit in units {
        assert!(unit.await.unwrap().unwrap());
        done += 1;
    }
    assert_eq!(done, 8);
    assert_eq!(db.read(move |c| shop::reserved(c, a)).await.unwrap(), done);
    assert_eq!(db.read(move |c| shop::reserved(c, b)).await.unwrap(), done);
}

async fn a_read_cannot_write(db: Shop) {
    let variant = stocked(&db, 10).await;
    for _ in 0..8 {
        let failing = |c: &mut Conn| Ok::<_, Error>(diesel::sql_query("SELECT nonsense").execute(c)?);
        assert!(matches!(db.read(failing).await, Err(Error::Query(_))));
    }
    assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 0);
    let writing = db.read(move |c| shop::reserve(c, variant, 1)).await;
    assert!(writing.is_err(), "{writing:?}");
    assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 0);
}

async fn a_full_queue_says_busy(db: Shop) {
    let variant = stocked(&db, 10).await;
    let slow = move |tx: &mut Conn| {
        shop::reserved(tx, variant)?;
        std::thread::sleep(Duration::from_millis(5));
        Ok::<_, Error>(())
    };
    let mut asked = Vec::new();
    for _ in 0..harness::QUEUE * 3 {
        let db = db.clone();
        asked.push(tokio::spawn(async move { db.write(slow).await }));
        tokio::task::yield_now().await;
    }
    let mut busy = 0;
    for one in asked {
        match one.await.unwrap() {
            Ok(()) => (),
            Err(Error::Busy) => busy += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(busy > 0);
}

async fn closing_finishes_what_is_queued(db: Shop) {
    let variant = stocked(&db, 1000).await;
    let asked: Vec<_> = (0..100)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move { db.write(move |tx| shop::reserve(tx, variant, 1)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    db.close().await;
    for one in asked {
        match one.await.unwrap() {
            Ok(won) => assert!(won),
            Err(Error::Unavailable(_)) => (),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(matches!(db.read(move |c| shop::reserved(c, variant)).await, Err(Error::Unavailable(_))));
}
