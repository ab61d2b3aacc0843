//! Products and what they are made of.
use super::{review::Rating, text};
use kernel::{Currency, Id, Minor, Money, Time};
use products_api::{CategoryId, ProductId, VariantId};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    str::FromStr,
};

pub(crate) const MAX_OPTIONS: usize = 3;
pub(crate) const MAX_VALUES: usize = 100;
pub(crate) const MAX_VARIANTS: usize = 250;
pub(crate) const MAX_TAGS: usize = 50;
pub(crate) const MAX_IMAGES: usize = 50;
pub(crate) const MAX_CATEGORIES: usize = 50;
/// A variant's prices: one a currency.
pub(crate) const MAX_PRICES: usize = 20;
/// Bytes of a description.
pub(crate) const MAX_DESCRIPTION: usize = 64 << 10;
pub(crate) const MAX_TITLE: usize = 200;
/// Characters of an option's name or value.
pub(crate) const MAX_OPTION_TEXT: usize = 100;
pub(crate) const MAX_TAG: usize = 60;
pub(crate) const MAX_SKU: usize = 100;
pub(crate) const MAX_SRC: usize = 2000;
pub(crate) const MAX_ALT: usize = 500;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Product {
    pub id: ProductId,
    pub slug: String,
    pub title: String,
    /// Sanitised HTML.
    pub description: String,
    pub status: Status,
    pub options: Vec<Choice>,
    /// Slugs, sorted.
    pub categories: Vec<String>,
    pub tags: Vec<String>,
    pub images: Vec<Image>,
    pub variants: Vec<Variant>,
    /// Of its published reviews.
    pub rating: Rating,
    /// Pieces that were bought.
    pub sold: i64,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Draft,
    Active,
    Archived,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}
impl FromStr for Status {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Draft, Self::Active, Self::Archived];
        all.into_iter().find(|status| status.as_str() == text).ok_or("not a status: draft, active or archived")
    }
}

/// An option of a product, such as Color, and the values it may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub name: String,
    pub values: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    pub src: String,
    pub alt: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variant {
    pub id: VariantId,
    pub sku: Option<String>,
    /// A value for each of the product's options, in their order.
    pub values: Vec<String>,
    /// Sorted by currency, one each.
    pub prices: Vec<Money>,
    pub track_stock: bool,
    pub on_hand: i64,
    pub reserved: i64,
}

impl Variant {
    /// `None`: not tracked, it can always be bought.
    pub(crate) fn available(&self) -> Option<i64> {
        self.track_stock.then_some(self.on_hand - self.reserved)
    }
}

/// What makes a variant unique within its product.
pub(crate) fn options_key(values: &[String]) -> String {
    // a length before each value, or "a"+"bc" were "ab"+"c"
    values.iter().map(|value| format!("{}:{value}", value.len())).collect()
}

/// The lowest price of each currency: what a list is sorted by.
pub(crate) fn lowest<'a>(prices: impl IntoIterator<Item = &'a Money>) -> BTreeMap<Currency, Minor> {
    let mut lowest = BTreeMap::new();
    for price in prices {
        let least = lowest.entry(price.currency).or_insert(price.amount);
        *least = price.amount.min(*least);
    }
    lowest
}

impl Product {
    pub(crate) fn lowest(&self) -> BTreeMap<Currency, Minor> {
        lowest(self.variants.iter().flat_map(|variant| &variant.prices))
    }
    /// What it is found by; category names stand elsewhere.
    pub(crate) fn words(&self, category_names: &[String]) -> BTreeSet<String> {
        let skus = self.variants.iter().filter_map(|variant| variant.sku.as_deref());
        let texts = [self.title.as_str()].into_iter().chain(self.tags.iter().map(String::as_str)).chain(skus);
        texts.chain(category_names.iter().map(String::as_str)).flat_map(text::words).collect()
    }
}

/// A variant that is to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewVariant {
    pub sku: Option<String>,
    pub values: Vec<String>,
    pub prices: Vec<Money>,
    pub track_stock: bool,
    pub stock: i64,
}

impl NewVariant {
    pub(crate) fn made(self) -> Variant {
        let Self { sku, values, prices, track_stock, stock } = self;
        Variant { id: Id::new(), sku, values, prices, track_stock, on_hand: stock, reserved: 0 }
    }
}

/// A product that is to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewProduct {
    /// Made of the title when `None`.
    pub slug: Option<String>,
    pub title: String,
    pub description: String,
    pub status: Status,
    pub options: Vec<Choice>,
    pub categories: Vec<String>,
    pub tags: Vec<String>,
    pub images: Vec<Image>,
    pub variants: Vec<NewVariant>,
}

impl NewProduct {
    pub(crate) fn made(self, slug: String, at: Time) -> Product {
        let Self { slug: _, title, description, status, options, categories, tags, images, variants } = self;
        let variants = variants.into_iter().map(NewVariant::made).collect();
        let (id, version) = (Id::new(), 1);
        let (created_at, updated_at) = (at, at);
        Product {
            id,
            slug,
            title,
            description,
            status,
            options,
            categories,
            tags,
            images,
            variants,
            rating: Rating::NONE,
            sold: 0,
            version,
            created_at,
            updated_at,
        }
    }
}

/// What changes of a product; `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    pub slug: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub status: Option<Status>,
    pub options: Option<Vec<Choice>>,
    pub categories: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub images: Option<Vec<Image>>,
}

/// The variants would have values that the options do not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inconsistent;

impl Product {
    /// Changed in place; the version and time are the store's matter. Options may be renamed and gain values, but each
    /// variant keeps its place among them.
    pub(crate) fn change(&mut self, changes: Changes) -> Result<(), Inconsistent> {
        let Changes { slug, title, description, status, options, categories, tags, images } = changes;
        if let Some(options) = options {
            if !self.variants.iter().all(|variant| fits(&options, &variant.values)) {
                return Err(Inconsistent);
            }
            self.options = options;
        }
        self.slug = slug.unwrap_or_else(|| std::mem::take(&mut self.slug));
        self.title = title.unwrap_or_else(|| std::mem::take(&mut self.title));
        self.description = description.unwrap_or_else(|| std::mem::take(&mut self.description));
        self.status = status.unwrap_or(self.status);
        self.categories = categories.unwrap_or_else(|| std::mem::take(&mut self.categories));
        self.tags = tags.unwrap_or_else(|| std::mem::take(&mut self.tags));
        self.images = images.unwrap_or_else(|| std::mem::take(&mut self.images));
        Ok(())
    }
}

/// Whether `values` gives each option one of its values.
pub(crate) fn fits(options: &[Choice], values: &[String]) -> bool {
    options.len() == values.len() && options.iter().zip(values).all(|(option, value)| option.values.contains(value))
}

/// The first thing that is there twice.
pub(crate) fn repeated<T: Eq + std::hash::Hash>(items: impl IntoIterator<Item = T>) -> Option<usize> {
    let mut seen = HashSet::new();
    items.into_iter().position(|item| !seen.insert(item))
}

/// An image's address: http, https, or a path on this host.
pub(crate) fn image_src(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let address = ["https://", "http://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|r| !r.is_empty()));
    let path = text.starts_with('/') && !text.starts_with("//");
    let plain = text.chars().all(|c| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '<' | '>' | '\\'));
    if (address || path) && plain && text.chars().count() <= MAX_SRC {
        Ok(text.to_owned())
    } else {
        Err("not an http or https address or an absolute path, of 2,000 characters at most")
    }
}

/// A stock keeping unit as it is printed on a label.
pub(crate) fn sku(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if (1..=MAX_SKU).contains(&text.chars().count()) && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("needs 1 to 100 printable characters")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Category {
    pub id: CategoryId,
    pub slug: String,
    pub name: String,
    /// The parent's slug.
    pub parent: Option<String>,
}

/// A product as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Id(ProductId),
    Slug(String),
}

impl FromStr for Named {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Id).or_else(|_| text::slug(text).map(Self::Slug))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(name: &str, values: &[&str]) -> Choice {
        Choice { name: name.into(), values: values.iter().map(|v| (*v).to_owned()).collect() }
    }
    fn owned(values: &[&str]) -> Vec<String> {
        values.iter().map(|v| (*v).to_owned()).collect()
    }

    #[test]
    fn options_keys_are_unambiguous() {
        assert_ne!(options_key(&owned(&["a", "bc"])), options_key(&owned(&["ab", "c"])));
        assert_ne!(options_key(&owned(&["1:a"])), options_key(&owned(&["", "a"])));
        assert_eq!(options_key(&[]), "");
    }

    #[test]
    fn a_variant_fits_its_options() {
        let options = [choice("Color", &["Red", "Blue"]), choice("Size", &["S"])];
        assert!(fits(&options, &owned(&["Blue", "S"])));
        assert!(!fits(&options, &owned(&["Blue"])));
        assert!(!fits(&options, &owned(&["S", "Blue"])));
        assert!(fits(&[], &[]));
    }

    #[test]
    fn the_lowest_price_of_each_currency() {
        let price = |amount, currency| Money::new(Minor::new(amount).unwrap(), currency);
        let prices = [price(300, Currency::EUR), price(100, Currency::USD), price(200, Currency::EUR)];
        let lowest: Vec<_> = lowest(&prices).into_iter().map(|(c, a)| (c, *a.get())).collect();
        assert_eq!(lowest, [(Currency::EUR, 200), (Currency::USD, 100)]);
    }

    #[test]
    fn images_are_addresses_or_paths() {
        for good in ["https://a.example/x.jpg?v=1", "http://a/b", "/demo/pictures/a.svg"] {
            assert!(image_src(good).is_ok(), "{good}");
        }
        for bad in ["", "a.jpg", "//evil.example/x", "javascript:alert(1)", "https://", "https://a/\"><script>", "/a b"]
        {
            assert!(image_src(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_may_gain_but_not_lose() {
        let mut product = NewProduct {
            slug: None,
            title: "T".into(),
            description: String::new(),
            status: Status::Draft,
            options: vec![choice("Color", &["Red"])],
            categories: vec![],
            tags: vec![],
            images: vec![],
            variants: vec![NewVariant {
                sku: None,
                values: owned(&["Red"]),
                prices: vec![],
                track_stock: true,
                stock: 0,
            }],
        }
        .made("t".into(), Time::from_micros(0));
        let options = |options| Changes { options: Some(options), ..Changes::default() };
        assert_eq!(product.change(options(vec![choice("Colour", &["Blue", "Red"])])), Ok(()));
        assert_eq!(product.change(options(vec![choice("Colour", &["Blue"])])), Err(Inconsistent));
        assert_eq!(product.change(options(vec![])), Err(Inconsistent));
        assert_eq!(product.options[0].name, "Colour");
    }
}
