//! Signing in, staying signed in, signing out.
use super::{Error, Service, me};
use crate::{
    domain::{
        account::{Email, Password, Session, SessionId, User},
        secret::{self, Secret},
    },
    store::{self, keys::SigningKey},
};
use database::Conn;
use kernel::{Call, Id};
use std::time::Duration;

/// What a client holds of a session.
pub(crate) struct Tokens {
    pub access: String,
    /// Seconds.
    pub expires_in: u64,
    pub refresh: String,
}

impl Service {
    /// Takes the same time for an address that nobody has.
    pub(crate) async fn sign_in(&self, email: Option<Email>, password: Password) -> Result<Tokens, Error> {
        let found = match email {
            Some(email) => self.db.read(move |conn| store::users::by_email(conn, &email)).await?,
            None => None,
        };
        let (user, hash) = found.unzip();
        if !self.hasher.verify(password, hash.clone()).await? {
            return Err(Error::InvalidCredentials);
        }
        let user = user.ok_or(Error::InvalidCredentials)?;
        let (now, refresh) = (self.now(), Secret::new());
        let session = Session { id: Id::new(), created_at: now, used_at: now, expires_at: now + self.session_lives() };
        let (kept, id, verified) = (session.clone(), user.id, hash);
        let hash = refresh.hash();
        let unit = move |tx: &mut Conn| {
            // The password may have changed while the old one was verified; that ended all sessions, this one too.
            if store::users::locked_hash(tx, id)? != verified {
                return Err(Error::InvalidCredentials);
            }
            store::sessions::insert(tx, &kept, id, &hash)?;
            Ok(store::keys::signing(tx, now)?)
        };
        let key = self.db.write(unit).await?;
        Ok(self.tokens_for(&key, &user, session.id, &refresh))
    }

    /// A refresh token works once. Who shows one again has a copy of it: the session ends for both.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Tokens, Error> {
        let (now, expires, next) = (self.now(), self.now() + self.session_lives(), Secret::new());
        let (shown, next_hash) = (secret::hash(token), next.hash());
        // Ending a session must commit, so it is an answer and not an error.
        let unit = move |tx: &mut Conn| -> Result<Result<(User, SessionId, SigningKey), Error>, Error> {
            let Some(found) = store::sessions::presented(tx, &shown, now)? else {
                return Ok(Err(Error::InvalidRefreshToken));
            };
            if found.over {
                return Ok(Err(Error::InvalidRefreshToken));
            }
            if found.used || !store::sessions::use_token(tx, &shown, now)? {
                store::sessions::end(tx, found.session, found.user, now)?;
                return Ok(Err(Error::RefreshTokenReused));
            }
            let Some(user) = store::users::by_id(tx, found.user)? else { return Ok(Err(Error::InvalidRefreshToken)) };
            store::sessions::add_token(tx, found.session, &next_hash, now)?;
            store::sessions::touch(tx, found.session, now, expires)?;
            Ok(Ok((user, found.session, store::keys::signing(tx, now)?)))
        };
        let (user, session, key) = self.db.write(unit).await??;
        Ok(self.tokens_for(&key, &user, session, &next))
    }

    /// `None` names the session of the call's own token.
    pub(crate) async fn sign_out(&self, call: &Call, which: Option<SessionId>) -> Result<(), Error> {
        let (user, now) = (me(call)?, self.now());
        let session = which.or_else(|| super::session(call)).ok_or(Error::NotFound)?;
        let ended = self.db.write(move |tx| store::sessions::end(tx, session, user, now)).await?;
        // Signing out of this very session twice is no mistake.
        if ended || which.is_none() { Ok(()) } else { Err(Error::NotFound) }
    }

    pub(crate) async fn sessions(&self, call: &Call) -> Result<Vec<Session>, Error> {
        let (user, now) = (me(call)?, self.now());
        Ok(self.db.read(move |conn| store::sessions::open(conn, user, now)).await?)
    }

    fn tokens_for(&self, key: &SigningKey, user: &User, session: SessionId, refresh: &Secret) -> Tokens {
        let expires_in = self.settings.access_token_seconds;
        let access = super::tokens::sign(key, user, session, self.now(), expires_in);
        Tokens { access, expires_in, refresh: refresh.text().to_owned() }
    }
    pub(super) fn session_lives(&self) -> Duration {
        Duration::from_secs(self.settings.session_days.min(36_500) * 24 * 3600)
    }
}
