//! `cargo xtask bench topologies`: what it costs to move domains out.
//!
//! Three shops stand side by side, filled alike, and take turns under the same load, a short turn each, round after
//! round: whatever else the machine does, it does to all of them. A first round is not counted.
use super::{
    figures::Turn,
    load::{self, Load},
    machine,
    page::{self, Group, Measured, Row},
    shops::{self, Common, Door, Shop, Way},
};
use crate::{
    build,
    error::{Context, Result},
    servers::{self, Brokers, Postgres},
    workspace::Workspace,
};
use clap::ValueEnum;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long, value_enum, default_value = "both")]
    database: Database,
    /// How often every shop has its turn under every load
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long a turn is
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Buyers at once; each load is also tried with one alone
    #[arg(long, default_value_t = 8)]
    buyers: usize,
    /// What the catalogue of each shop holds
    #[arg(long, default_value_t = 1000)]
    products: usize,
    /// The cargo profile to build the server with
    #[arg(long, default_value = "release")]
    profile: String,
    /// A server that is built already, instead of one from these sources
    #[arg(long, conflicts_with = "profile")]
    binary: Option<PathBuf>,
    /// Shows only that it works: one short round, a small catalogue, the tests' profile
    #[arg(long, conflicts_with_all = ["write", "rounds", "seconds", "buyers", "products", "profile"])]
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

/// How long and how much.
struct Extent {
    rounds: u32,
    turn: Duration,
    buyers: usize,
    products: usize,
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    let extent = arguments.extent()?;
    let (binary, built) = match &arguments.binary {
        Some(given) => {
            let binary = given.canonicalize().context(format_args!("--binary {}", given.display()))?;
            (binary, "built before, not by this command".to_owned())
        }
        None => {
            let profile = if arguments.quick { "dev" } else { &arguments.profile };
            (build::product(workspace, profile).await?, format!("profile {profile}"))
        }
    };
    let text = measured(workspace, &binary, &built, arguments.database, &extent).await?;
    println!("\n{text}");
    if arguments.write { page::write(workspace, "topologies", &text) } else { Ok(()) }
}

/// On the database that needs no server.
pub(super) async fn smoke(workspace: &Workspace, profile: &str) -> Result<()> {
    let binary = build::product(workspace, profile).await?;
    let built = format!("profile {profile}");
    println!("\n{}", measured(workspace, &binary, &built, Database::Sqlite, &Extent::QUICK).await?);
    Ok(())
}

/// The tables, in Markdown.
async fn measured(
    workspace: &Workspace,
    binary: &Path,
    built: &str,
    databases: Database,
    extent: &Extent,
) -> Result<String> {
    if let Some((name, _)) = std::env::vars_os().find(|(name, _)| name.to_string_lossy().starts_with("CLEAVE__")) {
        return Err(format!("{} is set, and every shop would hear of it; unset it", name.display()).into());
    }
    let nginx = servers::nginx(workspace)?;
    let load_before = machine::load_average()?;
    let mut all = Vec::new();
    for database in [Database::Postgres, Database::Sqlite] {
        if databases == database || databases == Database::Both {
            all.push(on(workspace, database, binary, &nginx, extent).await?);
        }
    }
    let facts = machine::facts(workspace, built, &load_before)?;
    Ok(page::text(&facts, &extent.told(), &all))
}

impl Arguments {
    fn extent(&self) -> Result<Extent> {
        if self.quick {
            return Ok(Extent::QUICK);
        }
        let turn = Duration::try_from_secs_f64(self.seconds).ok().filter(|turn| !turn.is_zero());
        let turn = turn.context("--seconds: more than none")?;
        let Self { rounds, buyers, products, .. } = *self;
        if rounds == 0 || buyers == 0 || products == 0 {
            return Err("--rounds, --buyers and --products: at least 1".into());
        }
        Ok(Extent { rounds, turn, buyers, products })
    }
}

impl Extent {
    const QUICK: Self = Self { rounds: 1, turn: Duration::from_millis(200), buyers: 8, products: 20 };

    fn told(&self) -> String {
        let Self { rounds, turn, buyers, products } = self;
        let seconds = turn.as_secs_f64();
        format!(
            "rounds: {rounds}, {seconds} s a turn; {products} products a shop; {buyers} buyers at once, then one alone"
        )
    }
}

async fn on(
    workspace: &Workspace,
    database: Database,
    binary: &Path,
    nginx: &Path,
    extent: &Extent,
) -> Result<Measured> {
    // Declared before the shops, so gone after them.
    let (postgres, nats, folder);
    postgres = if database == Database::Postgres {
        let names = shops::databases();
        Some(Postgres::durable(workspace, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?)
    } else {
        None
    };
    nats = Brokers::nats(workspace)?;
    // Beside what was built: folders for temporary files are often kept in memory, where a commit costs nothing.
    folder = TempDir::with_prefix_in("bench-", &workspace.target).context("cannot make a folder for the shops")?;
    let common = Common {
        binary: binary.to_owned(),
        nginx: nginx.to_owned(),
        folder: folder.path(),
        postgres: postgres.as_ref(),
        nats: &nats,
        products: extent.products,
    };
    let started = Instant::now();
    let mut shops = Vec::new();
    for way in Way::ALL {
        shops.push(Shop::open(&common, way).await?);
    }
    println!("three shops with {} products each after {:.1} s", extent.products, started.elapsed().as_secs_f64());
    let started = Instant::now();
    let groups = rounds(&shops, extent).await.map_err(|error| {
        let words: String = shops.iter().map(Shop::last_words).collect();
        format!("{error}\nwhat the shops said last:{words}")
    })?;
    println!("measured in {:.1} s", started.elapsed().as_secs_f64());
    let (name, kept) = match &postgres {
        Some(postgres) => (format!("{} (`fsync=on`, `synchronous_commit=on`)", postgres.version), postgres.folder()),
        None => ("SQLite (WAL, `synchronous=FULL`)".into(), folder.path()),
    };
    Ok(Measured { database: name, disk: machine::filesystem(kept)?, has_server: postgres.is_some(), groups })
}

/// A load on a door.
struct Lane {
    load: Load,
    door: Arc<Door>,
    turns: Vec<Turn>,
}

/// Each load by many and by one, on every door.
async fn rounds(shops: &[Shop], extent: &Extent) -> Result<Vec<Group>> {
    let mut lanes = Vec::new();
    for (buyers, load) in [extent.buyers, 1].into_iter().flat_map(|buyers| Load::ALL.map(|load| (buyers, load))) {
        let doors = shops.iter().flat_map(|shop| &shop.doors).filter(|door| goes_through(door, load));
        let lane = |door: &Arc<Door>| Lane { load, door: Arc::clone(door), turns: Vec::new() };
        lanes.push((buyers, doors.map(lane).collect::<Vec<_>>()));
    }
    for round in 0..=extent.rounds {
        let length = if round == 0 { extent.turn / 2 } else { extent.turn };
        for (buyers, lanes) in &mut lanes {
            // There and back: nobody always comes after the same.
            let there = round % 2 == 0;
            for index in 0..lanes.len() {
                let index = if there { index } else { lanes.len() - 1 - index };
                let lane = &mut lanes[index];
                let turn = load::turn(&lane.door, lane.load, *buyers, length).await;
                let turn = turn.context(format_args!("{}, {}", lane.load.name(), lane.door.name))?;
                if round > 0 {
                    lane.turns.push(turn);
                }
            }
        }
        println!("round {round} of {}{}", extent.rounds, if round == 0 { ", which is not counted" } else { "" });
    }
    let row = |lane: Lane| Row { shop: lane.door.name, turns: lane.turns };
    let group = |(buyers, lanes): (usize, Vec<Lane>)| {
        let load = lanes.first().map_or("", |lane| lane.load.name());
        Group { load, buyers, rows: lanes.into_iter().map(row).collect() }
    };
    Ok(lanes.into_iter().map(group).collect())
}

/// nginx costs what it costs whatever is asked: one load shows it.
fn goes_through(door: &Door, load: Load) -> bool {
    !door.is_gateway || load == Load::ProductPage
}
