use super::{carts, orders::OrderBody};
use crate::{
    domain::cart::CartKind,
    payments::{Means, NextAction},
    service::{Attempt, DECLINED, Payment, READ, Service},
};
use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use web::{Caller, Fields, PathId, Pointer, Post, Problem, Reply, reason};

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
    /// Where the provider sends the buyer back to, when something must be done first; `https`, or `http` on the buyer's own
    /// machine.
    #[schema(max_length = 2000)]
    return_url: Option<String>,
}

/// An order that waits for its buyer.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OrderWithAction)]
pub(crate) struct ActionBody {
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
        Attempt::Action(full, next) => Reply::json(202, &ActionBody { order: full.into(), next_action: next.clone() }),
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
    let return_url = choice.return_url.as_deref().map(|url| address(&mut fields, &at.at("return_url"), url));
    let means = Means { token, return_url: return_url.unwrap_or_default() };
    let payment = fields.done(provider.map(|provider| Payment { provider, means }))?;
    let kept = post.once(reply);
    let holder = service.holder(&caller.call, caller.cart, READ);
    Ok(kept.answer(service.clone().into_inner().checkout(caller.call, id.0, holder, payment, kept.handle()).await?))
}

/// The address of a page. Only its kind and its length are looked at: the provider sends the buyer there, not the shop.
fn address(fields: &mut Fields, at: &Pointer, url: &str) -> Option<String> {
    let url = fields.text(at, url, 1, 2000)?;
    let host = |rest: &str| rest.split(['/', '?', '#', ':']).next().unwrap_or_default().to_owned();
    let own = |rest: &str| matches!(host(rest).as_str(), "localhost" | "127.0.0.1");
    let fits = match url.split_once("://") {
        Some(("https", rest)) => !host(rest).is_empty(),
        Some(("http", rest)) => own(rest),
        _ => false,
    };
    if !fits || url.contains(char::is_whitespace) {
        fields.refuse(at, reason::FORMAT, "needs the https address of a page");
        return None;
    }
    Some(url)
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
