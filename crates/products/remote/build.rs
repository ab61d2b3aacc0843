//! Messages and rpcs from the .proto.
fn main() {
    wire_build::compile("products_api", &["cleave/products/v1/products.proto"]);
}
