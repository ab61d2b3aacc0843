use super::bodies::stock_of;
use crate::{
    domain::stock::{Level, MAX_STOCK, Movement},
    service::Service,
    store::stock::After,
};
use actix_web::{HttpResponse, web::Data};
use kernel::Time;
use products_api::{ReservationId, Variant, VariantId};
use serde::{Deserialize, Serialize};
use web::{Body, Caller, Fields, PathId, Pointer, Post, Problem, Query, Reply, page, reason};

/// What was counted.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StockCount)]
pub(crate) struct Count {
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    on_hand: i64,
}

/// More, or fewer.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StockAdjustment)]
pub(crate) struct Adjustment {
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    delta: i64,
    /// For the ledger: what staff will want to know of it later.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// What there is of a variant.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Stock)]
pub(crate) struct StockBody {
    #[schema(value_type = String)]
    variant_id: VariantId,
    on_hand: i64,
    /// Promised to orders, and not shipped yet.
    reserved: i64,
    available: i64,
}

impl From<&Level> for StockBody {
    fn from(level: &Level) -> Self {
        let Level { variant, on_hand, reserved } = *level;
        Self { variant_id: variant, on_hand, reserved, available: level.available() }
    }
}

/// A change of what there is of a variant. All of a variant's changes add up to its stock.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = StockMovement)]
pub(crate) struct MovementBody {
    /// `opening` (the ledger began), `created` or `imported` (with the variant), `counted`, `adjusted`, `reserved`,
    /// `released`, `expired` (a hold was past its time) or `shipped`.
    kind: String,
    /// By how much what is on hand changed.
    on_hand: i64,
    /// By how much what is promised changed.
    reserved: i64,
    /// Whose promise it was.
    #[schema(value_type = Option<String>)]
    reservation_id: Option<ReservationId>,
    /// What staff said of an adjustment.
    reason: Option<String>,
    at: Time,
}

impl From<Movement> for MovementBody {
    fn from(Movement { kind, on_hand, reserved, reservation, reason, at }: Movement) -> Self {
        Self { kind, on_hand, reserved, reservation_id: reservation, reason, at }
    }
}

pub(crate) async fn show(service: Data<Service>, id: PathId<Variant>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(StockBody::from(&service.level(id.0).await?)))
}

pub(crate) async fn count(
    service: Data<Service>,
    caller: Caller,
    id: PathId<Variant>,
    body: Body<Count>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::new();
    let on_hand = stock_of(&mut fields, &Pointer::root().at("on_hand"), body.0.on_hand);
    let level = service.count_stock(&caller.call, id.0, fields.done(on_hand)?).await?;
    Ok(HttpResponse::Ok().json(StockBody::from(&level)))
}

pub(crate) async fn adjust(
    service: Data<Service>,
    caller: Caller,
    id: PathId<Variant>,
    post: Post<Adjustment>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, at) = (Fields::new(), Pointer::root());
    let delta = post.body.delta;
    if delta == 0 || !(-MAX_STOCK..=MAX_STOCK).contains(&delta) {
        fields.refuse(&at.at("delta"), reason::RANGE, format!("-{MAX_STOCK} to {MAX_STOCK}, but not 0"));
    }
    let why = post.body.reason.as_ref().and_then(|text| fields.text(&at.at("reason"), text, 0, 500));
    fields.check()?;
    let kept = post.once(|level: &Level| Reply::json(200, &StockBody::from(level)));
    Ok(kept.answer(service.adjust_stock(&caller.call, id.0, delta, why, kept.handle()).await?))
}

pub(crate) async fn movements(
    service: Data<Service>,
    id: PathId<Variant>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (limit, cursor, count) = (query.limit()?, query.cursor()?, query.flag("count")?);
    query.end()?;
    let after = cursor.map(|cursor| After::read(id.0, &cursor)).transpose()?;
    let movements = service.movements(id.0, after, limit, count).await?;
    Ok(HttpResponse::Ok().json(page(movements, MovementBody::from)))
}
