//! The traits of orders over gRPC.
