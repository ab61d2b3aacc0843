//! What changed stock is in the ledger, and adds up.
use super::*;
use crate::{domain::stock::Movement, store::stock::After};
use products_api::{MAX_LINES, StockLine};

impl Shop {
    /// A product's only tracked variant, with so much of it.
    async fn stocked(&self, stock: i64) -> VariantId {
        self.create(lamp("Lamp", 2000, stock)).await.variants[0].id
    }
    async fn movements(&self, variant: VariantId) -> Vec<Movement> {
        let page = self.service().movements(variant, None, 100, true).await.unwrap();
        assert_eq!(page.count, Some(page.items.len() as u64));
        let level = self.service().level(variant).await.unwrap();
        let sums = page.items.iter().fold((0, 0), |sums, m| (sums.0 + m.on_hand, sums.1 + m.reserved));
        assert_eq!(sums, (level.on_hand, level.reserved), "the ledger adds up: {:?}", page.items);
        page.items
    }
}

fn brief(movements: &[Movement]) -> Vec<(&str, i64, i64)> {
    movements.iter().map(|m| (m.kind.as_str(), m.on_hand, m.reserved)).collect()
}

#[tokio::test]
async fn every_change_of_stock_is_in_the_ledger() {
    for shop in Shop::new().await {
        let (stock, service) = (shop.products.stock(), shop.service());
        let lamp = shop.stocked(5).await;
        assert_eq!(brief(&shop.movements(lamp).await), [("created", 5, 0)]);
        assert!(service.movements(Id::new(), None, 9, false).await.is_err_and(|e| matches!(e, Error::NotFound)));

        for on_hand in [9, 9, 7] {
            shop.clock.pass(Duration::from_secs(1));
            service.count_stock(&call(), lamp, on_hand).await.unwrap();
        }
        let why = Some("broken".to_owned());
        service.adjust_stock(&call(), lamp, -2, why.clone(), Once::unkeyed()).await.unwrap();
        assert!(service.adjust_stock(&call(), lamp, -6, None, Once::unkeyed()).await.is_err());
        let found = shop.movements(lamp).await;
        assert_eq!(brief(&found), [("adjusted", -2, 0), ("counted", -2, 0), ("counted", 4, 0), ("created", 5, 0)]);
        assert_eq!((&found[0].reason, found[0].at), (&why, shop.clock.now()));

        let [sent, freed, late] = [0; 3].map(|_| reserve(&[(lamp, 1, 2000), (lamp, 1, 2000)], 600));
        stock.reserve(&call(), sent.clone()).await.unwrap();
        stock.reserve(&call(), freed.clone()).await.unwrap();
        stock.confirm(&call(), sent.reservation).await.unwrap();
        stock.ship(&call(), sent.reservation).await.unwrap();
        stock.release(&call(), freed.reservation).await.unwrap();
        stock.reserve(&call(), late.clone()).await.unwrap();
        shop.clock.pass(Duration::from_secs(600));
        service.sweep().await;
        let found = shop.movements(lamp).await;
        let expected = [
            ("expired", 0, -2, late.reservation),
            ("reserved", 0, 2, late.reservation),
            ("released", 0, -2, freed.reservation),
            ("shipped", -2, -2, sent.reservation),
            ("reserved", 0, 2, freed.reservation),
            ("reserved", 0, 2, sent.reservation),
        ];
        let whose: Vec<_> =
            found[..6].iter().map(|m| (m.kind.as_str(), m.on_hand, m.reserved, m.reservation.unwrap())).collect();
        assert_eq!(whose, expected);

        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = service.movements(lamp, after, 3, false).await.unwrap();
            all.extend(page.items);
            let Some(next) = page.next else { break };
            assert!(After::read(Id::new(), next.as_str()).is_err(), "a cursor is of its variant");
            after = Some(After::read(lamp, next.as_str()).unwrap());
        }
        assert_eq!(all, found);

        shop.import(
            "Handle,Title,Variant Price,Variant Inventory Tracker,Variant Inventory Qty\nx,X,1,shopify,4\n",
            false,
        )
        .await
        .unwrap();
        let x = shop.service().following(None).await.unwrap().pop().unwrap().variants[0].id;
        assert_eq!(brief(&shop.movements(x).await), [("imported", 4, 0)]);
        shop.sound().await;
    }
}

#[tokio::test]
async fn a_count_that_finds_what_is_known_tells_nobody() {
    for shop in Shop::new().await {
        let lamp = shop.stocked(5).await;
        let told = shop.number("SELECT COUNT(*) FROM outbox").await;
        shop.service().count_stock(&call(), lamp, 5).await.unwrap();
        assert_eq!(shop.number("SELECT COUNT(*) FROM outbox").await, told);
        shop.service().count_stock(&call(), lamp, 6).await.unwrap();
        assert_eq!(shop.number("SELECT COUNT(*) FROM outbox").await, told + 1);
    }
}

#[tokio::test]
async fn low_stock_is_told_each_time_it_falls_there() {
    for shop in Shop::new().await {
        let (stock, service) = (shop.products.stock(), shop.service());
        let told = async || shop.number("SELECT COUNT(*) FROM outbox WHERE kind = 'stock.low'").await;
        let made = shop.create(lamp("Lamp", 2000, 9)).await;
        let (red, untracked) = (made.variants[0].id, made.variants[1].id);
        shop.create(lamp("Few", 2000, 3)).await;
        assert_eq!(told().await, 0, "what begins low did not fall");
        let sold = reserve(&[(red, 3, 2000)], 600);
        stock.reserve(&call(), sold.clone()).await.unwrap();
        assert_eq!(told().await, 0, "6 of 9 are left");
        let other = reserve(&[(red, 1, 2000)], 600);
        stock.reserve(&call(), other).await.unwrap();
        let one = "SELECT COUNT(*) FROM outbox WHERE kind = 'stock.low' AND CAST(payload AS text) LIKE '%\"available\"%5%\"threshold\"%5%'";
        assert_eq!((told().await, shop.number(one).await), (1, 1));
        stock.reserve(&call(), reserve(&[(red, 1, 2000)], 600)).await.unwrap();
        service.adjust_stock(&call(), red, -1, None, Once::unkeyed()).await.unwrap();
        assert_eq!(told().await, 1, "it was low before");
        stock.release(&call(), sold.reservation).await.unwrap();
        service.adjust_stock(&call(), red, -1, None, Once::unkeyed()).await.unwrap();
        assert_eq!(told().await, 2, "adjusted from 6 to 5");
        service.count_stock(&call(), red, 20).await.unwrap();
        service.count_stock(&call(), red, 2).await.unwrap();
        assert_eq!(told().await, 3, "counted");
        service.count_stock(&call(), untracked, 20).await.unwrap();
        service.count_stock(&call(), untracked, 0).await.unwrap();
        assert_eq!(told().await, 3, "of what is not tracked there is always enough");
        shop.sound().await;
    }
}

#[tokio::test]
async fn lines_of_one_variant_are_summed() {
    for shop in Shop::new().await {
        let stock = shop.products.stock();
        let lamp = shop.stocked(5).await;
        let short = stock.reserve(&call(), reserve(&[(lamp, 3, 2000), (lamp, 3, 2000)], 600)).await;
        let available = vec![Short { variant: lamp, available: 5 }];
        assert_eq!(short.unwrap_err().split(), Ok(ReserveError::OutOfStock { short: available }));
        let prices = stock.reserve(&call(), reserve(&[(lamp, 1, 2000), (lamp, 1, 1999)], 600)).await;
        assert!(matches!(prices.unwrap_err().split(), Ok(ReserveError::Changed { prices }) if prices.len() == 1));
        let held = reserve(&[(lamp, 2, 2000), (lamp, 3, 2000)], 600);
        stock.reserve(&call(), held.clone()).await.unwrap();
        assert_eq!(shop.service().level(lamp).await.unwrap().available(), 0);

        // the same quantities are the same reservation, however they are written
        stock.reserve(&call(), Reserve { lines: reserve(&[(lamp, 5, 2000)], 1).lines, ..held.clone() }).await.unwrap();
        for other in [vec![(lamp, 4, 2000)], vec![(lamp, 5, 2000), (Id::new(), 1, 1)]] {
            let other = Reserve { lines: reserve(&other, 600).lines, ..held.clone() };
            assert_eq!(stock.reserve(&call(), other).await.unwrap_err().split(), Ok(ReserveError::Invalid));
        }
        shop.sound().await;
    }
}

#[tokio::test]
async fn holdings_are_listed_in_the_order_of_their_ids() {
    use products_api::{Holding, HoldingState, Holdings, HoldingsError};
    for shop in Shop::new().await {
        let stock = shop.products.stock();
        let (a, b) = (shop.stocked(50).await, shop.stocked(50).await);
        let mut all = Vec::new();
        for n in 1..=5 {
            let request = reserve(&[(b, n, 2000), (a, 1, 2000)], 600);
            stock.reserve(&call(), request.clone()).await.unwrap();
            let mut lines = vec![StockLine { variant_id: a, quantity: 1 }, StockLine { variant_id: b, quantity: n }];
            lines.sort_by_key(|line| line.variant_id);
            all.push(Holding { reservation: request.reservation, state: HoldingState::Held, lines });
        }
        stock.confirm(&call(), all[1].reservation).await.unwrap();
        all[1].state = HoldingState::Confirmed;
        stock.release(&call(), all[2].reservation).await.unwrap();
        all[2].state = HoldingState::Released;
        let tombstone = Id::new();
        stock.release(&call(), tombstone).await.unwrap();
        all.push(Holding { reservation: tombstone, state: HoldingState::Released, lines: vec![] });
        all.sort_by_key(|holding| holding.reservation);

        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = stock.holdings(&call(), Holdings { after, limit: 2 }).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.reservation);
            found.extend(page);
        }
        assert_eq!(found, all);
        for limit in [0, products_api::MAX_HOLDINGS + 1] {
            let refused = stock.holdings(&call(), Holdings { after: None, limit }).await.unwrap_err().split();
            assert_eq!(refused, Ok(HoldingsError::OutOfRange));
        }
    }
}

/// `stock` changes in one file only, which writes the ledger with it.
#[test]
fn nothing_else_changes_stock() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.ends_with("store/stock.rs") || path.components().any(|part| part.as_os_str() == "tests") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            looked_at += 1;
            for forbidden in
                ["UPDATE stock", "INSERT INTO stock", "DELETE FROM stock", "stock::table", "stock (variant_id)"]
            {
                assert!(!text.contains(forbidden), "{} says `{forbidden}`", path.display());
            }
        }
    }
    assert!(looked_at > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn holdings_with_very_many_lines_come_in_smaller_pages() {
    use products_api::Holdings;
    let mut text = String::from("Handle,Title,Variant Price,Status\n");
    for n in 0..MAX_LINES {
        text.push_str(&format!("p{n},Product {n},1.00,active\n"));
    }
    for shop in Shop::new().await {
        shop.import(&text, false).await.unwrap();
        let (mut lines, mut last) = (Vec::new(), None);
        loop {
            let products = shop.service().following(last).await.unwrap();
            let Some(product) = products.last() else { break };
            last = Some(product.id);
            lines.extend(products.iter().map(|product| (product.variants[0].id, 1, 100)));
        }
        assert_eq!(lines.len(), MAX_LINES);
        let stock = shop.products.stock();
        for _ in 0..22 {
            stock.reserve(&call(), reserve(&lines, 600)).await.unwrap();
        }
        let ask = async |after| stock.holdings(&call(), Holdings { after, limit: 100 }).await.unwrap();
        let first = ask(None).await;
        let after = first.last().map(|last| last.reservation);
        let (second, third) = (ask(after).await, ask(Some(ask(after).await[1].reservation)).await);
        assert_eq!((first.len(), second.len(), third.len()), (20, 2, 0));
        assert!(first.iter().chain(&second).all(|holding| holding.lines.len() == MAX_LINES));
    }
}
