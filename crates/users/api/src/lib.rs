//! What others may ask of users, and hear from it.
use kernel::{Call, CallError, Event, Id, Kind, contract};
use serde::Serialize;
use std::convert::Infallible;
use uuid::Uuid;

/// A person with an account.
#[derive(Debug)]
pub enum User {}
impl Kind for User {
    const PREFIX: &'static str = "user";
}
pub type UserId = Id<User>;

/// What processes need to believe access tokens.
#[contract(tokens = "cleave.users.v1.Tokens")]
pub trait Tokens {
    /// The public keys that tokens in circulation are signed with. A key stays here until its last token has expired.
    #[read(Peer)]
    async fn keys(&self, call: &Call, request: ()) -> Result<Vec<PublicKey>, CallError<Infallible>>;
}

/// Who people are, for answers that show it.
#[contract(accounts = "cleave.users.v1.Accounts")]
pub trait Accounts {
    /// At most [`MAX_ACCOUNTS`] ids. What is not there is left out, and so is what the caller may not see: one sees
    /// oneself, who holds `users:read` sees all.
    #[read(User)]
    async fn accounts(&self, call: &Call, ids: Vec<UserId>) -> Result<Vec<Account>, CallError<AccountsError>>;
}

/// The most ids that [`Accounts::accounts`] takes.
pub const MAX_ACCOUNTS: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The `kid` of tokens signed with it.
    pub id: String,
    /// Ed25519.
    pub key: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: UserId,
    pub email: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    #[error("more than {MAX_ACCOUNTS} ids")]
    TooMany,
}

/// Told by users. Names and addresses are not told: who may see them asks [`Accounts`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum UserEvent {
    Registered { user_id: UserId },
    Updated { user_id: UserId },
    Deleted { user_id: UserId },
}

impl Event for UserEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "user.registered",
            Self::Updated { .. } => "user.updated",
            Self::Deleted { .. } => "user.deleted",
        }
    }
    fn subject(&self) -> Uuid {
        match self {
            Self::Registered { user_id } | Self::Updated { user_id } | Self::Deleted { user_id } => *user_id.uuid(),
        }
    }
}
