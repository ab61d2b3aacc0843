//! A batch of a file into the shop, in one transaction.
use super::{Error, products::categories};
use crate::{
    domain::{
        import::Progress,
        product::Product,
        shopify::{Batch, Merged, made, merge},
        stock::Kind,
    },
    store::{
        self,
        write::{Index, Placed, placed},
    },
};
use database::Conn;
use kernel::{Currency, Time, Trace};
use products_api::{ProductEvent, StockEvent};
use std::collections::HashMap;

/// How a batch is taken.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub currency: Currency,
    /// Only compare.
    pub dry_run: bool,
    pub at: Time,
    pub trace: Trace,
}

/// What comes of it; `batch` has each slug once.
pub(super) fn apply(tx: &mut Conn, batch: &Batch, terms: Terms) -> Result<Progress, Error> {
    let slugs: Vec<String> = batch.products.iter().map(|given| given.slug.clone()).collect();
    let known = store::products::by_slugs(tx, &slugs, !terms.dry_run)?;
    let mut known: HashMap<String, Product> = known.into_iter().map(|p| (p.slug.clone(), p)).collect();
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    let mut progress = Progress { rows: batch.rows, ..Progress::default() };
    let mut errors = batch.errors.clone();
    for given in &batch.products {
        match known.remove(&given.slug) {
            None => new.extend(made(given, terms.currency, terms.at, &mut errors)),
            Some(mut product) => match merge(&mut product, given, terms.currency, &mut errors) {
                Some(merged) if merged.is_nothing() => progress.unchanged += 1,
                Some(merged) => changed.push((product, merged)),
                None => (),
            },
        }
    }
    errors.sort_by_key(|error| error.line);
    progress.complain(errors);
    progress.created = new.len() as u64;
    progress.updated = changed.len() as u64;
    if !terms.dry_run {
        create(tx, &new, terms)?;
        update(tx, changed, terms)?;
    }
    Ok(progress)
}

fn create(tx: &mut Conn, new: &[Product], terms: Terms) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    store::write::insert_rows(tx, new, || Error::SlugTaken)?;
    let variants = placed(new);
    store::write::insert_variants(tx, &variants, (Kind::Imported, terms.at), || Error::OptionsTaken)?;
    let indexes: Vec<_> = new.iter().map(|product| Index::of(product, &[])).collect();
    store::write::insert_index(tx, &indexes)?;
    let events: Vec<_> = new.iter().map(|product| ProductEvent::Created { product_id: product.id }).collect();
    database::outbox::publish(tx, &events, terms.at, terms.trace)?;
    received(tx, &variants, terms.at, terms.trace)
}

fn update(tx: &mut Conn, changed: Vec<(Product, Merged)>, terms: Terms) -> Result<(), Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let at = |product, places: &[usize]| -> Vec<Placed<'_>> {
        let product: &Product = product;
        let place = |n: &usize| Placed { product: product.id, position: *n, variant: &product.variants[*n] };
        places.iter().map(place).collect()
    };
    let mut indexes = Vec::new();
    for (product, _) in &changed {
        let (_, names) = categories(tx, &product.categories)?;
        indexes.push(Index::of(product, &names));
    }
    let added: Vec<_> = changed.iter().flat_map(|(product, merged)| at(product, &merged.added)).collect();
    let touched: Vec<_> = changed.iter().flat_map(|(product, merged)| at(product, &merged.changed)).collect();
    store::write::insert_variants(tx, &added, (Kind::Imported, terms.at), || Error::OptionsTaken)?;
    store::write::update_variants(tx, &touched)?;
    store::write::replace_index(tx, &indexes)?;
    received(tx, &added, terms.at, terms.trace)?;
    for (mut product, _) in changed {
        super::products::next_version(tx, &mut product, terms.at, terms.trace)?;
    }
    Ok(())
}

/// Tells of the stock that came with new variants.
pub(super) fn received(tx: &mut Conn, variants: &[Placed<'_>], at: Time, trace: Trace) -> Result<(), Error> {
    let stocked = variants.iter().map(|placed| placed.variant).filter(|variant| variant.on_hand > 0);
    let event = |variant: &crate::domain::product::Variant| StockEvent::Changed {
        variant_id: variant.id,
        on_hand: variant.on_hand,
        reserved: variant.reserved,
    };
    let events: Vec<_> = stocked.map(event).collect();
    if !events.is_empty() {
        database::outbox::publish(tx, &events, at, trace)?;
    }
    Ok(())
}
