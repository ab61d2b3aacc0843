//! `cargo xtask bench speed`: how near the shop comes to what the machine allows.
//!
//! Under every load shops and what limits them take turns, round after round, there and back, and each is told by its
//! median turn. A turn with an error ends the run: errors never count as speed.
mod k6;
mod limits;
mod loads;
mod pgbench;
mod report;
mod stand;
mod turn;
mod wrk;

use super::{machine, page};
use crate::{
    build,
    error::{Context, Result},
    servers::{self, Brokers, Postgres},
    workspace::Workspace,
};
use clap::ValueEnum;
use launch::Topology;
use loads::{Change, Ground, Group, Read};
use report::{Row, Start};
use stand::{Stand, Yard};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use tempfile::TempDir;
use turn::{Tools, memory, turn};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long, value_enum, default_value = "both")]
    database: Database,
    #[arg(long, value_enum, default_value = "single")]
    topology: Place,
    /// What the catalogue holds
    #[arg(long, default_value_t = 10_000)]
    products: usize,
    /// Catalogues that are compared with that one; none: 0
    #[arg(long, value_delimiter = ',', default_value = "1000,100000")]
    sizes: Vec<usize>,
    /// Orders that staff lists
    #[arg(long, default_value_t = 200)]
    orders: usize,
    /// How often everybody has a turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many seconds a turn is
    #[arg(long, default_value_t = 1)]
    seconds: u32,
    /// Connections that are kept and ask at once
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Visits a second in the open loop
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// Only loads whose names have one of these in them, such as "product list,cart"
    #[arg(long, value_delimiter = ',')]
    loads: Vec<String>,
    /// How often the shop is started on what it holds
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// A server that is built already, instead of a release build of these sources
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Shows only that it works: catalogues of 100 and 200 products, one round, turns of a second
    #[arg(long, conflicts_with_all = ["write", "products", "sizes", "orders", "rounds", "seconds", "rate", "starts"])]
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
    /// Beside single
    Both,
}

/// What was measured on one kind of database.
struct Measured {
    heading: String,
    rows: Vec<Row>,
    sizes: Vec<Row>,
    start: Start,
}

pub(crate) async fn run(workspace: &Workspace, mut arguments: Arguments) -> Result<()> {
    arguments.check()?;
    let started = Instant::now();
    let binary = match &arguments.binary {
        Some(given) => given.canonicalize().context(format_args!("--binary {}", given.display()))?,
        None => build::product(workspace, "release").await?,
    };
    let limits = limits::built(workspace).await?;
    let before = machine::load_average()?;
    let mut all = Vec::new();
    for database in [Database::Postgres, Database::Sqlite] {
        if arguments.database == database || arguments.database == Database::Both {
            all.push(on(workspace, database, &binary, &limits, &arguments).await?);
        }
    }
    let size = fs::metadata(&binary).context("cannot look at the binary")?.len();
    let built = if arguments.binary.is_some() { "built before, not by this command" } else { "profile release" };
    let facts = machine::facts(workspace, built, &before)?;
    let facts = format!("{facts}- {}; the binary has {:.1} MB\n", arguments.told(), size as f64 / 1e6);
    let (mut rows, mut sizes, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for measured in &all {
        rows.extend(measured.rows.iter().cloned());
        sizes.extend(measured.sizes.iter().cloned());
        starts.push(measured.start.clone());
    }
    let targets = report::targets(&rows, &sizes, &starts);
    let mut text = format!("{facts}\n### Targets\n\n{}", report::targets_table(&targets));
    text.push_str(&format!("\n### Start and memory\n\n{}", report::starts_table(&starts)));
    for measured in &all {
        text.push_str(&format!(
            "\n### {}\n\n{}",
            measured.heading,
            report::table(&measured.rows, "share of the limit")
        ));
        if !measured.sizes.is_empty() {
            // Here the limit is the shop itself with the smallest catalogue.
            let table = report::table(&measured.sizes, "share of the limit: the smallest catalogue");
            text.push_str(&format!("\n{table}"));
        }
    }
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).context("cannot make target/bench")?;
    let json = serde_json::json!({
        "facts": facts.lines().collect::<Vec<_>>(), "binary_bytes": size, "targets": targets, "starts": starts,
        "rows": rows, "sizes": sizes,
    });
    fs::write(folder.join("speed.json"), format!("{json:#}\n")).context("cannot write speed.json")?;
    fs::write(folder.join("speed.md"), &text).context("cannot write speed.md")?;
    println!("\n{text}\nmeasured in {:.0} s", started.elapsed().as_secs_f64());
    if arguments.write { page::write(workspace, "speed", &text) } else { Ok(()) }
}

impl Arguments {
    fn check(&mut self) -> Result<()> {
        if self.quick {
            (self.products, self.sizes, self.orders) = (100, vec![200], 20);
            (self.rounds, self.seconds, self.rate, self.starts) = (1, 1, 50, 2);
        }
        self.sizes.retain(|size| *size > 0 && *size != self.products);
        let least = self.products.min(self.rounds).min(self.starts).min(self.orders);
        if least == 0 || self.seconds == 0 || self.rate == 0 || self.connections == 0 {
            return Err("every number: at least 1".into());
        }
        if !self.connections.is_multiple_of(2) {
            return Err("--connections: an even number, as the generator's threads share them".into());
        }
        match std::env::vars_os().find(|(name, _)| name.to_string_lossy().starts_with("CLEAVE__")) {
            Some((name, _)) => {
                Err(format!("{} is set, and every shop would hear of it; unset it", name.display()).into())
            }
            None => Ok(()),
        }
    }

    fn told(&self) -> String {
        let Self { products, orders, rounds, seconds, connections, rate, .. } = self;
        format!(
            "{products} products, {orders} orders; the median of {rounds} rounds, {seconds} s a turn; closed loops with \
             {connections} connections, open ones with {rate} visits a second"
        )
    }
}

async fn on(
    workspace: &Workspace,
    database: Database,
    binary: &Path,
    limits: &Path,
    arguments: &Arguments,
) -> Result<Measured> {
    let mut places = vec![(Topology::Single, arguments.products)];
    if arguments.topology == Place::Both {
        places.push((Topology::Split, arguments.products));
    }
    let sizes = arguments.sizes.iter().map(|size| (Topology::Single, *size));
    let names: Vec<String> =
        places.iter().copied().chain(sizes).map(|(topology, size)| stand::name(topology, size)).collect();
    // Declared before the shops, so gone after them.
    let (postgres, nats, folder);
    postgres = if database == Database::Postgres {
        let names = stand::databases(&names);
        Some(Postgres::durable(workspace, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?)
    } else {
        None
    };
    nats = Brokers::nats(workspace)?;
    // Beside what was built: folders for temporary files are often kept in memory, where a commit costs nothing.
    folder = TempDir::with_prefix_in("bench-", &workspace.target).context("cannot make a folder")?;
    let tools = Tools {
        wrk: servers::wrk(workspace)?,
        k6: servers::k6(workspace)?,
        limits: limits.to_owned(),
        nginx: servers::nginx(workspace)?,
        folder: folder.path().to_owned(),
        connections: arguments.connections,
        cores: std::thread::available_parallelism().context("nobody says how many cores there are")?.get(),
    };
    let yard = Yard { binary: binary.to_owned(), postgres: postgres.as_ref(), nats: &nats };
    let mut shops = Vec::new();
    for (topology, products) in places {
        let mut stand = Stand::open(&tools, &yard, topology, products).await?;
        stand.furnish(arguments.orders).await?;
        stand.rest().await?;
        shops.push(stand);
    }
    let (name, kept) = match &postgres {
        Some(postgres) => (postgres.version.clone(), postgres.folder()),
        None => ("SQLite".to_owned(), folder.path()),
    };
    let synced = if postgres.is_some() { "`fsync=on`, `synchronous_commit=on`" } else { "WAL, `synchronous=FULL`" };
    let heading = format!("{name} ({synced}), on {}", machine::filesystem(kept)?);
    let first = shops.first_mut().context("no shop")?;
    let mut start = started(first, &name, arguments.starts).await?;
    let mut rows = Vec::new();
    let ids = shops.first().context("no shop")?.ids();
    for shop in &shops {
        shop.rest().await?;
    }
    for group in ready(&tools, &shops, postgres.as_ref()).await? {
        rows.extend(rounds(&tools, &name, &group, arguments).await?);
    }
    start.reads_mb = memory(&ids, "VmHWM:")?;
    for group in changes(&tools, &shops, postgres.as_ref(), arguments.rate).await? {
        rows.extend(rounds(&tools, &name, &group, arguments).await?);
    }
    (start.loaded_mb, start.most_mb) = (memory(&ids, "VmRSS:")?, memory(&ids, "VmHWM:")?);
    for shop in &mut shops {
        shop.again(Some(NOTHING_READY)).await?;
        shop.rest().await?;
    }
    for group in built(&tools, &shops, postgres.as_ref()).await? {
        rows.extend(rounds(&tools, &name, &group, arguments).await?);
    }
    shops.truncate(1);
    let sizes = of_sizes(&tools, &yard, shops, &name, arguments).await?;
    Ok(Measured { heading, rows, sizes, start })
}

/// Whatever is asked is built for the request.
const NOTHING_READY: (&str, &str) = ("CLEAVE__PRODUCTS__READY__MIB", "0");

async fn started(stand: &mut Stand, database: &str, starts: usize) -> Result<Start> {
    let (mut took, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..starts {
        let (milliseconds, megabytes) = stand.cold().await?;
        took.push(milliseconds);
        idle.push(megabytes);
    }
    let cold_most_ms = took.iter().copied().fold(0.0, f64::max);
    let (database, products) = (database.to_owned(), stand.products);
    let (cold_ms, idle_mb) = (report::median(took), report::median(idle));
    Ok(Start {
        database,
        products,
        starts,
        cold_ms,
        cold_most_ms,
        idle_mb,
        reads_mb: 0.0,
        loaded_mb: 0.0,
        most_mb: 0.0,
    })
}

/// With answers kept as they are sent, as the shop comes.
async fn ready(tools: &Tools, shops: &[Stand], postgres: Option<&Postgres>) -> Result<Vec<Group>> {
    let ground = Ground { tools, shops: shops.iter().collect(), postgres };
    Ok(vec![
        ground.ready(report::LIST_READY, Read::List).await?,
        ground.ready(report::DETAIL_READY, Read::Detail).await?,
        ground.ready("word search, ready", Read::Search).await?,
        ground.known("product list, known", Read::List).await?,
        ground.built("staff order list", Read::Orders).await?,
    ])
}

async fn changes(tools: &Tools, shops: &[Stand], postgres: Option<&Postgres>, rate: u32) -> Result<Vec<Group>> {
    let ground = Ground { tools, shops: shops.iter().collect(), postgres };
    if let Some(postgres) = postgres.filter(|postgres| postgres.pgbench().is_some()) {
        loads::commits(tools, postgres).await?;
    }
    Ok(vec![
        ground.change("register", Change::Register)?,
        ground.change("sign in", Change::SignIn)?,
        ground.change("cart: create", Change::CreateCart)?,
        ground.change("cart: add", Change::AddToCart)?,
        ground.change("cart: change", Change::SetQuantity)?,
        ground.open("product list", "list", rate).await?,
        ground.open("product detail", "detail", rate).await?,
        ground.open("carts", "carts", rate / 3 + 1).await?,
        ground.open("a day in a shop", "day", rate).await?,
    ])
}

async fn built(tools: &Tools, shops: &[Stand], postgres: Option<&Postgres>) -> Result<Vec<Group>> {
    let ground = Ground { tools, shops: shops.iter().collect(), postgres };
    Ok(vec![
        ground.built(report::LIST_BUILT, Read::List).await?,
        ground.built(report::DETAIL_BUILT, Read::Detail).await?,
        ground.built("word search, built", Read::Search).await?,
    ])
}

/// Shops of one process with catalogues of several sizes take turns.
async fn of_sizes(
    tools: &Tools,
    yard: &Yard<'_>,
    mut shops: Vec<Stand>,
    database: &str,
    arguments: &Arguments,
) -> Result<Vec<Row>> {
    if arguments.sizes.is_empty() {
        return Ok(Vec::new());
    }
    for size in &arguments.sizes {
        let mut stand = Stand::open(tools, yard, Topology::Single, *size).await?;
        // Still at what comes after an import, perhaps: on the cores that all of these shops have in common.
        stand.again(Some(NOTHING_READY)).await?;
        shops.push(stand);
    }
    shops.sort_by_key(|shop| shop.products);
    let shops: Vec<&Stand> = shops.iter().collect();
    let mut rows = Vec::new();
    for (load, read) in [
        (report::LIST_SIZES, Read::List),
        ("product detail, built, of catalogues", Read::Detail),
        (report::SEARCH_SIZES, Read::Search),
    ] {
        let group = loads::sizes(tools, load, read, &shops)?;
        rows.extend(rounds(tools, database, &group, arguments).await?);
    }
    Ok(rows)
}

/// There and back, so that nobody always comes after the same; the first round warms up.
async fn rounds(tools: &Tools, database: &str, group: &Group, arguments: &Arguments) -> Result<Vec<Row>> {
    if !arguments.loads.is_empty() && !arguments.loads.iter().any(|wanted| group.load.contains(wanted)) {
        return Ok(Vec::new());
    }
    let mut turns: Vec<Vec<_>> = group.lanes.iter().map(|_| Vec::new()).collect();
    for round in 0..=arguments.rounds {
        let seconds = if round == 0 { arguments.seconds.div_ceil(2) } else { arguments.seconds };
        for step in 0..group.lanes.len() {
            let index = if round % 2 == 0 { step } else { group.lanes.len() - 1 - step };
            let lane = &group.lanes[index];
            let turn = turn(tools, lane, seconds).await;
            let turn = turn.context(format_args!("{database}, {}, {}", group.load, lane.who))?;
            if round > 0 {
                turns[index].push(turn);
            }
        }
    }
    let rows = report::rows(database, group, &turns);
    for row in &rows {
        println!("{database}: {}, {}: {} {:.0}/s, {:.1} %", row.load, row.how, row.who, row.rate, row.share * 100.0);
    }
    Ok(rows)
}
