//! Products as they are shown.
use super::{
    bodies::{ImageBody, OptionBody},
    reviews::RatingBody,
};
use crate::domain::product::{Choice, Image, Product, Variant};
use kernel::{Money, Time};
use products_api::{ProductId, VariantId};
use serde::{Serialize, Serializer};

/// A product.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductBody {
    #[schema(value_type = String)]
    id: ProductId,
    slug: String,
    title: String,
    /// Sanitised HTML.
    description: String,
    status: &'static str,
    options: Vec<OptionBody>,
    variants: Vec<VariantBody>,
    /// Slugs.
    categories: Vec<String>,
    tags: Vec<String>,
    images: Vec<ImageBody>,
    /// Null while it has no published reviews.
    rating: Option<RatingBody>,
    version: i64,
    created_at: Time,
    updated_at: Time,
}

/// One combination of a product's options.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Variant)]
pub(crate) struct VariantBody {
    #[schema(value_type = String)]
    id: VariantId,
    sku: Option<String>,
    #[schema(value_type = BTreeMap<String, String>)]
    options: Values,
    prices: Vec<Money>,
    track_stock: bool,
    /// What can be promised now; null when stock is not tracked.
    available: Option<i64>,
}

/// Option names and values, in the product's order.
pub(super) struct Values(Vec<(String, String)>);

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl VariantBody {
    pub(super) fn of(options: &[Choice], variant: Variant) -> Self {
        let available = variant.available();
        let Variant { id, sku, values, prices, track_stock, .. } = variant;
        let values = options.iter().map(|option| option.name.clone()).zip(values);
        Self { id, sku, options: Values(values.collect()), prices, track_stock, available }
    }
}

impl From<&Product> for ProductBody {
    fn from(product: &Product) -> Self {
        product.clone().into()
    }
}

impl From<Product> for ProductBody {
    fn from(product: Product) -> Self {
        let Product { id, slug, title, description, status, options, categories, tags, images, variants, .. } = product;
        Self {
            variants: variants.into_iter().map(|variant| VariantBody::of(&options, variant)).collect(),
            id,
            slug,
            title,
            description,
            status: status.as_str(),
            options: options.into_iter().map(|Choice { name, values }| OptionBody { name, values }).collect(),
            categories,
            tags,
            images: images.into_iter().map(|Image { src, alt }| ImageBody { src, alt }).collect(),
            rating: RatingBody::of(product.rating),
            version: product.version,
            created_at: product.created_at,
            updated_at: product.updated_at,
        }
    }
}
