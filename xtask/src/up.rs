//! `cargo xtask up`: a shop to try out, in any topology, with everything that it needs on this machine.
//!
//! What it says is one log, each line after the name of the process that said it. Ctrl-C stops all of it in order; so
//! does any process that ends by itself. Its data goes with it.
use crate::{
    build,
    error::{Context, Result},
    servers::{self, Brokers, Postgres},
    workspace::Workspace,
};
use clap::ValueEnum;
use launch::{Broker, Databases, Domain, Errors, Fleet, Plan, Topology, Wanted};
use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{task::spawn_blocking, time::sleep};

const ADMIN: (&str, &str) = ("admin@shop.example", "admin of the trial");
/// Cyan, green, yellow, magenta, blue, red: told apart on light and dark.
const COLOURS: [u8; 7] = [36, 32, 33, 35, 96, 34, 31];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// single, split, users-out, products-out or orders-out
    #[arg(long, default_value = "single")]
    topology: Topology,
    #[arg(long, value_enum, default_value = "sqlite")]
    database: Database,
    /// Where the shop answers
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The cargo profile to build it with
    #[arg(long, default_value = "dev")]
    profile: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    let Arguments { topology, database, listen, profile } = arguments;
    let binary = build::product(workspace, &profile).await?;
    let nginx = (topology != Topology::Single).then(|| servers::nginx(workspace)).transpose()?;
    // Declared before the shop, so gone after it.
    let (postgres, nats, folder);
    let databases = match database {
        Database::Sqlite => Databases::Files,
        Database::Postgres => {
            let names = names(topology);
            postgres = Postgres::start(workspace, &names).await?;
            located(&names, |name| postgres.url(name))
        }
    };
    // Several processes hear each other over a broker.
    let broker = if topology == Topology::Single {
        Broker::InProcess
    } else {
        nats = Brokers::nats(workspace)?;
        nats.broker("cleave")
    };
    folder = TempDir::with_prefix("cleave-up-").context("cannot make a folder for the shop")?;
    let started = Instant::now();
    let wanted = Wanted {
        topology,
        binary,
        folder: folder.path().to_owned(),
        databases,
        broker,
        env: vec![("CLEAVE__PAYMENTS__PROVIDERS".into(), "manual,test".into())],
        nginx,
        listen: Some(listen),
        errors: log(),
        ..Wanted::default()
    };
    // Apart, so that Ctrl-C is heard meanwhile; what was started by then is stopped as soon as it is.
    let fleet = spawn_blocking(|| start(wanted)).await.context("the shop could not be started")??;
    greet(&fleet, started);
    loop {
        if let Some(name) = fleet.ended() {
            return Err(format!("{name} ended by itself, so everything was stopped; its last words are above").into());
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn start(wanted: Wanted) -> Result<Fleet> {
    let mut fleet = Fleet::prepare(Plan::new(wanted)?)?;
    let (email, password) = ADMIN;
    fleet.run(&["users", "create-admin", "--email", email, "--password-stdin"], password)?;
    fleet.start()?;
    fleet.meet()?;
    Ok(fleet)
}

/// One database for a single shop, one a domain for any other.
fn names(topology: Topology) -> Vec<&'static str> {
    match topology {
        Topology::Single => vec!["shop"],
        _ => Domain::ALL.map(Domain::name).into(),
    }
}

fn located(names: &[&str], url: impl Fn(&str) -> String) -> Databases {
    match names {
        [shop] => Databases::Shared(url(shop)),
        _ => Databases::Own(Domain::ALL.map(|domain| (domain, url(domain.name()))).into()),
    }
}

/// A line a line, after the name of who said it.
fn log() -> Errors {
    let coloured = std::io::stdout().is_terminal();
    Errors::Told(Arc::new(move |name, line| {
        // Our own standard output being closed is no reason to stop a shop.
        let _ = writeln!(std::io::stdout().lock(), "{}{line}", prefix(name, coloured));
    }))
}

fn prefix(name: &str, coloured: bool) -> String {
    let padded = format!("{name:<10} | ");
    if !coloured {
        return padded;
    }
    let all = ["users", "products", "orders", "webhooks", "storefront", "gateway"];
    let colour = all.iter().position(|one| *one == name).unwrap_or(all.len());
    format!("\x1b[{}m{padded}\x1b[0m", COLOURS[colour])
}

fn greet(fleet: &Fleet, started: Instant) {
    let (email, password) = ADMIN;
    let url = fleet.url();
    println!("\nthe shop answers on {url} after {:.1} s: {}", started.elapsed().as_secs_f64(), fleet.plan().topology());
    println!("  reference      {url}/docs");
    println!("  administrator  {email}, \"{password}\"");
    for (name, internal) in fleet.internals() {
        println!("  {name:<13}  measures on {internal}/metrics");
    }
    println!("  files          {}", fleet.plan().folder().display());
    println!("Ctrl-C stops it and takes its data away\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_it_is() {
        assert_eq!(prefix("orders", false), "orders     | ");
        let coloured: std::collections::BTreeSet<_> =
            ["users", "products", "orders", "webhooks", "storefront", "gateway", "rest"]
                .map(|name| prefix(name, true))
                .into();
        assert_eq!(coloured.len(), 7);
        assert!(prefix("users", true).ends_with("\x1b[0m"));
    }

    #[test]
    fn who_is_out_has_a_database_of_its_own() {
        let names = names(Topology::Out(Domain::Orders));
        let Databases::Own(urls) = located(&names, |name| format!("postgres://h/{name}")) else {
            panic!("one for all")
        };
        assert_eq!(urls[&Domain::Orders], "postgres://h/orders");
        assert!(matches!(located(&["shop"], str::to_owned), Databases::Shared(url) if url == "shop"));
    }
}
