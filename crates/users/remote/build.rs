//! Messages and rpcs from the .proto.
fn main() {
    wire_build::compile("users_api", &["cleave/users/v1/users.proto"]);
}
