use crate::harness::{self, MIGRATIONS, Place, name, url};
use database::{Conn, Database, Error, Location, Settings, lock_data_dir};
use diesel::{
    connection::{Connection, SimpleConnection},
    prelude::*,
    sql_query,
};

const ALL: [&str; 5] = [
    "2026-01-01-000001_idempotency",
    "2026-01-01-000002_outbox",
    "2026-01-05-000001_relay",
    "2026-01-02-000001_shop",
    "2026-01-02-000002_shelves",
];

fn goes_forward_once(place: &Place) {
    let location = &place.location;
    assert_eq!(database::pending(location, &MIGRATIONS).unwrap(), ALL);
    assert_eq!(database::pending(location, &MIGRATIONS).unwrap(), ALL, "asking changes nothing");
    // two processes at once: one runs them, the other finds nothing to do
    let at_once = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| database::migrate(location, &MIGRATIONS).unwrap()));
        both.map(|one| one.join().unwrap()).concat()
    });
    assert_eq!(at_once, ALL);
    assert!(database::pending(location, &MIGRATIONS).unwrap().is_empty());
    assert!(database::migrate(location, &MIGRATIONS).unwrap().is_empty());
}

#[test]
fn sqlite_goes_forward_once() {
    let place = harness::sqlite();
    let Location::Sqlite { file } = &place.location else { unreachable!() };
    assert!(Database::open(&place.location, "shop", Settings::default()).is_err());
    database::pending(&place.location, &MIGRATIONS).unwrap();
    assert!(!file.exists(), "asking makes no file");
    goes_forward_once(&place);
}
#[test]
fn postgres_goes_forward_once() {
    goes_forward_once(&harness::postgres());
}
#[test]
fn a_domains_own_url_needs_no_provisioning() {
    goes_forward_once(&harness::place(&url(), &name(), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_cannot_read_anothers_tables() {
    let (one, other, login) = (name(), name(), name());
    let mut admin = harness::admin();
    admin.batch_execute(&format!("CREATE ROLE {login} LOGIN PASSWORD '{login}'")).unwrap();
    let domains = [&*one, &*other];
    let unknown = database::provision_for(&url(), Some("nobody at all"), &domains).unwrap_err();
    assert!(unknown.to_string().contains("nobody at all"), "{unknown}");
    let did = database::provision_for(&url(), Some(&login), &domains).unwrap();
    assert_eq!(did.len(), 6, "{did:?}");
    assert_eq!(database::provision_for(&url(), Some(&login), &domains).unwrap(), [""; 0]);

    let shop = as_user(&url(), &login);
    let places = domains.map(|domain| harness::place(&shop, domain, true));
    assert_eq!(places[0].location.login().as_ref(), Some(&login));
    for place in &places {
        assert_eq!(database::migrate(&place.location, &MIGRATIONS).unwrap(), ALL);
    }
    let db = Database::open(&places[0].location, "one", Settings { threads: 1, ..Settings::default() }).unwrap();
    let count = |schema: &str| {
        let sql = format!("SELECT * FROM \"{schema}\".stock");
        move |tx: &mut Conn| Ok::<_, Error>(sql_query(sql.clone()).execute(tx)?)
    };
    assert_eq!(db.write(count(&one)).await.unwrap(), 0);
    let refused = db.write(count(&other)).await.unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
    // nor make tables where everybody would find them
    let common = |tx: &mut Conn| Ok::<_, Error>(sql_query("CREATE TABLE public.lamps (id int)").execute(tx)?);
    assert!(db.write(common).await.unwrap_err().to_string().contains("permission denied"));
    db.close().await;
}

#[test]
fn a_schema_of_somebody_else_is_left_alone() {
    let domain = name();
    harness::admin().batch_execute(&format!("CREATE SCHEMA {domain}")).unwrap();
    let refused = database::provision(&url(), &[&domain]).unwrap_err();
    assert!(refused.to_string().contains("belongs to"), "{refused}");
    let long = "x".repeat(60);
    assert!(database::provision(&url(), &[&long]).unwrap_err().to_string().contains("too long"));
}

/// An administrator who is no superuser, as managed databases have them.
#[test]
fn an_administrator_need_not_be_a_superuser() {
    let (database, user, domain) = (name(), name(), name());
    let mut admin = harness::admin();
    admin.batch_execute(&format!("CREATE ROLE {user} LOGIN CREATEROLE PASSWORD '{user}'")).unwrap();
    admin.batch_execute(&format!("CREATE DATABASE {database} OWNER {user}")).unwrap();
    let (rest, parameters) = url().split_once('?').map_or((url(), String::new()), |(a, b)| (a.into(), format!("?{b}")));
    let own = format!("{}/{database}{parameters}", rest.rsplit_once('/').unwrap().0);
    let own = as_user(&own, &user);
    assert_eq!(database::provision(&own, &[&domain]).unwrap().len(), 3);
    assert_eq!(database::provision(&own, &[&domain]).unwrap(), [""; 0]);
    assert_eq!(database::migrate(&harness::place(&own, &domain, true).location, &MIGRATIONS).unwrap(), ALL);
    PgConnection::establish(&url()).unwrap().batch_execute(&format!("DROP DATABASE {database}")).unwrap();
}

/// The same database, logged in as somebody else.
fn as_user(url: &str, user: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{user}:{user}@{host}")
}

#[test]
fn one_server_a_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new/data");
    let held = lock_data_dir(&dir).unwrap();
    let refused = lock_data_dir(&dir).unwrap_err();
    assert!(refused.to_string().contains("another server uses the data directory"), "{refused}");
    drop(held);
    lock_data_dir(&dir).unwrap();
}
