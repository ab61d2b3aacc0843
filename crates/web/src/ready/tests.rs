//! What is given is good, and made as seldom as can be.
use super::{
    at_hand::{SEEN, place},
    index::{RECENT, RECENT_THINGS},
    *,
};
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
    for _ in 0..SEEN {
        let _ = hand.found("thing").await;
    }
    for _ in 0..=u8::MAX {
        assert!(hand.found("thing").await.is_none(), "what the cache let go of is not given for long");
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
