//! Messages and rpcs from the .proto.
fn main() {
    wire_build::compile("orders_api", &["cleave/orders/v1/orders.proto"]);
}
