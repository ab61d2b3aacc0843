//! Who takes turns: a shop, and what its database does alone with what the shop was heard to send.
use super::{
    Extent,
    lap::Lap,
    lite::{Commits, Replay},
    pgbench::{self, Script},
    psql::Psql,
    record::{BEFORE, Recorded},
    report::Lane,
    shop::{FIRST_ORDERS, Load, Shop, Work},
};
use crate::error::{Context, Result};
use std::{path::Path, time::Duration};

/// What a shop's database does alone.
pub(super) enum Limit<'a> {
    Postgres { psql: &'a Psql<'a>, recorded: &'a Recorded },
    Sqlite { replay: &'a Replay, files: &'a Path, scratch: &'a Path },
}

/// Of a hundred orders each, before a page is far down.
const PAGES: usize = 50;

#[derive(Clone, Copy)]
enum Turn {
    Shop(Load),
    /// The first is what the shop's checkouts are compared with.
    Alone(usize),
}

/// Lanes of the shop first, those of its database after them.
pub(super) async fn run(shop: &Shop, limit: &Limit<'_>, extent: &Extent) -> Result<Vec<Lane>> {
    let mut lanes: Vec<(Turn, Lane)> = Vec::new();
    for load in Load::ALL {
        lanes.push((Turn::Shop(load), Lane::new(load.name(), "shop")));
    }
    for (index, who) in limit.names(extent).into_iter().enumerate() {
        lanes.push((Turn::Alone(index), Lane::new(Load::Checkout.name(), who)));
    }
    let mut rate = 100.0;
    for round in 0..=extent.rounds {
        let length = if round == 0 { extent.turn / 2 } else { extent.turn };
        // There and back: nobody always comes after the same.
        for index in 0..lanes.len() {
            let index = if round % 2 == 0 { index } else { lanes.len() - 1 - index };
            let (turn, lane) = &mut lanes[index];
            let lap = match turn {
                Turn::Shop(load) => lap(shop, *load, extent, length, &mut rate).await,
                Turn::Alone(index) => limit.lap(*index, extent, length),
            };
            let lap = lap.context(format_args!("{}, {}", lane.load, lane.who))?;
            println!("  {}, {}: {:.0} a second", lane.load, lane.who, lap.rate());
            if round > 0 {
                lane.laps.push(lap);
            }
        }
        println!("round {round} of {}{}", extent.rounds, if round == 0 { ", which is not counted" } else { "" });
    }
    Ok(lanes.into_iter().map(|(_, lane)| lane).collect())
}

/// With carts enough for its time, by the rate of the turn before.
pub(super) async fn lap(shop: &Shop, load: Load, extent: &Extent, length: Duration, rate: &mut f64) -> Result<Lap> {
    let work = match load {
        Load::Checkout => {
            let count = *rate * 1.3 * length.as_secs_f64();
            Work::Checkout(shop.carts(count as usize + extent.buyers).await?)
        }
        Load::Purchase => Work::Purchase,
        Load::FirstOrders => Work::Read(FIRST_ORDERS.to_owned()),
        Load::DeepOrders => Work::Read(shop.far_down(PAGES).await?),
    };
    let lap = shop.lap(work, extent.buyers, length).await.map_err(|error| format!("{error}{}", shop.words()))?;
    if load == Load::Checkout {
        *rate = lap.rate().max(*rate / 2.0);
    }
    Ok(lap)
}

impl Limit<'_> {
    fn names(&self, extent: &Extent) -> Vec<String> {
        match self {
            Self::Postgres { .. } => vec!["pgbench, the same statements".into(), "pgbench, only its rows".into()],
            Self::Sqlite { .. } => {
                vec!["SQLite alone, commit by commit".into(), format!("SQLite alone, commits of {}", extent.buyers)]
            }
        }
    }

    fn lap(&self, index: usize, extent: &Extent, length: Duration) -> Result<Lap> {
        match self {
            Self::Postgres { psql, recorded } => {
                let script = match index {
                    0 => (recorded.checkout.as_path(), Script::Checkout),
                    _ => (recorded.rows_only.as_path(), Script::RowsOnly),
                };
                let each = recorded.recording.rows.len() / extent.buyers;
                pgbench::lap(psql, BEFORE, script, (extent.buyers, each))
            }
            Self::Sqlite { replay, files, scratch } => {
                let commits = if index == 0 { Commits::Each } else { Commits::Of(extent.buyers) };
                replay.lap(files, scratch, commits, length)
            }
        }
    }
}
