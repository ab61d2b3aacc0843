use super::{
    bodies::{prices, sku, stock_of, yes},
    products::ProductPath,
    shown::VariantBody,
};
use crate::{
    domain::product::{NewVariant, Product},
    service::{Service, Sold, VariantChanges},
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use kernel::Money;
use products_api::{ProductId, Variant};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use web::{Body, Caller, Fields, PathId, Pointer, Post, Problem, Reply, Versioned};

/// A variant to be added.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddVariant {
    #[schema(max_length = 100)]
    sku: Option<String>,
    /// One of the values of each of the product's options, by name.
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    #[schema(max_items = 20)]
    prices: Vec<Money>,
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    stock: i64,
    #[serde(default = "yes")]
    track_stock: bool,
}

/// What changes of a variant; what is not given stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeVariant {
    /// null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 100)]
    sku: Option<Option<String>>,
    /// In place of all there were.
    #[schema(max_items = 20)]
    prices: Option<Vec<Money>>,
    track_stock: Option<bool>,
}

/// Tells null from what is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A variant with the product it is of.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SoldVariant)]
pub(crate) struct SoldBody {
    #[serde(flatten)]
    variant: VariantBody,
    #[schema(value_type = String)]
    product_id: ProductId,
    /// The product's.
    version: i64,
}

impl From<&Sold> for SoldBody {
    fn from(sold: &Sold) -> Self {
        let variant = VariantBody::of(&sold.product.options, sold.variant().clone());
        Self { variant, product_id: sold.product.id, version: sold.product.version }
    }
}

pub(crate) async fn add(
    service: Data<Service>,
    caller: Caller,
    path: ProductPath,
    post: Post<AddVariant>,
) -> Result<HttpResponse, Problem> {
    let kept = post.once(|sold: &Sold| {
        Reply::json(201, &SoldBody::from(sold))
            .location(format!("/v1/products/{}", sold.product.id))
            .etag(sold.product.version)
    });
    let (mut fields, at) = (Fields::new(), Pointer::root());
    let AddVariant { sku: s, options, prices: p, stock, track_stock } = post.body;
    let (sku, prices) = (sku(&mut fields, &at, s), prices(&mut fields, &at, p));
    let stock = stock_of(&mut fields, &at.at("stock"), stock);
    let (sku, prices, stock) = fields.done((|| Some((sku?, prices?, stock?)))())?;
    let variant = move |product: &Product| {
        let (sku, prices) = (sku.clone(), prices.clone());
        Some(NewVariant { sku, values: values(product, &options)?, prices, track_stock, stock })
    };
    Ok(kept.answer(service.add_variant(&caller.call, path.0, variant, kept.handle()).await?))
}

/// A value for each option and none besides, in the product's order.
fn values(product: &Product, given: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let values = product.options.iter().map(|option| given.get(&option.name).map(|value| value.trim().to_owned()));
    values.collect::<Option<Vec<_>>>().filter(|values| values.len() == given.len())
}

pub(crate) async fn change(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<Variant>,
    body: Body<ChangeVariant>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, at) = (Fields::new(), Pointer::root());
    let ChangeVariant { sku: s, prices: p, track_stock } = body.0;
    let sku = s.and_then(|s| sku(&mut fields, &at, s));
    let prices = p.and_then(|p| prices(&mut fields, &at, p));
    fields.check()?;
    let changes = VariantChanges { sku, prices, track_stock };
    let sold = service.change_variant(&caller.call, id.0, Versioned::expected(&request)?, changes).await?;
    Ok(Reply::json(200, &SoldBody::from(&sold)).etag(sold.product.version).into())
}
