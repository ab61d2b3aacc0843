//! Who calls, for whom, until when: the first argument of every domain method.
use crate::{Id, Key, Kind, token::Verified};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A module that calls another, such as `orders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(pub Arc<str>);

impl From<&str> for Peer {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// The W3C trace id that ties together what one request caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace(pub u128);

/// SHA-256 of a guest's cart token: who can show the token holds the cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CartKey(pub [u8; 32]);

#[derive(Clone, Debug)]
pub enum Principal {
    Anonymous,
    /// Holds one cart and its order.
    Guest(CartKey),
    /// Only [`token::Keys::verify`](crate::token::Keys::verify) makes one.
    User(Verified),
}

impl Principal {
    /// The signed-in user; `T` is `users_api::User`, which this crate does not know.
    pub fn user<T: Kind>(&self) -> Option<Id<T>> {
        match self {
            Self::User(user) => Some(user.subject().into()),
            Self::Anonymous | Self::Guest(_) => None,
        }
    }
}

/// The context of one call. It crosses from module to module and shrinks on the way; it is never stored.
#[derive(Clone, Debug)]
pub struct Call {
    pub principal: Principal,
    pub trace: Trace,
    pub deadline: Instant,
    peer: Peer,
    key: Option<Key>,
}

impl Call {
    /// At the edge: an HTTP request or a worker's turn begins.
    pub fn begin(principal: Principal, trace: Trace, patience: Duration) -> Self {
        Self { principal, trace, deadline: Instant::now() + patience, peer: "nobody".into(), key: None }
    }
    /// For `guard` and `wire` only (a lint bans it elsewhere): a handle names the module it was handed to, TLS the
    /// certificate's owner.
    #[must_use]
    pub fn from_peer(self, peer: Peer, key: Option<Key>) -> Self {
        Self { peer, key, ..self }
    }
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
    pub fn key(&self) -> Option<Key> {
        self.key
    }
    /// `None` when there is none.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("not allowed")]
    Denied,
    /// Surely without effect.
    #[error("unavailable")]
    Unavailable { retry_after: Option<Duration> },
    /// May have had an effect: ask again with the same key.
    #[error("outcome unknown")]
    Unknown,
}

impl Failure {
    pub const UNAVAILABLE: Self = Self::Unavailable { retry_after: None };
}

/// What a call may end in besides its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// The domain's own answer: no.
    #[error("{0}")]
    Domain(E),
    #[error("not allowed")]
    Denied,
    /// Surely without effect.
    #[error("unavailable")]
    Unavailable { retry_after: Option<Duration> },
    /// May have had an effect: ask again with the same key.
    #[error("outcome unknown")]
    Unknown,
}

impl<E> From<Failure> for CallError<E> {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied => Self::Denied,
            Failure::Unavailable { retry_after } => Self::Unavailable { retry_after },
            Failure::Unknown => Self::Unknown,
        }
    }
}

impl<E> CallError<E> {
    /// The failure, or the domain's own error: what a wire carries apart.
    pub fn split(self) -> Result<E, Failure> {
        match self {
            Self::Domain(error) => Ok(error),
            Self::Denied => Err(Failure::Denied),
            Self::Unavailable { retry_after } => Err(Failure::Unavailable { retry_after }),
            Self::Unknown => Err(Failure::Unknown),
        }
    }
}
