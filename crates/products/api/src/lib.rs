//! What others may ask of products, and hear from it.
use kernel::{Call, CallError, Currency, Id, Key, Keyed, Kind, Minor, Money, contract};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, time::Duration};

/// What a shop shows.
#[derive(Debug)]
pub enum Product {}
impl Kind for Product {
    const PREFIX: &'static str = "prod";
}
pub type ProductId = Id<Product>;

/// What a shop sells: one combination of a product's options.
#[derive(Debug)]
pub enum Variant {}
impl Kind for Variant {
    const PREFIX: &'static str = "var";
}
pub type VariantId = Id<Variant>;

/// Where a shop's products are grouped.
#[derive(Debug)]
pub enum Category {}
impl Kind for Category {
    const PREFIX: &'static str = "cat";
}
pub type CategoryId = Id<Category>;

/// What is held for one attempt to buy; whoever reserves chooses the id, so that asking again is the same.
#[derive(Debug)]
pub enum Reservation {}
impl Kind for Reservation {
    const PREFIX: &'static str = "resv";
}
pub type ReservationId = Id<Reservation>;

/// What somebody thinks of a product.
#[derive(Debug)]
pub enum Review {}
impl Kind for Review {
    const PREFIX: &'static str = "rev";
}
pub type ReviewId = Id<Review>;

/// What the shop sells, for carts and pages.
#[contract(catalogue = "cleave.products.v1.Catalogue")]
pub trait Catalogue {
    /// At most [`MAX_LINES`] ids. What is not known is left out.
    #[read(Peer)]
    async fn quote(&self, call: &Call, variants: Vec<VariantId>) -> Result<Vec<Quote>, CallError<QuoteError>>;
    /// An active product by its slug, with what is available now.
    #[read(Peer)]
    async fn page(&self, call: &Call, slug: String) -> Result<Option<ProductPage>, CallError<Infallible>>;
}

/// What the shop may promise of its goods.
#[contract(stock = "cleave.products.v1.Stock")]
pub trait Stock {
    /// Holds every line at its expected price, all or nothing, for `hold_for`; lines of one variant are summed. A second
    /// call with the same reservation answers as the first. So it must hold the same quantities: others under an id that
    /// stands are [`Invalid`](ReserveError::Invalid), under one that is over [`Over`](ReserveError::Over).
    #[idempotent(Peer)]
    async fn reserve(&self, call: &Call, request: Reserve) -> Result<(), CallError<ReserveError>>;
    /// The pivot: wins if the hold still stands; from then on it does not expire.
    #[idempotent(Peer)]
    async fn confirm(&self, call: &Call, reservation: ReservationId) -> Result<(), CallError<ConfirmError>>;
    /// Frees what is held or confirmed, or leaves a tombstone where nothing is held yet.
    #[idempotent(Peer)]
    async fn release(&self, call: &Call, reservation: ReservationId) -> Result<(), CallError<ReleaseError>>;
    /// What was confirmed leaves the house: lowers what is on hand and what is reserved.
    #[idempotent(Peer)]
    async fn ship(&self, call: &Call, reservation: ReservationId) -> Result<(), CallError<ShipError>>;
    /// Reservations in the order of their ids, for whoever compares them with what they stand for: those after `after`, at
    /// most `limit`. Where they have very many lines an answer brings fewer; none at all says that there are no more.
    #[read(Peer)]
    async fn holdings(&self, call: &Call, request: Holdings) -> Result<Vec<Holding>, CallError<HoldingsError>>;
}

/// The most variants or lines that one call takes.
pub const MAX_LINES: usize = 1000;
/// The most reservations that one answer brings.
pub const MAX_HOLDINGS: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    #[error("more than {MAX_LINES} at once")]
    TooMany,
}

/// What a variant is and costs today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    pub variant: VariantId,
    pub product: ProductId,
    /// The product's title, with the option values behind it where there are any.
    pub title: String,
    pub sku: Option<String>,
    /// One a currency.
    pub prices: Vec<Money>,
    /// Its product is active.
    pub sold: bool,
}

impl Quote {
    pub fn price(&self, currency: Currency) -> Option<Minor> {
        self.prices.iter().find(|price| price.currency == currency).map(|price| price.amount)
    }
}

/// A product as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductPage {
    pub id: ProductId,
    pub slug: String,
    pub title: String,
    /// Sanitised HTML.
    pub description: String,
    /// In the shop's order.
    pub options: Vec<PageOption>,
    pub categories: Vec<String>,
    pub tags: Vec<String>,
    pub images: Vec<PageImage>,
    pub variants: Vec<PageVariant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOption {
    pub name: String,
    pub values: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageImage {
    /// Its address.
    pub src: String,
    /// Alternative text.
    pub alt: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageVariant {
    pub id: VariantId,
    pub sku: Option<String>,
    /// A value for each of the product's options, in their order.
    pub values: Vec<String>,
    pub prices: Vec<Money>,
    /// `None`: stock is not tracked, it can always be bought.
    pub available: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    pub reservation: ReservationId,
    pub currency: Currency,
    /// A variant may stand in several; a variant with two prices is told as changed.
    pub lines: Vec<ReserveLine>,
    pub hold_for: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveLine {
    pub variant: VariantId,
    /// 1 or more.
    pub quantity: i64,
    /// The price that the buyer was shown.
    pub unit_price: Minor,
}

impl Keyed for Reserve {
    fn key(&self) -> Key {
        self.reservation.into()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    #[error("not enough is left of {} variants", .short.len())]
    OutOfStock { short: Vec<Short> },
    /// A price moved, or a variant is no longer sold. Nothing is held.
    #[error("{} prices have moved", .prices.len())]
    Changed { prices: Vec<PriceNow> },
    /// It was released or has expired before.
    #[error("the reservation is over")]
    Over,
    /// No lines, too many, a quantity below one or beyond a million of one variant; or the reservation stands already, with
    /// other lines.
    #[error("the lines cannot be reserved")]
    Invalid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    pub variant: VariantId,
    pub available: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceNow {
    pub variant: VariantId,
    /// `None`: not sold in this currency any more.
    pub price: Option<Minor>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    #[error("the hold has expired or was released")]
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    #[error("it was shipped")]
    Shipped,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShipError {
    #[error("nothing is confirmed under this reservation")]
    NotConfirmed,
}

/// Which reservations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// The last one that the caller has; `None` begins.
    pub after: Option<ReservationId>,
    /// 1 to [`MAX_HOLDINGS`].
    pub limit: usize,
}

/// A reservation as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub reservation: ReservationId,
    pub state: HoldingState,
    /// In the order of variants; none where it was released before anything was held.
    pub lines: Vec<StockLine>,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldingState {
    /// For a time only.
    Held,
    Confirmed,
    Shipped,
    Released,
    /// Its time was over before it was confirmed.
    Expired,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldingsError {
    #[error("1 to {MAX_HOLDINGS} at once")]
    OutOfRange,
}

kernel::events! {
    /// Told of products.
    pub enum ProductEvent of "products" {
        /// It is in the catalogue, be it as a draft.
        "product.created" 1 => Created of product_id: ProductId {},
        /// It, or one of its variants, changed.
        "product.updated" 1 => Updated of product_id: ProductId { version: i64 },
        /// It is not for sale any more.
        "product.archived" 1 => Archived of product_id: ProductId { version: i64 },
    }
}

kernel::events! {
    /// Told of categories.
    pub enum CategoryEvent of "products" {
        /// Products may be put into it.
        "category.created" 1 => Created of category_id: CategoryId { slug: String },
    }
}

kernel::events! {
    /// Told of stock.
    pub enum StockEvent of "products" {
        /// Counted or adjusted by staff, or received with an import.
        "stock.changed" 1 => Changed of variant_id: VariantId { on_hand: i64, reserved: i64 },
        /// Held for an attempt to buy.
        "stock.reserved" 1 => Reserved of reservation_id: ReservationId { lines: Vec<StockLine> },
        /// Freed again, by its owner or by time.
        "stock.released" 1 => Released of reservation_id: ReservationId {},
        /// It left the shop.
        "stock.shipped" 1 => Shipped of reservation_id: ReservationId {},
        /// What is available of it fell to the shop's threshold, or below: somebody may want to order more. Told once
        /// each time it falls, and of variants whose stock is tracked.
        "stock.low" 1 => Low of variant_id: VariantId { available: i64, threshold: i64 },
    }
}

kernel::events! {
    /// Told of reviews. Who wrote one and what it says is not told: who may see it asks for the review.
    pub enum ReviewEvent of "products" {
        /// Somebody wrote one; it is shown once it is published.
        "review.submitted" 1 => Submitted of review_id: ReviewId { product_id: ProductId, mark: i64 },
        /// Everybody sees it, and its mark counts.
        "review.published" 1 => Published of review_id: ReviewId { product_id: ProductId, mark: i64 },
        /// Nobody sees it but staff and whoever wrote it, and its mark does not count.
        "review.rejected" 1 => Rejected of review_id: ReviewId { product_id: ProductId },
        /// Its author rewrote it, and it waits to be published again; or it became known, or doubtful, that its author
        /// bought the product.
        "review.updated" 1 => Updated of review_id: ReviewId { product_id: ProductId, version: i64 },
        /// It is gone, and so is its mark.
        "review.deleted" 1 => Deleted of review_id: ReviewId { product_id: ProductId },
        /// Its author's account is gone. What it says and its mark stay.
        "review.anonymised" 1 => Anonymised of review_id: ReviewId { product_id: ProductId, version: i64 },
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StockLine {
    pub variant_id: VariantId,
    pub quantity: i64,
}
