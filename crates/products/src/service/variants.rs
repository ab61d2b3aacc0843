//! Variants of a product that exists already.
use super::{Error, Service, apply::received, in_version, products::categories, products::next_version};
use crate::{
    domain::{
        product::{MAX_VARIANTS, Named, NewVariant, Product, Variant, fits},
        stock::Kind,
    },
    store::{
        self,
        write::{Index, Placed},
    },
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, Money};
use products_api::VariantId;

/// What changes of a variant; `None` stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub sku: Option<Option<String>>,
    pub prices: Option<Vec<Money>>,
    pub track_stock: Option<bool>,
}

/// A variant with the product it is of.
#[derive(Clone, Debug)]
pub(crate) struct Sold {
    pub product: Product,
    pub at: usize,
}

impl Sold {
    pub(crate) fn variant(&self) -> &Variant {
        &self.product.variants[self.at]
    }
}

impl Service {
    /// `values` says which value each of the product's options has; it is given the options as they are.
    pub(crate) async fn add_variant<F>(
        &self,
        call: &Call,
        named: Named,
        variant: F,
        once: Once<Sold>,
    ) -> Result<Kept<Sold>, Error>
    where
        F: Fn(&Product) -> Option<NewVariant> + Send + 'static,
    {
        let (now, trace) = (self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let mut product = store::products::locked(tx, &named)?.ok_or(Error::NotFound)?;
                let new = variant(&product).filter(|new| fits(&product.options, &new.values));
                let new = new.ok_or(Error::Unfitting)?.made();
                if product.variants.len() >= MAX_VARIANTS {
                    return Err(Error::TooManyVariants);
                }
                if product.variants.iter().any(|other| other.values == new.values) {
                    return Err(Error::OptionsTaken);
                }
                let at = product.variants.len();
                product.variants.push(new);
                let placed = Placed { product: product.id, position: at, variant: &product.variants[at] };
                let begun = (Kind::Created, now);
                store::write::insert_variants(tx, std::slice::from_ref(&placed), begun, || Error::OptionsTaken)?;
                received(tx, &[placed], now, trace)?;
                reindex(tx, &product)?;
                next_version(tx, &mut product, now, trace)?;
                Ok(Sold { product, at })
            })
        };
        self.db.write(unit).await
    }

    pub(crate) async fn change_variant(
        &self,
        call: &Call,
        id: VariantId,
        expected: Option<i64>,
        changes: Changes,
    ) -> Result<Sold, Error> {
        let (now, trace) = (self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            let of = store::products::of_variant(tx, id)?.ok_or(Error::NotFound)?;
            let mut product = in_version(store::products::locked(tx, &Named::Id(of))?, expected)?;
            let at = product.variants.iter().position(|variant| variant.id == id).ok_or(Error::NotFound)?;
            let Changes { sku, prices, track_stock } = changes.clone();
            let (before, variant) = (product.variants[at].clone(), &mut product.variants[at]);
            variant.sku = sku.unwrap_or_else(|| variant.sku.take());
            variant.prices = prices.unwrap_or_else(|| std::mem::take(&mut variant.prices));
            variant.track_stock = track_stock.unwrap_or(variant.track_stock);
            if *variant == before {
                return Ok(Sold { product, at });
            }
            let placed = Placed { product: product.id, position: at, variant: &product.variants[at] };
            store::write::update_variants(tx, &[placed])?;
            reindex(tx, &product)?;
            next_version(tx, &mut product, now, trace)?;
            Ok(Sold { product, at })
        };
        self.db.write(unit).await
    }
}

fn reindex(tx: &mut Conn, product: &Product) -> Result<(), Error> {
    let (_, names) = categories(tx, &product.categories)?;
    Ok(store::write::replace_index(tx, &[Index::of(product, &names)])?)
}
