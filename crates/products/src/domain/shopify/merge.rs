//! A product of the file against the one in the shop.
use super::{
    RowError,
    group::{Given, GivenVariant, refused, values},
};
use crate::domain::product::{Choice, MAX_VALUES, MAX_VARIANTS, NewProduct, NewVariant, Product, Status, Variant};
use kernel::{Currency, Minor, Money, Time};

/// A product that is not in the shop. Variants without a price are reported and left out; with the first of them goes
/// the product.
pub(crate) fn made(given: &Given, currency: Currency, at: Time, errors: &mut Vec<RowError>) -> Option<Product> {
    if given.variants.first()?.price.is_none() {
        errors.push(unpriced(given.lines[0]));
        errors.extend(refused(&given.lines[1..]));
        return None;
    }
    let mut options = choices(given);
    let mut variants = Vec::new();
    for variant in &given.variants {
        match (variant.price, fitting(&options, variant)) {
            (Some(price), true) => variants.push(new_variant(variant, price, currency)),
            (None, _) => errors.push(unpriced(variant.line)),
            (_, false) => errors.push(too_many_values(variant.line)),
        }
    }
    for (n, option) in options.iter_mut().enumerate() {
        option.values.retain(|value| variants.iter().any(|variant| variant.values[n] == *value));
    }
    let new = NewProduct {
        slug: None,
        title: given.title.clone(),
        description: given.description.clone().unwrap_or_default(),
        status: given.status.unwrap_or(Status::Draft),
        options,
        categories: Vec::new(),
        tags: given.tags.clone().unwrap_or_default(),
        images: given.images.clone().unwrap_or_default(),
        variants,
    };
    Some(new.made(given.slug.clone(), at))
}

fn unpriced(line: u64) -> RowError {
    RowError::new(line, "price_required", "a new variant needs a price")
}
fn too_many_values(line: u64) -> RowError {
    RowError::new(line, "too_many_values", format!("an option has {MAX_VALUES} values at most"))
}

fn choices(given: &Given) -> Vec<Choice> {
    let choice = |(n, name): (usize, &String)| Choice { name: name.clone(), values: values(&given.variants, n) };
    given.options.iter().enumerate().map(choice).collect()
}

fn fitting(options: &[Choice], variant: &GivenVariant) -> bool {
    options.iter().zip(&variant.values).all(|(option, value)| option.values.contains(value))
}

fn new_variant(variant: &GivenVariant, price: Minor, currency: Currency) -> NewVariant {
    NewVariant {
        sku: variant.sku.clone().flatten(),
        values: variant.values.clone(),
        prices: vec![Money::new(price, currency)],
        track_stock: variant.track_stock.unwrap_or(false),
        stock: variant.stock,
    }
}

/// What the file changes of a product: nothing, when all is empty.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Merged {
    /// The product's own row.
    pub row: bool,
    /// Places of variants that change, and of those that are new.
    pub changed: Vec<usize>,
    pub added: Vec<usize>,
}

impl Merged {
    pub(crate) fn is_nothing(&self) -> bool {
        !self.row && self.changed.is_empty() && self.added.is_empty()
    }
}

/// Puts the file's product into the shop's. What the file does not have stays: columns, variants, option values, prices
/// in other currencies, and stock always.
///
/// `None` when the two do not have the same number of options.
pub(crate) fn merge(
    product: &mut Product,
    given: &Given,
    currency: Currency,
    errors: &mut Vec<RowError>,
) -> Option<Merged> {
    if product.options.len() != given.options.len() {
        let detail = "the product in the shop has another number of options";
        errors.extend(given.lines.iter().map(|line| RowError::new(*line, "options_differ", detail)));
        return None;
    }
    let mut merged = Merged { row: merge_row(product, given), ..Merged::default() };
    for variant in &given.variants {
        match product.variants.iter().position(|known| known.values == variant.values) {
            Some(at) if merge_variant(&mut product.variants[at], variant, currency) => merged.changed.push(at),
            Some(_) => (),
            None => match added(product, variant, currency, &mut merged.row) {
                Ok(()) => merged.added.push(product.variants.len() - 1),
                Err(error) => errors.push(error),
            },
        }
    }
    Some(merged)
}

/// Whether anything differs.
fn merge_row(product: &mut Product, given: &Given) -> bool {
    let mut differs = set(&mut product.title, Some(&given.title));
    differs |= set(&mut product.description, given.description.as_ref());
    differs |= set(&mut product.status, given.status.as_ref());
    differs |= set(&mut product.tags, given.tags.as_ref());
    differs |= set(&mut product.images, given.images.as_ref());
    for (option, name) in product.options.iter_mut().zip(&given.options) {
        differs |= set(&mut option.name, Some(name));
    }
    differs
}

fn set<T: PartialEq + Clone>(old: &mut T, new: Option<&T>) -> bool {
    match new {
        Some(new) if new != old => {
            *old = new.clone();
            true
        }
        Some(_) | None => false,
    }
}

fn merge_variant(variant: &mut Variant, given: &GivenVariant, currency: Currency) -> bool {
    let mut differs = set(&mut variant.sku, given.sku.as_ref());
    differs |= set(&mut variant.track_stock, given.track_stock.as_ref());
    let Some(amount) = given.price else { return differs };
    match variant.prices.iter_mut().find(|price| price.currency == currency) {
        Some(price) => differs | set(&mut price.amount, Some(&amount)),
        None => {
            variant.prices.push(Money::new(amount, currency));
            variant.prices.sort_unstable_by_key(|price| price.currency);
            true
        }
    }
}

fn added(product: &mut Product, given: &GivenVariant, currency: Currency, row: &mut bool) -> Result<(), RowError> {
    let price = given.price.ok_or_else(|| unpriced(given.line))?;
    if product.variants.len() >= MAX_VARIANTS {
        let detail = format!("a product has {MAX_VARIANTS} variants at most");
        return Err(RowError::new(given.line, "too_many_variants", detail));
    }
    let fresh = |(option, value): &(&Choice, &String)| !option.values.contains(value);
    let full = |(option, _): (&Choice, &String)| option.values.len() >= MAX_VALUES;
    if product.options.iter().zip(&given.values).filter(fresh).any(full) {
        return Err(too_many_values(given.line));
    }
    for (option, value) in product.options.iter_mut().zip(&given.values) {
        if !option.values.contains(value) {
            option.values.push(value.clone());
            *row = true;
        }
    }
    product.variants.push(new_variant(given, price, currency).made());
    Ok(())
}
