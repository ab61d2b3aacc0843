//! What many old orders cost: two shops that differ in nothing else take turns.
use super::{
    Extent, Found,
    lap::Lap,
    report::{self, Lane},
    rounds,
    shop::{Ground, Load, Shop},
};
use crate::error::{Context, Result};
use std::time::Instant;

const LOADS: [Load; 3] = [Load::Checkout, Load::FirstOrders, Load::DeepOrders];
/// A shop of no more orders looks itself over before it is measured; beyond that it takes long.
const LOOKED_OVER: usize = 20_000;
/// Their databases.
pub(super) const NEW: &str = "without";
pub(super) const OLD: &str = "with_orders";

pub(super) async fn run(
    ground: &Ground<'_>,
    database: &str,
    fill: &(dyn Fn(&Shop) -> Result<()> + Sync),
    count: usize,
    extent: &Extent,
    found: &mut Found,
) -> Result<()> {
    let new = Shop::open(ground, NEW).await?;
    let mut old = Shop::open(ground, OLD).await?;
    old.stop();
    let started = Instant::now();
    fill(&old)?;
    println!("{count} orders written after {:.1} s", started.elapsed().as_secs_f64());
    old.start()?;
    if count <= LOOKED_OVER {
        // In split its neighbours must run.
        old.fleet.run(&["audit"], "").context("the books do not agree after old orders were written")?;
    }
    let shops = [(&new, 0, "0 orders".to_owned()), (&old, 1, format!("{count} orders"))];
    let mut lanes: Vec<[Lane; 2]> = Vec::new();
    for load in LOADS {
        lanes.push(shops.each_ref().map(|(_, _, who)| Lane::new(load.name(), who)));
    }
    let mut rates = [100.0; 2];
    for round in 0..=extent.rounds {
        let length = if round == 0 { extent.turn / 2 } else { extent.turn };
        for (load, lanes) in LOADS.into_iter().zip(&mut lanes) {
            // There and back: nobody always comes after the same.
            for step in 0..2 {
                let (shop, at, who) = &shops[(step + round) % 2];
                let lap = rounds::lap(shop, load, extent, length, &mut rates[*at]).await;
                let lap = lap.context(format_args!("{}, {who}", load.name()))?;
                println!("  {}, {who}: p50 {:.2} ms, p99 {:.2} ms", load.name(), lap.permille(500), lap.permille(990));
                if round > 0 {
                    lanes[*at].laps.push(lap);
                }
            }
        }
        println!("round {round} of {}{}", extent.rounds, if round == 0 { ", which is not counted" } else { "" });
    }
    for [new, old] in &lanes {
        found.rows.extend([new.row(database, None), old.row(database, None)]);
        let ratio = |rank: usize| report::ratio(old, new, |lap: &Lap| lap.permille(rank));
        found.notes.push(format!(
            "{database}, {}: with {count} orders p50 is ×{:.2} of that with none, p99 ×{:.2}; medians of the rounds' ratios",
            new.load,
            ratio(500),
            ratio(990)
        ));
    }
    Ok(())
}
