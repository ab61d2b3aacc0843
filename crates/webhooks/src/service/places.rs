//! How many tries run at once: so many an endpoint, and no more of them than endpoints can have together. So whoever is
//! slow takes its own places, and never another's.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use webhooks_api::WebhookEndpointId;

pub(super) struct Places {
    each: usize,
    taken: Mutex<HashMap<WebhookEndpointId, usize>>,
}

/// One try's place, until it is dropped.
pub(super) struct Place {
    endpoint: WebhookEndpointId,
    of: Arc<Places>,
}

impl Places {
    pub(super) fn new(each: usize) -> Arc<Self> {
        Arc::new(Self { each, taken: Mutex::default() })
    }
    fn taken(&self) -> MutexGuard<'_, HashMap<WebhookEndpointId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// How many more tries at an endpoint may begin.
    pub(super) fn free(&self, endpoint: WebhookEndpointId) -> usize {
        self.each - self.taken().get(&endpoint).copied().unwrap_or(0).min(self.each)
    }
    pub(super) fn take(self: &Arc<Self>, endpoint: WebhookEndpointId) -> Place {
        *self.taken().entry(endpoint).or_default() += 1;
        Place { endpoint, of: Arc::clone(self) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        match taken.get_mut(&self.endpoint) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.endpoint)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_its_own() {
        let (places, one, other) = (Places::new(2), WebhookEndpointId::new(), WebhookEndpointId::new());
        let held = [places.take(one), places.take(one)];
        assert_eq!((places.free(one), places.free(other)), (0, 2));
        drop(held);
        assert_eq!(places.free(one), 2);
        assert!(places.taken().is_empty(), "nothing is remembered of whoever tries nothing");
    }
}
