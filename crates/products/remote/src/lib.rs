//! The traits of products over gRPC.
