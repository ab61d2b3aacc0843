//! What of diesel's language works on both databases, and answers alike.
use crate::{
    harness::{Shop, on_both},
    shop::{self, LineRow, Order, OrderRow, PlaceError, Variant, lines, order, orders as o, stock, stocked},
};
use database::{Conn, Error, chunks};
use diesel::{
    connection::{Connection as _, InstrumentationEvent},
    dsl::{count_star, exists, max, min, not, sql},
    prelude::*,
    sql_types::{BigInt, Jsonb, Nullable, Text, Timestamptz, Uuid},
};
use kernel::{Clock, Currency, Id, Minor, SystemClock, Time};
use std::sync::{Arc, Mutex};

on_both! {
    an_order_comes_back_as_it_went_in,
    one_open_order_a_cart,
    constraints_have_one_name,
    an_upsert_keeps_what_it_does_not_set,
    pages_with_lines,
    subselects_and_lists,
    the_rest_of_the_language,
    a_value_out_of_range_is_an_error,
    chunks_fit_one_statement,
    statements_are_prepared_once,
}

async fn an_order_comes_back_as_it_went_in(db: Shop) {
    let (row, items) = order(3);
    let (sent, id) = ((row.clone(), items.clone()), row.id);
    db.write(move |tx| shop::insert(tx, &sent.0, &sent.1)).await.unwrap();
    let now = SystemClock.now();
    let placed = db.write(move |tx| shop::place(tx, id, now)).await.unwrap().unwrap();
    assert_eq!((placed.status.as_str(), placed.placed_at), ("placed", Some(now)));
    assert_eq!(OrderRow { status: row.status.clone(), placed_at: None, ..placed }, row);
    assert_eq!(db.write(move |tx| shop::place(tx, id, now)).await.unwrap(), None);
    let found = db.read(move |c| shop::page(c, None, 10)).await.unwrap();
    assert_eq!(found[0].1, items);
}

async fn one_open_order_a_cart(db: Shop) {
    let (first, items) = order(1);
    let (mut second, more) = order(1);
    second.cart_id = first.cart_id;
    db.write(move |tx| shop::insert(tx, &first, &items)).await.unwrap();
    let refused = db.write(move |tx| shop::insert(tx, &second, &more)).await.unwrap_err();
    assert!(matches!(refused, PlaceError::AlreadyPlaced), "{refused:?}");
}

async fn constraints_have_one_name(db: Shop) {
    async fn broken(db: &Shop, unit: impl Fn(&mut Conn) -> QueryResult<usize> + Send + 'static) -> String {
        let error = db.write(move |tx| Ok::<_, Error>(unit(tx)?)).await.unwrap_err();
        let Error::Query(error) = error else { panic!("{error:?}") };
        database::violated(&error).unwrap_or("nameless").to_owned()
    }
    let variant = stocked(&db, 5).await;
    let over = move |tx: &mut Conn| shop::set_reserved(tx, variant, 9);
    assert_eq!(broken(&db, over).await, "stock_not_oversold");
    let twice = move |tx: &mut Conn| {
        let row = (stock::variant_id.eq(variant), stock::on_hand.eq(1), stock::reserved.eq(0));
        diesel::insert_into(stock::table).values(row).execute(tx)
    };
    assert_eq!(broken(&db, twice).await, "stock_pkey");
    // said by the native connection, named all the same
    let natively = |tx: &mut Conn| {
        let update = "UPDATE stock SET reserved = -1";
        tx.on(|c| diesel::sql_query(update).execute(c), |c| diesel::sql_query(update).execute(c))
    };
    assert_eq!(broken(&db, natively).await, "stock_not_oversold");
    let (mut row, items) = order(2);
    row.total = Minor::new(-1).unwrap();
    let negative = move |tx: &mut Conn| diesel::insert_into(o::table).values(&row).execute(tx);
    assert_eq!(broken(&db, negative).await, "orders_total_positive");
    let orphan = move |tx: &mut Conn| diesel::insert_into(lines::table).values(&items).execute(tx);
    assert!(["nameless", "lines_order_id_fkey"].contains(&&*broken(&db, orphan).await));
}

async fn an_upsert_keeps_what_it_does_not_set(db: Shop) {
    let variant = stocked(&db, 5).await;
    assert!(db.write(move |tx| shop::reserve(tx, variant, 5)).await.unwrap());
    db.write(move |tx| shop::set_stock(tx, variant, 7)).await.unwrap();
    assert!(!db.write(move |tx| shop::reserve(tx, variant, 3)).await.unwrap());
    assert!(db.write(move |tx| shop::reserve(tx, variant, 2)).await.unwrap());
}

async fn pages_with_lines(db: Shop) {
    let sent: Vec<_> = (0..25).map(|n| order(n % 4)).collect();
    for (row, items) in sent.clone() {
        db.write(move |tx| shop::insert(tx, &row, &items)).await.unwrap();
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = db.read(move |c| shop::page(c, before, 10)).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.0.id);
        seen.extend(page);
    }
    seen.reverse();
    assert_eq!(seen, sent);
}

async fn subselects_and_lists(db: Shop) {
    for (row, items) in (0..4).map(order) {
        db.write(move |tx| shop::insert(tx, &row, &items)).await.unwrap();
    }
    let unit = move |c: &mut Conn| {
        let with_lines = lines::table.select(lines::order_id);
        let n: i64 = o::table.filter(o::id.eq_any(with_lines)).count().get_result(c)?;
        let none: i64 = o::table.filter(o::id.eq_any(Vec::<Id<Order>>::new())).count().get_result(c)?;
        let all: i64 = o::table.filter(o::status.ne_all(["x", "y"])).count().get_result(c)?;
        let joined: Vec<(Id<Order>, i64)> = o::table
            .inner_join(lines::table.on(lines::order_id.eq(o::id)))
            .group_by(o::id)
            .select((o::id, count_star()))
            .order(o::id)
            .load(c)?;
        let noted = o::table.select(o::note).filter(o::note.is_null().or(o::note.eq("n")));
        let noted: Vec<Option<String>> = noted.load(c)?;
        let some = exists(o::table.filter(o::total.ge(Minor::ZERO)));
        let some: bool = diesel::select(some).get_result(c)?;
        Ok::<_, Error>((n, none, all, joined.len(), noted.len(), some))
    };
    assert_eq!(db.read(unit).await.unwrap(), (3, 0, 4, 3, 4, true));
}

#[derive(QueryableByName, Debug)]
struct Found {
    #[diesel(sql_type = Uuid)]
    id: Id<Order>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: Time,
    #[diesel(sql_type = Jsonb)]
    address: serde_json::Value,
}
#[derive(AsChangeset)]
#[diesel(table_name = o, treat_none_as_null = true)]
struct Change {
    note: Option<String>,
    placed_at: Option<Time>,
}
#[derive(Queryable, Selectable, Debug)]
#[diesel(table_name = o)]
struct Short {
    id: Id<Order>,
    #[diesel(select_expression = (o::total, o::currency))]
    total: (Minor, Currency),
}

async fn the_rest_of_the_language(db: Shop) {
    let (row, items) = order(3);
    let sent = (row.clone(), items);
    db.write(move |tx| shop::insert(tx, &sent.0, &sent.1)).await.unwrap();
    db.write(move |tx| whole_language(tx, &row)).await.unwrap();
}
fn whole_language(c: &mut Conn, row: &OrderRow) -> Result<(), Error> {
    let (id, at) = (row.id, row.created_at);
    let found = diesel::sql_query("SELECT * FROM orders WHERE id = $1 AND created_at = $2 AND status <> $3");
    let found: Vec<Found> = found.bind::<Uuid, _>(id).bind::<Timestamptz, _>(at).bind::<Text, _>("x").load(c)?;
    assert!(found[0].id == id && found[0].created_at == at && found[0].status == "pending");
    assert_eq!(found[0].address, row.address);
    let left = o::table.left_join(lines::table.on(lines::order_id.eq(o::id).and(lines::position.gt(0))));
    let left = left.select((o::id, lines::position.nullable())).order((o::id, lines::position));
    assert_eq!(left.load::<(Id<Order>, Option<i32>)>(c)?.len(), 2);
    for change in [Change { note: Some("n".into()), placed_at: Some(at) }, Change { note: None, placed_at: None }] {
        assert_eq!(diesel::update(o::table.find(id)).set(&change).execute(c)?, 1);
    }
    let total = lines::table.select(sql::<Nullable<BigInt>>("CAST(sum(quantity) AS BIGINT)"));
    assert_eq!(total.first::<Option<i64>>(c)?, Some(3));
    let (least, most): (Option<Minor>, Option<Minor>) =
        lines::table.select((min(lines::price), max(lines::price))).first(c)?;
    assert_eq!(least, most);
    let some = lines::table.filter(lines::quantity.between(1, 5)).filter(not(lines::position.eq(1)));
    let some: Vec<i32> = some.select(lines::position).distinct().order(lines::position).load(c)?;
    assert_eq!(some, [0, 2]);
    let copied = lines::table.select((lines::variant_id, lines::quantity, lines::quantity * 0));
    let copied = diesel::insert_into(stock::table).values(copied);
    assert_eq!(copied.into_columns((stock::variant_id, stock::on_hand, stock::reserved)).execute(c)?, 3);
    let first_two = lines::table.select(lines::variant_id).filter(lines::position.lt(2));
    let gone = diesel::delete(stock::table.filter(stock::variant_id.eq_any(first_two)));
    assert_eq!(gone.returning(stock::variant_id).get_results::<Id<Variant>>(c)?.len(), 2);
    let had = lines::table.group_by(lines::order_id).having(count_star().gt(2));
    assert_eq!(had.select((lines::order_id, count_star())).load::<(Id<Order>, i64)>(c)?, [(id, 3)]);
    assert_eq!(o::table.select(o::id).filter(o::status.like("pen%")).load::<Id<Order>>(c)?, [id]);
    let short: Short = o::table.select(Short::as_select()).for_update().skip_locked().first(c)?;
    assert!(short.id == id && short.total == (Minor::new(750).unwrap(), "JPY".parse().unwrap()));
    let older = diesel::alias!(o as older);
    let pairs = o::table.inner_join(older.on(older.field(o::cart_id).eq(o::cart_id))).count();
    assert_eq!(pairs.get_result::<i64>(c)?, 1);
    Ok(())
}

async fn a_value_out_of_range_is_an_error(db: Shop) {
    let variant = stocked(&db, 1 << 60).await;
    let unit = move |c: &mut Conn| Ok::<_, Error>(stock::table.find(variant).select(stock::on_hand).first::<Minor>(c)?);
    assert!(matches!(db.read(unit).await, Err(Error::Query(diesel::result::Error::DeserializationError(_)))));
}

async fn chunks_fit_one_statement(db: Shop) {
    let unit = |tx: &mut Conn| {
        let (row, _) = order(0);
        let rows: Vec<_> = (0..14_000)
            .map(|position| LineRow {
                order_id: row.id,
                position,
                variant_id: Id::new(),
                quantity: 1,
                price: Minor::ZERO,
            })
            .collect();
        shop::insert(tx, &row, &[])?;
        for rows in chunks(&rows, 5) {
            diesel::insert_into(lines::table).values(rows).execute(tx).map_err(Error::from)?;
        }
        let ids: Vec<_> = rows.iter().map(|line| line.variant_id).collect();
        let mut found = 0;
        for ids in chunks(&ids, 1) {
            let page = lines::table.filter(lines::variant_id.eq_any(ids.to_vec()));
            found += page.count().get_result::<i64>(tx).map_err(Error::from)?;
        }
        Ok::<_, PlaceError>(found)
    };
    assert_eq!(db.write(unit).await.unwrap(), 14_000);
}

/// Whatever its kind: an insert of one row or of some, an update, an upsert, a list; but for those that hardly come again.
async fn statements_are_prepared_once(db: Shop) {
    type Row = (Id<Variant>, i64, i64);
    fn row(
        (id, on_hand, reserved): Row,
    ) -> (
        diesel::dsl::Eq<stock::variant_id, Id<Variant>>,
        diesel::dsl::Eq<stock::on_hand, i64>,
        diesel::dsl::Eq<stock::reserved, i64>,
    ) {
        (stock::variant_id.eq(id), stock::on_hand.eq(on_hand), stock::reserved.eq(reserved))
    }
    fn insert(tx: &mut Conn, many: usize) -> QueryResult<Vec<Id<Variant>>> {
        let ids: Vec<Id<Variant>> = (0..many).map(|_| Id::new()).collect();
        let rows: Vec<_> = ids.iter().map(|id| row((*id, 5, 0))).collect();
        diesel::insert_into(stock::table).values(rows).execute(tx)?;
        Ok(ids)
    }
    fn everything(tx: &mut Conn) -> QueryResult<()> {
        let ids = insert(tx, 5)?;
        let one = ids[0];
        let again = row((one, 9, 0));
        let again = diesel::insert_into(stock::table).values(again).on_conflict(stock::variant_id).do_update();
        again.set(stock::on_hand.eq(9_i64)).execute(tx)?;
        let more = (stock::on_hand.eq(stock::on_hand + 1), stock::reserved.eq(2_i64));
        diesel::update(stock::table.find(one)).set(more).execute(tx)?;
        // Three values and four are one text, filled up where each has a place of its own.
        for some in [&ids[..3], &ids[1..]] {
            let listed = || stock::table.filter(stock::variant_id.eq_any(some.to_vec()));
            assert_eq!(listed().count().get_result::<i64>(tx)?, some.len() as i64);
            assert_eq!(diesel::update(listed()).set(stock::on_hand.eq(7_i64)).execute(tx)?, some.len());
            let others = stock::table.filter(stock::variant_id.ne_all(some.to_vec()));
            let all = stock::table.count().get_result::<i64>(tx)?;
            assert_eq!(others.count().get_result::<i64>(tx)?, all - some.len() as i64);
        }
        Ok(())
    }
    let unit = |tx: &mut Conn| {
        let kept = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&kept);
        tx.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::CacheQuery { sql, .. } = event {
                seen.lock().unwrap().push(sql.to_owned());
            }
        });
        everything(tx)?;
        let first = kept.lock().unwrap().len();
        everything(tx)?;
        let ids = insert(tx, 100)?;
        insert(tx, 101)?;
        let again = kept.lock().unwrap().len();
        let listed = |some: &[Id<Variant>]| stock::table.filter(stock::variant_id.eq_any(some.to_vec())).count();
        let long: Vec<Id<Variant>> = ids.iter().cycle().take(129).copied().collect();
        assert_eq!(listed(&long).get_result::<i64>(tx)?, 100);
        let long = kept.lock().unwrap().len();
        Ok::<_, Error>((first, again, long, tx.db(), kept.lock().unwrap().clone()))
    };
    let (first, again, long, backend, kept) = db.write(unit).await.unwrap();
    assert_eq!((first, again), (7, 7), "{kept:#?}");
    assert_eq!(long, 7, "{backend:?}: {kept:#?}");
    assert!(kept.iter().any(|sql| sql.starts_with("UPDATE")) && kept.iter().any(|sql| sql.starts_with("INSERT")));
}
