//! Every operation on a reservation in every state, twice: the second time is as the first.
use super::*;
use products_api::{HoldingState, Holdings, ShipError};

/// How a reservation comes to stand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stands {
    Nowhere,
    Held,
    /// Past its time, and nobody has looked yet.
    Due,
    Confirmed,
    Shipped,
    Released,
    Tombstone,
    Expired,
}
use Stands::{Confirmed, Due, Expired, Held, Nowhere, Released, Shipped, Tombstone};

#[derive(Clone, Copy, Debug)]
enum Act {
    Reserve,
    ReserveOther,
    Confirm,
    Release,
    Ship,
    Sweep,
}

/// What is asked of it, in which state, what is answered, and how it stands then.
const TABLE: [(Act, &[(Stands, &str, Stands)]); 6] = [
    (
        Act::Reserve,
        &[
            (Nowhere, "ok", Held),
            (Held, "ok", Held),
            (Due, "ok", Due),
            (Confirmed, "ok", Confirmed),
            (Shipped, "ok", Shipped),
            (Released, "over", Released),
            (Tombstone, "over", Tombstone),
            (Expired, "over", Expired),
        ],
    ),
    (
        Act::ReserveOther,
        &[
            (Nowhere, "ok", Held),
            (Held, "invalid", Held),
            (Due, "invalid", Due),
            (Confirmed, "invalid", Confirmed),
            (Shipped, "invalid", Shipped),
            (Released, "over", Released),
            (Tombstone, "over", Tombstone),
            (Expired, "over", Expired),
        ],
    ),
    (
        Act::Confirm,
        &[
            (Nowhere, "over", Nowhere),
            (Held, "ok", Confirmed),
            (Due, "ok", Confirmed), // no clock decides: it still stands
            (Confirmed, "ok", Confirmed),
            (Shipped, "ok", Shipped),
            (Released, "over", Released),
            (Tombstone, "over", Tombstone),
            (Expired, "over", Expired),
        ],
    ),
    (
        Act::Release,
        &[
            (Nowhere, "ok", Tombstone),
            (Held, "ok", Released),
            (Due, "ok", Released),
            (Confirmed, "ok", Released),
            (Shipped, "shipped", Shipped),
            (Released, "ok", Released),
            (Tombstone, "ok", Tombstone),
            (Expired, "ok", Expired),
        ],
    ),
    (
        Act::Ship,
        &[
            (Nowhere, "not confirmed", Nowhere),
            (Held, "not confirmed", Held),
            (Due, "not confirmed", Due),
            (Confirmed, "ok", Shipped),
            (Shipped, "ok", Shipped),
            (Released, "not confirmed", Released),
            (Tombstone, "not confirmed", Tombstone),
            (Expired, "not confirmed", Expired),
        ],
    ),
    (
        Act::Sweep,
        &[
            (Nowhere, "ok", Nowhere),
            (Held, "ok", Held),
            (Due, "ok", Expired),
            (Confirmed, "ok", Confirmed),
            (Shipped, "ok", Shipped),
            (Released, "ok", Released),
            (Tombstone, "ok", Tombstone),
            (Expired, "ok", Expired),
        ],
    ),
];

const HOLD: u64 = 600;

impl Shop {
    async fn bring(&self, request: &Reserve, to: Stands) {
        let (stock, id) = (self.products.stock(), request.reservation);
        if !matches!(to, Nowhere | Tombstone) {
            stock.reserve(&call(), request.clone()).await.unwrap();
        }
        match to {
            Nowhere | Held => (),
            Due => self.clock.pass(Duration::from_secs(HOLD)),
            Confirmed => stock.confirm(&call(), id).await.unwrap(),
            Shipped => {
                stock.confirm(&call(), id).await.unwrap();
                stock.ship(&call(), id).await.unwrap();
            }
            Released | Tombstone => stock.release(&call(), id).await.unwrap(),
            Expired => {
                self.clock.pass(Duration::from_secs(HOLD));
                self.service().sweep().await;
            }
        }
    }

    async fn act(&self, act: Act, request: &Reserve, other: &Reserve) -> &'static str {
        let (stock, id) = (self.products.stock(), request.reservation);
        let reserved = |said: Result<(), kernel::CallError<ReserveError>>| match said.map_err(|e| e.split().unwrap()) {
            Ok(()) => "ok",
            Err(ReserveError::Over) => "over",
            Err(ReserveError::Invalid) => "invalid",
            Err(other) => panic!("{other:?}"),
        };
        match act {
            Act::Reserve => reserved(stock.reserve(&call(), request.clone()).await),
            Act::ReserveOther => reserved(stock.reserve(&call(), other.clone()).await),
            Act::Confirm => match stock.confirm(&call(), id).await.map_err(|e| e.split().unwrap()) {
                Ok(()) => "ok",
                Err(ConfirmError::Over) => "over",
            },
            Act::Release => match stock.release(&call(), id).await.map_err(|e| e.split().unwrap()) {
                Ok(()) => "ok",
                Err(ReleaseError::Shipped) => "shipped",
            },
            Act::Ship => match stock.ship(&call(), id).await.map_err(|e| e.split().unwrap()) {
                Ok(()) => "ok",
                Err(ShipError::NotConfirmed) => "not confirmed",
            },
            Act::Sweep => {
                self.service().sweep().await;
                "ok"
            }
        }
    }

    async fn stands(&self, request: &Reserve) -> Stands {
        let all = self.products.stock().holdings(&call(), Holdings { after: None, limit: 500 }).await.unwrap();
        let Some(found) = all.into_iter().find(|holding| holding.reservation == request.reservation) else {
            return Nowhere;
        };
        match (found.state, found.lines.is_empty()) {
            (HoldingState::Held, _) if self.clock.now() >= began() + Duration::from_secs(HOLD) => Due,
            (HoldingState::Held, _) => Held,
            (HoldingState::Confirmed, _) => Confirmed,
            (HoldingState::Shipped, _) => Shipped,
            (HoldingState::Released, false) => Released,
            (HoldingState::Released, true) => Tombstone,
            (HoldingState::Expired, _) => Expired,
        }
    }
}

/// When a shop's clock begins.
fn began() -> Time {
    Time::from_micros(BEGAN)
}

#[tokio::test]
async fn every_operation_in_every_state_twice() {
    for shop in Shop::new().await {
        for (act, rows) in TABLE {
            for &(from, answer, to) in rows {
                shop.clock.0.store(BEGAN, Ordering::SeqCst);
                let red = shop.create(lamp("Lamp", 2000, 9)).await.variants[0].id;
                let request = reserve(&[(red, 4, 2000)], HOLD);
                let other = Reserve { lines: reserve(&[(red, 3, 2000)], HOLD).lines, ..request.clone() };
                shop.bring(&request, from).await;
                assert_eq!(shop.stands(&request).await, from);
                for time in ["first", "again"] {
                    assert_eq!(shop.act(act, &request, &other).await, answer, "{act:?} while {from:?}, {time}");
                    assert_eq!(shop.stands(&request).await, to, "{act:?} while {from:?}, {time}");
                }
                let level = shop.service().level(red).await.unwrap();
                let pieces = if matches!(act, Act::ReserveOther) && from == Nowhere { 3 } else { 4 };
                let expected = match to {
                    Held | Due | Confirmed => (9, pieces),
                    Shipped => (5, 0),
                    Nowhere | Released | Tombstone | Expired => (9, 0),
                };
                assert_eq!((level.on_hand, level.reserved), expected, "{act:?} while {from:?}");
                shop.sound().await;
                shop.products.stock().release(&call(), request.reservation).await.ok(); // out of the way of the next
            }
        }
    }
}

impl Shop {
    /// So many holds that are past their time, of one variant.
    async fn due(&self, holds: i64) -> VariantId {
        let red = self.create(lamp("Lamp", 2000, holds)).await.variants[0].id;
        for _ in 0..holds {
            self.products.stock().reserve(&call(), reserve(&[(red, 1, 2000)], HOLD)).await.unwrap();
        }
        self.clock.pass(Duration::from_secs(HOLD));
        red
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sweep_at_once() {
    for shop in Shop::new().await {
        let red = shop.due(250).await;
        let other = shop.again().await;
        let both = [shop.products.clone(), other.clone(), shop.products.clone(), other];
        let sweeps: Vec<_> = both.map(|one| tokio::spawn(async move { one.0.sweep().await })).into_iter().collect();
        for sweep in sweeps {
            sweep.await.unwrap();
        }
        shop.service().sweep().await; // what one of them left to another
        assert_eq!(shop.service().level(red).await.unwrap().reserved, 0);
        assert_eq!(shop.number("SELECT COUNT(*) FROM reservations WHERE state = 'expired'").await, 250);
        shop.sound().await;
    }
}

#[tokio::test]
async fn a_sweep_that_fails_keeps_nothing_and_is_repeated() {
    for shop in Shop::new().await {
        let red = shop.due(3).await;
        shop.spoil_both("ALTER TABLE stock_movements RENAME TO elsewhere").await;
        shop.service().sweep().await;
        assert_eq!(shop.number("SELECT COUNT(*) FROM reservations WHERE state = 'held'").await, 3);
        shop.spoil_both("ALTER TABLE elsewhere RENAME TO stock_movements").await;
        shop.sound().await;
        shop.service().sweep().await;
        assert_eq!(shop.service().level(red).await.unwrap().reserved, 0);
        shop.sound().await;
    }
}
