//! Ready answers: what everybody is shown alike, kept as the bytes that are sent.
//!
//! Whoever makes an answer says what it shows, by the ids of things. Whoever changes a thing says so before the change is
//! answered ([`database::News`]), and every answer that shows it is let go. So whoever asks after a change was answered
//! sees it, in this process at once; what other processes change is seen when they have said so, and at the latest after
//! [`Settings::stale_seconds`].
//!
//! Of several who ask for the same at once, one asks the database. An answer that was made while something in it changed
//! is given only to who asked for it before, and is not kept; so is a refusal.
mod answer;
mod at_hand;
mod index;

use crate::Reply;
use actix_web::{HttpRequest, HttpResponse};
use database::{Database, News, Touched};
use index::Index;
use metrics::{Counter, counter};
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

pub(crate) use answer::{Answer, Route};
pub(crate) use at_hand::AtHand;
pub use at_hand::Shelves;

/// How much is kept ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// MiB of answers; with 0 nothing is kept.
    pub mib: u64,
    /// For how long, at most, what another process changed may be shown as it was.
    pub stale_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { mib: 32, stale_seconds: 30 }
    }
}

impl Settings {
    /// What is wrong with it, a sentence each; `name` is where it stands.
    pub fn problems(&self, name: &str) -> Vec<String> {
        let bounded = |what: &str, is: u64, range: std::ops::RangeInclusive<u64>| {
            let wrong = format!("{name}.{what}: {is} is not from {} to {}", range.start(), range.end());
            (!range.contains(&is)).then_some(wrong)
        };
        let all = [bounded("mib", self.mib, 0..=65_536), bounded("stale_seconds", self.stale_seconds, 1..=60)];
        all.into_iter().flatten().collect()
    }
}

/// An answer just made, and the things that it shows.
pub struct Fresh {
    pub reply: Reply,
    pub shows: Vec<Uuid>,
}

/// The ready answers of a domain.
pub struct Ready {
    answers: Cache<String, Arc<Answer>>,
    index: Mutex<Index>,
    /// How old an answer may be, from before it was read.
    bound: Duration,
    /// Other processes may change what is shown here, and are not heard.
    deaf: AtomicBool,
    keeps: bool,
    counted: Counted,
}

/// `cleave_ready_answers_total`.
struct Counted {
    ready: Counter,
    made: Counter,
    passed: Counter,
}

impl Default for Counted {
    fn default() -> Self {
        let counted = |how: &'static str| counter!("cleave_ready_answers_total", "how" => how);
        Self { ready: counted("ready"), made: counted("made"), passed: counted("passed") }
    }
}

/// What a request asks for, as it came.
fn key(request: &HttpRequest) -> Option<&str> {
    Some(request.uri().path_and_query()?.as_str()).filter(|key| key.len() <= LONGEST_KEY)
}

/// Longer keys are not kept: nobody asks for the same twice.
const LONGEST_KEY: usize = 512;

impl Ready {
    /// For what `db` holds.
    pub fn of(db: &Database, settings: Settings) -> Arc<Self> {
        let ready = Arc::new(Self::new(settings, db.is_shared()));
        let keeper = Arc::clone(&ready);
        db.keep(move |news| keeper.hear(&news));
        ready
    }

    fn new(settings: Settings, is_shared: bool) -> Self {
        // Beside a server on SQLite, too, its commands may write, and nobody tells it.
        let bound = Duration::from_secs(settings.stale_seconds);
        let answers = Cache::builder().max_capacity(settings.mib << 20).time_to_live(bound);
        let answers = answers.weigher(|key: &String, answer: &Arc<Answer>| answer.weight(key)).build();
        let index = Mutex::default();
        let (deaf, counted) = (AtomicBool::new(is_shared), Counted::default());
        Self { answers, index, bound, deaf, keeps: settings.mib > 0, counted }
    }

    fn hear(&self, news: &News<'_>) {
        match news {
            News::Touched(touched) => self.touched(touched),
            News::Deaf => {
                self.deaf.store(true, SeqCst);
                self.touched(&Touched::everything());
            }
            News::Hears => {
                self.touched(&Touched::everything());
                self.deaf.store(false, SeqCst);
            }
        }
    }
    fn touched(&self, touched: &Touched) {
        if !self.keeps {
            return;
        }
        self.index.lock().expect("never poisoned").touched(touched);
    }
    fn now(&self) -> u64 {
        self.index.lock().expect("never poisoned").now
    }

    /// The answer to `request`, ready or from `make`, which may be called several times. What is not shown to everybody
    /// alike is made for this caller, and for nobody else.
    pub async fn answer<E: Clone + Send + Sync + 'static, F: Future<Output = Result<Fresh, E>>>(
        &self,
        request: &HttpRequest,
        alike: bool,
        make: impl Fn() -> F,
    ) -> Result<HttpResponse, E> {
        match key(request).filter(|_| alike && self.keeps && !self.deaf.load(SeqCst)) {
            Some(key) => {
                let (answer, was_ready) = self.find(key, &Route::of(request), make).await?;
                // compressed for the second who asks: there is no end of targets that are asked for once
                Ok(if was_ready { answer.respond(request) } else { answer.respond_plain(request) })
            }
            None => {
                if alike {
                    self.counted.passed.increment(1);
                }
                let begun = Instant::now();
                Ok(Answer::of(make().await?, begun, &Arc::default()).0.respond_plain(request))
            }
        }
    }

    /// What is there for `key`, and good.
    async fn ready(&self, key: &str) -> Option<Arc<Answer>> {
        let answer = self.answers.get(key).await?;
        if self.is_good(&answer) {
            return Some(answer);
        }
        self.answers.remove(key).await;
        None
    }
    fn is_good(&self, answer: &Answer) -> bool {
        !answer.is_stale() && answer.begun.elapsed() < self.bound && !self.deaf.load(SeqCst)
    }

    /// The answer, and whether it was ready.
    async fn find<E: Clone + Send + Sync + 'static, F: Future<Output = Result<Fresh, E>>>(
        &self,
        key: &str,
        route: &Arc<Route>,
        make: impl Fn() -> F,
    ) -> Result<(Arc<Answer>, bool), E> {
        let (asked, since) = (self.now(), Instant::now());
        // Twice: who joins a read that began before a change that it knows of must not be given what was read.
        for _ in 0..2 {
            if let Some(answer) = self.ready(key).await {
                self.counted.ready.increment(1);
                return Ok((answer, true));
            }
            let made = async {
                let begun = self.now();
                self.made(route, &make).await.map_err(|error| (begun, error))
            };
            match self.answers.try_get_with_by_ref(key, made).await {
                Ok(answer) if self.is_good(&answer) || (!answer.is_stale() && answer.begun >= since) => {
                    self.counted.made.increment(1);
                    return Ok((answer, false));
                }
                // Nothing changed from this question to the beginning of that read.
                Err(error) if error.0 >= asked => return Err(error.1.clone()),
                Ok(_) | Err(_) => (),
            }
        }
        self.counted.passed.increment(1);
        Ok((self.made(route, &make).await?, false))
    }

    async fn made<E, F: Future<Output = Result<Fresh, E>>>(
        &self,
        route: &Arc<Route>,
        make: impl Fn() -> F,
    ) -> Result<Arc<Answer>, E> {
        let (begun, since) = (self.now(), Instant::now());
        let (answer, shows) = Answer::of(make().await?, since, route);
        self.index.lock().expect("never poisoned").shows(begun, &answer, &shows);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
