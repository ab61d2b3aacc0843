//! Products as they are sent: checked here, all complaints at once.
use crate::domain::{
    product::{
        self, Changes, Choice, Image, MAX_ALT, MAX_CATEGORIES, MAX_DESCRIPTION, MAX_IMAGES, MAX_OPTION_TEXT,
        MAX_OPTIONS, MAX_PRICES, MAX_TAG, MAX_TAGS, MAX_TITLE, MAX_VALUES, MAX_VARIANTS, NewProduct, NewVariant,
        Status,
    },
    stock::MAX_STOCK,
    text,
};
use kernel::Money;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt::Display};
use web::{Fields, Pointer, Problem, reason};

/// A new product.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewProduct)]
pub(crate) struct NewProductBody {
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// Made of the title when not given.
    #[schema(max_length = 200, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    slug: Option<String>,
    /// HTML; what could run is dropped.
    #[schema(max_length = 65536)]
    description: Option<String>,
    /// `draft` (when not given), `active` or `archived`.
    status: Option<String>,
    #[serde(default)]
    #[schema(max_items = 3)]
    options: Vec<OptionBody>,
    /// Slugs.
    #[serde(default)]
    #[schema(max_items = 50)]
    categories: Vec<String>,
    #[serde(default)]
    #[schema(max_items = 50)]
    tags: Vec<String>,
    #[serde(default)]
    #[schema(max_items = 50)]
    images: Vec<ImageBody>,
    #[schema(min_items = 1, max_items = 250)]
    variants: Vec<NewVariantBody>,
}

/// An option of a product, such as Color, and its values.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProductOption)]
pub(crate) struct OptionBody {
    #[schema(min_length = 1, max_length = 100)]
    pub(super) name: String,
    #[schema(min_items = 1, max_items = 100)]
    pub(super) values: Vec<String>,
}

#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Image)]
pub(crate) struct ImageBody {
    /// An http or https address, or an absolute path.
    #[schema(max_length = 2000)]
    pub(super) src: String,
    #[serde(default)]
    #[schema(max_length = 500)]
    pub(super) alt: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewVariant)]
pub(crate) struct NewVariantBody {
    #[schema(max_length = 100)]
    sku: Option<String>,
    /// The value of each of the product's options, by name.
    #[serde(default)]
    options: BTreeMap<String, String>,
    /// One a currency.
    #[serde(default)]
    #[schema(max_items = 20)]
    prices: Vec<Money>,
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    stock: i64,
    /// Whether no more is sold than there is.
    #[serde(default = "yes")]
    track_stock: bool,
}

pub(super) fn yes() -> bool {
    true
}

/// What changes of a product; what is not given stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeProduct {
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
    #[schema(max_length = 200, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    slug: Option<String>,
    #[schema(max_length = 65536)]
    description: Option<String>,
    /// `draft`, `active` or `archived`.
    status: Option<String>,
    /// As many as before, in their places; values that variants have stay.
    #[schema(max_items = 3)]
    options: Option<Vec<OptionBody>>,
    #[schema(max_items = 50)]
    categories: Option<Vec<String>>,
    #[schema(max_items = 50)]
    tags: Option<Vec<String>>,
    #[schema(max_items = 50)]
    images: Option<Vec<ImageBody>>,
}

impl NewProductBody {
    pub(crate) fn read(self) -> Result<NewProduct, Problem> {
        let (mut fields, at) = (Fields::new(), Pointer::root());
        let (title, slug) = (title(&mut fields, &at, &self.title), slug(&mut fields, &at, self.slug.as_deref()));
        let description = description(&mut fields, &at, self.description.as_deref().unwrap_or_default());
        let status = self.status.as_deref().map_or(Some(Status::Draft), |text| status(&mut fields, &at, text));
        let options = options(&mut fields, &at, self.options);
        let categories = categories(&mut fields, &at, self.categories);
        let (tags, images) = (tags(&mut fields, &at, &self.tags), images(&mut fields, &at, self.images));
        let variants =
            options.as_ref().and_then(|options| variants(&mut fields, &at.at("variants"), options, self.variants));
        let whole = || {
            let (title, slug, description, status) = (title?, slug?, description?, status?);
            let (options, categories, tags, images, variants) = (options?, categories?, tags?, images?, variants?);
            Some(NewProduct { slug, title, description, status, options, categories, tags, images, variants })
        };
        fields.done(whole())
    }
}

impl ChangeProduct {
    pub(crate) fn read(self) -> Result<Changes, Problem> {
        let (mut fields, at) = (Fields::new(), Pointer::root());
        let Self { title: t, slug: s, description: d, status: st, options: o, categories: c, tags: ts, images: i } =
            self;
        let changes = Changes {
            title: t.and_then(|text| title(&mut fields, &at, &text)),
            slug: slug(&mut fields, &at, s.as_deref()).flatten(),
            description: d.and_then(|html| description(&mut fields, &at, &html)),
            status: st.and_then(|text| status(&mut fields, &at, &text)),
            options: o.and_then(|all| options(&mut fields, &at, all)),
            categories: c.and_then(|all| categories(&mut fields, &at, all)),
            tags: ts.and_then(|all| tags(&mut fields, &at, &all)),
            images: i.and_then(|all| images(&mut fields, &at, all)),
        };
        fields.done(Some(changes)) // what was refused is `None` here, and refuses the whole
    }
}

fn title(fields: &mut Fields, at: &Pointer, text: &str) -> Option<String> {
    fields.text(&at.at("title"), text, 1, MAX_TITLE)
}

/// Refused, not given, or a slug.
pub(super) fn slug(fields: &mut Fields, at: &Pointer, text: Option<&str>) -> Option<Option<String>> {
    text.map(|given| fields.take(&at.at("slug"), text::slug(given))).map_or(Some(None), |slug| slug.map(Some))
}

fn description(fields: &mut Fields, at: &Pointer, html: &str) -> Option<String> {
    if html.len() > MAX_DESCRIPTION {
        fields.refuse(&at.at("description"), reason::TOO_LONG, format!("at most {MAX_DESCRIPTION} bytes"));
        return None;
    }
    Some(text::sanitised(html))
}

fn status(fields: &mut Fields, at: &Pointer, text: &str) -> Option<Status> {
    fields.take(&at.at("status"), text.parse())
}

fn options(fields: &mut Fields, at: &Pointer, all: Vec<OptionBody>) -> Option<Vec<Choice>> {
    let at = at.at("options");
    at_most(fields, &at, all.len(), MAX_OPTIONS)?;
    let mut choices = Vec::new();
    for (n, OptionBody { name, values }) in all.into_iter().enumerate() {
        let at = at.at(n);
        let name = fields.text(&at.at("name"), &name, 1, MAX_OPTION_TEXT);
        let listed = at.at("values");
        if values.is_empty() {
            fields.refuse(&listed, reason::REQUIRED, "needs a value");
        }
        let values = texts(fields, &listed, &values, MAX_VALUES, MAX_OPTION_TEXT);
        choices.push(name.zip(values).map(|(name, values)| Choice { name, values }));
    }
    let choices: Vec<Choice> = choices.into_iter().collect::<Option<_>>()?;
    unique(fields, &at, choices.iter().map(|choice| &choice.name))?;
    Some(choices)
}

fn categories(fields: &mut Fields, at: &Pointer, slugs: Vec<String>) -> Option<Vec<String>> {
    let at = at.at("categories");
    at_most(fields, &at, slugs.len(), MAX_CATEGORIES)?;
    unique(fields, &at, &slugs)?;
    let known = |(n, slug): (usize, String)| fields.take_as(&at.at(n), reason::UNKNOWN, text::slug(&slug));
    let known: Vec<_> = slugs.into_iter().enumerate().map(known).collect();
    known.into_iter().collect()
}

/// Files of products separate tags by commas.
fn tags(fields: &mut Fields, at: &Pointer, tags: &[String]) -> Option<Vec<String>> {
    if let Some(n) = tags.iter().position(|tag| tag.contains(',')) {
        fields.refuse(&at.at("tags").at(n), reason::FORMAT, "must not have a comma");
        return None;
    }
    texts(fields, &at.at("tags"), tags, MAX_TAGS, MAX_TAG)
}

fn images(fields: &mut Fields, at: &Pointer, images: Vec<ImageBody>) -> Option<Vec<Image>> {
    let at = at.at("images");
    at_most(fields, &at, images.len(), MAX_IMAGES)?;
    let mut read = |(n, ImageBody { src, alt }): (usize, ImageBody)| {
        let at = at.at(n);
        let src = fields.take(&at.at("src"), product::image_src(&src));
        let alt = fields.text(&at.at("alt"), &alt, 0, MAX_ALT);
        src.zip(alt).map(|(src, alt)| Image { src, alt })
    };
    let images: Vec<_> = images.into_iter().enumerate().map(&mut read).collect();
    images.into_iter().collect()
}

fn variants(
    fields: &mut Fields,
    at: &Pointer,
    options: &[Choice],
    variants: Vec<NewVariantBody>,
) -> Option<Vec<NewVariant>> {
    if variants.is_empty() {
        fields.refuse(at, reason::REQUIRED, "a product needs a variant");
        return None;
    }
    at_most(fields, at, variants.len(), MAX_VARIANTS)?;
    let read = |(n, body): (usize, NewVariantBody)| body.read(fields, &at.at(n), options);
    let read: Vec<_> = variants.into_iter().enumerate().map(read).collect();
    let variants: Vec<NewVariant> = read.into_iter().collect::<Option<_>>()?;
    if let Some(n) = product::repeated(variants.iter().map(|variant| &variant.values)) {
        fields.refuse(&at.at(n).at("options"), reason::DUPLICATE, "another variant has these options");
        return None;
    }
    Some(variants)
}

impl NewVariantBody {
    fn read(self, fields: &mut Fields, at: &Pointer, options: &[Choice]) -> Option<NewVariant> {
        let Self { sku: s, options: given, prices: p, stock, track_stock } = self;
        let values = values(fields, &at.at("options"), options, &given);
        let (sku, prices) = (sku(fields, at, s), prices(fields, at, p));
        let stock = stock_of(fields, &at.at("stock"), stock);
        Some(NewVariant { sku: sku?, values: values?, prices: prices?, track_stock, stock: stock? })
    }
}

/// The value of each option, in their order.
fn values(
    fields: &mut Fields,
    at: &Pointer,
    options: &[Choice],
    given: &BTreeMap<String, String>,
) -> Option<Vec<String>> {
    for name in given.keys().filter(|name| !options.iter().any(|option| option.name == name.trim())) {
        fields.refuse(&at.at(name), reason::UNKNOWN, "the product has no such option");
    }
    let mut value = |option: &Choice| {
        let at = at.at(&option.name);
        let given = given.iter().find(|(name, _)| name.trim() == option.name).map(|(_, value)| value.trim().to_owned());
        match given {
            None => fields.refuse(&at, reason::REQUIRED, "each variant gives a value for each option"),
            Some(value) if option.values.contains(&value) => return Some(value),
            Some(_) => fields.refuse(&at, reason::UNKNOWN, "not among the option's values"),
        }
        None
    };
    let values: Vec<_> = options.iter().map(&mut value).collect();
    values.into_iter().collect()
}

/// Refused, none, or a SKU.
pub(super) fn sku(fields: &mut Fields, at: &Pointer, text: Option<String>) -> Option<Option<String>> {
    text.map(|text| fields.take(&at.at("sku"), product::sku(&text))).map_or(Some(None), |sku| sku.map(Some))
}

/// Sorted by currency, as they are read again.
pub(super) fn prices(fields: &mut Fields, at: &Pointer, mut prices: Vec<Money>) -> Option<Vec<Money>> {
    let at = at.at("prices");
    at_most(fields, &at, prices.len(), MAX_PRICES)?;
    unique(fields, &at, prices.iter().map(|price| price.currency))?;
    let negative: Vec<_> = (0..prices.len()).filter(|n| prices[*n].amount.is_negative()).collect();
    for n in &negative {
        fields.refuse(&at.at(n).at("amount"), reason::RANGE, "must not be negative");
    }
    prices.sort_unstable_by_key(|price| price.currency);
    negative.is_empty().then_some(prices)
}

pub(super) fn stock_of(fields: &mut Fields, at: &Pointer, stock: i64) -> Option<i64> {
    if !(0..=MAX_STOCK).contains(&stock) {
        fields.refuse(at, reason::RANGE, format!("0 to {MAX_STOCK}"));
        return None;
    }
    Some(stock)
}

/// A list of different texts.
fn texts(fields: &mut Fields, at: &Pointer, all: &[String], most: usize, longest: usize) -> Option<Vec<String>> {
    at_most(fields, at, all.len(), most)?;
    let read: Vec<_> = all.iter().enumerate().map(|(n, text)| fields.text(&at.at(n), text, 1, longest)).collect();
    let texts: Vec<String> = read.into_iter().collect::<Option<_>>()?;
    unique(fields, at, &texts)?;
    Some(texts)
}

fn at_most(fields: &mut Fields, at: &Pointer, length: usize, most: usize) -> Option<()> {
    if length > most {
        fields.refuse(at, reason::TOO_MANY, format!("at most {most}"));
        return None;
    }
    Some(())
}

fn unique<T: Eq + std::hash::Hash>(fields: &mut Fields, at: &Pointer, all: impl IntoIterator<Item = T>) -> Option<()> {
    match product::repeated(all) {
        Some(n) => {
            fields.refuse(&at.at(n), reason::DUPLICATE, "is there twice");
            None
        }
        None => Some(()),
    }
}

/// A query parameter that does not go with the others.
pub(super) fn bad_query(name: &str, why: impl Display) -> Problem {
    Problem::new(kernel::Code::InvalidQuery, format!("{name}: {why}."))
}
