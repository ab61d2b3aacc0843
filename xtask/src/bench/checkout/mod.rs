//! `cargo xtask bench checkout`: how near a checkout comes to what its database allows.
//!
//! What a shop sends to PostgreSQL for a checkout is recorded first. Then the shop and its database alone take turns, round
//! after round: `pgbench` with the same statements in the same transactions, or one thread that says them to SQLite. Each
//! is told by the median of its rounds. An answer that is not an order, placed and authorised, ends the run.
mod lap;
mod lite;
mod log;
mod pgbench;
pub(super) mod psql;
mod record;
mod recording;
mod report;
mod rounds;
mod shop;
mod sizes;

use super::{
    machine,
    orders::{self, Books},
    page,
};
use crate::{
    build,
    error::{Context, Result},
    servers::{self, Brokers, Postgres},
    workspace::Workspace,
};
use clap::ValueEnum;
use lap::Lap;
use launch::{Domain, Module};
use lite::Replay;
use psql::Psql;
use record::Recorded;
use report::{Lane, Row};
use rounds::Limit;
use shop::{Ground, Load, Shop};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

const MEASURED: &str = "measured";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long, value_enum, default_value = "both")]
    database: Database,
    #[arg(long, value_enum, default_value = "single")]
    topology: Place,
    /// How often everybody has a turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many seconds a turn of the shop is
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Buyers at once, and connections of pgbench
    #[arg(long, default_value_t = 16)]
    buyers: usize,
    /// What the catalogue holds
    #[arg(long, default_value_t = 200)]
    products: usize,
    /// How many checkouts are recorded, and replayed each turn
    #[arg(long, default_value_t = 2000)]
    recorded: usize,
    /// Also a shop that has sold so much before, beside one that has not
    #[arg(long, default_value_t = 0)]
    orders: usize,
    /// A server that is built already, instead of a release build of these sources
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Small: 2 rounds, turns of a second, 200 recorded checkouts
    #[arg(long, conflicts_with_all = ["write", "rounds", "seconds", "products", "recorded"])]
    quick: bool,
    /// Puts the tables into docs/performance.md
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    Single,
    Split,
}

/// How long and how much.
struct Extent {
    rounds: usize,
    turn: Duration,
    buyers: usize,
}

/// What was found on one database.
struct Found {
    rows: Vec<Row>,
    /// Sentences about them, in Markdown.
    notes: Vec<String>,
}

pub(crate) async fn run(workspace: &Workspace, mut arguments: Arguments) -> Result<()> {
    if arguments.quick {
        (arguments.rounds, arguments.seconds, arguments.products, arguments.recorded) = (2, 1.0, 50, 200);
    }
    let turn = Duration::try_from_secs_f64(arguments.seconds).ok().filter(|turn| !turn.is_zero());
    let turn = turn.context("--seconds: more than none")?;
    let Arguments { rounds, buyers, recorded, products, .. } = arguments;
    if rounds == 0 || buyers == 0 || products == 0 || recorded < buyers || recorded < 2 {
        return Err("--rounds, --buyers, --products: at least 1; --recorded: at least 2, and a checkout a buyer".into());
    }
    let extent = Extent { rounds, turn, buyers };
    let binary = match &arguments.binary {
        Some(given) => given.canonicalize().context(format_args!("--binary {}", given.display()))?,
        None => build::product(workspace, "release").await?,
    };
    let before = machine::load_average()?;
    let results = workspace.target.join("bench");
    fs::create_dir_all(&results).context("cannot make target/bench")?;
    let found = measured(workspace, &binary, &arguments, &extent, &results).await?;
    let facts = machine::facts(workspace, "the release build, or what --binary names", &before)?;
    let size = fs::metadata(&binary).context("cannot look at the binary")?.len();
    let text = told(&facts, size, &arguments, &found);
    let json = serde_json::json!({
        "facts": facts, "binary_bytes": size, "buyers": buyers, "products": products, "recorded": recorded,
        "rows": found.rows, "notes": found.notes,
    });
    fs::write(results.join("checkout.json"), format!("{json:#}\n")).context("cannot write checkout.json")?;
    fs::write(results.join("checkout.md"), &text).context("cannot write checkout.md")?;
    println!("\n{text}");
    if arguments.write { page::write(workspace, "checkout", &text) } else { Ok(()) }
}

fn told(facts: &str, size: u64, arguments: &Arguments, found: &Found) -> String {
    let Arguments { rounds, seconds, buyers, products, recorded, .. } = arguments;
    let mut text = format!(
        "{facts}- binary: {size} bytes; {rounds} rounds, {seconds} s a turn, {buyers} buyers at once; {products} products; \
         {recorded} checkouts recorded\n\n{}\n",
        report::table(&found.rows)
    );
    for note in &found.notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

async fn measured(
    workspace: &Workspace,
    binary: &Path,
    arguments: &Arguments,
    extent: &Extent,
    results: &Path,
) -> Result<Found> {
    let postgres = Postgres::durable(workspace, &[record::SHOP, MEASURED, sizes::NEW, sizes::OLD]).await?;
    // Beside what was built: folders for temporary files are often kept in memory, where a commit costs nothing.
    let folder = TempDir::with_prefix_in("bench-", &workspace.target).context("cannot make a folder for the shops")?;
    let (psql, products) = (Psql::of(&postgres)?, arguments.products);
    let alone = Ground { binary, folder: folder.path(), postgres: Some(&postgres), products, split: None };
    let recorded = Recorded::make(&alone, &psql, arguments.recorded).await?;
    recorded.write(results)?;
    let split = || match arguments.topology {
        Place::Single => Ok::<_, Box<dyn std::error::Error + Send + Sync>>(None),
        Place::Split => Ok(Some((servers::nginx(workspace)?, Brokers::nats(workspace)?))),
    };
    let mut found = Found { rows: Vec::new(), notes: Vec::new() };
    let units = (recorded.recording.statements(), recorded.recording.commits());
    found.notes.push(format!("a checkout is {} statements in {} transactions", units.0, units.1));
    if arguments.database != Database::Sqlite {
        let ground = Ground { split: split()?, ..alone };
        let shop = Shop::open(&ground, MEASURED).await?;
        let lanes = rounds::run(&shop, &Limit::Postgres { psql: &psql, recorded: &recorded }, extent).await?;
        found.add("PostgreSQL", &lanes);
        found.pgbench(&lanes);
        drop(shop);
        if arguments.orders > 0 {
            let books = Books::Postgres { psql: &psql, orders: sizes::OLD, products: sizes::OLD };
            let fill = |_: &Shop| orders::fill(&books, arguments.orders);
            sizes::run(&ground, "PostgreSQL", &fill, arguments.orders, extent, &mut found).await?;
        }
    }
    if arguments.database != Database::Postgres {
        let ground = Ground { binary, folder: folder.path(), postgres: None, products, split: split()? };
        let shop = Shop::open(&ground, "lite").await?;
        let (replay, scratch) = (Replay::of(&recorded.recording)?, folder.path().join("scratch"));
        let limit = Limit::Sqlite { replay: &replay, files: &recorded.files, scratch: &scratch };
        let lanes = rounds::run(&shop, &limit, extent).await?;
        found.add("SQLite", &lanes);
        found.sqlite(&lanes);
        drop(shop);
        if arguments.orders > 0 {
            let fill = |shop: &Shop| {
                let folder = |domain| shop.fleet.plan().of(Module::Of(domain)).data_dir.as_path();
                let books = Books::Sqlite { orders: folder(Domain::Orders), products: folder(Domain::Products) };
                orders::fill(&books, arguments.orders)
            };
            sizes::run(&ground, "SQLite", &fill, arguments.orders, extent, &mut found).await?;
        }
    }
    Ok(found)
}

impl Found {
    /// The shop's lanes, then those of the limits; the first limit is what all checkouts are a share of.
    fn add(&mut self, database: &str, lanes: &[Lane]) {
        let limit = lanes.get(Load::ALL.len()).map(|limit| limit.middle(Lap::rate));
        for lane in lanes {
            let compared = lane.load == Load::Checkout.name();
            self.rows.push(lane.row(database, limit.filter(|_| compared)));
        }
    }

    fn pgbench(&mut self, lanes: &[Lane]) {
        let [shop, _, limit, rows] = lanes else { return };
        let share = report::ratio(shop, limit, Lap::rate);
        let corrected = pgbench::corrected(limit.middle(Lap::rate), rows.middle(Lap::rate));
        self.notes.push(format!(
            "PostgreSQL: a checkout has {share:.2} of pgbench's rate, the median of the rounds' ratios. Without the statement \
             that brings pgbench its values it would make {corrected:.0} a second; of that the shop has {:.2}",
            shop.middle(Lap::rate) / corrected
        ));
    }

    fn sqlite(&mut self, lanes: &[Lane]) {
        let [shop, _, each, grouped] = lanes else { return };
        self.notes.push(format!(
            "SQLite: a checkout has {:.2} of the rate of SQLite alone, commit by commit, and {:.2} of it with commits of \
             several checkouts; medians of the rounds' ratios",
            report::ratio(shop, each, Lap::rate),
            report::ratio(shop, grouped, Lap::rate)
        ));
    }
}
