//! Statements that HTTP does not reach in time, every body on both databases.
use crate::{
    MIGRATIONS, ShippingSettings,
    domain::{
        cart::{Cart, CartId, FullCart, Holder},
        order::{FullOrder, Order, Status},
    },
    service::{Error, carts::refusal, hear},
    store,
};
use database::{Conn, Database, Location, migrate};
use kernel::{Address, Currency, Id, Time, Trace};
use orders_api::OrderId;
use std::time::Duration;
use users_api::{UserEvent, UserId};

const BEGAN: Time = Time::from_micros(1_700_000_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn databases() -> Vec<(Database, tempfile::TempDir)> {
    let url = std::env::var("CLEAVE_TEST_POSTGRES").expect("CLEAVE_TEST_POSTGRES is not set: run `cargo xtask test`");
    let mut all = Vec::new();
    for url in [None, Some(url)] {
        let folder = tempfile::tempdir().unwrap();
        let location = match url {
            None => Location::Sqlite { file: folder.path().join("orders.db") },
            Some(url) => {
                let schema = format!("t{}", Id::<()>::new().uuid().simple());
                Location::Postgres { url, schema, role: None }
            }
        };
        let at = location.clone();
        tokio::task::spawn_blocking(move || migrate(&at, &MIGRATIONS)).await.unwrap().unwrap();
        all.push((Database::open(&location, "orders", database::Settings::default()).unwrap(), folder));
    }
    all
}

fn cart(user: UserId, order: Option<OrderId>) -> FullCart {
    let address = Address {
        name: "Ann Buyer".into(),
        line1: "1 High Street".into(),
        line2: None,
        city: "Berlin".into(),
        region: None,
        postal_code: None,
        country: "DE".into(),
        phone: None,
    };
    let cart = Cart {
        id: Id::new(),
        token: None,
        user: Some(user),
        currency: Currency::EUR,
        locale: "en".into(),
        prices_include_tax: true,
        email: Some("ann@test.example".into()),
        shipping_address: Some(address.clone()),
        billing_address: Some(address),
        shipping_option: None,
        order,
        version: 1,
        created_at: BEGAN,
    };
    FullCart { cart, lines: Vec::new() }
}

/// A cart, and the order that it became.
fn bought(tx: &mut Conn, user: UserId, status: Status) -> database::Result<(CartId, OrderId)> {
    let id = Id::new();
    let full = cart(user, Some(id));
    store::carts::insert(tx, &full)?;
    let option = ShippingSettings::default().options.remove(0);
    let FullOrder { order, lines } = FullOrder::of(id, &full, Some(user), &option, BEGAN).expect("it is complete");
    let placed = (!matches!(status, Status::Pending | Status::Failed)).then_some(BEGAN);
    let number = placed.map(|_| i64::try_from(id.uuid().as_u128() & 0xffff_ffff).expect("32 bits"));
    let order = Order { status, number, placed_at: placed, ..order };
    store::orders::insert(tx, &FullOrder { order, lines })?;
    Ok((full.cart.id, id))
}

#[tokio::test]
async fn what_is_under_way_is_forgotten_at_its_end_and_then_nothing_is_kept_of_who_it_was() {
    for (db, _folder) in databases().await {
        let (user, other): (UserId, UserId) = (Id::new(), Id::new());
        let made = db.write(move |tx: &mut Conn| {
            store::carts::insert(tx, &cart(user, None))?;
            store::carts::insert(tx, &cart(other, None))?;
            let all = [Status::Completed, Status::Cancelled, Status::Failed, Status::Pending, Status::Placed];
            bought(tx, other, Status::Completed)?;
            all.into_iter().map(|status| bought(tx, user, status)).collect::<database::Result<Vec<_>>>()
        });
        let made = made.await.unwrap();
        let shown = async |(cart, id): (CartId, OrderId)| {
            let holder = Holder { user: Some(user), token: None, staff: false };
            let unit = move |conn: &mut Conn| {
                let order = store::orders::find(conn, id)?.expect("orders stay");
                Ok::<_, database::Error>((order, store::carts::find(conn, cart, holder)?.is_some()))
            };
            db.read(unit).await.unwrap()
        };
        let hears = async || {
            let event = UserEvent::Deleted { user_id: user };
            let unit = move |tx: &mut Conn| hear(tx, event.clone(), BEGAN, Trace(1));
            db.write(unit).await.unwrap();
        };
        let due =
            async |at: Time| db.read(move |conn: &mut Conn| store::forget::due(conn, at.minus(DAY))).await.unwrap();
        for _ in 0..2 {
            hears().await;
            for one in &made[..3] {
                let (order, cart) = shown(*one).await;
                assert_eq!(
                    (order.user, order.email, order.shipping_address, order.billing_address),
                    (None, None, None, None)
                );
                assert_eq!((order.anonymised_at, order.version, cart), (Some(BEGAN), 2, false));
            }
            for one in &made[3..] {
                let (order, cart) = shown(*one).await;
                assert_eq!((order.user, order.anonymised_at, order.version, cart), (Some(user), None, 1, true));
                assert!(order.email.is_some() && order.shipping_address.is_some(), "it is still to be sent");
            }
            assert_eq!(due(BEGAN).await, None);
        }
        let late = BEGAN + DAY + Duration::from_secs(1);
        assert_eq!(due(late).await, None, "somebody is named yet");

        // They end, and so does the list.
        let (pending, placed) = (made[3].1, made[4].1);
        let unit = move |tx: &mut Conn| {
            store::orders::fail(tx, pending, crate::domain::order::PaymentStatus::Failed, BEGAN)?;
            store::carts::open(tx, pending, BEGAN)?;
            let order = store::orders::find(tx, placed)?.expect("it is there");
            let (fulfilment, payment) = (order.fulfilment_status, order.payment_status);
            let status = Status::Completed;
            let turn = store::orders::Turn { status, fulfilment, payment, paid_at: None, cancel_reason: None };
            store::orders::turn(tx, &order, &turn, BEGAN)
        };
        db.write(unit).await.unwrap();
        assert_eq!(due(BEGAN).await, Some(user));
        hears().await;
        for one in &made {
            let (order, cart) = shown(*one).await;
            assert!(order.user.is_none() && order.email.is_none() && !cart, "{:?}", order.status);
        }
        assert_eq!((due(BEGAN).await, due(late).await), (None, Some(user)), "its token may live yet");
        db.write(move |tx: &mut Conn| store::forget::done(tx, user, late.minus(DAY))).await.unwrap();
        assert_eq!(due(late).await, None);
        let page = store::orders::Filter { user: Some(other), status: None };
        let left = db.read(move |conn: &mut Conn| store::orders::page(conn, &page, None, 9, false)).await.unwrap();
        assert!(left.items.len() == 1 && left.items[0].order.email.is_some());
    }
}

/// On PostgreSQL each statement sees the newest state, so a cart may be looked at while its attempt ends.
#[tokio::test]
async fn a_cart_is_completed_by_an_order_and_by_nothing_else() {
    for (db, _folder) in databases().await {
        let user: UserId = Id::new();
        let holder = Holder { user: Some(user), token: None, staff: false };
        for (status, expected, wanted) in [
            (Some(Status::Pending), None, "locked"),
            (Some(Status::Failed), None, "locked"),
            (Some(Status::Failed), Some(7), "locked"),
            (Some(Status::Placed), None, "completed"),
            (Some(Status::Cancelled), Some(1), "completed"),
            (None, None, "locked"),
            (None, Some(1), "locked"),
            (None, Some(7), "stale"),
        ] {
            let unit = move |tx: &mut Conn| {
                let id = match status {
                    Some(status) => bought(tx, user, status)?.0,
                    None => {
                        let full = cart(user, None);
                        store::carts::insert(tx, &full)?;
                        full.cart.id
                    }
                };
                refusal(tx, id, holder, expected)
            };
            let told = match db.write(unit).await.unwrap() {
                Error::CartLocked => "locked",
                Error::CartCompleted => "completed",
                Error::Stale => "stale",
                other => panic!("{other}"),
            };
            assert_eq!(told, wanted, "{status:?}, {expected:?}");
        }
    }
}
