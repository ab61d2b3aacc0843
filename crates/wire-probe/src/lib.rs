//! A contract with a method of every kind, and how it is written: what the tests of guard and wire call, over a handle in
//! this process and over a wire. No shop serves it.
use kernel::{Call, CallError, Id, Kind, contract};
use std::convert::Infallible;

#[derive(Debug)]
pub enum Crate {}
impl Kind for Crate {
    const PREFIX: &'static str = "crate";
}
pub type CrateId = Id<Crate>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    #[error("only {left} are left")]
    Empty { left: u32 },
}

/// A shelf of crates.
#[contract(shelf = "cleave.probe.v1.Shelf")]
pub trait Shelf {
    #[idempotent(Peer)]
    async fn take(&self, call: &Call, id: CrateId) -> Result<u32, CallError<TakeError>>;
    #[once(User)]
    async fn put(&self, call: &Call, units: u32) -> Result<(), CallError<Infallible>>;
    #[read(Permission("shelf:read"))]
    async fn look(&self, call: &Call, request: ()) -> Result<u32, CallError<Infallible>>;
}

wire::include_proto!("cleave.probe.v1");

wire::wire! {
    value CrateId = TakeRequest { id }
    value u32 = Taken { units }
    oneof TakeError = TakeError in take_error { Empty { left } }
    value u32 = PutRequest { units }
    value () = PutResponse {}
    value () = LookRequest {}
    value u32 = LookResponse { units }
}
