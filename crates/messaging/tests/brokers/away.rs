//! A server that goes away and comes back, whichever broker it is.
use crate::place::{PATIENCE, Place, events, firsts, group, hear, hear_on, same_order};
use messaging::{Broker, BrokerError, Group, Subscription};
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a test does to a server.
pub(crate) trait Server {
    fn goes(&mut self);
    fn comes_back(&mut self);
}

/// The server is away when the shop starts.
pub(crate) async fn comes_and_goes(place: Place, mut server: impl Server) {
    let sent = events(&["order_a", "order_b"], 20);
    let broker = place.open().await;
    fails(broker.ping()).await;
    fails(broker.publish(&sent[..10])).await;
    fails(broker.subscribe(&group("stock", None))).await;
    server.comes_back();
    in_time("publish", || broker.publish(&sent[..10])).await;
    broker.ping().await.unwrap();
    let mut subscription = subscribed(&broker, group("stock", None)).await;
    let mut came = hear(&mut *subscription, 10, true).await;
    server.goes();
    fails(broker.publish(&sent[10..])).await;
    fails(broker.ping()).await;
    let lost = in_vain(&mut *subscription).await;
    assert!(lost.why.len() > 10, "{lost}");
    // Saying goodbye to whoever is away holds nobody up.
    let began = Instant::now();
    drop(subscription);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    server.comes_back();
    in_time("publish", || broker.publish(&sent[10..])).await;
    let mut subscription = subscribed(&broker, group("stock", came.position)).await;
    hear_on(&mut *subscription, &mut came, sent.len(), true).await;
    same_order(firsts(&came.events), &sent);
}

/// Soon enough, and it says why.
pub(crate) async fn fails<T>(doing: impl Future<Output = Result<T, BrokerError>>) -> BrokerError {
    let done = tokio::time::timeout(Duration::from_secs(15), doing).await.expect("an error in bounded time");
    let error = done.err().expect("nobody is there");
    assert!(!error.why.is_empty());
    error
}

/// As a relay and a consumer do: again and again.
pub(crate) async fn in_time<T, F: Future<Output = Result<T, BrokerError>>>(
    what: &str,
    mut doing: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        match doing().await {
            Ok(done) => return done,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{what}: {error}"),
        }
    }
}

pub(crate) async fn subscribed(broker: &Arc<dyn Broker>, group: Group) -> Box<dyn Subscription> {
    in_time("subscribe", || broker.subscribe(&group)).await
}

/// Until it notices that nobody is there.
async fn in_vain(subscription: &mut dyn Subscription) -> BrokerError {
    let began = Instant::now();
    loop {
        match subscription.next(10, Duration::from_millis(500)).await {
            Ok(batch) => assert!(batch.events.is_empty() && began.elapsed() < PATIENCE),
            Err(error) => return error,
        }
    }
}
