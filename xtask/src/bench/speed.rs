//! `cargo xtask bench speed`: how near the shop comes to what the machine allows.
//!
//! `wrk` asks as fast as it is answered (a closed loop). Shops and nginx with the same bytes take turns, round after
//! round, and each is told by its median turn. A turn with an error ends the run: errors never count as speed.
use super::{
    cpu,
    goods::{self, asked},
    machine,
    shops::{self, Common, Shop, Way},
};
use crate::{
    build,
    error::{Context, Result},
    servers::{self, Brokers, Postgres},
    workspace::Workspace,
};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::{
    fmt::Write,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long, value_enum, default_value = "both")]
    database: Database,
    #[arg(long, value_enum, default_value = "single")]
    topology: Place,
    /// What the catalogue holds
    #[arg(long, default_value_t = 1000)]
    products: usize,
    /// How often everybody has a turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many seconds a turn is
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Connections that are kept and ask at once
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// A server that is built already, instead of a release build of these sources
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Small: 100 products, 3 rounds, turns of a second
    #[arg(long, conflicts_with_all = ["products", "rounds", "seconds"])]
    quick: bool,
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

const LOADS: [(&str, &str); 3] = [
    ("product list", "\"/v1/products?limit=20\""),
    ("product detail", "\"/v1/products/bench-\" .. (n % PRODUCTS)"),
    ("word search", "\"/v1/products?limit=20&q=cotton\""),
];

/// What `wrk` tells of a turn; times in microseconds.
#[derive(Deserialize)]
struct Told {
    requests: u64,
    duration: f64,
    errors: u64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
}

/// The median of each figure over the rounds; times in milliseconds.
#[derive(Serialize)]
struct Row {
    database: &'static str,
    load: &'static str,
    who: &'static str,
    rate: f64,
    share_of_nginx: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    shop_cpu: f64,
    database_cpu: f64,
    generator_cpu: f64,
}

pub(crate) async fn run(workspace: &Workspace, mut arguments: Arguments) -> Result<()> {
    if arguments.quick {
        (arguments.products, arguments.rounds, arguments.seconds) = (100, 3, 1);
    }
    if arguments.products == 0 || arguments.rounds == 0 || arguments.seconds == 0 || arguments.connections < 2 {
        return Err("--products, --rounds, --seconds: at least 1; --connections: at least 2".into());
    }
    let binary = match &arguments.binary {
        Some(given) => given.canonicalize().context(format_args!("--binary {}", given.display()))?,
        None => build::product(workspace, "release").await?,
    };
    let before = machine::load_average()?;
    let mut rows = Vec::new();
    for database in [Database::Postgres, Database::Sqlite] {
        if arguments.database == database || arguments.database == Database::Both {
            rows.extend(on(workspace, database, &binary, &arguments).await?);
        }
    }
    let size = fs::metadata(&binary).context("cannot look at the binary")?.len();
    let facts = machine::facts(workspace, "the release build, or what --binary names", &before)?;
    let text = format!("{facts}- binary: {size} bytes; products: {}\n\n{}", arguments.products, table(&rows));
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).context("cannot make target/bench")?;
    let json =
        serde_json::json!({ "facts": facts, "binary_bytes": size, "products": arguments.products, "rows": rows });
    fs::write(folder.join("speed.json"), format!("{json:#}\n")).context("cannot write speed.json")?;
    fs::write(folder.join("speed.md"), &text).context("cannot write speed.md")?;
    println!("\n{text}");
    Ok(())
}

async fn on(workspace: &Workspace, database: Database, binary: &Path, arguments: &Arguments) -> Result<Vec<Row>> {
    let (wrk, nginx) = (servers::wrk(workspace)?, servers::nginx(workspace)?);
    let postgres = if database == Database::Postgres {
        let names = shops::databases();
        Some(Postgres::durable(workspace, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?)
    } else {
        None
    };
    let nats = Brokers::nats(workspace)?;
    let folder = TempDir::with_prefix_in("bench-", &workspace.target).context("cannot make a folder")?;
    let common = Common {
        binary: binary.to_owned(),
        nginx: nginx.clone(),
        folder: folder.path(),
        postgres: postgres.as_ref(),
        nats: &nats,
        products: arguments.products,
    };
    let way = if arguments.topology == Place::Single { Way::CoLocated } else { Way::Mutual };
    let shop = Shop::open(&common, way).await?;
    let door = shop.doors.first().context("a shop without a door")?;
    let mut rows = Vec::new();
    for (load, path) in LOADS {
        let first = path.replace("\" .. (n % PRODUCTS)", "0").replace('"', "");
        let bytes = asked(goods::client()?.get(format!("{}{first}", door.at.products)), 200).await?;
        let limit = Static::start(&nginx, folder.path(), &bytes)?;
        let script = folder.path().join("load.lua");
        fs::write(&script, lua(path, arguments.products)).context("cannot write a script")?;
        let lanes =
            [("shop", door.at.products.as_str(), door.shop.as_slice()), ("nginx, the same bytes", &limit.url, &[])];
        let mut turns = [Vec::new(), Vec::new()];
        for round in 0..=arguments.rounds {
            for step in 0..lanes.len() {
                let lane = if round % 2 == 0 { step } else { lanes.len() - 1 - step };
                let (who, url, ids) = lanes[lane];
                let (own, base, tool) = (cpu::used(ids)?, cpu::used(&door.database)?, ended_children()?);
                let told = turn(&wrk, &script, url, arguments).context(format_args!("{load}, {who}"))?;
                let each = |time: Duration| time.as_secs_f64() * 1e3 / told.requests as f64;
                let cpu = [
                    each(cpu::used(ids)?.saturating_sub(own)),
                    each(cpu::used(&door.database)?.saturating_sub(base)),
                    each(ended_children()?.saturating_sub(tool)),
                ];
                // The first round warms up.
                if round > 0 {
                    turns[lane].push((told, cpu));
                }
            }
        }
        let name = if postgres.is_some() { "PostgreSQL" } else { "SQLite" };
        let middle =
            |lane: usize, how: &dyn Fn(&(Told, [f64; 3])) -> f64| median(turns[lane].iter().map(how).collect());
        let rate = |turn: &(Told, [f64; 3])| turn.0.requests as f64 / (turn.0.duration / 1e6);
        for (lane, (who, ..)) in lanes.iter().enumerate() {
            rows.push(Row {
                database: name,
                load,
                who,
                rate: middle(lane, &rate),
                share_of_nginx: middle(lane, &rate) / middle(1, &rate),
                p50: middle(lane, &|turn| turn.0.p50 / 1e3),
                p90: middle(lane, &|turn| turn.0.p90 / 1e3),
                p99: middle(lane, &|turn| turn.0.p99 / 1e3),
                p999: middle(lane, &|turn| turn.0.p999 / 1e3),
                shop_cpu: middle(lane, &|turn| turn.1[0]),
                database_cpu: middle(lane, &|turn| turn.1[1]),
                generator_cpu: middle(lane, &|turn| turn.1[2]),
            });
        }
    }
    Ok(rows)
}

fn lua(path: &str, products: usize) -> String {
    format!(
        "local PRODUCTS, n = {products}, 0\n\
         request = function() n = n + 1; return wrk.format('GET', {path}) end\n\
         done = function(s, l, r)\n\
         local e = s.errors\n\
         io.write(string.format('TOLD {{\"requests\":%d,\"duration\":%d,\"errors\":%d,\"p50\":%f,\"p90\":%f,\"p99\":%f,\
         \"p999\":%f}}\\n', s.requests, s.duration, e.connect + e.read + e.write + e.status + e.timeout, \
         l:percentile(50), l:percentile(90), l:percentile(99), l:percentile(99.9)))\n\
         end\n"
    )
}

fn turn(wrk: &Path, script: &Path, url: &str, arguments: &Arguments) -> Result<Told> {
    let root = wrk.ancestors().nth(3).unwrap_or(Path::new("/"));
    let output = Command::new(wrk)
        .env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"))
        .args(["-t1", &format!("-c{}", arguments.connections), &format!("-d{}s", arguments.seconds), "-s"])
        .args([script.as_os_str(), url.as_ref()])
        .output()
        .context("cannot run wrk")?;
    told(&String::from_utf8_lossy(&output.stdout))
        .map_err(|error| format!("{error} {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

/// What the script wrote; a turn with an error is none.
fn told(output: &str) -> Result<Told> {
    let line = output.lines().find_map(|line| line.strip_prefix("TOLD ")).context("wrk told nothing:")?;
    let told: Told = serde_json::from_str(line).context("wrk tells otherwise")?;
    if told.errors > 0 || told.requests == 0 {
        return Err(format!("{} errors in {} requests: not reported", told.errors, told.requests).into());
    }
    Ok(told)
}

/// Processor time of children that have ended; of those only the generator ends during a turn.
fn ended_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
    let ticks: u64 = fields.iter().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).context("ticks a second")?)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    let at = |index: usize| all.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(all.len().saturating_sub(1) / 2), at(all.len() / 2))
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| database | load | who | a second | share of the limit | p50 ms | p90 | p99 | p99.9 | shop CPU ms | database | generator |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Row { database, load, who, rate, share_of_nginx, p50, p90, p99, p999, .. } = row;
        let Row { shop_cpu, database_cpu, generator_cpu, .. } = row;
        let _ = writeln!(
            text,
            "| {database} | {load} | {who} | {rate:.0} | {share_of_nginx:.3} | {p50:.2} | {p90:.2} | {p99:.2} | {p999:.2} | \
             {shop_cpu:.3} | {database_cpu:.3} | {generator_cpu:.3} |"
        );
    }
    text
}

/// nginx alone, with one file.
struct Static {
    child: Child,
    url: String,
}

impl Static {
    fn start(nginx: &Path, folder: &Path, bytes: &str) -> Result<Self> {
        let home = folder.join("static");
        fs::create_dir_all(&home).context("cannot make a folder for nginx")?;
        fs::write(home.join("body"), bytes).context("cannot write what nginx serves")?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).context("no port")?.port();
        let at = home.display();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let text = format!(
            "{user} daemon off; worker_processes 2; pid {at}/pid; error_log stderr;\nevents {{ worker_connections 512; }}\n\
             http {{ access_log off; keepalive_requests 100000000; open_file_cache max=8; default_type application/json;\n\
             client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d;\n\
             scgi_temp_path {at}/e; server {{ listen 127.0.0.1:{port}; root {at}; location / {{ try_files /body =404; }} }} }}\n"
        );
        let config = home.join("nginx.conf");
        fs::write(&config, text).context("cannot write nginx's settings")?;
        let mut command = Command::new(nginx);
        command.arg("-p").arg(&home).arg("-c").arg(&config).stdin(Stdio::null());
        let child = command.spawn().context("cannot run nginx")?;
        std::thread::sleep(Duration::from_millis(300));
        Ok(Self { child, url: format!("http://127.0.0.1:{port}") })
    }
}

impl Drop for Static {
    fn drop(&mut self) {
        if let Some(id) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_with_errors_is_refused() {
        let line = |errors| {
            format!(
                "x\nTOLD {{\"requests\":9,\"duration\":1,\"errors\":{errors},\"p50\":1,\"p90\":1,\"p99\":1,\"p999\":1}}\n"
            )
        };
        assert_eq!(told(&line(0)).unwrap().requests, 9);
        assert!(told(&line(1)).is_err() && told("nothing").is_err());
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(vec![9.0, 1.0, 2.0]), median(vec![1.0, 2.0])), (2.0, 1.5));
    }
}
