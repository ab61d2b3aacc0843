//! The broker goes away for a while: the shop goes on selling, the outbox grows, and drains when the broker is back.
use crate::stage::{Stand, measured, shop, until_all_is_told};
use std::time::Duration;
use testkit::{until, until_within};

#[tokio::test]
async fn the_shop_sells_while_its_broker_is_away() {
    let mut stand = Stand::start();
    let shop = shop(stand.broker(), &[]);
    let variant = shop.goods(500, 100).await.variant;
    until_all_is_told(&shop).await;
    let told = measured(&shop, "cleave_outbox_told_total").await;
    assert!(told > 0.0, "making goods is told");

    stand.goes();
    for _ in 0..5 {
        let order = shop.guest_cart(&[(&variant, 1)]).await.bought().await;
        assert_eq!(order.text("/status"), "placed");
    }
    if stand.is_elsewhere() {
        // An order is told by orders, and its hold by products.
        until("the outbox has grown", async || (measured(&shop, "cleave_outbox_events").await >= 10.0).then_some(()))
            .await;
        until("its age shows", async || (measured(&shop, "cleave_outbox_oldest_seconds").await > 1.0).then_some(()))
            .await;
        assert_eq!(measured(&shop, "cleave_outbox_told_total").await, told, "nobody was told");
        until_within("a broker that does not answer is told of", Duration::from_secs(60), async || {
            (measured(&shop, "cleave_outbox_failures_total").await > 0.0).then_some(())
        })
        .await;
    }
    stand.comes_back();
    until_all_is_told(&shop).await;
    assert!(measured(&shop, "cleave_outbox_told_total").await >= told + 10.0);
    until("nothing waits any more", async || {
        let waits =
            measured(&shop, "cleave_outbox_events").await + measured(&shop, "cleave_outbox_oldest_seconds").await;
        (waits == 0.0).then_some(())
    })
    .await;
}
