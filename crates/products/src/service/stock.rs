//! What is on hand: shown, counted, adjusted.
use super::{Error, Service};
use crate::{
    domain::stock::{Level, MAX_STOCK, Movement},
    points::Point,
    store::{
        self,
        stock::{After, Occasion},
    },
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, Page, Trace};
use products_api::{StockEvent, VariantId};

impl Service {
    pub(crate) async fn level(&self, variant: VariantId) -> Result<Level, Error> {
        self.db.read(move |conn| store::stock::level(conn, variant)).await?.ok_or(Error::NotFound)
    }

    /// What happened to it, newest first.
    pub(crate) async fn movements(
        &self,
        variant: VariantId,
        after: Option<After>,
        limit: usize,
        count: bool,
    ) -> Result<Page<Movement>, Error> {
        let unit = move |conn: &mut Conn| {
            let page = store::stock::movements(conn, variant, after, limit, count)?;
            if page.items.is_empty() && store::stock::level(conn, variant)?.is_none() {
                return Err(Error::NotFound);
            }
            Ok(page)
        };
        self.db.read(unit).await
    }

    /// A count that finds what the books say changes nothing, and tells nobody.
    pub(crate) async fn count_stock(&self, call: &Call, variant: VariantId, on_hand: i64) -> Result<Level, Error> {
        let occasion = self.occasion(call.trace);
        let unit = move |tx: &mut Conn| {
            let counted = store::stock::set(tx, variant, on_hand, occasion, Error::BelowReserved)?;
            let counted = counted.ok_or(Error::NotFound)?;
            if counted.changed {
                tell(tx, counted.level, occasion)?;
            }
            Ok::<_, Error>(counted.level)
        };
        Point::CountBegun.reach();
        let level = self.db.write(unit).await?;
        Point::CountKept.reach();
        Ok(level)
    }

    pub(crate) async fn adjust_stock(
        &self,
        call: &Call,
        variant: VariantId,
        delta: i64,
        reason: Option<String>,
        once: Once<Level>,
    ) -> Result<Kept<Level>, Error> {
        let occasion = self.occasion(call.trace);
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let reason = reason.as_deref();
                let adjusted = store::stock::adjust(tx, variant, delta, reason, occasion, Error::BelowReserved)?;
                let level = adjusted.ok_or(Error::NotFound)?;
                if level.on_hand > MAX_STOCK {
                    return Err(Error::TooMuch);
                }
                tell(tx, level, occasion)?;
                Ok(level)
            })
        };
        Point::AdjustBegun.reach();
        let kept = self.db.write(unit).await?;
        Point::AdjustKept.reach();
        Ok(kept)
    }

    pub(super) fn occasion(&self, trace: Trace) -> Occasion {
        Occasion { at: self.now(), trace, low: self.settings.low_stock }
    }
}

fn tell(tx: &mut Conn, level: Level, occasion: Occasion) -> Result<(), Error> {
    let Level { variant, on_hand, reserved } = level;
    let event = StockEvent::Changed { variant_id: variant, on_hand, reserved };
    Ok(database::outbox::publish(tx, &[event], occasion.at, occasion.trace)?)
}
