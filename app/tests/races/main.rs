//! Many at once: released together by a barrier, and whatever the order, the shop's sums are right.
mod carts;
mod checkouts;
mod idempotency;
#[cfg(test)]
mod model;
mod orders;
mod payments;
mod ready;
mod stock;
mod twins;
mod zz_books;

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use testkit::{Answer, Options, Request, Shop};
use tokio::{sync::Barrier, task::JoinSet};

/// The shop of this run.
fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| Shop::start(env!("CARGO_BIN_EXE_cleave"), Options::default()))
}

/// Sends all of them at the same moment. What they were answered, in their order; whoever is told to come later does.
async fn at_once<M: Fn() -> Request + Send + 'static>(requests: impl IntoIterator<Item = M>) -> Vec<Answer> {
    let requests: Vec<_> = requests.into_iter().collect();
    let barrier = Arc::new(Barrier::new(requests.len()));
    let mut tasks = JoinSet::new();
    for (n, make) in requests.into_iter().enumerate() {
        let barrier = Arc::clone(&barrier);
        tasks.spawn(async move {
            let first = make();
            barrier.wait().await;
            (n, patiently(first, make).await)
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(n, _)| *n);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Comes again after a 503, when it says so, for a minute at most. No other 5xx is an answer.
async fn patiently(first: Request, again: impl Fn() -> Request) -> Answer {
    let began = Instant::now();
    let mut answer = first.send().await;
    while answer.status == 503 && began.elapsed() < Duration::from_secs(60) {
        let later = answer.header("retry-after").expect("503 says when to come again").parse().expect("seconds");
        tokio::time::sleep(Duration::from_secs(later)).await;
        answer = again().send().await;
    }
    assert!(answer.status < 500, "{}: {}", answer.what, answer.json());
    answer
}

/// Those with this status.
fn with(answers: &[Answer], status: u16) -> Vec<&Answer> {
    answers.iter().filter(|answer| answer.status == status).collect()
}
