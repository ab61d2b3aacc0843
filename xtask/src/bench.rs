//! `cargo xtask bench`: what things cost, measured on whatever machine this is.
//!
//! Figures are for people: nothing here is ever compared with a threshold. An answer that is not the expected one ends a
//! run, so that errors never count as speed.
mod checkout;
mod cpu;
mod figures;
mod goods;
mod load;
mod machine;
mod orders;
mod page;
mod shops;
mod speed;
mod topologies;

use crate::{error::Result, workspace::Workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The same load on one process, on one process a domain in plain text, and the same with mutual TLS
    Topologies(topologies::Arguments),
    /// How near the shop comes to what the machine allows
    Speed(speed::Arguments),
    /// How near a checkout comes to what its database allows
    Checkout(checkout::Arguments),
}

pub(crate) async fn run(workspace: &Workspace, arguments: Arguments) -> Result<()> {
    match arguments.what {
        What::Topologies(arguments) => topologies::run(workspace, arguments).await,
        What::Speed(arguments) => speed::run(workspace, arguments).await,
        What::Checkout(arguments) => checkout::run(workspace, arguments).await,
    }
}

/// Whether it works at all, in seconds.
pub(crate) async fn smoke(workspace: &Workspace, profile: &str) -> Result<()> {
    topologies::smoke(workspace, profile).await
}
