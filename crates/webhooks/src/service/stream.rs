//! The journal as a stream: from a position on, for as long as somebody reads it.
use super::{Error, Service};
use crate::store::{self, journal::Reach};
use kernel::token::Verified;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};

/// Events that are read at once. No more of them are in memory for a stream, however slowly it is read.
const BATCH: i64 = 64;

/// What a stream has to say next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Event(store::journal::Recorded),
    /// The stream goes on after this position, and it may have missed some.
    Reset(i64),
    /// Nothing happened for a while.
    Nothing,
}

/// A stream of one reader.
pub(crate) struct Stream {
    service: Arc<Service>,
    /// Whose stream it is: it ends with the token.
    reader: Option<Verified>,
    kinds: Option<Vec<String>>,
    /// The last position that was read.
    after: i64,
    read: VecDeque<store::journal::Recorded>,
    head: watch::Receiver<i64>,
    _place: OwnedSemaphorePermit,
}

impl Service {
    /// `after` is the position of the last event that the reader has; without it the stream begins now. Refused while as
    /// many are read as may be.
    pub(crate) async fn stream(
        self: Arc<Self>,
        reader: Option<Verified>,
        kinds: Option<Vec<String>>,
        after: Option<i64>,
    ) -> Result<Stream, Error> {
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| Error::TooManyStreams)?;
        let after = match after {
            Some(after) => after,
            None => self.db.read(store::journal::reach).await?.head,
        };
        let head = self.tail.watch();
        Ok(Stream { service: self, reader, kinds, after, read: VecDeque::new(), head, _place: place })
    }
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.settings.heartbeat_seconds)
    }
}

impl Stream {
    /// What comes next; `None` when the stream is over: its reader's token is, or the journal cannot be read.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        let silent_until = Instant::now() + self.service.heartbeat();
        loop {
            if self.reader.as_ref().is_some_and(|reader| !reader.live(self.service.now())) {
                return None;
            }
            if let Some(event) = self.read.pop_front() {
                return Some(Told::Event(event));
            }
            // Before it is read, so that what comes meanwhile is seen.
            self.head.mark_unchanged();
            match self.read_on().await {
                Ok(Some(reset)) => return Some(reset),
                Ok(None) if self.read.is_empty() => (),
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(%error, "a stream of events ends, because the journal cannot be read");
                    return None;
                }
            }
            tokio::select! {
                _ = self.head.changed() => (),
                () = tokio::time::sleep_until(silent_until) => return Some(Told::Nothing),
            }
        }
    }

    async fn read_on(&mut self) -> database::Result<Option<Told>> {
        let reach = self.service.db.read(store::journal::reach).await?;
        let after = match self.place(reach) {
            Ok(after) => after,
            Err(reset) => return Ok(Some(reset)),
        };
        if after == reach.head {
            return Ok(None);
        }
        let kinds = self.kinds.clone();
        let rows =
            self.service.db.read(move |conn| store::journal::between(conn, after, reach.head, kinds.as_deref(), BATCH));
        let rows = rows.await?;
        // What was purged meanwhile is not among them.
        if let Err(reset) = self.place(self.service.db.read(store::journal::reach).await?) {
            return Ok(Some(reset));
        }
        let whole = (rows.len() as i64) < BATCH;
        self.after = rows.last().filter(|_| !whole).map_or(reach.head, |row| row.position);
        self.read.extend(rows);
        Ok(None)
    }

    /// The position to go on after. What was purged is gone, and what lies ahead of the journal is of another one.
    fn place(&mut self, reach: Reach) -> Result<i64, Told> {
        if (reach.purged..=reach.head).contains(&self.after) {
            return Ok(self.after);
        }
        self.after = if self.after > reach.head { reach.head } else { reach.purged };
        Err(Told::Reset(self.after))
    }
}
