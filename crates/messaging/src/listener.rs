//! What a domain hears, and what it does about it.
use crate::{Envelope, Heard};
use database::Conn;
use kernel::{BadEvent, Event};
use std::{fmt, sync::Arc};

type Handle = dyn Fn(&mut Conn, &[Envelope]) -> Result<(), NotHandled> + Send + Sync;

/// A domain as it hears others. What it does stands in the transaction that marks the event as handled, in the
/// domain's own database: so it talks to nothing else, may run again, and its effect is there once.
#[derive(Clone, Default)]
pub struct Listener {
    heard: Vec<(Heard, Arc<Handle>)>,
}

impl Listener {
    /// Hears these kinds of `E`. Each must be one of [`Event::KINDS`], and is handled in one place.
    #[must_use]
    pub fn on<E: Event>(
        mut self,
        kinds: &[&str],
        handle: impl Fn(&mut Conn, E, &Envelope) -> Result<(), NotHandled> + Send + Sync + 'static,
    ) -> Self {
        let handle: Arc<Handle> = Arc::new(move |conn, envelopes| {
            let each = |envelope: &Envelope| handle(conn, E::read(&envelope.kind, &envelope.data)?, envelope);
            envelopes.iter().try_for_each(each)
        });
        for name in kinds {
            let kind = E::KINDS.iter().find(|kind| kind.name == *name).expect("a kind of these events");
            self.heard.push((Heard { domain: kind.domain, kind: kind.name }, Arc::clone(&handle)));
        }
        self
    }

    /// Hears whatever there is, as it is: what came together, in the order in which it came, all of it or nothing.
    #[must_use]
    pub fn on_all(
        mut self,
        kinds: impl IntoIterator<Item = Heard>,
        handle: impl Fn(&mut Conn, &[Envelope]) -> Result<(), NotHandled> + Send + Sync + 'static,
    ) -> Self {
        let handle: Arc<Handle> = Arc::new(handle);
        self.heard.extend(kinds.into_iter().map(|kind| (kind, Arc::clone(&handle))));
        self
    }

    pub fn kinds(&self) -> Vec<Heard> {
        self.heard.iter().map(|(kind, _)| *kind).collect()
    }

    /// In their order; neighbours that are handled in one place are given to it together.
    pub(crate) fn handle(&self, conn: &mut Conn, envelopes: &[Envelope]) -> Result<(), NotHandled> {
        let handles = envelopes.iter().map(|envelope| self.place(envelope)).collect::<Result<Vec<_>, _>>()?;
        let mut rest = envelopes;
        for together in handles.chunk_by(|one, next| Arc::ptr_eq(one, next)) {
            let (some, later) = rest.split_at(together.len());
            together[0](conn, some)?;
            rest = later;
        }
        Ok(())
    }

    fn place(&self, envelope: &Envelope) -> Result<&Arc<Handle>, NotHandled> {
        let (domain, name) = (envelope.domain(), envelope.kind.as_str());
        let found = self.heard.iter().find(|(heard, _)| heard.domain == domain && heard.kind == name);
        let nobody = || NotHandled::Refused(format!("nobody here handles {name} of {domain}"));
        found.map(|(_, handle)| handle).ok_or_else(nobody)
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.kinds()).finish()
    }
}

/// Why an event could not be handled this time. It is tried again, and told to operators in the end.
#[derive(Debug, thiserror::Error)]
pub enum NotHandled {
    #[error(transparent)]
    Unreadable(#[from] BadEvent),
    #[error(transparent)]
    Database(#[from] database::Error),
    #[error("{0}")]
    Refused(String),
}
