//! Events that could not be handled: read them, try them again, or let them be.
use super::{Failed, with_tables};
use crate::{
    settings::Settings,
    shop::{self, alone::open_database},
};
use clap::Subcommand;
use database::{
    Database,
    inbox::{self, Dead},
};
use messaging::EventId;
use serde::Serialize;
use serde_json::Value;

/// Shown at most; more than these is told.
const SHOWN: i64 = 1000;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Events that were given up, and how many wait behind them
    List {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// One of them, whole, and why it could not be handled
    Show { id: String },
    /// Give one of them, or all, another ten tries
    Redrive {
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        #[arg(long)]
        all: bool,
    },
    /// Never handle this one; what waits behind it goes on
    Discard { id: String },
}

#[derive(Serialize)]
struct Shown {
    /// Who could not handle it.
    domain: &'static str,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    received_at: String,
    tries: i64,
    dead_at: Option<String>,
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Value>,
}

impl Shown {
    fn new(domain: &'static str, dead: Dead, whole: bool) -> Self {
        Self {
            domain,
            id: EventId::from(dead.id).to_string(),
            kind: dead.kind,
            subject: dead.subject,
            received_at: dead.received_at.to_string(),
            tries: dead.tries,
            dead_at: dead.dead_at.map(|at| at.to_string()),
            error: dead.error,
            event: whole.then_some(dead.event),
        }
    }
}

pub(crate) async fn run(settings: &Settings, verb: Verb) -> Result<(), Failed> {
    shop::up_to_date(settings)?;
    let opened = with_tables(settings)?;
    let opened: Vec<Database> =
        opened.iter().map(|domain| open_database(settings, domain)).collect::<Result<_, _>>()?;
    let done = act(&opened, verb).await;
    for db in opened {
        db.close().await;
    }
    done
}

async fn act(domains: &[Database], verb: Verb) -> Result<(), Failed> {
    match verb {
        Verb::List { json } => list(domains, json).await,
        Verb::Show { id } => {
            let (db, dead) = find(domains, &id).await?;
            print_json(&Shown::new(db.name(), dead, true))
        }
        Verb::Redrive { id: Some(id), .. } => {
            let (db, dead) = find(domains, &id).await?;
            let one = dead.id;
            db.write(move |tx| inbox::redrive(tx, Some(one))).await.map_err(told)?;
            println!("{}: {id} is tried again", db.name());
            Ok(())
        }
        Verb::Redrive { id: None, .. } => {
            for db in domains {
                let many = db.write(|tx| inbox::redrive(tx, None)).await.map_err(told)?;
                println!("{}: {many} are tried again", db.name());
            }
            Ok(())
        }
        Verb::Discard { id } => {
            let (db, dead) = find(domains, &id).await?;
            db.write(move |tx| inbox::discard(tx, dead.id)).await.map_err(told)?;
            println!("{}: {id} is not handled any more", db.name());
            Ok(())
        }
    }
}

async fn list(domains: &[Database], json: bool) -> Result<(), Failed> {
    let mut all = Vec::new();
    for db in domains {
        let dead = db.read(|conn| inbox::dead(conn, SHOWN)).await.map_err(told)?;
        if !json {
            let (waits, _, dead) = db.read(inbox::waiting).await.map_err(told)?;
            let behind = db.read(inbox::held_back).await.map_err(told)?;
            println!("{}: {dead} given up, {behind} wait behind them; {waits} in all wait to be handled", db.name());
        }
        all.extend(dead.into_iter().map(|dead| Shown::new(db.name(), dead, false)));
    }
    if json {
        return print_json(&all);
    }
    for Shown { domain, id, kind, subject, tries, dead_at, error, .. } in &all {
        let (at, why) = (dead_at.as_deref().unwrap_or_default(), error.as_deref().unwrap_or("nobody said why"));
        println!("{at} {domain} {id} {kind} {subject} after {tries} tries: {why}");
    }
    Ok(())
}

async fn find<'a>(domains: &'a [Database], id: &str) -> Result<(&'a Database, Dead), Failed> {
    let parsed: EventId = id.parse().map_err(|bad| format!("{id}: {bad}"))?;
    let uuid = *parsed.uuid();
    for db in domains {
        if let Some(dead) = db.read(move |conn| inbox::dead_one(conn, uuid)).await.map_err(told)? {
            return Ok((db, dead));
        }
    }
    Err(format!("{id} is not among the events that were given up; `cleave events list` shows them").into())
}

fn print_json(value: &impl Serialize) -> Result<(), Failed> {
    println!("{}", serde_json::to_string_pretty(value).map_err(|error| error.to_string())?);
    Ok(())
}

fn told(error: database::Error) -> Failed {
    Failed(error.to_string())
}
