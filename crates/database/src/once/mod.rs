//! A request with an `Idempotency-Key` has its effect once, and the same answer every time.
//!
//! The record is written in the transaction of the effect, so neither is ever kept without the other. A twin that comes
//! at the same time waits for the first one's commit, then gets its answer. A request of several transactions takes a
//! lease first; when its process dies, a later try takes the record over, and the owner's id fences the late one out.
//!
//! Whoever reads the table learns nothing: the key is a hash, the request an HMAC, the answer encrypted under a key that
//! only the `Idempotency-Key` gives (`seal.rs`). Its statements do not count as the request's own.
mod seal;

use crate::{
    conn::Conn,
    error::{Error, Result},
    executor::Database,
    meter::uncounted,
    now::Now,
    schema::idempotency,
};
use diesel::prelude::*;
use seal::Seal;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// How long a record counts; an older one is as good as none.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How one request is remembered. Clones are the same request.
pub struct Once<T>(Option<Arc<Keyed<T>>>);

struct Keyed<T> {
    seal: Seal,
    /// This attempt: what it claimed is its own, also when its unit runs again.
    owner: Uuid,
    render: Box<Render<T>>,
}
type Render<T> = dyn Fn(&T) -> Vec<u8> + Send + Sync;

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// An answer of this run, or the bytes of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept<T> {
    /// The unit ran.
    Fresh(T),
    /// It ran before; what `render` made then.
    Replayed(Vec<u8>),
}

/// Why a keyed request is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    Reused,
    /// The first try still runs, or died less than its lease ago.
    #[error("a request with this idempotency key is in progress")]
    InProgress,
}

impl<T> Once<T> {
    /// A request without a key: nothing is remembered.
    pub fn unkeyed() -> Self {
        Self(None)
    }

    /// `scope` is who calls what: the same key in another scope is another key. `request` is the body in one form,
    /// however it was written; `render` makes the bytes that a replay answers with.
    pub fn keyed(
        key: &str,
        scope: &str,
        request: &[u8],
        render: impl Fn(&T) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let seal = Seal::new(key, scope, request);
        Self(Some(Arc::new(Keyed { seal, owner: Uuid::now_v7(), render: Box::new(render) })))
    }

    /// The key as it lies in the database: the same for every try of the same request.
    pub fn record(&self) -> Option<Vec<u8>> {
        self.0.as_ref().map(|keyed| keyed.seal.record().to_vec())
    }

    /// For a request of one transaction: claims, runs `unit`, keeps its answer, all in `tx`. An `Err` of `unit` keeps
    /// nothing, so the key stays free.
    pub fn run<E: From<Error> + From<Refused>>(
        &self,
        tx: &mut Conn,
        unit: impl FnOnce(&mut Conn) -> Result<T, E>,
    ) -> Result<Kept<T>, E> {
        // nobody sees this claim before its answer, so its lease is over at once
        if let Some(answer) = self.begin::<E>(tx, Duration::ZERO)? {
            return Ok(Kept::Replayed(answer));
        }
        let answer = unit(tx)?;
        self.finish(tx, &answer)?;
        Ok(Kept::Fresh(answer))
    }

    /// For a request of several transactions, in one of its own before the first: claims the key for `lease`. `Some` is
    /// the answer of an earlier try.
    pub fn begin<E: From<Error> + From<Refused>>(&self, tx: &mut Conn, lease: Duration) -> Result<Option<Vec<u8>>, E> {
        let Some(keyed) = &self.0 else { return Ok(None) };
        match uncounted(|| keyed.claim(tx, lease))? {
            Claim::Ours => Ok(None),
            Claim::Answered(bytes) => Ok(Some(bytes)),
            Claim::Refused(why) => Err(why.into()),
        }
    }

    /// Keeps the answer, in the transaction of the last effect. [`Error::Unavailable`] when another try has taken the
    /// record over: this transaction must fail then, and does so when the error is passed on.
    pub fn finish(&self, tx: &mut Conn, answer: &T) -> Result<()> {
        let Some(keyed) = &self.0 else { return Ok(()) };
        let (nonce, answer) = keyed.seal.close((keyed.render)(answer));
        let kept = uncounted(|| {
            diesel::update(idempotency::table.find(keyed.seal.record()))
                .filter(idempotency::owner.eq(keyed.owner).and(idempotency::answer.is_null()))
                .set((idempotency::nonce.eq(Some(nonce)), idempotency::answer.eq(Some(answer))))
                .execute(tx)
        })?;
        match kept {
            1 => Ok(()),
            _ => Err(Error::Unavailable("another try of this request has taken over".into())),
        }
    }

    /// Frees the key, when nothing of the request was kept.
    pub fn give_up(&self, tx: &mut Conn) -> Result<()> {
        let Some(keyed) = &self.0 else { return Ok(()) };
        uncounted(|| {
            diesel::delete(idempotency::table.find(keyed.seal.record()))
                .filter(idempotency::owner.eq(keyed.owner).and(idempotency::answer.is_null()))
                .execute(tx)
        })?;
        Ok(())
    }
}

enum Claim {
    Ours,
    Answered(Vec<u8>),
    Refused(Refused),
}

impl<T> Keyed<T> {
    fn claim(&self, tx: &mut Conn, lease: Duration) -> Result<Claim> {
        use idempotency::*;
        let (record_, request_) = (self.seal.record(), self.seal.request());
        let until = Now.plus(lease);
        // PostgreSQL waits here for a twin's commit or rollback
        let new = diesel::insert_into(table)
            .values((
                record.eq(record_),
                request.eq(request_),
                owner.eq(self.owner),
                leased_until.eq(until),
                created_at.eq(Now),
            ))
            .on_conflict_do_nothing()
            .execute(tx)?;
        if new == 1 {
            return Ok(Claim::Ours);
        }
        let expired = created_at.lt(Now.minus(KEPT));
        let abandoned = request.eq(request_).and(answer.is_null()).and(leased_until.le(Now).or(owner.eq(self.owner)));
        let taken = diesel::update(table.find(record_))
            .filter(expired.or(abandoned))
            .set((
                request.eq(request_),
                owner.eq(self.owner),
                leased_until.eq(until),
                nonce.eq(None::<Vec<u8>>),
                answer.eq(None::<Vec<u8>>),
                created_at.eq(Now),
            ))
            .execute(tx)?;
        if taken == 1 {
            return Ok(Claim::Ours);
        }
        type Found = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);
        let found: Option<Found> = table.find(record_).select((request, nonce, answer)).first(tx).optional()?;
        Ok(match found {
            Some((other, ..)) if other != request_ => Claim::Refused(Refused::Reused),
            Some((_, Some(nonce_), Some(sealed))) => Claim::Answered(self.seal.open(&nonce_, sealed)?),
            // without an answer; or given up or purged this very moment, and the next try finds it free
            Some(_) | None => Claim::Refused(Refused::InProgress),
        })
    }
}

/// Deletes records that no longer count, some at a time: the writer is never held up for long. How many those were.
pub async fn purge(db: &Database) -> Result<usize> {
    const SOME: i64 = 1000;
    let some = |tx: &mut Conn| {
        uncounted(|| {
            let old = idempotency::table.filter(idempotency::created_at.lt(Now.minus(KEPT)));
            let old: Vec<Vec<u8>> = old.select(idempotency::record).limit(SOME).load(tx)?;
            Ok::<_, Error>(diesel::delete(idempotency::table.filter(idempotency::record.eq_any(old))).execute(tx)?)
        })
    };
    let mut gone = 0;
    loop {
        let purged = db.write(some).await?;
        gone += purged;
        if purged < SOME as usize {
            return Ok(gone);
        }
    }
}
