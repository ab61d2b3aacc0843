//! What products does for others. The guard stands before it.
use super::Service;
use crate::{
    domain::product::{Named, Product, Status, Variant},
    domain::text,
    store,
};
use kernel::{Call, CallError, Failure, async_trait};
use products_api::{
    Catalogue, ConfirmError, Holding, Holdings, HoldingsError, MAX_LINES, PageImage, PageOption, PageRating,
    PageVariant, ProductPage, Quote, QuoteError, ReleaseError, ReservationId, Reserve, ReserveError, ShipError, Stock,
    VariantId,
};
use std::convert::Infallible;

#[async_trait]
impl Catalogue for Service {
    async fn quote(&self, _: &Call, variants: Vec<VariantId>) -> Result<Vec<Quote>, CallError<QuoteError>> {
        if variants.len() > MAX_LINES {
            return Err(CallError::Domain(QuoteError::TooMany));
        }
        Ok(self.db.read(move |conn| store::products::quotes(conn, &variants)).await.map_err(Failure::from)?)
    }

    async fn page(&self, _: &Call, slug: String) -> Result<Option<ProductPage>, CallError<Infallible>> {
        let Ok(slug) = text::slug(&slug) else { return Ok(None) };
        let named = Named::Slug(slug);
        let found = self.db.read(move |conn| store::products::one(conn, &named)).await.map_err(Failure::from)?;
        Ok(found.filter(|product| product.status == Status::Active).map(page))
    }
}

fn page(product: Product) -> ProductPage {
    let variant = |variant: Variant| PageVariant {
        available: variant.available(),
        id: variant.id,
        sku: variant.sku,
        values: variant.values,
        prices: variant.prices,
    };
    ProductPage {
        id: product.id,
        slug: product.slug,
        title: product.title,
        description: product.description,
        options: product
            .options
            .into_iter()
            .map(|option| PageOption { name: option.name, values: option.values })
            .collect(),
        categories: product.categories,
        tags: product.tags,
        images: product.images.into_iter().map(|image| PageImage { src: image.src, alt: image.alt }).collect(),
        variants: product.variants.into_iter().map(variant).collect(),
        rating: product.rating.average().map(|average| PageRating { count: product.rating.count, average }),
    }
}

#[async_trait]
impl Stock for Service {
    async fn reserve(&self, call: &Call, request: Reserve) -> Result<(), CallError<ReserveError>> {
        Ok(self.hold(call.trace, request).await?)
    }
    async fn confirm(&self, _: &Call, reservation: ReservationId) -> Result<(), CallError<ConfirmError>> {
        Ok(self.pivot(reservation).await?)
    }
    async fn release(&self, call: &Call, reservation: ReservationId) -> Result<(), CallError<ReleaseError>> {
        Ok(self.let_go(call.trace, reservation).await?)
    }
    async fn ship(&self, call: &Call, reservation: ReservationId) -> Result<(), CallError<ShipError>> {
        Ok(self.send_off(call.trace, reservation).await?)
    }
    async fn holdings(&self, _: &Call, request: Holdings) -> Result<Vec<Holding>, CallError<HoldingsError>> {
        Ok(self.held_now(request).await?)
    }
}
