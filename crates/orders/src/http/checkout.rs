use super::{carts, orders::OrderBody};
use crate::{
    domain::cart::CartKind,
    payments::NextAction,
    service::{Attempt, DECLINED, Payment, READ, Service},
};
use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use web::{Caller, Fields, PathId, Pointer, Post, Problem, Reply};

/// How it is paid.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Checkout)]
pub(crate) struct CheckoutBody {
    payment: PaymentChoice,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentChoice {
    /// One of the shop's providers.
    #[schema(max_length = 40)]
    provider: String,
    /// What the provider gave the buyer's browser; never stored.
    #[schema(max_length = 500)]
    token: Option<String>,
}

/// An order that waits for its buyer.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OrderWithAction)]
pub(crate) struct PaymentBody {
    #[serde(flatten)]
    order: OrderBody,
    next_action: NextAction,
}

fn reply(attempt: &Attempt) -> Reply {
    match attempt {
        Attempt::Placed(full) => Reply::json(201, &OrderBody::from(full))
            .location(format!("/v1/orders/{}", full.order.id))
            .etag(full.order.version),
        Attempt::Existing(full) => Reply::json(200, &OrderBody::from(full)).etag(full.order.version),
        Attempt::Action(full, next) => Reply::json(202, &PaymentBody { order: full.into(), next_action: next.clone() }),
        Attempt::Declined { reason } => Problem::new(DECLINED, reason.clone()).reply(),
    }
}

pub(crate) async fn checkout(
    service: Data<Service>,
    caller: Caller,
    id: PathId<CartKind>,
    post: Post<CheckoutBody>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, at, choice) = (Fields::new(), Pointer::root().at("payment"), &post.body.payment);
    let provider = fields.text(&at.at("provider"), &choice.provider, 1, 40);
    let token = choice.token.as_deref().map(|token| fields.text(&at.at("token"), token, 1, 500)).unwrap_or_default();
    let payment = fields.done(provider.map(|provider| Payment { provider, token }))?;
    let kept = post.once(reply);
    let holder = service.holder(&caller.call, caller.cart, READ);
    Ok(kept.answer(service.clone().into_inner().checkout(caller.call, id.0, holder, payment, kept.handle()).await?))
}

pub(crate) async fn abandon(
    service: Data<Service>,
    caller: Caller,
    id: PathId<CartKind>,
) -> Result<HttpResponse, Problem> {
    let holder = service.holder(&caller.call, caller.cart, READ);
    let full = service.clone().into_inner().abandon(caller.call, id.0, holder).await?;
    Ok(carts::reply(200, &full, None, &service).into())
}
