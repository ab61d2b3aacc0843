//! The traits of orders over gRPC. The contract is `proto/`; here stands only which type is written as which message.
use kernel::Money;
use orders_api::{Latest, LatestError, OrderSummary};

wire::include_proto!("cleave.orders.v1");

wire::wire! {
    struct Latest = LatestRequest { users, limit }
    value Vec<OrderSummary> = OrderList { items }
    struct OrderSummary = OrderSummary { id, user, number, status, payment_status, fulfilment_status, total, placed_at }
    struct Money = Money { amount, currency }
    oneof LatestError = LatestError in latest_error { OutOfRange {} }
}
