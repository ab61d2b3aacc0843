use crate::Storefront;
use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use kernel::Money;
use products_api::{PageImage, PageOption, PageRating, PageVariant, ProductId, ProductPage, VariantId};
use serde::Serialize;
use std::collections::BTreeMap;
use web::{Caller, Problem};

/// A product as a shop's page shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ProductPage)]
pub(crate) struct ProductPageBody {
    #[schema(value_type = String)]
    id: ProductId,
    slug: String,
    title: String,
    /// Sanitised HTML.
    description: String,
    options: Vec<OptionBody>,
    categories: Vec<String>,
    tags: Vec<String>,
    images: Vec<ImageBody>,
    variants: Vec<VariantBody>,
    /// Null while it has no published reviews.
    rating: Option<RatingBody>,
    /// Something of it can be bought now.
    available: bool,
}

/// What reviewers think of a product, on the whole.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PageRating)]
struct RatingBody {
    /// Published reviews.
    count: i64,
    /// The exact average of their marks, with two decimals, half up: `4.33`.
    average: String,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PageOption)]
struct OptionBody {
    name: String,
    values: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PageImage)]
struct ImageBody {
    src: String,
    alt: String,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PageVariant)]
struct VariantBody {
    #[schema(value_type = String)]
    id: VariantId,
    sku: Option<String>,
    options: BTreeMap<String, String>,
    prices: Vec<Money>,
    /// Pieces that can be bought now; null where stock is not tracked.
    available: Option<i64>,
}

fn body(page: ProductPage) -> ProductPageBody {
    let available = page.variants.iter().any(|variant| variant.available.is_none_or(|pieces| pieces > 0));
    let names: Vec<String> = page.options.iter().map(|option| option.name.clone()).collect();
    let variant = |PageVariant { id, sku, values, prices, available }| {
        let options = names.iter().cloned().zip(values).collect();
        VariantBody { id, sku, options, prices, available }
    };
    ProductPageBody {
        id: page.id,
        slug: page.slug,
        title: page.title,
        description: page.description,
        categories: page.categories,
        tags: page.tags,
        images: page.images.into_iter().map(|PageImage { src, alt }| ImageBody { src, alt }).collect(),
        variants: page.variants.into_iter().map(variant).collect(),
        options: page.options.into_iter().map(|PageOption { name, values }| OptionBody { name, values }).collect(),
        rating: page.rating.map(|PageRating { count, average }| RatingBody { count, average }),
        available,
    }
}

pub(crate) async fn show(shop: Data<Storefront>, caller: Caller, slug: Path<String>) -> Result<HttpResponse, Problem> {
    let page = shop.catalogue.page(&caller.call, slug.into_inner()).await?;
    Ok(HttpResponse::Ok().json(body(page.ok_or_else(Problem::not_found)?)))
}
