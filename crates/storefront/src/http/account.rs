use crate::Storefront;
use actix_web::{HttpResponse, web::Data};
use kernel::{Money, Time};
use orders_api::{Latest, LatestError, OrderId, OrderSummary};
use serde::Serialize;
use users_api::{AccountsError, UserId};
use web::{Caller, Problem};

/// How many orders the page shows.
const LATEST: usize = 5;

/// The signed-in user and the latest orders.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccountPage)]
pub(crate) struct AccountBody {
    #[schema(value_type = String)]
    id: UserId,
    email: String,
    name: String,
    /// Newest first, five at most.
    orders: Vec<OrderSummaryBody>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OrderSummary)]
struct OrderSummaryBody {
    #[schema(value_type = String)]
    id: OrderId,
    number: Option<String>,
    status: String,
    payment_status: String,
    fulfilment_status: String,
    total: Money,
    placed_at: Option<Time>,
}

impl From<OrderSummary> for OrderSummaryBody {
    fn from(order: OrderSummary) -> Self {
        let OrderSummary { id, number, status, payment_status, fulfilment_status, total, placed_at, .. } = order;
        Self { id, number: number.map(|n| n.to_string()), status, payment_status, fulfilment_status, total, placed_at }
    }
}

pub(crate) async fn show(shop: Data<Storefront>, caller: Caller) -> Result<HttpResponse, Problem> {
    let me: UserId = caller.call.principal.user().ok_or_else(Problem::not_found)?;
    let latest = Latest { users: vec![me], limit: LATEST };
    let (accounts, orders) =
        tokio::join!(shop.accounts.accounts(&caller.call, vec![me]), shop.history.latest(&caller.call, latest));
    let account = accounts.map_err(|error| match error.split() {
        Ok(AccountsError::TooMany) => Problem::internal("one is too many"),
        Err(failure) => failure.into(),
    })?;
    let orders = orders.map_err(|error| match error.split() {
        Ok(LatestError::OutOfRange) => Problem::internal("five are too many"),
        Err(failure) => failure.into(),
    })?;
    let account = account.into_iter().next().ok_or_else(Problem::not_found)?;
    let orders = orders.into_iter().map(OrderSummaryBody::from).collect();
    Ok(HttpResponse::Ok().json(AccountBody { id: account.id, email: account.email, name: account.name, orders }))
}
