//! The money of an order: captured, refunded, and what its provider tells.
use super::orders::{changed, optional};
use crate::{
    domain::{
        order::Order,
        payment::{MoveKind, Payment, Way},
    },
    service::{Part, Service, WRITE, Wish},
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use kernel::{Id, Minor, Money, Time};
use serde::{Deserialize, Serialize};
use web::{Caller, Fields, PathId, Pointer, Post, Problem, Raw, reason};

/// How an order's money stands.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Payment)]
pub(super) struct PaymentBody {
    provider: String,
    /// The provider's name of it.
    reference: Option<String>,
    /// `open`, `action`, `pending`, `authorised`, `declined` or `voided`, as the provider says; what was moved is beside it.
    status: &'static str,
    amount: Money,
    captured: Money,
    refunded: Money,
    /// When money came for an order that had failed by then; it was given back.
    late_at: Option<Time>,
}

impl From<&Payment> for PaymentBody {
    fn from(payment: &Payment) -> Self {
        let money = |amount: Minor| Money::new(amount, payment.amount.currency);
        Self {
            provider: payment.provider.clone(),
            reference: payment.reference.clone(),
            status: payment.state.as_str(),
            amount: payment.amount,
            captured: money(payment.captured),
            refunded: money(payment.refunded),
            late_at: payment.late_at,
        }
    }
}

/// A capture or a refund.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PaymentMove)]
pub(super) struct MoveBody {
    #[schema(value_type = String)]
    id: Id<MoveKind>,
    amount: Money,
    reason: Option<String>,
    /// `asked`, `done` or `refused`.
    status: &'static str,
    created_at: Time,
}

pub(super) fn moves(order: &Order, way: Way) -> Vec<MoveBody> {
    let all = order.payment.iter().flat_map(|payment| &payment.moves).filter(|each| each.way == way);
    let body = |each: &crate::domain::payment::Move| MoveBody {
        id: each.id,
        amount: Money::new(each.amount, order.currency),
        reason: each.reason.clone(),
        status: each.state.as_str(),
        created_at: each.created_at,
    };
    all.map(body).collect()
}

/// How much, and why.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentPart)]
pub(crate) struct PartBody {
    /// All that is left, when it is not said.
    amount: Option<Money>,
    #[schema(max_length = 500)]
    reason: Option<String>,
}

fn part(body: &PartBody) -> Result<Part, Problem> {
    let mut fields = Fields::new();
    if body.amount.is_some_and(|amount| amount.amount <= Minor::ZERO) {
        fields.refuse(&Pointer::root().at("amount").at("amount"), reason::RANGE, "1 or more");
    }
    let reason = optional(&mut fields, "reason", body.reason.as_deref(), 500);
    fields.check()?;
    Ok(Part { amount: body.amount, reason })
}

pub(crate) async fn capture(
    service: Data<Service>,
    caller: Caller,
    id: PathId<orders_api::Order>,
    post: Post<PartBody>,
) -> Result<HttpResponse, Problem> {
    let (wish, kept) = (Wish::capture(part(&post.body)?), post.once(changed));
    let holder = service.holder(&caller.call, None, WRITE);
    Ok(kept.answer(service.clone().into_inner().change(caller.call, id.0, holder, wish, kept.handle()).await?))
}

pub(crate) async fn refund(
    service: Data<Service>,
    caller: Caller,
    id: PathId<orders_api::Order>,
    post: Post<PartBody>,
) -> Result<HttpResponse, Problem> {
    let (wish, kept) = (Wish::refund(part(&post.body)?), post.once(changed));
    let holder = service.holder(&caller.call, None, WRITE);
    Ok(kept.answer(service.clone().into_inner().change(caller.call, id.0, holder, wish, kept.handle()).await?))
}

/// What a provider sent, in its own form. Read as the bytes that came, for their signature.
#[derive(utoipa::ToSchema)]
#[schema(as = PaymentEvent)]
pub(crate) struct EventBody(
    #[expect(dead_code, reason = "for the document")] serde_json::Map<String, serde_json::Value>,
);

pub(crate) async fn event(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    body: Raw,
) -> Result<HttpResponse, Problem> {
    let provider = request.match_info().get("provider").unwrap_or_default();
    let header = |name: &str| request.headers().get(name)?.to_str().ok().map(str::to_owned);
    service.clone().into_inner().payment_event(caller.call, provider, &header, &body.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
