//! orders over HTTP: the table, a file per noun.
mod carts;
mod checkout;
mod orders;
mod payments;
mod problems;

use carts::{CartBody, CartLineBody, ChangeCart, ChangeLine, NewCartBody, ShippingOptionBody};
use checkout::{ActionBody, CheckoutBody};
use kernel::{Code, Needs};
use orders::{CancelBody, OrderBody, ShipmentBody};
use payments::{EventBody, PartBody};
use web::{Paged, Route, delete, get, patch, post};

const WRITE: Needs = Needs::Permission(crate::service::WRITE);
/// What every change of a cart may meet.
const EDIT: &[Code] = &[Code::CartLocked, Code::CartCompleted];

/// What orders serves. Carts and orders are their holder's: a wrong token is 404.
pub fn routes() -> Vec<Route> {
    use Needs::{Nothing, User};
    vec![
        post("/v1/carts", Nothing, carts::create)
            .says("Begin a cart")
            .takes::<NewCartBody>()
            .gives::<CartBody>(201, "The cart; a guest's with its token")
            .keyed(),
        get("/v1/carts/{id}", Nothing, carts::show)
            .says("A cart")
            .gives::<CartBody>(200, "The cart")
            .gives_nothing(304, "Just as you have it"),
        patch("/v1/carts/{id}", Nothing, carts::change)
            .says("Who buys, and where it goes")
            .takes::<ChangeCart>()
            .gives::<CartBody>(200, "The cart")
            .conditional()
            .fails(EDIT),
        post("/v1/carts/{id}/lines", Nothing, carts::add_line)
            .says("Put a variant into the cart")
            .takes::<CartLineBody>()
            .gives::<CartBody>(200, "The cart")
            .keyed()
            .fails(EDIT),
        patch("/v1/carts/{id}/lines/{line}", Nothing, carts::change_line)
            .says("Change how many")
            .takes::<ChangeLine>()
            .gives::<CartBody>(200, "The cart")
            .conditional()
            .fails(EDIT),
        delete("/v1/carts/{id}/lines/{line}", Nothing, carts::remove_line)
            .says("Take a line out")
            .gives::<CartBody>(200, "The cart")
            .conditional()
            .fails(EDIT),
        get("/v1/carts/{id}/shipping-options", Nothing, carts::shipping_options)
            .says("How it can be sent")
            .gives::<Paged<ShippingOptionBody>>(200, "What applies to this cart"),
        post("/v1/carts/{id}/checkout", Nothing, checkout::checkout)
            .says("Buy")
            .takes::<CheckoutBody>()
            .gives::<OrderBody>(201, "The order")
            .gives::<OrderBody>(200, "The order, that somebody else completed")
            .gives::<ActionBody>(202, "The order, and what the buyer must do first")
            .keyed()
            .fails(&[
                Code::PaymentDeclined,
                Code::PaymentRefused,
                Code::OutOfStock,
                Code::CartChanged,
                Code::CartIncomplete,
            ]),
        delete("/v1/carts/{id}/checkout", Nothing, checkout::abandon)
            .says("Give up a checkout that waits for the buyer")
            .gives::<CartBody>(200, "The cart, open again")
            .fails(&[Code::NoCheckout, Code::CartLocked, Code::CartCompleted]),
        get("/v1/orders", User, orders::list)
            .says("My orders, newest first; all of them for staff")
            .gives::<Paged<OrderBody>>(200, "A page")
            .paged()
            .query("status", "only these; pending and failed are left out unless asked for")
            .query("user", "staff: only this user's")
            .query("count", "`true`: count them"),
        get("/v1/orders/{id}", Nothing, orders::show)
            .says("An order")
            .gives::<OrderBody>(200, "The order")
            .gives_nothing(304, "Just as you have it"),
        post("/v1/orders/{id}/cancel", Nothing, orders::cancel)
            .says("Cancel an order")
            .takes::<CancelBody>()
            .gives::<OrderBody>(200, "The order; again when it is asked again")
            .keyed()
            .fails(&[Code::OrderNotCancellable]),
        post("/v1/orders/{id}/shipments", WRITE, orders::ship)
            .says("Send all of an order")
            .takes::<ShipmentBody>()
            .gives::<OrderBody>(201, "The order")
            .keyed()
            .fails(&[Code::OrderNotShippable]),
        post("/v1/orders/{id}/captures", WRITE, payments::capture)
            .says("Capture an order's payment, or a part of it")
            .takes::<PartBody>()
            .gives::<OrderBody>(201, "The order")
            .keyed()
            .fails(&[Code::OrderNotCapturable, Code::OrderBusy, Code::PaymentRefused]),
        post("/v1/orders/{id}/refunds", WRITE, payments::refund)
            .says("Give back what was captured, or a part of it")
            .takes::<PartBody>()
            .gives::<OrderBody>(201, "The order")
            .keyed()
            .fails(&[Code::OrderNotRefundable, Code::OrderBusy, Code::PaymentRefused]),
        post("/v1/payment-events/{provider}", Nothing, payments::event)
            .says("What a payment provider tells; signed by it")
            .takes_foreign::<EventBody>()
            .gives_nothing(204, "Heard, or nothing that this shop needs to hear")
            .fails(&[Code::InvalidEvent]),
    ]
}
