//! Where every domain is in one process: an event is handed over when each group that hears it has kept it.
//!
//! Nothing is held here: until a group has kept an event, it waits in the outbox.
use crate::{Batch, Broker, BrokerError, Envelope, Group, Subscription};
use kernel::async_trait;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

const NAME: &str = "in-process";

struct Parcel {
    events: Vec<Envelope>,
    kept: oneshot::Sender<()>,
}

struct Mailbox {
    group: Group,
    send: mpsc::Sender<Parcel>,
    receive: Arc<Mutex<mpsc::Receiver<Parcel>>>,
}

pub struct InProcess {
    boxes: BTreeMap<&'static str, Mailbox>,
}

impl InProcess {
    /// Every group there is: an event that one of them hears waits until it does.
    pub fn new(groups: impl IntoIterator<Item = Group>) -> Self {
        let mailbox = |group: Group| {
            let (send, receive) = mpsc::channel(1);
            (group.name, Mailbox { group, send, receive: Arc::new(Mutex::new(receive)) })
        };
        Self { boxes: groups.into_iter().map(mailbox).collect() }
    }
}

fn failed(why: String) -> BrokerError {
    BrokerError { broker: NAME, why }
}

#[async_trait]
impl Broker for InProcess {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn publish(&self, events: &[Envelope]) -> Result<(), BrokerError> {
        let mut waits = Vec::new();
        for Mailbox { group, send, .. } in self.boxes.values() {
            let events: Vec<Envelope> = events.iter().filter(|event| group.hears(event)).cloned().collect();
            if !events.is_empty() {
                let (kept, wait) = oneshot::channel();
                let closed = || failed(format!("{} does not listen any more", group.name));
                send.send(Parcel { events, kept }).await.map_err(|_| closed())?;
                waits.push((group.name, wait));
            }
        }
        for (name, wait) in waits {
            wait.await.map_err(|_| failed(format!("{name} could not keep what it was told")))?;
        }
        Ok(())
    }

    async fn subscribe(&self, group: &Group) -> Result<Box<dyn Subscription>, BrokerError> {
        let found =
            self.boxes.get(group.name).ok_or_else(|| failed(format!("nobody said that {} listens", group.name)))?;
        let receive = Arc::clone(&found.receive).try_lock_owned();
        let receive = receive.map_err(|_| failed(format!("{} listens already", group.name)))?;
        Ok(Box::new(Hears { receive, kept: Vec::new() }))
    }

    fn is_exclusive(&self) -> bool {
        false
    }

    async fn ping(&self) -> Result<(), BrokerError> {
        Ok(())
    }
}

struct Hears {
    receive: OwnedMutexGuard<mpsc::Receiver<Parcel>>,
    /// Who waits for what was given.
    kept: Vec<oneshot::Sender<()>>,
}

#[async_trait]
impl Subscription for Hears {
    /// A parcel is given whole: it is as long as its sender made it.
    async fn next(&mut self, _: usize, wait: Duration) -> Result<Batch, BrokerError> {
        match tokio::time::timeout(wait, self.receive.recv()).await {
            Ok(Some(Parcel { events, kept })) => {
                self.kept.push(kept);
                Ok(Batch { events, ..Batch::default() })
            }
            Ok(None) => Err(failed("nobody tells any more".into())),
            Err(_) => Ok(Batch::default()),
        }
    }

    async fn acknowledge(&mut self) -> Result<(), BrokerError> {
        for kept in self.kept.drain(..) {
            let _ = kept.send(()); // who waited may be gone
        }
        Ok(())
    }
}
