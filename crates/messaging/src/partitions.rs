//! Which aggregates of a domain this process tells of: a fair share, leased.
use database::{Conn, Database, leases, outbox::PARTITIONS};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use uuid::Uuid;

const PREFIX: &str = "relay.";
/// A process that tells: so that others know how many share.
const MEMBER: &str = "relay.member.";

pub(crate) struct Partitions {
    owner: Uuid,
    lease: Duration,
    held: Mutex<Option<(Instant, Vec<i64>)>>,
}

impl Partitions {
    pub(crate) fn new(lease: Duration) -> Self {
        Self { owner: Uuid::now_v7(), lease, held: Mutex::new(None) }
    }

    /// What is ours, renewed when a third of its time has passed.
    pub(crate) async fn held(&self, db: &Database) -> database::Result<Vec<i64>> {
        if !db.is_shared() {
            return Ok((0..PARTITIONS).collect());
        }
        let fresh = self.lock().clone().filter(|(since, _)| since.elapsed() < self.lease / 3);
        if let Some((_, held)) = fresh {
            return Ok(held);
        }
        let (owner, lease, since) = (self.owner, self.lease, Instant::now());
        let held = db.write(move |tx| share(tx, owner, lease)).await?;
        *self.lock() = Some((since, held.clone()));
        Ok(held)
    }

    /// The same as it was known last, without asking.
    pub(crate) fn known(&self) -> Vec<i64> {
        self.lock().clone().map(|(_, held)| held).unwrap_or_default()
    }

    pub(crate) async fn release(&self, db: &Database) {
        let (owner, held) = (self.owner, self.lock().take());
        if held.is_some()
            && let Err(error) = db.write(move |tx| leases::release(tx, owner)).await
        {
            tracing::debug!(%error, "leases end by themselves");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Vec<i64>)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(partition: i64) -> String {
    format!("{PREFIX}{partition:02}")
}

/// Renews what is ours, lets go of what is beyond a fair share, and takes what is free up to it.
fn share(tx: &mut Conn, owner: Uuid, lease: Duration) -> database::Result<Vec<i64>> {
    leases::renew(tx, owner, lease)?;
    leases::take(tx, &format!("{MEMBER}{owner}"), owner, lease)?;
    let all = leases::owners(tx, PREFIX)?;
    let members = all.iter().filter(|(name, _)| name.starts_with(MEMBER)).count().max(1);
    let most = (PARTITIONS as usize).div_ceil(members);
    let owned: BTreeMap<String, Uuid> = all.into_iter().filter(|(name, _)| !name.starts_with(MEMBER)).collect();
    // In the order of their names, so that two processes do not wait for each other.
    let mut held = Vec::new();
    for partition in 0..PARTITIONS {
        let (name, room) = (name(partition), held.len() < most);
        match owned.get(&name) {
            Some(other) if *other != owner => (),
            Some(_) if room => held.push(partition),
            Some(_) => leases::release_one(tx, &name, owner)?,
            None if room && leases::take(tx, &name, owner, lease)? => held.push(partition),
            None => (),
        }
    }
    Ok(held)
}
