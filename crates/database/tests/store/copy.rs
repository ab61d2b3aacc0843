//! A domain's tables, from either database to either.
use crate::{
    harness::{self, MIGRATIONS, Place, Shop},
    shop::{self, LineRow, OrderRow, lines, order, orders, stocked},
};
use database::{
    Conn, Database, Error, Location, Migrations, Settings,
    copy::{Copied, CopyError, Step, copy},
    outbox::publish,
    schema::{idempotency, outbox},
};
use diesel::{connection::SimpleConnection, prelude::*, sql_query, sql_types::BigInt};
use kernel::{BadEvent, Event, EventKind, Time, Trace};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};
use uuid::Uuid;

type Make = fn() -> Place;
const BOTH: [Make; 2] = [harness::sqlite, harness::postgres];

diesel::table! {
    shelves (code) {
        code -> Text,
        within -> Nullable<Text>,
        open -> Bool,
        width -> Nullable<Double>,
        number -> Nullable<BigInt>,
    }
}

#[derive(serde::Serialize)]
struct Told(Value);
impl Event for Told {
    const KINDS: &'static [EventKind] = &[];
    fn kind(&self) -> &'static str {
        "lamp.lit"
    }
    fn subject(&self) -> Uuid {
        Uuid::max()
    }
    fn read(kind: &str, _: &Value) -> Result<Self, BadEvent> {
        Err(BadEvent { kind: kind.into(), why: "nobody hears it".into() })
    }
}

/// What must survive, each where it is most easily bent.
async fn fill(db: &Database) {
    stocked(db, 7).await;
    let unit = |tx: &mut Conn| {
        for (n, text) in ["", "O'Brien \"x\" \\ ü 漢字 🛒\n\t", "{\"b\": 1, \"a\": 2}", "NULL"].iter().enumerate()
        {
            let (mut row, items) = order(3);
            row.note = (n != 0).then(|| (*text).to_owned());
            row.status = "failed".into();
            row.placed_at = (n != 1).then(|| Time::from_micros(1_700_000_000_123_457 + n as i64));
            row.created_at = Time::from_micros(if n == 2 { -1 } else { 253_402_300_799_999_999 });
            row.address =
                [json!({"zz": [1, null, 2.5, -0.0, 1e300], "a": {"ü": "\u{1}"}}), json!([]), json!("x"), json!(null)]
                    [n]
                    .clone();
            shop::insert(tx, &row, &items).map_err(|_| Error::Busy)?;
        }
        let told = [json!({"n": 1}), json!(null), json!(u64::MAX)].map(Told);
        publish(tx, &told, Time::from_micros(1), Trace(7))?;
        let last = outbox::table.select(diesel::dsl::max(outbox::position)).first::<Option<i64>>(tx)?;
        diesel::delete(outbox::table.filter(outbox::position.eq(last.unwrap_or(0)))).execute(tx)?;
        let kept = |n: u8| {
            (
                idempotency::record.eq(vec![n, 0, 255]),
                idempotency::request.eq(Vec::<u8>::new()),
                idempotency::owner.eq(Uuid::from_u128(n.into())),
                idempotency::leased_until.eq(Time::from_micros(0)),
                idempotency::nonce.eq((n == 1).then(|| vec![0_u8; 12])),
                idempotency::answer.eq((n == 1).then(|| (0..=255).collect::<Vec<u8>>())),
                idempotency::created_at.eq(Time::from_micros(i64::from(n))),
            )
        };
        diesel::insert_into(idempotency::table).values([kept(1), kept(2)]).execute(tx)?;
        // a shelf whose parent comes behind it, and names that a language would sort otherwise
        let shelf = |code: &str, within: Option<&str>, n: Option<i64>| {
            (
                shelves::code.eq(code.to_owned()),
                shelves::within.eq(within.map(str::to_owned)),
                shelves::open.eq(n.is_some()),
                shelves::width.eq(n.map(|n| n as f64 / 3.0)),
                shelves::number.eq(n),
            )
        };
        let all = [shelf("a", Some("ö"), Some(3)), shelf("Z", Some("a"), None), shelf("ö", None, Some(140))];
        diesel::insert_into(shelves::table).values(all).execute(tx)?;
        Ok::<_, Error>(())
    };
    db.write(unit).await.unwrap();
}

type Shelf = (String, Option<String>, bool, Option<f64>, Option<i64>);
type Event_ = (i64, Uuid, String, Uuid, Value, String, Time, Option<Time>);
type Kept = (Vec<u8>, Vec<u8>, Uuid, Time, Option<Vec<u8>>, Option<Vec<u8>>, Time);

/// All of it, as the domain's own code reads it.
#[derive(Debug, PartialEq)]
struct Everything(Vec<OrderRow>, Vec<LineRow>, Vec<Shelf>, Vec<Event_>, Vec<Kept>, Vec<(Uuid, i64, i64)>);

async fn everything(location: &Location) -> Everything {
    let db = open(location);
    let unit = |c: &mut Conn| {
        let stock = shop::stock::table.order(shop::stock::variant_id);
        Ok::<_, Error>(Everything(
            orders::table.select(OrderRow::as_select()).order(orders::id).load(c)?,
            lines::table.select(LineRow::as_select()).order((lines::order_id, lines::position)).load(c)?,
            shelves::table.order(shelves::code).load(c)?,
            outbox::table.order(outbox::position).load(c)?,
            idempotency::table.order(idempotency::record).load(c)?,
            stock.load(c)?,
        ))
    };
    let all = db.read(unit).await.unwrap();
    db.close().await;
    all
}
fn open(location: &Location) -> Database {
    Database::open(location, "shop", Settings { threads: 1, readers: 1, ..Settings::default() }).unwrap()
}
fn quietly(source: &Location, target: &Location) -> Result<Vec<Copied>, CopyError> {
    copy(source, target, &MIGRATIONS, &mut |_| ())
}
/// A database with everything in it, and nobody at it.
async fn filled(make: Make) -> Place {
    let shop = Shop::open(make());
    fill(&shop).await;
    shop.leave().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_survives_every_way() {
    for from in BOTH {
        let source = filled(from).await;
        let before = everything(&source.location).await;
        let mut hashes = BTreeSet::new();
        for to in BOTH {
            let target = to();
            let copied = quietly(&source.location, &target.location).unwrap();
            assert_eq!(everything(&target.location).await, before);
            assert_eq!(everything(&source.location).await, before);
            assert_eq!(copied.iter().map(|one| one.rows).sum::<u64>(), 4 + 12 + 1 + 2 + 2 + 3, "{copied:?}");
            hashes.insert(copied.iter().map(|one| (one.table.clone(), one.hash.clone())).collect::<Vec<_>>());
            // and on from there, to the other kind
            for back in BOTH {
                let place = back();
                let copied = quietly(&target.location, &place.location).unwrap();
                assert_eq!(everything(&place.location).await, before);
                hashes.insert(copied.iter().map(|one| (one.table.clone(), one.hash.clone())).collect::<Vec<_>>());
            }
        }
        // parents first, whatever database says so, and the same hashes in all
        let sets: BTreeSet<BTreeSet<_>> = hashes.into_iter().map(|all| all.into_iter().collect()).collect();
        assert_eq!(sets.len(), 1, "{sets:?}");
    }
}

#[derive(QueryableByName)]
struct Next {
    #[diesel(sql_type = BigInt)]
    next: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_go_on_behind_the_last_that_was_given() {
    for from in BOTH {
        let source = filled(from).await;
        for to in BOTH {
            let target = to();
            quietly(&source.location, &target.location).unwrap();
            let db = open(&target.location);
            // the third event's row was gone before the copy: its position is not given again
            let told = |tx: &mut Conn| {
                publish(tx, &[Told(json!(4))], Time::from_micros(4), Trace(4))?;
                Ok::<_, Error>(outbox::table.select(diesel::dsl::max(outbox::position)).first::<Option<i64>>(tx)?)
            };
            assert_eq!(db.write(told).await.unwrap(), Some(4));
            if matches!(target.location, Location::Postgres { .. }) {
                let next = "SELECT nextval('shelf_numbers') AS next";
                let next =
                    db.write(move |tx| Ok::<_, Error>(sql_query(next).get_result::<Next>(tx)?.next)).await.unwrap();
                assert_eq!(next, 141);
            }
            db.close().await;
        }
    }
}

const USERS: Migrations = database::migrations!("../../migrations/users");
const PRODUCTS: Migrations = database::migrations!("../../migrations/products");
const ORDERS: Migrations = database::migrations!("../../migrations/orders");

#[test]
fn no_table_of_a_domain_is_forgotten() {
    for (domain, migrations) in [("users", &USERS), ("products", &PRODUCTS), ("orders", &ORDERS)] {
        for (from, kind) in [(harness::sqlite as Make, "sqlite"), (harness::postgres, "postgres")] {
            let mut made = BTreeSet::new();
            for of in [domain, "common"] {
                let folder = format!("{}/../../migrations/{of}/{kind}", env!("CARGO_MANIFEST_DIR"));
                for migration in std::fs::read_dir(folder).unwrap() {
                    let sql = std::fs::read_to_string(migration.unwrap().path().join("up.sql")).unwrap();
                    let tables =
                        sql.split("CREATE TABLE ").skip(1).map(|rest| rest.split(' ').next().unwrap().to_owned());
                    made.extend(tables);
                    // SQLite changes a constraint by making the table anew under another name.
                    for renamed in sql.split("ALTER TABLE ").skip(1).filter(|rest| rest.contains(" RENAME TO ")) {
                        made.remove(renamed.split(' ').next().unwrap());
                    }
                }
            }
            assert!(made.len() > 4, "{made:?}");
            let (source, target) = (from(), harness::sqlite());
            database::migrate(&source.location, migrations).unwrap();
            let copied = copy(&source.location, &target.location, migrations, &mut |_| ()).unwrap();
            assert_eq!(copied.into_iter().map(|one| one.table).collect::<BTreeSet<_>>(), made, "{domain} on {kind}");
            let back = harness::postgres();
            copy(&target.location, &back.location, migrations, &mut |_| ()).unwrap();
        }
    }
}

async fn with_lines(make: Make, count: i32) -> Place {
    let source = filled(make).await;
    let db = open(&source.location);
    let unit = move |tx: &mut Conn| {
        let (row, items) = order(count);
        shop::insert(tx, &OrderRow { status: "failed".into(), ..row }, &[]).map_err(|_| Error::Busy)?;
        for items in database::chunks(&items, 5) {
            diesel::insert_into(lines::table).values(items).execute(tx)?;
        }
        Ok::<_, Error>(())
    };
    db.write(unit).await.unwrap();
    db.close().await;
    source
}
/// Dies when `table` has so many rows in the target: nothing of what follows is done.
fn killed_at(source: &Location, target: &Location, table: &str, rows: u64) {
    let dies = &mut |step: Step<'_>| {
        if matches!(step, Step::Rows { table: at, rows: n } if at == table && n >= rows) {
            panic!("killed");
        }
    };
    let died = catch_unwind(AssertUnwindSafe(|| copy(source, target, &MIGRATIONS, dies)));
    assert!(died.is_err(), "it died in the middle");
}
fn of<'a>(copied: &'a [Copied], table: &str) -> &'a Copied {
    copied.iter().find(|one| one.table == table).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_killed_goes_on() {
    for (from, to) in BOTH.into_iter().flat_map(|from| BOTH.map(|to| (from, to))) {
        let (source, target) = (with_lines(from, 3500).await, to());
        killed_at(&source.location, &target.location, "lines", 2000);
        let refused = Database::open(&target.location, "shop", Settings::default()).err().unwrap().to_string();
        assert!(refused.contains("was not finished"), "{refused}");
        let other = filled(harness::sqlite).await;
        let refused = quietly(&other.location, &target.location).unwrap_err();
        assert!(matches!(&refused, CopyError::Half(of) if *of == source.location.to_string()), "{refused}");
        let refused = quietly(&target.location, &to().location).unwrap_err().to_string();
        assert!(refused.contains("was not finished"), "half a copy is no source: {refused}");

        let copied = quietly(&source.location, &target.location).unwrap();
        let lines = of(&copied, "lines");
        assert!(lines.found >= 2000 && lines.found < lines.rows, "{lines:?}");
        assert_eq!(lines.rows, 3512);
        assert_eq!(everything(&target.location).await, everything(&source.location).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_a_copy_was_killed_is_copied_anew() {
    for (from, to) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
        let (source, target) = (with_lines(from, 3500).await, to());
        killed_at(&source.location, &target.location, "lines", 2000);
        let db = open(&source.location);
        db.write(|tx| Ok::<_, Error>(diesel::update(orders::table).set(orders::note.eq("moved")).execute(tx)?))
            .await
            .unwrap();
        db.close().await;
        let copied = quietly(&source.location, &target.location).unwrap();
        assert!(copied.iter().all(|one| one.found == 0), "{copied:?}");
        assert_eq!(everything(&target.location).await, everything(&source.location).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_rows_is_left_alone() {
    for to in BOTH {
        let (source, target) = (filled(harness::sqlite).await, filled(to).await);
        let before = everything(&target.location).await;
        let refused = quietly(&source.location, &target.location).unwrap_err();
        assert!(matches!(refused, CopyError::NotEmpty(_)), "{refused}");
        assert_eq!(everything(&target.location).await, before);
        assert!(matches!(quietly(&target.location, &target.location), Err(CopyError::Same)));
    }
}

/// A database that bends what it is given: the comparison is not for show.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_arrives_changed_or_not_at_all_is_found() {
    let bends = [
        // SQLite, PostgreSQL
        (
            "UPDATE stock SET on_hand = on_hand + 1 WHERE variant_id = new.variant_id",
            "new.on_hand = new.on_hand + 1; RETURN new",
        ),
        ("DELETE FROM stock WHERE variant_id = new.variant_id", "RETURN NULL"),
    ];
    let source = filled(harness::sqlite).await;
    for (sqlite, postgres) in bends {
        for to in BOTH {
            let target = to();
            database::migrate(&target.location, &MIGRATIONS).unwrap();
            let trigger = match &target.location {
                Location::Sqlite { .. } => format!("CREATE TRIGGER bend AFTER INSERT ON stock BEGIN {sqlite}; END"),
                Location::Postgres { .. } => format!(
                    "CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {postgres}; END'; \
                     CREATE TRIGGER bend BEFORE INSERT ON stock FOR EACH ROW EXECUTE FUNCTION bend()"
                ),
            };
            let db = open(&target.location);
            db.write(move |tx| Ok::<_, Error>(tx.batch_execute(&trigger)?)).await.unwrap();
            db.close().await;
            let refused = quietly(&source.location, &target.location).unwrap_err();
            assert!(matches!(&refused, CopyError::Differs { table, .. } if table == "stock"), "{refused}");
            assert!(
                Database::open(&target.location, "shop", Settings::default()).is_err(),
                "nobody takes it for whole"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_ready_is_refused() {
    let empty = harness::postgres();
    let refused = quietly(&empty.location, &harness::sqlite().location).unwrap_err();
    assert!(matches!(&refused, CopyError::Pending(all) if all.len() == 5), "{refused}");
    let nowhere = harness::sqlite();
    let refused = quietly(&nowhere.location, &empty.location).unwrap_err();
    assert!(matches!(refused, CopyError::Missing(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_somebody_uses_is_refused() {
    // a server that does nothing at the moment
    let shop = Shop::open(harness::postgres());
    fill(&shop).await;
    let refused = quietly(&shop.place.location, &harness::sqlite().location).unwrap_err();
    assert!(matches!(refused, CopyError::InUse(_)), "{refused}");
    shop.close().await;
    // one that came while it was copied: what it waits to write would be lost
    let (location, target) = (shop.place.location.clone(), harness::sqlite());
    let mut late = None;
    let comes = &mut |step: Step<'_>| {
        if matches!(step, Step::Done(_)) && late.is_none() {
            late = Some(open(&location));
        }
    };
    let refused = copy(&location, &target.location, &MIGRATIONS, comes).unwrap_err();
    assert!(matches!(refused, CopyError::InUse(_)), "{refused}");
    late.unwrap().close().await;
    quietly(&location, &target.location).unwrap();
    // SQLite has one writer, whoever it is
    let source = filled(harness::sqlite).await;
    let Location::Sqlite { file } = &source.location else { unreachable!() };
    let mut writer = SqliteConnection::establish(&file.display().to_string()).unwrap();
    writer.batch_execute("BEGIN IMMEDIATE").unwrap();
    let refused = quietly(&source.location, &harness::sqlite().location).unwrap_err();
    assert!(matches!(refused, CopyError::InUse(_)), "{refused}");
}

/// While it is copied, who writes waits; who only waits longer than the copy takes loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_while_it_is_copied() {
    for from in BOTH {
        let source = filled(from).await;
        let mut refused = 0;
        let tries = &mut |step: Step<'_>| {
            if matches!(step, Step::Done(_)) {
                let sql = "UPDATE stock SET on_hand = on_hand + 1";
                let tried = match &source.location {
                    Location::Sqlite { file } => {
                        SqliteConnection::establish(&file.display().to_string()).unwrap().batch_execute(sql)
                    }
                    Location::Postgres { schema, .. } => harness::admin()
                        .batch_execute(&format!("SET lock_timeout = '20ms'; SET search_path TO {schema}; {sql}")),
                };
                let error = tried.unwrap_err().to_string();
                assert!(error.contains("lock"), "{error}");
                refused += 1;
            }
        };
        copy(&source.location, &harness::sqlite().location, &MIGRATIONS, tries).unwrap();
        assert_eq!(refused, 10, "a try after every table");
    }
}
