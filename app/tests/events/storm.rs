//! Many events while whoever tells and whoever hears is killed at random: each is handled, once, in the order of its
//! subject. `CLEAVE_EVENTS_COUNT`, `_KILLS` and `_SEED` say how many and when; `cargo xtask events` sets them.
use crate::stage::{Stand, shop, until_all_is_told};
use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use testkit::{Backend, Shop, Topology, until_within};

/// Variants whose stock is counted again and again, each by a clerk of its own.
const CLERKS: usize = 32;
/// A clerk who gets no answer waits so long before asking again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How long one count may take, all tries together: a killed process comes back meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);
const KIND: &str = "stock.changed";

fn wanted(name: &str, usual: usize) -> usize {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_handled_once_and_in_order_whoever_is_killed() {
    let (count, kills) = (wanted("CLEAVE_EVENTS_COUNT", 10_000), wanted("CLEAVE_EVENTS_KILLS", 3));
    let mut chance = Chance(wanted("CLEAVE_EVENTS_SEED", 1) as u64);
    let stand = Stand::start();
    let mut shop = shop(stand.broker(), &[("CLEAVE__USERS__ACCESS_TOKEN_SECONDS", "86400")]);
    let variants = shop.variants(CLERKS, 500, 0).await;
    until_all_is_told(&shop).await;

    let (done, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let token = shop.admin().await.token().expect("signed in").to_owned();
    let clerks = variants.iter().map(|variant| {
        let (url, token, done) = (format!("{}/v1/variants/{variant}/stock", shop.url), token.clone(), done.clone());
        tokio::spawn(counts(url, token, count / CLERKS, done))
    });
    let clerks: Vec<_> = clerks.collect();
    let mut moments: Vec<usize> = (0..kills).map(|_| chance.below(count)).collect();
    moments.sort_unstable();
    for moment in moments {
        let so_many = "so many were counted";
        until_within(so_many, PATIENCE * 10, async || (done.load(SeqCst) >= moment).then_some(())).await;
        let victims: &[&str] =
            if shop.topology == Topology::Single { &["products"] } else { &["products", "webhooks"] };
        let victim = victims[chance.below(victims.len())];
        println!("{victim} is killed after {} counts", done.load(SeqCst));
        shop.kill_module(victim);
        shop.resume_module(victim);
    }
    join_all(clerks).await.into_iter().for_each(|clerk| clerk.expect("every clerk has counted to the end"));
    let counted = began.elapsed();
    until_all_is_heard(&shop).await;
    let told = began.elapsed();

    let complete = Complete::look(&shop);
    complete.holds(&variants, count);
    let events = complete.told.len();
    let mut lags: Vec<i64> = complete.lags();
    lags.sort_unstable();
    let at = |share: usize| lags[(lags.len() - 1) * share / 100] as f64 / 1000.0;
    println!(
        "{events} events, {kills} kills: counted in {:.1} s, all handled after {:.1} s, {:.0} a second; \
         from the change to the journal {:.0} ms (half), {:.0} ms (99 %), {:.0} ms (longest)",
        counted.as_secs_f64(),
        told.as_secs_f64(),
        events as f64 / told.as_secs_f64(),
        at(50),
        at(99),
        at(100)
    );
}

/// Also what a broker still holds has come. Whether it is the right one, and in order, is looked at afterwards.
async fn until_all_is_heard(shop: &Shop) {
    until_all_is_told(shop).await;
    let of = |table: &str| format!("SELECT count(*) AS number FROM {table} WHERE kind = '{KIND}'");
    until_within("all is heard", PATIENCE, async || {
        let (told, heard) = (shop.number("products", &of("outbox")), shop.number("webhooks", &of("journal")));
        (heard >= told).then_some(())
    })
    .await;
}

/// Counts a variant to 1, 2, 3, ..; each is said until it is heard, whatever became of the tries before.
async fn counts(url: String, token: String, times: usize, done: Arc<AtomicUsize>) {
    let client = Client::new();
    for number in 1..=times {
        let asked = Instant::now();
        loop {
            let body = json!({ "on_hand": number });
            let sent = client.put(&url).bearer_auth(&token).json(&body).timeout(Duration::from_secs(20)).send().await;
            match sent {
                Ok(answer) if answer.status() == StatusCode::OK => break,
                // What a shop says while it is down, and the gateway before it.
                Ok(answer) => assert!(answer.status().is_server_error(), "{}", answer.status()),
                Err(_) => (),
            }
            assert!(asked.elapsed() < PATIENCE, "no answer for {PATIENCE:?}");
            tokio::time::sleep(ASK_AGAIN).await; // asked again until the deadline
        }
        done.fetch_add(1, SeqCst);
    }
}

/// What products told, and what webhooks has heard, in their orders: ids of events.
struct Complete {
    told: Vec<Told>,
    /// Ids, with the time in microseconds.
    heard: Vec<(String, i64)>,
}
struct Told {
    id: String,
    subject: String,
    on_hand: usize,
    at: i64,
}

impl Complete {
    fn look(shop: &Shop) -> Self {
        let (id, subject, on_hand, at, event, recorded) = match shop.backend {
            Backend::Sqlite => (
                "lower(hex(id))",
                "lower(hex(subject))",
                "json_extract(payload, '$.on_hand')",
                "occurred_at",
                "lower(hex(event_id))",
                "recorded_at",
            ),
            Backend::Postgres => (
                "replace(id::text, '-', '')",
                "replace(subject::text, '-', '')",
                "(payload ->> 'on_hand')",
                "(extract(epoch FROM occurred_at) * 1000000)::bigint",
                "replace(event_id::text, '-', '')",
                "(extract(epoch FROM recorded_at) * 1000000)::bigint",
            ),
        };
        let told = shop.texts(
            "products",
            &format!(
                "SELECT {id} || ' ' || {subject} || ' ' || {on_hand} || ' ' || {at} AS name FROM outbox \
                 WHERE kind = '{KIND}' ORDER BY position"
            ),
        );
        let heard = shop.texts(
            "webhooks",
            &format!(
                "SELECT {event} || ' ' || {recorded} AS name FROM journal WHERE kind = '{KIND}' ORDER BY position"
            ),
        );
        let told = told.iter().map(|line| {
            let [id, subject, on_hand, at] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (on_hand, at) = (on_hand.parse().unwrap(), at.parse().unwrap());
            Told { id: id.to_owned(), subject: subject.to_owned(), on_hand, at }
        });
        let heard = heard.iter().map(|line| {
            let (id, at) = line.split_once(' ').unwrap();
            (id.to_owned(), at.parse().unwrap())
        });
        Self { told: told.collect(), heard: heard.collect() }
    }

    fn holds(&self, variants: &[String], count: usize) {
        // Every count that was answered is told: 1, 2, 3, .. for each variant.
        let each = count / variants.len();
        let mut subjects = BTreeMap::<&str, Vec<&Told>>::new();
        self.told.iter().for_each(|told| subjects.entry(&told.subject).or_default().push(told));
        let counted: Vec<_> =
            subjects.values().filter(|told| told.last().is_some_and(|last| last.on_hand > 0)).collect();
        assert_eq!(counted.len(), variants.len());
        for told in counted {
            let numbers: BTreeSet<usize> = told.iter().map(|told| told.on_hand).filter(|n| *n > 0).collect();
            assert_eq!(numbers, (1..=each).collect(), "no answered count is without its event");
        }
        // Each is heard, once, and those of one subject in their order.
        let ids: BTreeSet<&str> = self.told.iter().map(|told| told.id.as_str()).collect();
        let heard: BTreeSet<&str> = self.heard.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(heard.len(), self.heard.len(), "none has its effect twice");
        let lost: Vec<_> = ids.difference(&heard).take(5).collect();
        assert!(lost.is_empty(), "every event is handled: {} of {}, not {lost:?}", heard.len(), ids.len());
        assert!(heard.is_subset(&ids), "nothing is handled that was not told");
        let places: BTreeMap<&str, usize> =
            self.heard.iter().enumerate().map(|(n, (id, _))| (id.as_str(), n)).collect();
        for told in subjects.values() {
            let order: Vec<usize> = told.iter().map(|told| places[told.id.as_str()]).collect();
            assert!(order.is_sorted(), "{}: in the order of its subject", told[0].subject);
        }
    }

    /// Microseconds from each change to where it was handled.
    fn lags(&self) -> Vec<i64> {
        let at: BTreeMap<&str, i64> = self.told.iter().map(|told| (told.id.as_str(), told.at)).collect();
        self.heard.iter().map(|(id, heard)| heard - at[id.as_str()]).collect()
    }
}

/// Numbers by chance, the same for the same seed: SplitMix64.
struct Chance(u64);
impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }
}
