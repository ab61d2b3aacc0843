//! Products: made, shown, listed, changed, archived.
use super::{Error, Service, apply::received, in_version};
use crate::{
    domain::{
        product::{Changes, Named, NewProduct, Product, Status},
        stock::Kind,
        text,
    },
    store::{
        self,
        list::{After, Filter},
        write::Index,
    },
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, Id, Page, Principal, Time, Trace};
use products_api::{CategoryId, ProductEvent};

/// What a caller sees: the shop window, or everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    Public,
    Staff,
}

impl Service {
    pub(crate) fn viewer(&self, call: &Call) -> Viewer {
        match &call.principal {
            Principal::User(user) if user.may("products:read", self.now()) => Viewer::Staff,
            Principal::User(_) | Principal::Guest(_) | Principal::Anonymous => Viewer::Public,
        }
    }

    pub(crate) async fn create(
        &self,
        call: &Call,
        new: NewProduct,
        once: Once<Product>,
    ) -> Result<Kept<Product>, Error> {
        self.create_as(new, call.trace, once).await
    }

    pub(super) async fn create_as(
        &self,
        new: NewProduct,
        trace: Trace,
        once: Once<Product>,
    ) -> Result<Kept<Product>, Error> {
        let (chosen, now) = (new.slug.clone(), self.now());
        let base = chosen.clone().unwrap_or_else(|| text::slugified(&new.title));
        let product = new.made(base, now);
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let mut product = product.clone();
                let (ids, names) = categories(tx, &product.categories)?;
                insert_named(tx, &mut product, chosen.is_some())?;
                let all = std::slice::from_ref(&product);
                let variants = store::write::placed(all);
                store::write::insert_variants(tx, &variants, (Kind::Created, now), || Error::OptionsTaken)?;
                store::write::insert_categories(tx, product.id, &ids)?;
                store::write::insert_index(tx, &[Index::of(&product, &names)])?;
                let event = ProductEvent::Created { product_id: product.id };
                database::outbox::publish(tx, &[event], now, trace)?;
                received(tx, &variants, now, trace)?;
                product.categories.sort_unstable(); // as it will be read
                Ok(product)
            })
        };
        self.db.write(unit).await
    }

    /// What the public does not see is not found.
    pub(crate) async fn product(&self, viewer: Viewer, named: Named) -> Result<Product, Error> {
        let found = self.db.read(move |conn| store::products::one(conn, &named)).await?;
        let shown = |product: &Product| viewer == Viewer::Staff || product.status == Status::Active;
        found.filter(shown).ok_or(Error::NotFound)
    }

    pub(crate) async fn page(
        &self,
        filter: Filter,
        after: Option<After>,
        limit: usize,
        count: bool,
    ) -> Result<Page<Product>, Error> {
        Ok(self.db.read(move |conn| store::list::page(conn, &filter, after, limit, count)).await?)
    }

    pub(crate) async fn change(
        &self,
        call: &Call,
        named: Named,
        expected: Option<i64>,
        changes: Changes,
    ) -> Result<Product, Error> {
        let (now, trace) = (self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            let mut product = in_version(store::products::locked(tx, &named)?, expected)?;
            let before = product.clone();
            let regrouped = changes.categories.is_some();
            product.change(changes.clone())?;
            // In the order they were named: a complaint says which.
            let (ids, names) = categories(tx, &product.categories)?;
            product.categories.sort_unstable();
            if product == before {
                return Ok(product);
            }
            if regrouped {
                store::write::replace_categories(tx, product.id, &ids)?;
            }
            store::write::replace_index(tx, &[Index::of(&product, &names)])?;
            next_version(tx, &mut product, now, trace)?;
            Ok(product)
        };
        self.db.write(unit).await
    }

    /// Not sold any more; what refers to it still finds it.
    pub(crate) async fn archive(&self, call: &Call, named: Named) -> Result<(), Error> {
        let (now, trace) = (self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            let mut product = store::products::locked(tx, &named)?.ok_or(Error::NotFound)?;
            if product.status != Status::Archived {
                product.status = Status::Archived;
                next_version(tx, &mut product, now, trace)?;
            }
            Ok(())
        };
        self.db.write(unit).await
    }
}

/// Writes the product's row in its next version, and tells of it.
pub(super) fn next_version(tx: &mut Conn, product: &mut Product, now: Time, trace: Trace) -> Result<(), Error> {
    product.version += 1;
    product.updated_at = now;
    store::write::update_row(tx, product, Error::SlugTaken)?;
    let (product_id, version) = (product.id, product.version);
    let event = match product.status {
        Status::Archived => ProductEvent::Archived { product_id, version },
        Status::Draft | Status::Active => ProductEvent::Updated { product_id, version },
    };
    Ok(database::outbox::publish(tx, &[event], now, trace)?)
}

/// Ids and names of categories by their slugs, every one of which must exist.
pub(super) fn categories(tx: &mut Conn, slugs: &[String]) -> Result<(Vec<CategoryId>, Vec<String>), Error> {
    let known = store::categories::by_slugs(tx, slugs)?;
    let unknown: Vec<usize> = (0..slugs.len()).filter(|n| !known.contains_key(&slugs[*n])).collect();
    if unknown.is_empty() { Ok(known.into_values().unzip()) } else { Err(Error::UnknownCategories(unknown)) }
}

/// Slugs that are tried before one that surely is free: `lamp`, `lamp-2`, .. `lamp-9`, then `lamp-` and part of an id.
const SLUG_TRIES: usize = 9;

/// Inserts the row under the slug somebody chose, or under the first free one like the one made of the title.
fn insert_named(tx: &mut Conn, product: &mut Product, chosen: bool) -> Result<(), Error> {
    if chosen {
        let new = store::write::insert_row(tx, product)?;
        return if new { Ok(()) } else { Err(Error::SlugTaken) };
    }
    let base = std::mem::take(&mut product.slug);
    for slug in candidates(&base) {
        product.slug = slug;
        if store::write::insert_row(tx, product)? {
            return Ok(());
        }
    }
    Err(Error::SlugTaken)
}

pub(super) fn candidates(base: &str) -> impl Iterator<Item = String> + '_ {
    let base = if base.is_empty() { "item" } else { base };
    let numbered = (1..=SLUG_TRIES).map(move |n| if n == 1 { base.to_owned() } else { suffixed(base, &n.to_string()) });
    let random = std::iter::once_with(move || {
        let id = Id::<()>::new().uuid().simple().to_string();
        suffixed(base, &id[20..])
    });
    numbered.chain(random)
}

fn suffixed(base: &str, suffix: &str) -> String {
    let room = text::LONGEST_SLUG - suffix.len() - 1;
    format!("{}-{suffix}", base[..base.len().min(room)].trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_like_a_taken_one_are_slugs_too() {
        for base in ["lamp", "", &"a".repeat(200), &format!("{}-{}", "a".repeat(197), "b")] {
            let all: Vec<_> = candidates(base).collect();
            assert_eq!(all.len(), SLUG_TRIES + 1);
            assert!(all.iter().all(|slug| text::slug(slug).is_ok()), "{all:?}");
        }
        assert_eq!(candidates("lamp").nth(1).as_deref(), Some("lamp-2"));
    }
}
