//! The use cases of users, one a function.
mod accounts;
mod addresses;
mod keys;
mod passwords;
mod sessions;
mod tokens;
mod traits;

use crate::{domain::account::User, store};
use database::{Database, once};
use kernel::{Call, Check, Clock, Principal, Time};
use passwords::Hasher;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use users_api::{Accounts, Tokens, UserId};
use web::{Module, Worker};

pub use keys::Rotation;

pub(crate) use accounts::{NewAccount, OwnChanges, PageError};
pub(crate) use sessions::Tokens as SessionTokens;

/// How users behaves.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Seconds that an access token is believed.
    pub access_token_seconds: u64,
    /// Seconds from the publication of a new signing key to the first token that it signs.
    pub key_lead_seconds: u64,
    /// Days after which a session that was not used must sign in again.
    pub session_days: u64,
    /// Threads that hash passwords: each keeps a core busy and 19 MiB of memory while it works.
    pub password_threads: usize,
    /// Sign-ins that wait for a thread; beyond them 429.
    pub password_queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_token_seconds: 900,
            key_lead_seconds: 120,
            session_days: 30,
            password_threads: 2,
            password_queue: 64,
        }
    }
}

/// The domain. Cheap to clone.
#[derive(Clone)]
pub struct Users(pub(crate) Arc<Service>);

pub(crate) struct Service {
    db: Database,
    clock: Arc<dyn Clock>,
    hasher: Hasher,
    settings: Settings,
}

impl Users {
    /// `db` is migrated. Makes the first signing key where there is none.
    pub async fn open(db: Database, clock: Arc<dyn Clock>, settings: Settings) -> Result<Self, database::Error> {
        keys::first(&db, clock.now()).await?;
        Ok(Self::look(db, clock, settings))
    }
    /// As it is, for whoever only looks: nothing is written. `db` is migrated.
    pub fn look(db: Database, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let hasher = Hasher::new(settings.password_threads, settings.password_queue);
        Self(Arc::new(Service { db, clock, hasher, settings }))
    }
    pub fn tokens(&self) -> Arc<dyn Tokens> {
        self.0.clone()
    }
    pub fn accounts(&self) -> Arc<dyn Accounts> {
        self.0.clone()
    }
    pub fn module(&self) -> Module {
        let purge = |service: Arc<Service>| async move { service.purge().await };
        let purge = Worker::hourly("users-purge", &self.0, purge);
        let forget = |service: Arc<Service>| async move { service.forget_keys().await };
        let every = Duration::from_secs(self.0.settings.key_lead_seconds.clamp(1, 60));
        let forget = Worker::new("users-keys", every, &self.0, forget);
        Module::new("users", crate::http::routes(), Arc::clone(&self.0))
            .on(self.0.db.clone())
            .worker(purge)
            .worker(forget)
    }
    /// Whether anybody could administrate the shop.
    pub async fn has_administrator(&self) -> Result<bool, database::Error> {
        self.0.db.read(store::users::has_administrator).await
    }
    /// Every invariant of its tables, looked at. May run beside traffic.
    pub async fn audit(&self) -> Result<Vec<Check>, database::Error> {
        let now = self.0.now();
        self.0.db.read(move |conn| store::audit::all(conn, now)).await
    }
}

/// Why a use case of users came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("an account with this address exists")]
    EmailTaken,
    #[error("the address or the password is wrong")]
    InvalidCredentials,
    /// Too many passwords wait to be hashed.
    #[error("too many sign-ins at once")]
    Crowded,
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    #[error("the refresh token was used before")]
    RefreshTokenReused,
    #[error("not found")]
    NotFound,
    #[error("changed since it was read")]
    Stale,
    #[error("nobody would administrate the shop")]
    LastAdministrator,
    #[error("a user has {MAX_ADDRESSES} addresses at most")]
    TooManyAddresses,
    #[error(transparent)]
    Once(#[from] once::Refused),
    #[error(transparent)]
    Database(#[from] database::Error),
}

/// Addresses a user may have.
pub(crate) const MAX_ADDRESSES: i64 = 100;

impl Service {
    fn now(&self) -> Time {
        self.clock.now()
    }
    async fn purge(&self) {
        let before = self.now();
        let used = before.minus(self.session_lives());
        let purged = self.db.write(move |tx| {
            store::sessions::purge(tx, before)?;
            store::sessions::purge_tokens(tx, used)
        });
        if let Err(error) = purged.await.and(once::purge(&self.db).await) {
            tracing::warn!(%error, "old sessions and idempotency records stay until the next turn");
        }
    }
}

/// The signed-in user; routes that need one do not let others in.
fn me(call: &Call) -> Result<UserId, Error> {
    call.principal.user().ok_or(Error::NotFound)
}

fn session(call: &Call) -> Option<crate::domain::account::SessionId> {
    match &call.principal {
        Principal::User(user) => Some(user.session().into()),
        Principal::Anonymous | Principal::Guest(_) => None,
    }
}

/// What an update that met no row means: not there, or there in another version.
fn missing(there: Option<User>) -> Error {
    if there.is_some() { Error::Stale } else { Error::NotFound }
}
