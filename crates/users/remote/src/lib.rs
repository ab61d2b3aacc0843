//! The traits of users over gRPC.
