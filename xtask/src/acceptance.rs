//! `cargo xtask acceptance`: the built server, as a process of its own, on real data.
//!
//! For each database a fresh shop takes a catalogue by import, a large one whose memory is watched, and a month of a
//! real shop's orders through the public API; then its books are compared with the files, to the penny. Data stays
//! where it is: the project commits none.
pub(crate) mod api;
mod import;
mod progress;
mod replay;
mod report;
mod retail;
mod shop;

use crate::{build, error::Result, servers::Postgres, workspace::Workspace};
use clap::ValueEnum;
use report::Report;
use retail::Month;
use shop::{Database, Shop};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// One shop, from start to the last comparison.
const SHOP: Duration = Duration::from_secs(15 * 60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder that holds `online-retail` and `shopify`
    #[arg(long)]
    data: PathBuf,
    #[arg(long, value_enum, default_value = "both")]
    database: Which,
    /// Months of `online-retail` to replay, one after another into one shop
    #[arg(long, value_delimiter = ',', default_value = "2010-12")]
    months: Vec<String>,
    /// The cargo profile to build the server with
    #[arg(long, default_value = "release")]
    profile: String,
}

impl Arguments {
    pub(crate) fn of(data: PathBuf, profile: String) -> Self {
        Self { data, database: Which::Both, months: vec!["2010-12".into()], profile }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Sqlite,
    Postgres,
    Both,
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    // What is wrong with the files is said before a long build.
    let read = |name: &String| Month::read(&arguments.data.join("online-retail"), name);
    let months = arguments.months.iter().map(read).collect::<Result<Vec<_>>>()?;
    let binary = build::product(workspace, &arguments.profile).await?;
    let mut failed = Vec::new();
    for (which, name) in [(Which::Sqlite, "sqlite"), (Which::Postgres, "postgres")] {
        if arguments.database != which && arguments.database != Which::Both {
            continue;
        }
        println!("\n=== acceptance on {name} ===");
        let started = Instant::now();
        let on = on_database(workspace, which, &binary, &arguments.data, &months);
        let ended = tokio::time::timeout(SHOP, on).await;
        let ended = ended.unwrap_or_else(|_| Err(format!("did not end within {} seconds", SHOP.as_secs()).into()));
        println!("--- {name}: {:.1} s", started.elapsed().as_secs_f64());
        if let Err(error) = ended {
            println!("acceptance on {name} failed: {error}");
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("acceptance failed on {}", failed.join(" and ")).into()) }
}

async fn on_database(workspace: &Workspace, which: Which, binary: &Path, data: &Path, months: &[Month]) -> Result<()> {
    // Declared before the shop, so stopped after it.
    let (postgres, database);
    if which == Which::Postgres {
        const NAME: &str = "acceptance";
        postgres = Postgres::start(workspace, &[NAME]).await?;
        database = Database::Postgres(postgres.url(NAME));
    } else {
        database = Database::Sqlite;
    }
    let mut shop = Shop::open(binary, &database).await?;
    let mut report = Report::default();
    let ended = visit(&shop, data, months, &mut report).await;
    let clean = shop.close();
    // Whatever was compared before something broke is worth seeing.
    report.print();
    ended.map_err(|error| format!("{error}\n{}", shop.last_words()))?;
    if !clean {
        return Err(format!("the server did not stop when asked\n{}", shop.last_words()).into());
    }
    report.verdict()
}

async fn visit(shop: &Shop, data: &Path, months: &[Month], report: &mut Report) -> Result<()> {
    let api = shop.staff().await?;
    import::small(&api, &data.join("shopify/packt-product-data.csv"), report).await?;
    import::large(&api, shop, report).await?;
    replay::run(&api, months, report).await?;
    println!("{} requests were asked to come back later and did", api.retries());
    Ok(())
}
