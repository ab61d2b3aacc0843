//! Who runs where, in the form that somebody needs it in.
use super::Failed;
use crate::{
    settings::Settings,
    topology::{Topology, gateway, nginx},
};
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct Form {
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// nginx: where it listens.
    #[arg(long, value_name = "ADDR", default_value = "80")]
    gateway: String,
    /// nginx: where it logs, a line a request; `off` for nowhere.
    #[arg(long, value_name = "FILE", default_value = "/var/log/nginx/access.log")]
    access_log: String,
    /// Gateway API: the Gateway that the routes belong to.
    #[arg(long, value_name = "NAME", default_value = "cleave")]
    parent: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A table.
    Text,
    /// For programs.
    Json,
    /// A picture.
    Mermaid,
    /// A file for nginx's http context, such as /etc/nginx/conf.d/cleave.conf.
    Nginx,
    /// HTTPRoutes of the Kubernetes Gateway API.
    Gateway,
}

pub(crate) async fn run(settings: &Settings, form: &Form) -> Result<(), Failed> {
    settings.served()?;
    let mut topology = Topology::of(settings)?;
    if matches!(form.format, Format::Text | Format::Json | Format::Mermaid) {
        topology.ask().await;
    }
    let text = match form.format {
        Format::Text => topology.text(),
        Format::Json => serde_json::to_string_pretty(&topology).map_err(|error| error.to_string())? + "\n",
        Format::Mermaid => topology.mermaid(),
        Format::Nginx => nginx::file(&topology, &form.gateway, &form.access_log)?,
        Format::Gateway => gateway::routes(&topology, &form.parent)?,
    };
    print!("{text}");
    Ok(())
}
