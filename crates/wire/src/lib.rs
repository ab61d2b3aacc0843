//! Domain traits over gRPC, for any trait: knows methods and messages, no domain.
pub mod tls;
