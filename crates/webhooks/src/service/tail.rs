//! Where the journal ends, for streams and for whoever sends: read once for all of them.
use super::Service;
use crate::store;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};

pub(super) struct Tail {
    head: watch::Sender<i64>,
    /// Something is being written.
    grown: Arc<Notify>,
}

impl Default for Tail {
    fn default() -> Self {
        Self { head: watch::Sender::new(0), grown: Arc::default() }
    }
}

impl Tail {
    pub(super) fn grown(&self) -> Arc<Notify> {
        Arc::clone(&self.grown)
    }
    /// Of a transaction that is about to commit.
    pub(super) fn will_grow(&self) {
        self.grown.notify_one();
    }
    pub(super) fn watch(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }
}

/// Whoever writes says so before the commit: it is looked for a few times until it is there.
const LOOKS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(5), Duration::from_millis(25), Duration::from_millis(100)];

impl Service {
    /// Looks how far the journal goes, and tells whoever waits for that.
    pub(super) async fn look(self: Arc<Self>) {
        for wait in LOOKS {
            tokio::time::sleep(wait).await;
            match self.db.background().read(store::journal::reach).await {
                Ok(reach) => {
                    let grew = self.tail.head.send_if_modified(|head| {
                        let grew = *head < reach.head;
                        *head = reach.head;
                        grew
                    });
                    if grew {
                        self.due.notify_one();
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the journal cannot be read");
                    return;
                }
            }
        }
    }
}
