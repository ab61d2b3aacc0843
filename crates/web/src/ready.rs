//! Ready answers: what everybody is shown alike, kept as the bytes that are sent.
//!
//! Whoever makes an answer says what it shows, by the ids of things. Whoever changes a thing says so before the change is
//! answered ([`database::News`]), and every answer that shows it is let go. So whoever asks after a change was answered
//! sees it, in this process at once; what other processes change is seen when they have said so, and at the latest after
//! [`Settings::stale_seconds`].
//!
//! Of several who ask for the same at once, one asks the database. An answer that was made while something in it changed
//! is given only to who asked for it before, and is not kept; so is a refusal.
use crate::{
    Reply,
    answer::listed,
    edge,
    encoding::{Encoding, Forms},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{self, HeaderName, HeaderValue},
    },
};
use database::{Database, News, Touched};
use metrics::{Counter, Histogram, counter};
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hasher},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
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
/// Every so many times the cache is asked all the same: it keeps what it sees asked for.
const SEEN: u8 = 16;

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

    async fn found(&self, key: &str) -> Option<Arc<Answer>> {
        let place = place(key);
        if let Some((shelf, answer)) = self.near(place, key) {
            shelf.counted.ready.increment(1);
            return Some(answer);
        }
        for (at, shelf) in self.shelves.iter().enumerate() {
            if let Some(answer) = shelf.ready(key).await {
                shelf.counted.ready.increment(1);
                let near = &mut self.near.borrow_mut()[place];
                // Targets that share a place take turns in it: no new memory for each.
                let mut kept = near.take().map(|near| near.key).unwrap_or_default();
                kept.clear();
                kept.push_str(key);
                *near = Some(Near { key: kept, shelf: at, answer: Arc::downgrade(&answer), times: 0 });
                return Some(answer);
            }
        }
        None
    }

    fn near(&self, place: usize, key: &str) -> Option<(&Ready, Arc<Answer>)> {
        let mut places = self.near.borrow_mut();
        let near = places[place].as_mut().filter(|near| near.key == key)?;
        near.times += 1;
        let (answer, shelf) = (near.answer.upgrade()?, &self.shelves[near.shelf]);
        (near.times < SEEN && shelf.is_good(&answer)).then_some((shelf, answer))
    }
}

fn place(key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    hasher.write(key.as_bytes());
    hasher.finish() as usize % NEAR
}

/// What a request asks for, as it came.
fn key(request: &HttpRequest) -> Option<&str> {
    Some(request.uri().path_and_query()?.as_str()).filter(|key| key.len() <= LONGEST_KEY)
}

/// Longer keys are not kept: nobody asks for the same twice.
const LONGEST_KEY: usize = 512;
/// What an answer costs beside its bytes and its key.
const OVERHEAD: usize = 256;
/// Changes that are remembered, for answers that are being made, and the things in them.
const RECENT: usize = 4096;
const RECENT_THINGS: usize = 65_536;

pub(crate) struct Answer {
    forms: Forms,
    shows: usize,
    /// Before it was read.
    begun: Instant,
    stale: AtomicBool,
    pub(crate) route: Arc<Route>,
}

/// Where an answer is given, and how long it takes: whole, and not modified.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) pattern: String,
    seconds: Option<[Histogram; 2]>,
}

impl Route {
    fn of(request: &HttpRequest) -> Arc<Self> {
        let pattern = request.match_pattern().unwrap_or_default();
        let seconds = ["200", "304"].map(|status| edge::seconds("GET", pattern.clone(), status.to_owned()));
        Arc::new(Self { pattern, seconds: Some(seconds) })
    }
    pub(crate) fn took(&self, status: u16, time: Duration) {
        if let Some([whole, not_modified]) = &self.seconds {
            if status == 304 { not_modified } else { whole }.record(time);
        }
    }
}

impl Answer {
    fn of(Fresh { reply, shows }: Fresh, begun: Instant, route: &Arc<Route>) -> (Arc<Self>, Vec<Uuid>) {
        let tag = reply.tag().unwrap_or_default().to_owned();
        let forms = Forms::of(reply.into_body(), &tag);
        let (stale, route) = (AtomicBool::new(false), Arc::clone(route));
        (Arc::new(Self { forms, shows: shows.len(), begun, stale, route }), shows)
    }
    fn is_stale(&self) -> bool {
        self.stale.load(SeqCst)
    }
    fn go(&self) {
        self.stale.store(true, SeqCst);
    }
    fn weight(&self, key: &str) -> u32 {
        let bytes = self.forms.weight() + key.len() + self.shows * size_of::<(Uuid, Weak<Self>)>() + OVERHEAD;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
    /// The form that the client understands, or that it has one already.
    pub(crate) fn respond(&self, request: &HttpRequest) -> HttpResponse {
        self.respond_as(Encoding::wanted(request.headers()), request)
    }
    /// As it is: for whoever is the first to ask, who may be the last.
    fn respond_plain(&self, request: &HttpRequest) -> HttpResponse {
        self.respond_as(Encoding::Identity, request)
    }
    fn respond_as(&self, wanted: Encoding, request: &HttpRequest) -> HttpResponse {
        let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(tag) = self.held(wanted, request) {
            return HttpResponse::NotModified().insert_header((header::ETAG, tag)).insert_header(vary).finish();
        }
        let form = self.forms.form(wanted);
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        response.insert_header((header::ETAG, form.tag.clone())).insert_header(vary);
        if form.encoding != Encoding::Identity {
            response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(form.encoding.name())));
        }
        response.body(form.body.clone())
    }
    /// The tag of the form that the client says it has. Not of one that it does not accept: a cache that asks for a
    /// client would give it that form.
    fn held(&self, wanted: Encoding, request: &HttpRequest) -> Option<HeaderValue> {
        let headers = request.headers();
        let mut tags = listed(headers, "if-none-match").map(|tag| tag.trim_start_matches("W/"));
        tags.find_map(|tag| match tag {
            "*" => Some(self.forms.form(wanted).tag.clone()),
            tag => self.forms.tagged(tag).filter(|(form, _)| form.is_accepted(headers)).map(|(_, tag)| tag),
        })
    }
}

/// Which answers show a thing, and what changed of late.
#[derive(Default)]
struct Index {
    /// How many changes there were.
    now: u64,
    recent: VecDeque<(u64, Touched)>,
    /// Things in `recent`.
    remembered: usize,
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
        self.remembered += touched.things().count();
        self.recent.push_back((self.now, touched.clone()));
        while self.recent.len() > RECENT || self.remembered > RECENT_THINGS {
            let Some((_, forgotten)) = self.recent.pop_front() else { break };
            self.remembered -= forgotten.things().count();
        }
    }

    /// Keeps track of an answer that was begun at `begun`; one that shows what changed since is let go.
    fn shows(&mut self, begun: u64, answer: &Arc<Answer>, things: &[Uuid]) {
        let remembers_from = self.recent.front().map_or(self.now + 1, |(first, _)| *first);
        let forgotten = remembers_from > begun + 1;
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
        // Beside a server on SQLite, too, its commands may write, and nobody tells it.
        let bound = Duration::from_secs(settings.stale_seconds);
        let answers = Cache::builder().max_capacity(settings.mib << 20).time_to_live(bound);
        let answers = answers.weigher(|key: &String, answer: &Arc<Answer>| answer.weight(key)).build();
        let index = Mutex::new(Index { look_at: 1024, ..Index::default() });
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
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    const KEPT: Settings = Settings { mib: 1, stale_seconds: 60 };

    impl Ready {
        async fn kept<F: Future<Output = Result<Fresh, ()>>>(
            &self,
            key: &str,
            make: impl Fn() -> F,
        ) -> Result<Arc<Answer>, ()> {
            let route = Arc::default();
            match self.deaf.load(SeqCst) {
                true => self.made(&route, make).await,
                false => Ok(self.find(key, &route, make).await?.0),
            }
        }
    }

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
            let answer = ready.kept("thing", || self.show()).await.unwrap();
            serde_json::from_slice(&answer.forms.plain().body).unwrap()
        }
        fn reads(&self) -> u64 {
            self.read.load(SeqCst)
        }
    }

    #[tokio::test]
    async fn what_is_at_hand_is_good_or_not_given() {
        let (ready, thing) = (Arc::new(Ready::new(KEPT, false)), Thing::new());
        let hand = Shelves(vec![Arc::new(Ready::new(KEPT, false)), Arc::clone(&ready)]).at_hand();
        assert!(hand.found("thing").await.is_none());
        for change in 0..3 {
            thing.is.store(change, SeqCst);
            thing.seen(&ready).await;
            for _ in 0..3 * SEEN {
                let found = hand.found("thing").await.expect("it is ready");
                assert_eq!(*found.forms.plain().body, *change.to_string().as_bytes());
                let elsewhere = (0..).map(|n| format!("other {n}")).find(|key| place(key) == place("thing")).unwrap();
                assert!(hand.found(&elsewhere).await.is_none(), "one place, two targets");
            }
            touched(&ready, thing.id);
            assert!(hand.found("thing").await.is_none());
        }
        thing.seen(&ready).await;
        assert!(hand.found("thing").await.is_some());
        ready.hear(&News::Deaf);
        assert!(hand.found("thing").await.is_none());
        ready.hear(&News::Hears);
        thing.seen(&ready).await;
        assert!(hand.found("thing").await.is_some());
        ready.answers.invalidate_all();
        ready.answers.run_pending_tasks().await;
        assert!(hand.found("thing").await.is_none(), "what the cache let go of is not kept by others");
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
            assert!(ready.kept("x", async || Err::<Fresh, _>(())).await.is_err());
        }
        let thing = Thing::new();
        assert!(ready.kept("x", || thing.show()).await.is_ok());
    }

    /// Whoever asks after it was published is not told that it is not there, by whoever looked before.
    #[tokio::test]
    async fn nobody_is_refused_by_what_was_before_a_change_that_they_know_of() {
        let (ready, thing) = (Ready::new(KEPT, false), Thing::new());
        let (looked, goes_on) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
        let published = AtomicBool::new(false);
        let make = || async {
            if published.load(SeqCst) {
                return thing.show().await;
            }
            looked.notify_one();
            goes_on.notified().await;
            Err(())
        };
        let early = ready.kept("thing", make);
        let late = async {
            looked.notified().await;
            published.store(true, SeqCst);
            touched(&ready, thing.id);
            let asks = ready.kept("thing", make);
            let lets_it_end = async {
                tokio::task::yield_now().await;
                goes_on.notify_one();
            };
            tokio::join!(asks, lets_it_end).0
        };
        let (early, late) = tokio::join!(early, late);
        assert!(early.is_err() && late.is_ok());
    }

    /// However long the read takes: age counts from before it.
    #[tokio::test]
    async fn an_answer_is_as_old_as_its_read() {
        let ready = Ready::new(KEPT, false);
        let (answer, _) = ready.find("old", &Arc::default(), async || Thing::new().show().await).await.unwrap();
        assert!(ready.is_good(&answer));
        let begun = Instant::now().checked_sub(ready.bound).unwrap();
        let fresh = Thing::new().show().await.unwrap();
        assert!(!ready.is_good(&Answer::of(fresh, begun, &Arc::default()).0));
    }

    #[tokio::test]
    async fn what_changed_is_remembered_within_bounds() {
        let ready = Ready::new(KEPT, false);
        let begun = ready.now();
        for _ in 0..2 * RECENT_THINGS / 200 {
            ready.touched(&Touched::of((0..200).map(|_| Uuid::new_v4())));
        }
        {
            let index = ready.index.lock().unwrap();
            assert!(index.remembered <= RECENT_THINGS && index.recent.len() <= RECENT);
        }
        // what began before all that is remembered cannot be known to be good
        let (answer, shows) = Answer::of(Thing::new().show().await.unwrap(), Instant::now(), &Arc::default());
        ready.index.lock().unwrap().shows(begun, &answer, &shows);
        assert!(answer.is_stale());
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
            ready.made(&Arc::default(), fresh).await.unwrap();
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
