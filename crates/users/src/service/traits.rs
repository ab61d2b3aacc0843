//! What users does for others. The guard stands before it; whose account it is, is decided here.
use super::Service;
use crate::store;
use kernel::{Call, CallError, Failure, Principal, async_trait};
use std::convert::Infallible;
use users_api::{Account, Accounts, AccountsError, MAX_ACCOUNTS, PublicKey, Tokens, UserId};

#[async_trait]
impl Tokens for Service {
    async fn keys(&self, _: &Call, (): ()) -> Result<Vec<PublicKey>, CallError<Infallible>> {
        let keys = self.db.read(store::keys::all).await.map_err(Failure::from)?;
        Ok(keys
            .into_iter()
            .filter_map(|key| Some(PublicKey { id: key.id, key: key.public_key.try_into().ok()? }))
            .collect())
    }
}

#[async_trait]
impl Accounts for Service {
    async fn accounts(&self, call: &Call, mut ids: Vec<UserId>) -> Result<Vec<Account>, CallError<AccountsError>> {
        if ids.len() > MAX_ACCOUNTS {
            return Err(CallError::Domain(AccountsError::TooMany));
        }
        let me: Option<UserId> = call.principal.user();
        let sees_all = matches!(&call.principal, Principal::User(user) if user.may("users:read", self.now()));
        ids.retain(|id| sees_all || Some(*id) == me);
        let users = self.db.read(move |conn| store::users::by_ids(conn, ids)).await.map_err(Failure::from)?;
        let account = |user: crate::domain::account::User| Account {
            id: user.id,
            email: user.email.as_str().to_owned(),
            name: user.name,
        };
        Ok(users.into_iter().map(account).collect())
    }
}
