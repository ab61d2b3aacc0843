//! A full disk, a killed server process: what was answered is there, what was refused is not.
use crate::{
    harness::{self, Shop},
    shop::{self, Order, order, orders, stocked},
};
use database::{Conn, Error, Location};
use diesel::{connection::SimpleConnection, prelude::*, sql_query, sql_types::Text};
use kernel::Id;
use std::{
    sync::{Arc, Barrier},
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_answered() {
    let db = Shop::open(harness::sqlite());
    let pages = |limit: u32| {
        move |tx: &mut Conn| {
            let pragma = format!("PRAGMA max_page_count = {limit}");
            Ok::<_, Error>(tx.on(|c| c.batch_execute(&pragma), |_| unreachable!())?)
        }
    };
    db.write(pages(150)).await.unwrap();
    let asked: Vec<_> = (0..500)
        .map(|_| {
            let (db, (mut row, lines)) = (db.clone(), order(1));
            row.note = Some("x".repeat(1500));
            tokio::spawn(async move { (row.id, db.write(move |tx| shop::insert(tx, &row, &lines)).await) })
        })
        .collect();
    let (mut kept, mut full) = (Vec::new(), 0);
    for one in asked {
        match one.await.unwrap() {
            (id, Ok(())) => kept.push(id),
            (_, Err(error)) => {
                assert!(error.to_string().contains("full"), "{error:?}");
                full += 1;
            }
        }
    }
    assert!(full > 50 && kept.len() > 50, "{full} {}", kept.len());
    kept.sort();
    let ids = orders::table.select(orders::id).order(orders::id);
    let stored: Vec<Id<Order>> = db.read(move |c| Ok::<_, Error>(ids.load(c)?)).await.unwrap();
    assert_eq!(stored, kept);
    db.write(pages(1_000_000)).await.unwrap();
    let (row, lines) = order(1);
    db.write(move |tx| shop::insert(tx, &row, &lines)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_come_back() {
    let db = Shop::open(harness::postgres());
    let variant = stocked(&db, 100_000).await;
    let (mut won, mut unknown) = (0, 0);
    for round in 0..5 {
        let asked: Vec<_> = (0..100)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move { db.write(move |tx| shop::reserve(tx, variant, 1)).await })
            })
            .collect();
        if round % 2 == 0 {
            harness::kill(&db.place);
        }
        for one in asked {
            match one.await.unwrap() {
                Ok(done) => won += i64::from(done),
                Err(Error::Unavailable(_)) => (),
                Err(Error::Unknown(_)) => unknown += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    let kept = db.write(move |tx| shop::reserved(tx, variant)).await.unwrap();
    assert!(won > 0 && kept >= won && kept <= won + unknown, "{won} {unknown} {kept}");
}

#[test]
fn libpq_speaks_tls() {
    let url = harness::url();
    let url = format!("{url}{}sslmode=require", if url.contains('?') { '&' } else { '?' });
    if let Err(error) = PgConnection::establish(&url) {
        assert!(!error.to_string().contains("not compiled in"), "{error}");
    }
}

/// A server that was restarted overnight costs no caller an error.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_unused_are_made_anew() {
    let db = Shop::open(harness::postgres());
    let variant = stocked(&db, 100).await;
    for _ in 0..3 {
        harness::kill(&db.place);
        for _ in 0..8 {
            assert!(db.write(move |tx| shop::reserve(tx, variant, 1)).await.unwrap());
        }
    }
    harness::kill(&db.place);
    tokio::time::sleep(Duration::from_millis(1100)).await; // no condition to wait for: it is about unused time
    for _ in 0..8 {
        assert_eq!(db.read(move |c| shop::reserved(c, variant)).await.unwrap(), 24);
    }
}

/// Who reads now and then has a connection that stays: a new one takes a hundred times as long as a read.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_live_are_kept() {
    let db = Shop::open(harness::postgres());
    let pid = |conn: &mut Conn| {
        let pid = diesel::dsl::sql::<diesel::sql_types::Integer>("pg_backend_pid()");
        Ok::<i32, Error>(conn.on(|_| unreachable!(), |c| diesel::select(pid).get_result(c))?)
    };
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        for _ in 0..20 {
            seen.insert(db.read(pid).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(1100)).await; // after a second they are tried before they are used
    }
    assert!(seen.len() <= 4, "four threads had {} connections", seen.len());
}

/// A process that sells little has few: there are more as soon as units wait, up to `threads`, and no more than that.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_made_as_units_wait() {
    let db = Shop::open(harness::postgres());
    let held = || {
        let named = "SELECT pid FROM pg_stat_activity WHERE application_name = $1";
        let Location::Postgres { schema, .. } = &db.place.location else { unreachable!() };
        sql_query(named).bind::<Text, _>(format!("cleave-{schema}")).execute(&mut harness::admin()).unwrap()
    };
    assert_eq!(held(), 1, "nobody has asked for anything yet");
    for _ in 0..100 {
        db.read(|_| Ok::<_, Error>(())).await.unwrap();
    }
    assert_eq!(held(), 1, "one after another needs no more");
    // Each waits inside its unit until as many are inside theirs.
    let (together, mut all) = (Arc::new(Barrier::new(harness::THREADS)), JoinSet::new());
    for _ in 0..harness::THREADS {
        let (db, together) = (db.clone(), Arc::clone(&together));
        all.spawn(async move {
            let wait = move |_: &mut Conn| {
                together.wait();
                Ok::<_, Error>(())
            };
            db.read(wait).await
        });
    }
    let all = timeout(Duration::from_secs(30), all.join_all()).await.expect("as many at once as there may be");
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let mut more: JoinSet<_> = (0..100)
        .map(|_| {
            let db = db.clone();
            async move { db.read(|_| Ok::<_, Error>(())).await }
        })
        .collect();
    while let Some(one) = more.join_next().await {
        one.unwrap().unwrap();
    }
    assert_eq!(held(), harness::THREADS, "and no more");
}

/// A migration beside a server: what its statements answer has another type than when they were prepared.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_changed_costs_no_connection_its_use() {
    let db = Shop::open(harness::postgres());
    let Location::Postgres { schema, .. } = db.place.location.clone() else { unreachable!() };
    let becomes = |kind: &str| {
        let alter = format!("ALTER TABLE {schema}.orders ALTER COLUMN note TYPE {kind}");
        harness::admin().batch_execute(&alter).unwrap();
    };
    let placed = async || {
        let (row, lines) = order(1);
        let unit = move |tx: &mut Conn| {
            shop::insert(tx, &row, &lines).unwrap();
            shop::place(tx, row.id, row.created_at)
        };
        assert!(db.write(unit).await.unwrap().is_some());
    };
    placed().await;
    becomes("varchar(100)");
    placed().await;
    let listed = async || db.read(|conn| shop::page(conn, None, 10)).await;
    assert_eq!(listed().await.unwrap().len(), 2);
    becomes("text");
    assert!(matches!(listed().await, Err(Error::Busy)), "a read runs once");
    assert_eq!(listed().await.unwrap().len(), 2);
}
