//! New signing keys: published first, signing later, forgotten when nothing that they signed is good any more.
use super::{Service, Users, tokens::make};
use crate::store;
use database::{Conn, Database, Error, Result};
use kernel::Time;
use std::time::Duration;

/// What became of the signing keys.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The id of the new key.
    pub key: String,
    /// From when on it signs.
    pub signs_from: Time,
    /// Until when the others are believed; `None`: they are not.
    pub others_until: Option<Time>,
}

impl Users {
    /// A new key, published at once. It signs after the lead, when every process knows it.
    pub async fn rotate_key(&self) -> Result<Rotation> {
        let (now, settings) = (self.0.now(), &self.0.settings);
        let new = make(now, now + Duration::from_secs(settings.key_lead_seconds));
        let (key, signs_from) = (new.id.clone(), new.signs_from);
        self.0.db.write(move |tx| store::keys::insert(tx, &new)).await?;
        Ok(Rotation { key, signs_from, others_until: Some(signs_from + self.0.key_kept()) })
    }
    /// A new key that signs at once, and no other is believed: for a key that leaked. Everybody signs in again, or
    /// refreshes.
    pub async fn replace_keys(&self) -> Result<Rotation> {
        let new = make(self.0.now(), self.0.now());
        let (key, signs_from) = (new.id.clone(), new.signs_from);
        let unit = move |tx: &mut Conn| {
            store::keys::delete_all(tx)?;
            store::keys::insert(tx, &new)
        };
        self.0.db.write(unit).await?;
        Ok(Rotation { key, signs_from, others_until: None })
    }
}

impl Service {
    /// For how long a key stays published after the next has begun to sign: as long as its last token is good, and a
    /// lead more for clocks that differ.
    fn key_kept(&self) -> Duration {
        let seconds = self.settings.access_token_seconds.saturating_add(self.settings.key_lead_seconds);
        Duration::from_secs(seconds)
    }
    pub(super) async fn forget_keys(&self) {
        if let Err(error) = self.forget_outlived_keys().await {
            tracing::warn!(%error, "old signing keys stay until the next turn");
        }
    }
    async fn forget_outlived_keys(&self) -> Result<()> {
        let (now, kept) = (self.now(), self.key_kept());
        let gone = self.db.read(move |conn| store::keys::outlived(conn, now, kept)).await?;
        if gone.is_empty() {
            return Ok(()); // most turns: nobody writes for nothing
        }
        let ids = gone.clone();
        self.db.write(move |tx| store::keys::delete(tx, &ids)).await?;
        tracing::info!(keys = gone.join(", "), "signing keys whose last token has expired are gone");
        Ok(())
    }
}

/// Makes a key where there is none.
pub(super) async fn first(db: &Database, now: Time) -> Result<()> {
    let made = make(now, now);
    let unit = move |tx: &mut Conn| -> Result<(), Error> {
        if store::keys::all(tx)?.is_empty() { store::keys::insert(tx, &made) } else { Ok(()) }
    };
    db.write(unit).await
}
