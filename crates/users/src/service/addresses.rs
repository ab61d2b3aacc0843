//! The address book of a user.
use super::{Error, MAX_ADDRESSES, Service, me};
use crate::{
    domain::account::{AddressId, SavedAddress},
    store,
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Address, Call, Id, Time, Trace};
use users_api::{UserEvent, UserId};

impl Service {
    pub(crate) async fn addresses(&self, call: &Call) -> Result<Vec<SavedAddress>, Error> {
        let user = me(call)?;
        Ok(self.db.read(move |conn| store::addresses::all(conn, user)).await?)
    }

    pub(crate) async fn address(&self, call: &Call, id: AddressId) -> Result<SavedAddress, Error> {
        let user = me(call)?;
        self.db.read(move |conn| store::addresses::one(conn, user, id)).await?.ok_or(Error::NotFound)
    }

    pub(crate) async fn add_address(
        &self,
        call: &Call,
        address: Address,
        once: Once<SavedAddress>,
    ) -> Result<Kept<SavedAddress>, Error> {
        let (user, now, trace) = (me(call)?, self.now(), call.trace);
        let saved = SavedAddress { id: Id::new(), address, version: 1, created_at: now };
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                // Locked: two requests at once do not pass the bound together.
                store::users::locked_hash(tx, user)?.ok_or(Error::NotFound)?;
                if store::addresses::count(tx, user)? >= MAX_ADDRESSES {
                    return Err(Error::TooManyAddresses);
                }
                store::addresses::insert(tx, user, &saved)?;
                tell(tx, user, now, trace)?;
                Ok(saved.clone())
            })
        };
        self.db.write(unit).await
    }

    pub(crate) async fn replace_address(
        &self,
        call: &Call,
        id: AddressId,
        expected: Option<i64>,
        address: Address,
    ) -> Result<SavedAddress, Error> {
        let (user, now, trace) = (me(call)?, self.now(), call.trace);
        let unit = move |tx: &mut Conn| match store::addresses::replace(tx, user, id, expected, &address)? {
            Some(saved) => {
                tell(tx, user, now, trace)?;
                Ok(saved)
            }
            None => Err(store::addresses::one(tx, user, id)?.map_or(Error::NotFound, |_| Error::Stale)),
        };
        self.db.write(unit).await
    }

    pub(crate) async fn delete_address(&self, call: &Call, id: AddressId) -> Result<(), Error> {
        let (user, now, trace) = (me(call)?, self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            if !store::addresses::delete(tx, user, id)? {
                return Err(Error::NotFound);
            }
            tell(tx, user, now, trace)
        };
        self.db.write(unit).await
    }
}

fn tell(tx: &mut Conn, user: UserId, now: Time, trace: Trace) -> Result<(), Error> {
    Ok(database::outbox::publish(tx, &[UserEvent::Updated { user_id: user }], now, trace)?)
}
