//! Domains that refer to each other, backed up while somebody writes.
use crate::{
    harness::{self, MIGRATIONS, Place, Shop},
    shop::{insert, order, orders},
};
use database::{
    Conn, Database, Error, Location, Settings,
    copy::{CopyError, Domain, backup},
};
use diesel::prelude::*;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use uuid::Uuid;

fn domains(places: &[Place; 2]) -> [Domain<'_>; 2] {
    let [caller, callee] = places;
    [("caller", caller), ("callee", callee)].map(|(name, place)| Domain {
        name,
        location: &place.location,
        migrations: &MIGRATIONS,
    })
}

/// The ids of what is in a domain, from its backup or from itself.
async fn ids(location: &Location) -> BTreeSet<Uuid> {
    let db = Database::open(location, "shop", Settings { threads: 1, readers: 1, ..Settings::default() }).unwrap();
    let ids = db.read(|c: &mut Conn| Ok::<_, Error>(orders::table.select(orders::cart_id).load::<Uuid>(c)?));
    let ids = ids.await.unwrap().into_iter().collect();
    db.close().await;
    ids
}
fn backed_up(folder: &Path, name: &str) -> Location {
    Location::Sqlite { file: folder.join(format!("{name}.db")) }
}

async fn is_of_one_moment(make: fn() -> Place) {
    let (caller, callee) = (Shop::open(make()), Shop::open(make()));
    let stop = Arc::new(AtomicBool::new(false));
    // The callee's row comes before the caller's that refers to it.
    let writing = {
        let (caller, callee, stop) = (Database::clone(&caller), Database::clone(&callee), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                let (row, _) = order(0);
                for db in [&callee, &caller] {
                    let row = row.clone();
                    db.write(move |tx| insert(tx, &row, &[]).map_err(|_| Error::Busy)).await.unwrap();
                }
                written += 1;
            }
            written
        })
    };
    let places = [Place::again(&caller.place), Place::again(&callee.place)];
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let at_least = ids(&places[0].location).await;
        let to = folder.path().join(round.to_string());
        let copied = tokio::task::block_in_place(|| backup(&domains(&places), &to, &mut |_, _| ())).unwrap();
        assert_eq!(copied.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["caller", "callee"]);
        let (callers, callees) = (ids(&backed_up(&to, "caller")).await, ids(&backed_up(&to, "callee")).await);
        assert!(callers.is_superset(&at_least), "what was answered before is in it");
        assert!(callees.is_superset(&callers), "{} and {}", callers.len(), callees.len());
        assert!(callees.len() - callers.len() <= 1, "one moment: {} and {}", callers.len(), callees.len());
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writing.await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_of_one_moment() {
    is_of_one_moment(harness::sqlite).await;
}
#[tokio::test(flavor = "multi_thread")]
async fn schemas_of_one_database_are_of_one_moment() {
    is_of_one_moment(harness::postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_there_is_left_alone_and_half_a_backup_is_none() {
    let places = [Shop::open(harness::sqlite()).leave().await, Shop::open(harness::sqlite()).leave().await];
    let folder = tempfile::tempdir().unwrap();
    let refused = backup(&domains(&places), folder.path(), &mut |_, _| ()).unwrap_err();
    assert!(matches!(refused, CopyError::Folder(_)), "{refused}");
    let to = folder.path().join("new");
    let dies = &mut |domain: &str, _: database::copy::Step<'_>| assert_ne!(domain, "callee", "killed");
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| backup(&domains(&places), &to, dies)));
    assert!(died.is_err() && !to.exists());
    let refused = backup(&domains(&places), &to, &mut |_, _| ()).unwrap_err().to_string();
    assert!(refused.contains("remove it"), "{refused}");
    std::fs::remove_dir_all(folder.path().join("new.unfinished")).unwrap();
    backup(&domains(&places), &to, &mut |_, _| ()).unwrap();
    let mut files: Vec<_> = std::fs::read_dir(&to).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["callee.db", "caller.db"], "whole files, nothing beside them");
}
