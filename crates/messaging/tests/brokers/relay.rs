//! From an outbox: nothing is left, and each subject's events are told in their order, whatever happens meanwhile.
use crate::house::{House, LIT, NEWER, Notes, lit, relay, until, write};
use database::{Conn, Database, outbox};
use std::{
    sync::{Arc, Barrier, atomic::Ordering::SeqCst},
    time::Duration,
};
use uuid::Uuid;

macro_rules! on_both {
    ($($body:ident),* $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread")] async fn $body() { super::$body(crate::house::House::sqlite()).await })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $body() { super::$body(crate::house::House::postgres()).await })* }
    };
}
on_both!(
    a_broker_that_refuses_gets_it_again_in_order,
    what_the_broker_does_not_take_holds_back_its_subject_only,
    whoever_writes_wakes_whoever_tells,
    what_a_newer_version_wrote_waits_and_holds_back_its_subject_only,
    what_was_told_is_forgotten_in_time_and_the_audit_knows,
);

async fn unpublished(db: &Database) -> i64 {
    db.read(outbox::waiting).await.unwrap().0
}

async fn a_broker_that_refuses_gets_it_again_in_order(house: House) {
    let (db, notes) = (house.open(), Arc::new(Notes::default()));
    let lamps: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    for number in 0..30 {
        let some = lamps.clone();
        let unit = move |tx: &mut Conn| some.iter().try_for_each(|lamp| write(tx, *lamp, LIT, number));
        db.write(unit).await.unwrap();
    }
    notes.refuses.store(2, SeqCst);
    let relay = relay(&db, &notes);
    until("all is told", async || relay.turn().await, || notes.count() == 600).await;
    relay.turn().await;
    assert_eq!(unpublished(&db).await, 0);
    assert!(notes.noted.lock().unwrap().len() > 600, "what it kept before it refused came again");
    let told = notes.firsts();
    assert_eq!(told.len(), lamps.len());
    assert!(told.values().all(|numbers| *numbers == (0..30).collect::<Vec<_>>()), "{told:?}");
}

async fn what_the_broker_does_not_take_holds_back_its_subject_only(house: House) {
    let (db, notes) = (house.open(), Arc::new(Notes::default()));
    let (large, others) = (Uuid::now_v7(), [Uuid::now_v7(), Uuid::now_v7()]);
    *notes.never.lock().unwrap() = Some(kernel::type_id("lamp", large).to_string());
    // More than are read at once stand before and behind it.
    let unit = move |tx: &mut Conn| {
        (0..300).try_for_each(|number| {
            write(tx, large, LIT, number)?;
            others.iter().try_for_each(|lamp| write(tx, *lamp, LIT, number))
        })
    };
    db.write(unit).await.unwrap();
    let relay = relay(&db, &notes);
    relay.turn().await;
    let told: Vec<Vec<u64>> = notes.firsts().into_values().collect();
    assert_eq!(told, vec![(0..300).collect::<Vec<_>>(); 2], "the others are told, whole and in order");
    assert_eq!(unpublished(&db).await, 300);
    *notes.never.lock().unwrap() = None;
    relay.turn().await;
    assert_eq!(unpublished(&db).await, 0);
}

async fn whoever_writes_wakes_whoever_tells(house: House) {
    let db = house.open();
    let told = db.told();
    lit(&db, Uuid::now_v7(), 0).await;
    let woken = tokio::time::timeout(Duration::from_secs(10), told.notified()).await;
    assert!(woken.is_ok(), "a commit with events wakes");
    db.write(|tx| outbox::told(tx, &[1], kernel::Time::from_micros(0))).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_millis(200), told.notified()).await;
    assert!(woken.is_err(), "one without does not");
}

async fn what_a_newer_version_wrote_waits_and_holds_back_its_subject_only(house: House) {
    let (db, notes) = (house.open(), Arc::new(Notes::default()));
    let (newer, other) = (Uuid::now_v7(), Uuid::now_v7());
    let unit = move |tx: &mut Conn| {
        write(tx, newer, LIT, 0)?;
        // More than are read at once.
        (1..=300).try_for_each(|number| write(tx, newer, NEWER, number))?;
        write(tx, newer, LIT, 301)?;
        write(tx, other, LIT, 0)
    };
    db.write(unit).await.unwrap();
    let relay = relay(&db, &notes);
    relay.turn().await;
    let told: Vec<Vec<u64>> = notes.firsts().into_values().collect();
    assert_eq!(told, [vec![0], vec![0]], "the first of each, and nothing after what is not known");
    assert_eq!(unpublished(&db).await, 301);
}

async fn what_was_told_is_forgotten_in_time_and_the_audit_knows(house: House) {
    let (db, notes) = (house.open(), Arc::new(Notes::default()));
    lit(&db, Uuid::now_v7(), 0).await;
    relay(&db, &notes).turn().await;
    lit(&db, Uuid::now_v7(), 1).await;
    let kept = Duration::from_secs(24 * 60 * 60);
    assert_eq!(outbox::purge(&db, kept).await.unwrap(), 0, "not yet");
    assert_eq!(db.read(outbox::forgotten_until).await.unwrap(), None);
    assert_eq!(outbox::purge(&db, Duration::ZERO).await.unwrap(), 1);
    let until = db.read(outbox::forgotten_until).await.unwrap();
    assert_eq!(until, Some(kernel::Time::from_micros(1_790_000_000_000_000)), "when the event happened");
    assert_eq!(unpublished(&db).await, 1, "what was not told is never forgotten");
}

/// Two transactions that commit in the reverse of the order of their positions. SQLite has one writer: there it cannot be.
#[tokio::test(flavor = "multi_thread")]
async fn what_commits_late_is_told_late_and_not_lost() {
    let house = House::postgres();
    let (db, notes) = (house.open(), Arc::new(Notes::default()));
    let relay = relay(&db, &notes);
    let (early, late) = (Uuid::now_v7(), Uuid::now_v7());
    let (written, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (first_written, first_goes) = (Arc::clone(&written), Arc::clone(&go));
    let slow = db.clone();
    let first = tokio::spawn(async move {
        let unit = move |tx: &mut Conn| {
            write(tx, late, LIT, 1)?;
            first_written.wait(); // its position is taken
            first_goes.wait(); // and it commits after the second was told
            Ok::<_, database::Error>(())
        };
        slow.write(unit).await
    });
    tokio::task::spawn_blocking(move || written.wait()).await.unwrap();
    lit(&db, early, 2).await;
    relay.turn().await;
    assert_eq!(notes.firsts().into_values().collect::<Vec<_>>(), [vec![2]], "the second does not wait");
    tokio::task::spawn_blocking(move || go.wait()).await.unwrap();
    first.await.unwrap().unwrap();
    relay.turn().await;
    assert_eq!(notes.count(), 2, "the first is told though a later position was");
    let positions = db.read(|conn| outbox::untold(conn, &(0..16).collect::<Vec<_>>(), &[LIT], &[], 10)).await.unwrap();
    assert!(positions.is_empty());
}

/// Two processes share the work; when one is gone without a word the other has all of it, as soon as the leases end.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_and_one_takes_over() {
    let house = House::postgres();
    let (one, two, notes) = (house.open(), house.open(), Arc::new(Notes::default()));
    let (first, second) = (relay(&one, &notes), relay(&two, &notes));
    let lamps: Vec<Uuid> = (0..64).map(|_| Uuid::now_v7()).collect();
    for lamp in &lamps {
        lit(&one, *lamp, 0).await;
    }
    first.turn().await;
    assert_eq!(notes.count(), lamps.len(), "alone it tells all");
    // Both renew, and settle on a half each.
    let share = async || {
        // Who has nothing to tell asks for nothing.
        for relay in [&first, &second] {
            lit(&one, Uuid::now_v7(), 7).await;
            relay.turn().await;
        }
    };
    let halves = || {
        let held: Vec<usize> = [&first, &second].map(|relay| relay.partitions().len()).into();
        held == [8, 8]
    };
    until("each has a half", share, halves).await;
    for lamp in &lamps {
        lit(&one, *lamp, 1).await;
    }
    drop(first);
    let both = || notes.firsts().values().filter(|numbers| **numbers == [0, 1]).count() == lamps.len();
    until("the other tells everything, in order", async || second.turn().await, both).await;
    // The other process hears of what this one writes.
    let told = two.told();
    while tokio::time::timeout(Duration::from_millis(100), told.notified()).await.is_ok() {}
    one.say().await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(10), told.notified()).await;
    assert!(heard.is_ok(), "LISTEN brings what NOTIFY said");
}
