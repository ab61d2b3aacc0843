//! The rows of one handle, as a product.
use super::{RowError, read::Columns};
use crate::domain::{
    product::{
        Image, MAX_ALT, MAX_DESCRIPTION, MAX_IMAGES, MAX_OPTION_TEXT, MAX_OPTIONS, MAX_TAG, MAX_TAGS, MAX_TITLE,
        MAX_VALUES, MAX_VARIANTS, Status, image_src, repeated, sku,
    },
    stock::MAX_STOCK,
    text,
};
use csv::StringRecord;
use kernel::{Currency, Minor};

/// A product as the file has it; `None` where the file has no such column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    pub slug: String,
    pub title: String,
    pub description: Option<String>,
    pub status: Option<Status>,
    pub tags: Option<Vec<String>>,
    pub images: Option<Vec<Image>>,
    /// Names; none for a product of one variant without options.
    pub options: Vec<String>,
    pub variants: Vec<GivenVariant>,
    /// All of its lines.
    pub lines: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GivenVariant {
    pub line: u64,
    pub values: Vec<String>,
    pub sku: Option<Option<String>>,
    /// `None`: the cell is empty.
    pub price: Option<Minor>,
    pub track_stock: Option<bool>,
    /// For a variant that is not there yet.
    pub stock: i64,
}

/// The most rows of one handle.
const MAX_ROWS: usize = MAX_VARIANTS + MAX_IMAGES;

pub(super) struct Group {
    pub handle: String,
    rows: Vec<(u64, StringRecord)>,
}

/// Code and detail.
type Complaint = (&'static str, String);

fn complaint<T>(code: &'static str, detail: impl Into<String>) -> Result<T, Complaint> {
    Err((code, detail.into()))
}

impl Group {
    pub(super) fn new(handle: String, line: u64, row: StringRecord) -> Self {
        Self { handle, rows: vec![(line, row)] }
    }
    pub(super) fn add(&mut self, line: u64, row: StringRecord, errors: &mut Vec<RowError>) {
        if self.rows.len() < MAX_ROWS {
            self.rows.push((line, row));
        } else {
            errors.push(RowError::new(line, "too_many_rows", format!("a handle has {MAX_ROWS} rows at most")));
        }
    }

    /// The product, or `None` when its first row is bad: then each of its lines is reported.
    pub(super) fn read(self, columns: &Columns, currency: Currency, errors: &mut Vec<RowError>) -> Option<Given> {
        let lines: Vec<u64> = self.rows.iter().map(|(line, _)| *line).collect();
        let mut rows = self.rows.iter();
        let (line, first) = rows.next()?;
        let mut product = match head(columns, currency, &self.handle, *line, first) {
            Ok(product) => product,
            Err((code, detail)) => {
                errors.push(RowError::new(*line, code, detail));
                errors.extend(refused(&lines[1..]));
                return None;
            }
        };
        product.tags = columns.has("Tags").then(|| tags(columns.cell("Tags", first), *line, errors));
        if columns.has("Image Src") {
            product.images = Some(images(columns, &self.rows, errors));
        }
        for (line, row) in rows {
            let added = product.add_row(columns, currency, *line, row);
            errors.extend(added.err().map(|(code, detail)| RowError::new(*line, code, detail)));
        }
        product.lines = lines;
        Some(product)
    }
}

/// What is said of the other lines of a product whose first is bad.
pub(super) fn refused(lines: &[u64]) -> impl Iterator<Item = RowError> + '_ {
    lines.iter().map(|line| RowError::new(*line, "product_refused", "the product's first row is not valid"))
}

/// The product of a first row, with the variant that the row has.
fn head(
    columns: &Columns,
    currency: Currency,
    handle: &str,
    line: u64,
    row: &StringRecord,
) -> Result<Given, Complaint> {
    let slug = text::slug(handle).unwrap_or_else(|_| text::slugified(handle));
    if slug.is_empty() {
        return complaint("invalid_handle", "has no letter or digit");
    }
    let title = plain(columns.cell("Title", row), MAX_TITLE, "invalid_title")?;
    let html = columns.raw("Body (HTML)", row);
    if html.len() > MAX_DESCRIPTION {
        return complaint("description_too_long", format!("Body (HTML) has {MAX_DESCRIPTION} bytes at most"));
    }
    let description = columns.has("Body (HTML)").then(|| text::sanitised(html));
    let options = option_names(columns, row)?;
    let mut product = Given {
        slug,
        title,
        description,
        status: status(columns, row)?,
        tags: None,
        images: None,
        options,
        variants: Vec::new(),
        lines: Vec::new(),
    };
    let variant = product.variant(columns, currency, line, row)?;
    product.variants.push(variant);
    Ok(product)
}

const NAMES: [&str; MAX_OPTIONS] = ["Option1 Name", "Option2 Name", "Option3 Name"];
const VALUES: [&str; MAX_OPTIONS] = ["Option1 Value", "Option2 Value", "Option3 Value"];

fn option_names(columns: &Columns, row: &StringRecord) -> Result<Vec<String>, Complaint> {
    let names: Vec<&str> = NAMES.iter().map(|name| columns.cell(name, row)).collect();
    let used: Vec<&str> = names.iter().copied().take_while(|name| !name.is_empty()).collect();
    let only = used.as_slice() == ["Title"] && columns.cell(VALUES[0], row) == "Default Title";
    if used.is_empty() || only {
        return Ok(Vec::new()); // one variant, without options
    }
    if names[used.len()..].iter().any(|name| !name.is_empty()) || repeated(&used).is_some() {
        return complaint("invalid_options", "option names are missing or are there twice");
    }
    used.iter().map(|name| plain(name, MAX_OPTION_TEXT, "invalid_options")).collect()
}

fn status(columns: &Columns, row: &StringRecord) -> Result<Option<Status>, Complaint> {
    let said = columns.cell("Status", row).to_lowercase();
    if !said.is_empty() {
        return said.parse().map(Some).map_err(|why: &str| ("invalid_status", why.to_owned()));
    }
    if !columns.has("Status") && !columns.has("Published") {
        return Ok(None);
    }
    let published = columns.cell("Published", row).eq_ignore_ascii_case("true");
    Ok(Some(if published { Status::Active } else { Status::Draft }))
}

impl Given {
    /// A row after the first: another variant, or only an image.
    fn add_row(
        &mut self,
        columns: &Columns,
        currency: Currency,
        line: u64,
        row: &StringRecord,
    ) -> Result<(), Complaint> {
        let sold = ["Variant Price", VALUES[0]].iter().any(|name| !columns.cell(name, row).is_empty());
        if !sold {
            let pictured = !columns.cell("Image Src", row).is_empty();
            return if pictured { Ok(()) } else { complaint("empty_row", "has neither a variant nor an image") };
        }
        let variant = self.variant(columns, currency, line, row)?;
        if self.variants.iter().any(|other| other.values == variant.values) {
            return complaint("duplicate_variant", "another row of the product has these option values");
        }
        if self.variants.len() >= MAX_VARIANTS {
            return complaint("too_many_variants", format!("a product has {MAX_VARIANTS} variants at most"));
        }
        self.variants.push(variant);
        Ok(())
    }

    fn variant(
        &self,
        columns: &Columns,
        currency: Currency,
        line: u64,
        row: &StringRecord,
    ) -> Result<GivenVariant, Complaint> {
        let value = |(name, column): (&String, &&str)| match columns.cell(column, row) {
            "" => complaint("option_value_required", format!("has no value for {name}")),
            value => plain(value, MAX_OPTION_TEXT, "invalid_option_value"),
        };
        let values = self.options.iter().zip(&VALUES).map(value).collect::<Result<Vec<_>, _>>()?;
        let sku = match columns.cell("Variant SKU", row) {
            "" => None,
            text => Some(sku(text).map_err(|why| ("invalid_sku", format!("the SKU {why}")))?),
        };
        Ok(GivenVariant {
            line,
            values,
            sku: columns.has("Variant SKU").then_some(sku),
            price: price(columns.cell("Variant Price", row), currency)?,
            track_stock: columns
                .has("Variant Inventory Tracker")
                .then(|| !columns.cell("Variant Inventory Tracker", row).is_empty()),
            stock: quantity(columns.cell("Variant Inventory Qty", row))?,
        })
    }
}

fn price(cell: &str, currency: Currency) -> Result<Option<Minor>, Complaint> {
    if cell.is_empty() {
        return Ok(None);
    }
    match currency.parse_decimal(cell) {
        Ok(amount) if !amount.is_negative() => Ok(Some(amount)),
        Ok(_) | Err(_) => {
            let shown: String = cell.chars().take(40).collect();
            complaint("invalid_price", format!("{shown:?} is not a price in {currency}, such as 19.99"))
        }
    }
}

/// Shopify counts below zero what was sold beyond the stock; here there is none of it.
fn quantity(cell: &str) -> Result<i64, Complaint> {
    if cell.is_empty() {
        return Ok(0);
    }
    match cell.parse::<i64>() {
        Ok(quantity) if quantity <= MAX_STOCK => Ok(quantity.max(0)),
        Ok(_) | Err(_) => complaint("invalid_quantity", format!("needs a whole number up to {MAX_STOCK}")),
    }
}

/// A text without control characters but line breaks and tabs.
fn plain(cell: &str, longest: usize, code: &'static str) -> Result<String, Complaint> {
    let length = cell.chars().count();
    if length == 0 || length > longest || cell.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return complaint(code, format!("needs 1 to {longest} printable characters"));
    }
    Ok(cell.to_owned())
}

/// What is wrong with a tag costs the tag only.
fn tags(cell: &str, line: u64, errors: &mut Vec<RowError>) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in cell.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        match plain(tag, MAX_TAG, "invalid_tag") {
            Ok(tag) if tags.contains(&tag) => (),
            Ok(tag) => tags.push(tag),
            Err((code, detail)) => errors.push(RowError::new(line, code, detail)),
        }
    }
    if tags.len() > MAX_TAGS {
        tags.truncate(MAX_TAGS);
        errors.push(RowError::new(line, "too_many_tags", format!("only the first {MAX_TAGS} tags are kept")));
    }
    tags
}

/// What is wrong with an image costs the image only.
fn images(columns: &Columns, rows: &[(u64, StringRecord)], errors: &mut Vec<RowError>) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    for (line, row) in rows {
        let src = columns.cell("Image Src", row);
        if src.is_empty() || images.iter().any(|image| image.src == src) {
            continue;
        }
        let alt = columns.cell("Image Alt Text", row).replace(|c: char| c.is_control(), " ");
        let alt = alt.chars().take(MAX_ALT).collect::<String>().trim().to_owned();
        match image_src(src) {
            Ok(_) if images.len() >= MAX_IMAGES => {
                errors.push(RowError::new(*line, "too_many_images", format!("a product has {MAX_IMAGES} at most")));
            }
            Ok(src) => images.push(Image { src, alt }),
            Err(why) => errors.push(RowError::new(*line, "invalid_image", why)),
        }
    }
    images
}

/// The values of each option, in the order in which the file has them.
pub(super) fn values(variants: &[GivenVariant], option: usize) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for value in variants.iter().filter_map(|variant| variant.values.get(option)) {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    values.truncate(MAX_VALUES);
    values
}
