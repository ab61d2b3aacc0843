//! Products as rows of the file: what is written here changes nothing when it is read again.
use crate::domain::product::{Product, Status, Variant};
use kernel::Currency;

pub(crate) const HEADER: [&str; 18] = [
    "Handle",
    "Title",
    "Body (HTML)",
    "Tags",
    "Published",
    "Option1 Name",
    "Option1 Value",
    "Option2 Name",
    "Option2 Value",
    "Option3 Name",
    "Option3 Value",
    "Variant SKU",
    "Variant Inventory Tracker",
    "Variant Inventory Qty",
    "Variant Price",
    "Image Src",
    "Image Alt Text",
    "Status",
];

/// A row a variant, and a row for each image beyond them.
pub(crate) fn rows(product: &Product, currency: Currency) -> Vec<[String; 18]> {
    let count = product.variants.len().max(product.images.len()).max(1);
    (0..count).map(|n| row(product, n, currency)).collect()
}

fn row(product: &Product, n: usize, currency: Currency) -> [String; 18] {
    let own = |text: &str| if n == 0 { text.to_owned() } else { String::new() };
    let (variant, image) = (product.variants.get(n), product.images.get(n));
    let sold = |cell: &dyn Fn(&Variant) -> String| variant.map(cell).unwrap_or_default();
    let option = |at: usize| option(product, n, variant, at);
    let ([name1, value1], [name2, value2], [name3, value3]) = (option(0), option(1), option(2));
    [
        product.slug.clone(),
        own(&product.title),
        own(&product.description),
        own(&product.tags.join(", ")),
        own(if product.status == Status::Active { "true" } else { "false" }),
        name1,
        value1,
        name2,
        value2,
        name3,
        value3,
        sold(&|variant| variant.sku.clone().unwrap_or_default()),
        sold(&|variant| if variant.track_stock { "shopify".to_owned() } else { String::new() }),
        sold(&|variant| variant.on_hand.to_string()),
        sold(&|variant| price(variant, currency)),
        image.map(|image| image.src.clone()).unwrap_or_default(),
        image.map(|image| image.alt.clone()).unwrap_or_default(),
        own(product.status.as_str()),
    ]
}

/// Name, on the first row, and value.
fn option(product: &Product, n: usize, variant: Option<&Variant>, at: usize) -> [String; 2] {
    let name = product.options.get(at).filter(|_| n == 0).map(|option| option.name.clone());
    let value = variant.and_then(|variant| variant.values.get(at).cloned());
    if product.options.is_empty() && at == 0 && n == 0 {
        return ["Title".to_owned(), "Default Title".to_owned()];
    }
    [name.unwrap_or_default(), value.unwrap_or_default()]
}

/// Empty where there is none in the currency.
fn price(variant: &Variant, currency: Currency) -> String {
    let price = variant.prices.iter().find(|price| price.currency == currency);
    let text = price.map(ToString::to_string).unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
