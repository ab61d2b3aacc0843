//! What is on hand: shown, counted, adjusted.
use super::{Error, Service};
use crate::{
    domain::stock::{Level, MAX_STOCK},
    store,
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, Time, Trace};
use products_api::{StockEvent, VariantId};

impl Service {
    pub(crate) async fn level(&self, variant: VariantId) -> Result<Level, Error> {
        self.db.read(move |conn| store::stock::level(conn, variant)).await?.ok_or(Error::NotFound)
    }

    pub(crate) async fn count_stock(&self, call: &Call, variant: VariantId, on_hand: i64) -> Result<Level, Error> {
        let (now, trace) = (self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            let level = store::stock::set(tx, variant, on_hand, Error::BelowReserved)?.ok_or(Error::NotFound)?;
            tell(tx, level, now, trace)?;
            Ok(level)
        };
        self.db.write(unit).await
    }

    pub(crate) async fn adjust_stock(
        &self,
        call: &Call,
        variant: VariantId,
        delta: i64,
        once: Once<Level>,
    ) -> Result<Kept<Level>, Error> {
        let (now, trace) = (self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let level = store::stock::adjust(tx, variant, delta, Error::BelowReserved)?.ok_or(Error::NotFound)?;
                if level.on_hand > MAX_STOCK {
                    return Err(Error::TooMuch);
                }
                tell(tx, level, now, trace)?;
                Ok(level)
            })
        };
        self.db.write(unit).await
    }
}

fn tell(tx: &mut Conn, level: Level, now: Time, trace: Trace) -> Result<(), Error> {
    let Level { variant, on_hand, reserved } = level;
    let event = StockEvent::Changed { variant_id: variant, on_hand, reserved };
    Ok(database::outbox::publish(tx, &[event], now, trace)?)
}
