use crate::{
    harness::{Shop, on_both},
    shop::{self, order, orders},
};
use database::{Conn, Error, Now};
use diesel::prelude::*;
use kernel::{Clock, SystemClock, Time};
use std::time::Duration;

on_both! { now_is_the_databases_clock }

async fn now_is_the_databases_clock(db: Shop) {
    let (row, lines) = order(0);
    let id = row.id;
    db.write(move |tx| shop::insert(tx, &row, &lines)).await.unwrap();
    let unit = move |c: &mut Conn| {
        let (now, later): (Time, Time) = diesel::select((Now, Now.plus(Duration::from_secs(3600)))).get_result(c)?;
        let near = |a: Time, b: Time| (a.micros() - b.micros()).abs() < 60_000_000;
        assert!(near(now, SystemClock.now()), "{now}");
        assert!(near(later, now + Duration::from_secs(3600)), "{later}");
        // a lease: a column that may be NULL takes it as well, and it is over when it is over
        diesel::update(orders::table.find(id))
            .set(orders::placed_at.eq(Now.plus(Duration::from_secs(60))))
            .execute(c)?;
        let over = |span: Duration| {
            orders::table.find(id).filter(orders::placed_at.lt(Now.plus(span))).select(orders::id).count()
        };
        assert_eq!(over(Duration::ZERO).get_result::<i64>(c)?, 0);
        assert_eq!(over(Duration::from_secs(120)).get_result::<i64>(c)?, 1);
        diesel::update(orders::table).set(orders::placed_at.eq(Now)).execute(c)?;
        let past = orders::table.filter(orders::placed_at.lt(Now.minus(Duration::from_secs(30)))).count();
        assert_eq!(past.get_result::<i64>(c)?, 0);
        assert_eq!(orders::table.filter(orders::created_at.le(Now)).count().get_result::<i64>(c)?, 1);
        Ok::<_, Error>(())
    };
    db.write(unit).await.unwrap();
}
