//! Each body once on each database, on tables of its own.
use database::{Database, Location, Migrations, Settings};
use diesel::{PgConnection, connection::Connection, prelude::*, sql_query, sql_types::Text};
use std::ops::Deref;
use tempfile::TempDir;
use uuid::Uuid;

macro_rules! on_both {
    ($($body:ident),* $(,)?) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $body() { super::$body($crate::harness::Shop::open($crate::harness::sqlite())).await }
        )* }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $body() { super::$body($crate::harness::Shop::open($crate::harness::postgres())).await }
        )* }
    };
}
pub(crate) use on_both;

pub(crate) const MIGRATIONS: Migrations = database::migrations!("tests/store/migrations");
pub(crate) const QUEUE: usize = 600;
/// How many connections a shop on PostgreSQL may have.
pub(crate) const THREADS: usize = 4;

/// A place for a database; what is in a folder goes with it.
pub(crate) struct Place {
    pub(crate) location: Location,
    _folder: Option<TempDir>,
}
impl Place {
    /// The same, while `place` lives.
    pub(crate) fn again(place: &Self) -> Self {
        Self { location: place.location.clone(), _folder: None }
    }
}

pub(crate) struct Shop {
    db: Database,
    pub(crate) place: Place,
}
impl Shop {
    pub(crate) fn open(place: Place) -> Self {
        database::migrate(&place.location, &MIGRATIONS).unwrap();
        let settings = Settings { queue: QUEUE, readers: 2, threads: THREADS, ..Settings::default() };
        Self { db: Database::open(&place.location, "shop", settings).unwrap(), place }
    }
    /// Ends, and leaves its database.
    pub(crate) async fn leave(self) -> Place {
        self.db.close().await;
        self.place
    }
}
impl Deref for Shop {
    type Target = Database;
    fn deref(&self) -> &Database {
        &self.db
    }
}

pub(crate) fn sqlite() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse("sqlite:shop.db", "shop", folder.path(), true).unwrap();
    Place { location, _folder: Some(folder) }
}
/// A domain of its own in the shop's database, provisioned.
pub(crate) fn postgres() -> Place {
    let domain = name();
    database::provision(&url(), &[&domain]).unwrap();
    place(&url(), &domain, true)
}
pub(crate) fn place(url: &str, domain: &str, shop: bool) -> Place {
    Place { location: Location::parse(url, domain, "".as_ref(), shop).unwrap(), _folder: None }
}

/// A superuser's URL.
pub(crate) fn url() -> String {
    std::env::var("CLEAVE_TEST_POSTGRES").expect("CLEAVE_TEST_POSTGRES is not set: run `cargo xtask test`")
}
/// Short and new.
pub(crate) fn name() -> String {
    format!("t{}", &Uuid::now_v7().simple().to_string()[18..])
}
pub(crate) fn admin() -> PgConnection {
    PgConnection::establish(&url()).unwrap()
}
/// Ends every session of `place`.
pub(crate) fn kill(place: &Place) {
    let Location::Postgres { schema, .. } = &place.location else { return };
    sql_query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1")
        .bind::<Text, _>(format!("cleave-{schema}"))
        .execute(&mut admin())
        .unwrap();
}
