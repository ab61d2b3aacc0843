//! Accounts: made, shown, changed, given roles, deleted.
use super::{Error, Service, Users, me, missing, session};
use crate::{
    domain::{
        account::{Email, Password, User},
        roles::{Role, Roles},
    },
    store,
    store::users::Changes,
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, Cursor, Id, Page};
use users_api::{UserEvent, UserId};

#[derive(Clone)]
pub(crate) struct NewAccount {
    pub email: Email,
    pub password: Password,
    pub name: String,
}

/// What a user changes of their own account.
#[derive(Clone, Default)]
pub(crate) struct OwnChanges {
    pub name: Option<String>,
    pub email: Option<Email>,
    pub password: Option<Password>,
    /// Asked for whenever the address or the password changes.
    pub current_password: Option<Password>,
}

impl NewAccount {
    /// From the command line, where complaints are sentences.
    fn read(email: &str, password: &str, name: &str) -> Result<Self, String> {
        let email = email.parse().map_err(|why| format!("{email}: {why}"))?;
        let password = password.parse().map_err(|why| format!("the password {why}"))?;
        Ok(Self { email, password, name: name.to_owned() })
    }
}

impl Users {
    /// For the command line: an administrator, made or promoted. `true`: the account is new.
    pub async fn create_administrator(&self, email: &str, password: &str, name: &str) -> Result<bool, String> {
        let account = NewAccount::read(email, password, name)?;
        self.0.create_administrator(account).await.map_err(|error| error.to_string())
    }
    /// For the demonstration shop: a customer.
    pub async fn create_customer(&self, email: &str, password: &str, name: &str) -> Result<(), String> {
        let account = NewAccount::read(email, password, name)?;
        let made = self.0.create(account, Roles::new([]), kernel::Trace(0), Once::unkeyed()).await;
        made.map(drop).map_err(|error| error.to_string())
    }
}

impl Service {
    pub(crate) async fn register(
        &self,
        call: &Call,
        account: NewAccount,
        once: Once<User>,
    ) -> Result<Kept<User>, Error> {
        self.create(account, Roles::new([]), call.trace, once).await
    }

    async fn create(
        &self,
        account: NewAccount,
        roles: Roles,
        trace: kernel::Trace,
        once: Once<User>,
    ) -> Result<Kept<User>, Error> {
        let NewAccount { email, password, name } = account;
        let hash = self.hasher.hash(password).await?;
        let user = User { id: Id::new(), email, name, roles, version: 1, created_at: self.now() };
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                store::users::insert(tx, &user, &hash, Error::EmailTaken)?;
                database::outbox::publish(tx, &[UserEvent::Registered { user_id: user.id }], user.created_at, trace)?;
                Ok(user.clone())
            })
        };
        self.db.write(unit).await
    }

    /// Creates the account, or makes an existing one an administrator with this password.
    async fn create_administrator(&self, account: NewAccount) -> Result<bool, Error> {
        let roles = Roles::new([Role::Staff, Role::Admin]);
        match self.create(account.clone(), roles.clone(), kernel::Trace(0), Once::unkeyed()).await {
            Ok(_) => return Ok(true),
            Err(Error::EmailTaken) => (),
            Err(error) => return Err(error),
        }
        let hash = self.hasher.hash(account.password).await?;
        let (email, now) = (account.email, self.now());
        let changes = Changes { password_hash: Some(hash), roles: Some(roles.to_string()), ..Changes::default() };
        let unit = move |tx: &mut Conn| {
            let (user, _) = store::users::by_email(tx, &email)?.ok_or(Error::NotFound)?;
            store::users::update(tx, user.id, None, &changes, now, Error::EmailTaken)?;
            store::sessions::end_others(tx, None, user.id, now)?;
            database::outbox::publish(tx, &[UserEvent::Updated { user_id: user.id }], now, kernel::Trace(0))?;
            Ok(false)
        };
        self.db.write(unit).await
    }

    pub(crate) async fn myself(&self, call: &Call) -> Result<User, Error> {
        let id = me(call)?;
        self.db.read(move |conn| store::users::by_id(conn, id)).await?.ok_or(Error::NotFound)
    }

    pub(crate) async fn page(
        &self,
        email: Option<Email>,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<Page<User>, PageError> {
        let key = email.as_ref().map(Email::key);
        let before = cursor
            .map(|text| Cursor::read(&text, &("users", key)).map(|id: uuid::Uuid| UserId::from(id)))
            .transpose()?;
        Ok(self.db.read(move |conn| store::users::page(conn, email.as_ref(), before, limit)).await?)
    }

    pub(crate) async fn change_myself(
        &self,
        call: &Call,
        expected: Option<i64>,
        changes: OwnChanges,
    ) -> Result<User, Error> {
        let (id, now, trace, keep) = (me(call)?, self.now(), call.trace, session(call));
        let OwnChanges { name, email, password, current_password } = changes;
        let mut verified = None;
        if email.is_some() || password.is_some() {
            let kept = self.db.read(move |conn| store::users::password_hash(conn, id)).await?;
            let typed = current_password.unwrap_or_else(|| Password::typed(""));
            if !self.hasher.verify(typed, kept.clone()).await? {
                return Err(Error::InvalidCredentials);
            }
            verified = kept;
        }
        let new_password = password.is_some();
        let password_hash = match password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let changes = Changes {
            email: email.as_ref().map(|email| email.as_str().to_owned()),
            email_key: email.as_ref().map(Email::key),
            name,
            password_hash,
            roles: None,
        };
        let unit = move |tx: &mut Conn| {
            // Verified against a password that is not the current one any more.
            if verified.is_some() && store::users::locked_hash(tx, id)? != verified {
                return Err(Error::InvalidCredentials);
            }
            let updated = store::users::update(tx, id, expected, &changes, now, Error::EmailTaken)?;
            let Some(user) = updated else { return Err(missing(store::users::by_id(tx, id)?)) };
            if new_password {
                store::sessions::end_others(tx, keep, id, now)?;
            }
            database::outbox::publish(tx, &[UserEvent::Updated { user_id: id }], now, trace)?;
            Ok(user)
        };
        self.db.write(unit).await
    }

    pub(crate) async fn set_roles(
        &self,
        call: &Call,
        id: UserId,
        expected: Option<i64>,
        roles: Roles,
    ) -> Result<User, Error> {
        let (now, trace) = (self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            if !roles.has(Role::Admin) && store::users::administrators(tx)? == [id] {
                return Err(Error::LastAdministrator);
            }
            let changes = Changes { roles: Some(roles.to_string()), ..Changes::default() };
            let updated = store::users::update(tx, id, expected, &changes, now, Error::EmailTaken)?;
            let Some(user) = updated else { return Err(missing(store::users::by_id(tx, id)?)) };
            database::outbox::publish(tx, &[UserEvent::Updated { user_id: id }], now, trace)?;
            Ok(user)
        };
        self.db.write(unit).await
    }

    pub(crate) async fn delete_myself(&self, call: &Call) -> Result<(), Error> {
        let (id, now, trace) = (me(call)?, self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            if store::users::administrators(tx)? == [id] {
                return Err(Error::LastAdministrator);
            }
            if !store::users::delete(tx, id)? {
                return Err(Error::NotFound);
            }
            database::outbox::publish(tx, &[UserEvent::Deleted { user_id: id }], now, trace)?;
            Ok(())
        };
        self.db.write(unit).await
    }
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error(transparent)]
    Cursor(#[from] kernel::BadCursor),
    #[error(transparent)]
    Database(#[from] database::Error),
}
