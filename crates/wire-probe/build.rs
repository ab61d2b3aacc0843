//! Messages and rpcs from the .proto.
fn main() {
    wire_build::compile("crate", &["cleave/probe/v1/probe.proto"]);
}
