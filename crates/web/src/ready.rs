//! Ready answers: what everybody is shown alike, kept as the bytes that are sent.
//!
//! Whoever makes an answer says what it shows, by the ids of things. Whoever changes a thing says so before the change is
//! answered ([`database::News`]), and every answer that shows it is let go. So whoever asks after a change was answered
//! sees it, in this process at once; what other processes change is seen when they have said so, and at the latest after
//! [`Settings::stale_seconds`].
//!
//! Of several who ask for the same at once, one asks the database. An answer that was made while something in it changed
//! is given only to who asked for it before, and is not kept.
use crate::{Reply, answer::Versioned};
use actix_web::{HttpRequest, HttpResponse, http::header};
use bytes::Bytes;
use database::{Database, News, Touched};
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use uuid::Uuid;

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
        Self { mib: 32, stale_seconds: 2 }
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
    /// Other processes may change what is shown here, and are not heard.
    deaf: AtomicBool,
    keeps: bool,
}

/// Longer keys are not kept: nobody asks for the same twice.
const LONGEST_KEY: usize = 512;
/// What an answer costs beside its bytes and its key.
const OVERHEAD: usize = 256;
/// Changes that are remembered, for answers that are being made.
const RECENT: usize = 4096;

#[derive(Debug)]
struct Answer {
    body: Bytes,
    tag: String,
    shows: usize,
    stale: AtomicBool,
}

impl Answer {
    fn of(Fresh { reply, shows }: Fresh) -> (Arc<Self>, Vec<Uuid>) {
        let tag = reply.tag().unwrap_or_default().to_owned();
        let answer = Self { body: reply.into_body(), tag, shows: shows.len(), stale: AtomicBool::new(false) };
        (Arc::new(answer), shows)
    }
    fn is_stale(&self) -> bool {
        self.stale.load(SeqCst)
    }
    fn go(&self) {
        self.stale.store(true, SeqCst);
    }
    fn weight(&self, key: &str) -> u32 {
        let bytes = self.body.len() + key.len() + self.shows * size_of::<(Uuid, Weak<Self>)>() + OVERHEAD;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
    fn respond(&self, request: &HttpRequest) -> HttpResponse {
        if Versioned::is_held(request, &self.tag) {
            return HttpResponse::NotModified().insert_header((header::ETAG, self.tag.as_str())).finish();
        }
        let mut response = HttpResponse::Ok();
        response.content_type("application/json").insert_header((header::ETAG, self.tag.as_str()));
        response.body(self.body.clone())
    }
}

/// Which answers show a thing, and what changed of late.
#[derive(Default)]
struct Index {
    /// How many changes there were.
    now: u64,
    recent: VecDeque<(u64, Touched)>,
    showing: HashMap<Uuid, Vec<Weak<Answer>>>,
    /// Entries in `showing`, dead ones among them; and how many are enough to look through it.
    entries: usize,
    look_at: usize,
}

impl Index {
    fn touched(&mut self, touched: &Touched) {
        self.now += 1;
        if touched.is_everything() {
            self.showing.drain().flat_map(|(_, answers)| answers).for_each(|answer| let_go(&answer));
            self.entries = 0;
        }
        for thing in touched.things() {
            let answers = self.showing.remove(&thing).unwrap_or_default();
            self.entries -= answers.len();
            answers.iter().for_each(let_go);
        }
        self.recent.push_back((self.now, touched.clone()));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// Keeps track of an answer that was begun at `begun`; one that shows what changed since is let go.
    fn shows(&mut self, begun: u64, answer: &Arc<Answer>, things: &[Uuid]) {
        let forgotten = self.recent.front().is_some_and(|(first, _)| *first > begun + 1);
        let since = self.recent.iter().rev().take_while(|(at, _)| *at > begun);
        let changed =
            |touched: &Touched| touched.is_everything() || touched.things().any(|thing| things.contains(&thing));
        if forgotten || since.map(|(_, touched)| touched).any(changed) {
            return answer.go();
        }
        for thing in things {
            self.showing.entry(*thing).or_default().push(Arc::downgrade(answer));
        }
        self.entries += things.len();
        if self.entries > self.look_at {
            self.sweep();
        }
    }

    /// Forgets answers that are gone; the next time when there are twice as many.
    fn sweep(&mut self) {
        self.showing.retain(|_, answers| {
            answers.retain(|answer| answer.strong_count() > 0);
            !answers.is_empty()
        });
        self.entries = self.showing.values().map(Vec::len).sum();
        self.look_at = (self.entries * 2).max(1024);
    }
}

fn let_go(answer: &Weak<Answer>) {
    if let Some(answer) = answer.upgrade() {
        answer.go();
    }
}

impl Ready {
    /// For what `db` holds.
    pub fn of(db: &Database, settings: Settings) -> Arc<Self> {
        let ready = Arc::new(Self::new(settings, db.is_shared()));
        let keeper = Arc::clone(&ready);
        db.keep(move |news| keeper.hear(&news));
        ready
    }

    fn new(settings: Settings, is_shared: bool) -> Self {
        let mut answers = Cache::builder().max_capacity(settings.mib << 20);
        answers = answers.weigher(|key: &String, answer: &Arc<Answer>| answer.weight(key));
        if is_shared {
            answers = answers.time_to_live(Duration::from_secs(settings.stale_seconds));
        }
        let index = Mutex::new(Index { look_at: 1024, ..Index::default() });
        Self { answers: answers.build(), index, deaf: AtomicBool::new(is_shared), keeps: settings.mib > 0 }
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
        self.index.lock().expect("never poisoned").touched(touched);
    }
    fn now(&self) -> u64 {
        self.index.lock().expect("never poisoned").now
    }

    /// The answer to what `key` asks, ready or from `make`, which may be called several times. Without a key it is made
    /// for this caller, and for nobody else.
    pub async fn answer<E: Clone + Send + Sync + 'static, F: Future<Output = Result<Fresh, E>>>(
        &self,
        request: &HttpRequest,
        key: Option<String>,
        make: impl Fn() -> F,
    ) -> Result<HttpResponse, E> {
        let answer = match key {
            Some(key) => self.find(key, make).await?,
            None => Answer::of(make().await?).0,
        };
        Ok(answer.respond(request))
    }

    async fn find<E: Clone + Send + Sync + 'static, F: Future<Output = Result<Fresh, E>>>(
        &self,
        key: String,
        make: impl Fn() -> F,
    ) -> Result<Arc<Answer>, E> {
        if !self.keeps || key.len() > LONGEST_KEY || self.deaf.load(SeqCst) {
            count("passed");
            return self.made(&make).await;
        }
        // Twice: who joins a read that began before a change that it knows of must not be given what was read.
        for _ in 0..2 {
            if let Some(answer) = self.answers.get(&key).await {
                if !answer.is_stale() {
                    count("ready");
                    return Ok(answer);
                }
                self.answers.remove(&key).await;
            }
            let answer = self.answers.try_get_with_by_ref(&key, self.made(&make)).await;
            let answer = answer.map_err(|error| E::clone(&error))?;
            if !answer.is_stale() {
                count("made");
                return Ok(answer);
            }
        }
        count("passed");
        self.made(&make).await
    }

    async fn made<E, F: Future<Output = Result<Fresh, E>>>(&self, make: impl Fn() -> F) -> Result<Arc<Answer>, E> {
        let begun = self.now();
        let (answer, shows) = Answer::of(make().await?);
        self.index.lock().expect("never poisoned").shows(begun, &answer, &shows);
        Ok(answer)
    }
}

fn count(how: &'static str) {
    metrics::counter!("cleave_ready_answers_total", "how" => how).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    const KEPT: Settings = Settings { mib: 1, stale_seconds: 60 };

    fn touched(ready: &Ready, thing: Uuid) {
        ready.touched(&Touched::of([thing]));
    }

    /// Something that is shown, and how often it was looked at.
    struct Thing {
        id: Uuid,
        is: AtomicU64,
        read: AtomicU64,
    }
    impl Thing {
        fn new() -> Self {
            Self { id: Uuid::now_v7(), is: AtomicU64::new(0), read: AtomicU64::new(0) }
        }
        async fn show(&self) -> Result<Fresh, ()> {
            self.read.fetch_add(1, SeqCst);
            let is = self.is.load(SeqCst);
            tokio::task::yield_now().await;
            Ok(Fresh { reply: Reply::json(200, &is).hashed(), shows: vec![self.id] })
        }
        async fn seen(&self, ready: &Ready) -> u64 {
            let answer = ready.find("thing".to_owned(), || self.show()).await.unwrap();
            serde_json::from_slice(&answer.body).unwrap()
        }
        fn reads(&self) -> u64 {
            self.read.load(SeqCst)
        }
    }

    #[tokio::test]
    async fn an_answer_is_made_once_until_what_it_shows_changes() {
        let (ready, thing) = (Ready::new(KEPT, false), Thing::new());
        for _ in 0..3 {
            assert_eq!(thing.seen(&ready).await, 0);
        }
        touched(&ready, Uuid::now_v7());
        assert_eq!((thing.seen(&ready).await, thing.reads()), (0, 1));
        thing.is.store(7, SeqCst);
        touched(&ready, thing.id);
        assert_eq!((thing.seen(&ready).await, thing.reads()), (7, 2));
        ready.touched(&Touched::everything());
        assert_eq!((thing.seen(&ready).await, thing.reads()), (7, 3));
    }

    #[tokio::test]
    async fn who_asks_at_once_is_answered_by_one_read() {
        let (ready, thing) = (Ready::new(KEPT, false), Thing::new());
        let all = futures_util::future::join_all((0..50).map(|_| thing.seen(&ready))).await;
        assert_eq!((all, thing.reads()), (vec![0; 50], 1));
    }

    #[tokio::test]
    async fn what_failed_is_not_kept() {
        let ready = Ready::new(KEPT, false);
        for _ in 0..2 {
            let failed = ready.find("x".to_owned(), async || Err::<Fresh, _>("no")).await;
            assert_eq!(failed.unwrap_err(), "no");
        }
        let thing = Thing::new();
        assert!(ready.find("x".to_owned(), || thing.show()).await.is_ok());
    }

    /// Whoever asks after a change sees it, whatever others ask at the same time.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_sees_what_was_before_a_change_that_they_know_of() {
        let (ready, thing) = (Arc::new(Ready::new(KEPT, false)), Arc::new(Thing::new()));
        let answered = Arc::new(AtomicU64::new(0));
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (ready, thing, answered) = (Arc::clone(&ready), Arc::clone(&thing), Arc::clone(&answered));
            readers.spawn(async move {
                for _ in 0..2_000 {
                    let known = answered.load(SeqCst);
                    let seen = thing.seen(&ready).await;
                    assert!(seen >= known, "{seen} is older than {known}");
                    tokio::task::yield_now().await;
                }
            });
        }
        for is in 1..=2_000 {
            thing.is.store(is, SeqCst); // committed
            touched(&ready, thing.id);
            answered.store(is, SeqCst);
            tokio::task::yield_now().await;
        }
        while let Some(ended) = readers.join_next().await {
            ended.unwrap();
        }
        assert_eq!(thing.seen(&ready).await, 2_000);
    }

    #[tokio::test]
    async fn nothing_is_kept_while_others_are_not_heard() {
        let (ready, thing) = (Ready::new(KEPT, true), Thing::new());
        for reads in 1..=2 {
            assert_eq!((thing.seen(&ready).await, thing.reads()), (0, reads));
        }
        ready.hear(&News::Hears);
        for _ in 0..2 {
            assert_eq!((thing.seen(&ready).await, thing.reads()), (0, 3));
        }
        ready.hear(&News::Deaf);
        assert_eq!((thing.seen(&ready).await, thing.reads()), (0, 4));
        ready.hear(&News::Hears);
        assert_eq!((thing.seen(&ready).await, thing.reads()), (0, 5));
    }

    #[tokio::test]
    async fn the_index_does_not_grow_with_answers_that_are_gone() {
        let ready = Ready::new(Settings { mib: 0, ..KEPT }, false);
        for n in 0..100_000_u64 {
            let shows = vec![Uuid::from_u128(n.into()), Uuid::max()];
            let fresh = async || Ok::<_, ()>(Fresh { reply: Reply::json(200, &n).hashed(), shows: shows.clone() });
            ready.made(fresh).await.unwrap();
        }
        assert!(ready.index.lock().unwrap().entries <= 1024 + 2);
    }

    #[test]
    fn settings_are_bounded() {
        assert_eq!(Settings::default().problems("ready"), [""; 0]);
        let wrong = Settings { mib: 1 << 20, stale_seconds: 0 }.problems("products.ready");
        assert_eq!(wrong[1], "products.ready.stale_seconds: 0 is not from 1 to 60");
        assert_eq!(wrong.len(), 2);
    }
}
