//! `cleave`: a shop in one binary. The command line; `shop` wires, `commands` do.
mod asyncapi;
mod boundaries;
mod commands;
mod settings;
mod shop;
mod topology;

use clap::{Args, Parser, Subcommand};
use commands::{Failed, asyncapi, certs, database_init, demo, openapi, serve};
use settings::{Flags, Settings};
use std::{path::PathBuf, process::ExitCode};
use tikv_jemallocator::Jemalloc;

// Measured: docs/performance.md, "Start, memory and the binary".
counted::global!(Jemalloc);

/// A commerce backend: start as one binary, move any domain out later, change no code.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Clone)]
struct Common {
    /// A TOML file; see `cleave config` for every key.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the shop answers, such as 0.0.0.0:8080.
    #[arg(long, global = true, value_name = "ADDR")]
    listen: Option<String>,
    /// Where files lie.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The modules that this process is about, such as users,orders; without it those whose place is "local".
    #[arg(long, global = true, value_name = "MODULES", value_delimiter = ',')]
    only: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the shop (what happens without a command, too).
    Serve,
    /// Run a sample shop in data/demo, on this machine only, with an administrator, a customer and things to buy.
    Demo,
    /// Bring the databases up to date.
    Migrate {
        /// Only say what is pending; fails when anything is.
        #[arg(long)]
        check: bool,
    },
    /// Move a domain's tables to another database, and compare both sides. Stop its server first.
    Copy {
        /// The domain: users, products or orders.
        #[arg(long)]
        module: String,
        /// Where from, such as sqlite:FILE or postgres://..; without it, where the settings say.
        #[arg(long, value_name = "URL", required_unless_present = "to")]
        from: Option<String>,
        /// Where to; without it, where the settings say.
        #[arg(long, value_name = "URL")]
        to: Option<String>,
    },
    /// Copy all domains that are here, as they are at one moment, into a new folder of SQLite files. Servers go on.
    Backup {
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Recompute what must hold of the tables that are here, and say what is off: 0 when all holds, 1 when anything is
    /// off, 2 when it could not look. Servers go on.
    Audit(commands::audit::Form),
    /// Events that a domain was told and could not handle.
    #[command(subcommand)]
    Events(commands::events::Verb),
    /// PostgreSQL: make what the shop needs.
    #[command(subcommand)]
    Database(DatabaseCommand),
    /// Bring data in.
    #[command(subcommand)]
    Import(ImportCommand),
    /// People.
    #[command(subcommand)]
    Users(UsersCommand),
    /// Certificates, by which processes of one shop know each other.
    #[command(subcommand)]
    Certs(certs::Command),
    /// Print the OpenAPI document.
    Openapi,
    /// Print the AsyncAPI document: the events that the shop tells.
    Asyncapi,
    /// Say who runs where, who may call whom and how everybody is, or write a gateway's configuration.
    Topology(commands::topology::Form),
    /// Print the settings as they are in effect, secrets masked.
    Config,
}

#[derive(Subcommand)]
enum DatabaseCommand {
    /// Make each domain's role and schema in the database of `database.url`, and print what was done.
    Init {
        /// A PostgreSQL URL of somebody who may create roles and schemas in that database.
        #[arg(long, value_name = "URL")]
        admin_url: String,
    },
}

#[derive(Subcommand)]
enum ImportCommand {
    /// Products from a CSV file.
    Products {
        file: PathBuf,
        /// The file's format; `shopify` is the one there is.
        #[arg(long, default_value = "shopify")]
        format: String,
        /// The currency of the file's prices.
        #[arg(long, default_value = "EUR")]
        currency: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Subcommand)]
enum UsersCommand {
    /// Make an administrator, or make an account one; its password is asked for.
    CreateAdmin {
        #[arg(long)]
        email: String,
        #[arg(long, default_value = "Administrator")]
        name: String,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make a new key that signs access tokens; the old one is believed until its last token has expired.
    RotateKey {
        /// A key leaked: the new one signs at once, no other is believed, everybody refreshes or signs in again.
        #[arg(long)]
        now: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    if crash::list_is_wanted() {
        shop::crash_points().iter().for_each(|point| println!("{point}"));
        return ExitCode::SUCCESS;
    }
    let cli = Cli::parse();
    let failure = match &cli.command {
        Some(Command::Audit(_)) => commands::audit::COULD_NOT_LOOK.into(),
        _ => ExitCode::FAILURE,
    };
    match run(cli).await {
        Ok(code) => code,
        Err(Failed(why)) => {
            eprintln!("cleave: {why}");
            failure
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Failed> {
    let Common { config, listen, data_dir, only } = cli.common;
    let flags = Flags { config, listen, data_dir, only };
    let settings = || -> Result<Settings, Failed> {
        let settings = Settings::read(&flags)?;
        host::start_logs(&settings.log)?;
        Ok(settings)
    };
    let done = match cli.command.unwrap_or(Command::Serve) {
        Command::Audit(form) => return commands::audit::run(&settings()?, &form).await,
        Command::Serve => serve::run(&settings()?).await,
        Command::Demo => demo::run(settings()?, &flags).await,
        Command::Migrate { check } => commands::migrate(&settings()?, check),
        Command::Copy { module, from, to } => {
            commands::copy::run(&settings()?, &commands::copy::Request { module, from, to })
        }
        Command::Backup { to } => commands::backup::run(&settings()?, &to),
        Command::Events(verb) => commands::events::run(&settings()?, verb).await,
        Command::Database(DatabaseCommand::Init { admin_url }) => database_init(&settings()?, &admin_url),
        Command::Import(ImportCommand::Products { file, format, currency, dry_run }) => {
            commands::import::products(&settings()?, &file, &format, &currency, dry_run).await
        }
        Command::Users(UsersCommand::CreateAdmin { email, name, password_stdin }) => {
            commands::users::create_admin(&settings()?, &email, &name, password_stdin).await
        }
        Command::Users(UsersCommand::RotateKey { now }) => commands::users::rotate_key(&settings()?, now).await,
        Command::Certs(command) => certs::run(&settings()?.grpc, command),
        Command::Openapi => openapi(),
        Command::Asyncapi => asyncapi(),
        Command::Topology(form) => commands::topology::run(&settings()?, &form).await,
        Command::Config => commands::config(&settings()?),
    };
    done.map(|()| ExitCode::SUCCESS)
}
