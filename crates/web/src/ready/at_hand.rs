//! What is ready, before anybody asks whose route it is.
use super::{Answer, Ready, key};
use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{self, HeaderName},
    },
};
use std::{
    cell::RefCell,
    hash::{DefaultHasher, Hasher},
    sync::{Arc, Weak},
};

/// All that a process keeps ready: what stands there is sent before anybody asks whose route it is.
#[derive(Clone, Default)]
pub struct Shelves(pub Vec<Arc<Ready>>);

impl Shelves {
    /// The same for one worker, who alone uses it.
    pub fn at_hand(&self) -> AtHand {
        AtHand { shelves: self.0.clone(), near: RefCell::new((0..NEAR).map(|_| None).collect()) }
    }
}

/// All that is ready, and where a worker found what it sent last: a look-up in a cache that all share, and that counts who
/// is asked for, costs more than the rest of finding.
pub struct AtHand {
    shelves: Vec<Arc<Ready>>,
    near: RefCell<Vec<Option<Near>>>,
}

/// How many answers a worker has at hand, a place each by the hash of its target; some hundred bytes a place.
const NEAR: usize = 4096;
/// Longer keys are looked for in the cache: they are seldom asked for by many.
const LONGEST_KEY: usize = 128;
/// Every so many times the cache is asked all the same: it keeps what it sees asked for.
pub(super) const SEEN: u8 = 16;

struct Near {
    key: String,
    shelf: usize,
    /// Not kept from going: memory is the cache's to bound.
    answer: Weak<Answer>,
    times: u8,
}

impl AtHand {
    /// The answer that is ready for a request, where there is one. Whoever shows who they are, or a cart's token, is
    /// answered by the route, which looks at that first.
    pub(crate) async fn find(request: &HttpRequest) -> Option<Arc<Answer>> {
        const CART: HeaderName = HeaderName::from_static("x-cart-token");
        let all: &Self = request.app_data()?;
        let headers = request.headers();
        if *request.method() != Method::GET
            || [header::AUTHORIZATION, CART].iter().any(|name| headers.contains_key(name))
        {
            return None;
        }
        all.found(key(request)?).await
    }

    pub(super) async fn found(&self, key: &str) -> Option<Arc<Answer>> {
        let place = place(key);
        if let Some((shelf, answer)) = self.near(place, key) {
            shelf.counted.ready.increment(1);
            return Some(answer);
        }
        for (at, shelf) in self.shelves.iter().enumerate() {
            if let Some(answer) = shelf.ready(key).await {
                shelf.counted.ready.increment(1);
                if key.len() <= LONGEST_KEY {
                    self.remember(place, key, at, &answer);
                }
                return Some(answer);
            }
        }
        None
    }

    fn remember(&self, place: usize, key: &str, shelf: usize, answer: &Arc<Answer>) {
        let near = &mut self.near.borrow_mut()[place];
        // Targets that share a place take turns in it: no new memory for each.
        let mut kept = near.take().map(|near| near.key).unwrap_or_default();
        kept.clear();
        kept.push_str(key);
        *near = Some(Near { key: kept, shelf, answer: Arc::downgrade(answer), times: 0 });
    }

    fn near(&self, place: usize, key: &str) -> Option<(&Ready, Arc<Answer>)> {
        let mut places = self.near.borrow_mut();
        let near = places[place].as_mut().filter(|near| near.key == key)?;
        near.times = near.times.saturating_add(1);
        let shelf = &self.shelves[near.shelf];
        let Some(answer) = near.answer.upgrade() else {
            places[place] = None; // or an answer's memory would not be free until somebody takes the place
            return None;
        };
        (near.times < SEEN && shelf.is_good(&answer)).then_some((shelf, answer))
    }
}

pub(super) fn place(key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    hasher.write(key.as_bytes());
    hasher.finish() as usize % NEAR
}
