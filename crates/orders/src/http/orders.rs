use super::{
    carts::{LineBody, TotalsBody},
    payments::{self, MoveBody, PaymentBody},
};
use crate::{
    domain::{
        cart::CartId,
        order::{FullOrder, OrderLine, Shipment, ShipmentKind},
        payment::Way,
    },
    service::{List, Parcel, READ, Service, WRITE, Wish},
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use kernel::{Code, Currency, Id, Minor, Money, Time};
use orders_api::OrderId;
use serde::{Deserialize, Serialize};
use web::{AddressBody, Caller, Fields, PathId, Pointer, Post, Problem, Query, Reply, Versioned, page};

/// What was bought.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderBody {
    #[schema(value_type = String)]
    id: OrderId,
    /// What people call it; there once it is placed.
    number: Option<String>,
    #[schema(value_type = String)]
    cart_id: CartId,
    /// `pending`, `placed`, `completed`, `cancelled` or `failed`.
    status: &'static str,
    payment_status: &'static str,
    fulfilment_status: &'static str,
    /// Null once its buyer's account is gone and the order at its end; so are the addresses.
    email: Option<String>,
    currency: Currency,
    locale: String,
    prices_include_tax: bool,
    lines: Vec<LineBody>,
    totals: TotalsBody,
    shipping_option: ShippedBy,
    shipping_address: Option<AddressBody>,
    billing_address: Option<AddressBody>,
    cancel_reason: Option<String>,
    /// What has left the house.
    shipments: Vec<ParcelBody>,
    /// Its money; none before anybody was asked for it.
    payment: Option<PaymentBody>,
    /// Asked for, done or refused; oldest first.
    captures: Vec<MoveBody>,
    refunds: Vec<MoveBody>,
    created_at: Time,
    placed_at: Option<Time>,
    /// When its buyer was forgotten.
    anonymised_at: Option<Time>,
    version: i64,
}

/// How it was to be sent.
#[derive(Serialize, utoipa::ToSchema)]
struct ShippedBy {
    id: String,
    name: String,
}

/// A parcel, and how it can be followed.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Parcel)]
struct ParcelBody {
    #[schema(value_type = String)]
    id: Id<ShipmentKind>,
    carrier: Option<String>,
    tracking_number: Option<String>,
    created_at: Time,
}

impl From<&Shipment> for ParcelBody {
    fn from(Shipment { id, carrier, tracking_number, created_at }: &Shipment) -> Self {
        let (carrier, tracking_number) = (carrier.clone(), tracking_number.clone());
        Self { id: *id, carrier, tracking_number, created_at: *created_at }
    }
}

/// Why it is cancelled.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Cancel)]
pub(crate) struct CancelBody {
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// A parcel with all of an order.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Shipment)]
pub(crate) struct ShipmentBody {
    #[schema(max_length = 100)]
    carrier: Option<String>,
    #[schema(max_length = 100)]
    tracking_number: Option<String>,
}

fn line(line: &OrderLine, currency: Currency) -> LineBody {
    let money = |amount: Minor| Money::new(amount, currency);
    let OrderLine { id, variant, title, sku, quantity, unit_price, discount, tax, total } = line.clone();
    let (unit_price, discount, tax, total) = (money(unit_price), money(discount), money(tax), money(total));
    LineBody { id, variant_id: variant, title, sku, quantity, unit_price, discount, tax, total }
}

impl From<&FullOrder> for OrderBody {
    fn from(FullOrder { order, lines }: &FullOrder) -> Self {
        Self {
            id: order.id,
            number: order.number.map(|number| number.to_string()),
            cart_id: order.cart,
            status: order.status.as_str(),
            payment_status: order.payment_status.as_str(),
            fulfilment_status: order.fulfilment_status.as_str(),
            email: order.email.clone(),
            currency: order.currency,
            locale: order.locale.clone(),
            prices_include_tax: order.prices_include_tax,
            lines: lines.iter().map(|each| line(each, order.currency)).collect(),
            totals: TotalsBody::of(order.totals, order.currency),
            shipping_option: ShippedBy {
                id: order.shipping_option.id.clone(),
                name: order.shipping_option.name.clone(),
            },
            shipping_address: order.shipping_address.clone().map(AddressBody::from),
            billing_address: order.billing_address.clone().map(AddressBody::from),
            cancel_reason: order.cancel_reason.clone(),
            shipments: order.shipments.iter().map(ParcelBody::from).collect(),
            payment: order.payment.as_ref().map(PaymentBody::from),
            captures: payments::moves(order, Way::Capture),
            refunds: payments::moves(order, Way::Refund),
            created_at: order.created_at,
            placed_at: order.placed_at,
            anonymised_at: order.anonymised_at,
            version: order.version,
        }
    }
}

pub(crate) async fn list(service: Data<Service>, caller: Caller, mut query: Query) -> Result<HttpResponse, Problem> {
    let (limit, cursor, count) = (query.limit()?, query.cursor()?, query.flag("count")?);
    let (status, user) = (query.parse("status")?, query.parse("user")?);
    query.end()?;
    // A cart's token opens one order, not a list.
    let holder = service.holder(&caller.call, None, READ);
    if user.is_some() && !holder.staff {
        return Err(Problem::new(Code::InvalidQuery, "user: only staff may ask for somebody's."));
    }
    let found = service.orders(holder, List { user, status, cursor, limit, count }).await??;
    Ok(HttpResponse::Ok().json(page(found, |order| OrderBody::from(&order))))
}

pub(crate) async fn show(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<orders_api::Order>,
) -> Result<HttpResponse, Problem> {
    let full = service.order(id.0, service.holder(&caller.call, caller.cart, READ)).await?;
    Ok(Versioned::read(&request, full.order.version, &OrderBody::from(&full)))
}

pub(crate) async fn cancel(
    service: Data<Service>,
    caller: Caller,
    id: PathId<orders_api::Order>,
    post: Post<CancelBody>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::new();
    let reason = optional(&mut fields, "reason", post.body.reason.as_deref(), 500);
    fields.check()?;
    let kept = post.once(|full: &FullOrder| Reply::json(200, &OrderBody::from(full)).etag(full.order.version));
    let holder = service.holder(&caller.call, caller.cart, WRITE);
    let wish = Wish::Cancel { reason };
    Ok(kept.answer(service.clone().into_inner().change(caller.call, id.0, holder, wish, kept.handle()).await?))
}

pub(crate) async fn ship(
    service: Data<Service>,
    caller: Caller,
    id: PathId<orders_api::Order>,
    post: Post<ShipmentBody>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::new();
    let carrier = optional(&mut fields, "carrier", post.body.carrier.as_deref(), 100);
    let tracking_number = optional(&mut fields, "tracking_number", post.body.tracking_number.as_deref(), 100);
    fields.check()?;
    let kept = post.once(changed);
    let holder = service.holder(&caller.call, None, WRITE);
    let wish = Wish::ship(Parcel { carrier, tracking_number });
    Ok(kept.answer(service.clone().into_inner().change(caller.call, id.0, holder, wish, kept.handle()).await?))
}

/// The order, after staff has added something to it.
pub(super) fn changed(full: &FullOrder) -> Reply {
    Reply::json(201, &OrderBody::from(full)).location(format!("/v1/orders/{}", full.order.id)).etag(full.order.version)
}

pub(super) fn optional(fields: &mut Fields, name: &str, text: Option<&str>, max: usize) -> Option<String> {
    text.filter(|text| !text.trim().is_empty()).and_then(|text| fields.text(&Pointer::root().at(name), text, 1, max))
}
