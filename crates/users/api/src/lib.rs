//! What others may ask of users, and hear from it.
use kernel::{Call, CallError, Id, Kind, contract};
use std::convert::Infallible;

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

kernel::events! {
    /// Told by users. Names and addresses are not told: who may see them asks [`Accounts`].
    pub enum UserEvent of "users" {
        /// Somebody has an account now.
        "user.registered" 1 => Registered of user_id: UserId {},
        /// Their name, email address, password, roles or postal addresses changed.
        "user.updated" 1 => Updated of user_id: UserId {},
        /// The account is gone, with its addresses and sessions. Whoever keeps something of this user forgets who it was.
        "user.deleted" 1 => Deleted of user_id: UserId {},
    }
}
