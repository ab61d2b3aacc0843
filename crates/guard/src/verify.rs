//! Believing access tokens: asked for by every way into a process, HTTP and gRPC alike.
use kernel::{
    Clock, Failure, async_trait,
    token::{Rejected, Verified},
};

/// Why a token was not believed, or could not be looked at.
#[derive(Debug)]
pub enum Unverified {
    Rejected(Rejected),
    Failure(Failure),
}

/// Checks access tokens; `host` gives one that knows users' published keys.
#[async_trait]
pub trait Verify: Send + Sync + 'static {
    async fn verify(&self, token: &str) -> Result<Verified, Unverified>;
    fn clock(&self) -> &dyn Clock;
}
