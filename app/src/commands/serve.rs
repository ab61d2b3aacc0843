//! The server.
use super::{Failed, document, events_document};
use crate::{settings::Settings, shop};
use host::Server;

pub(crate) async fn run(settings: &Settings) -> Result<(), Failed> {
    settings.served()?;
    settings.heard()?;
    settings.told()?;
    // Before any database is opened: its measures are taken hold of there.
    let metrics = host::start_metrics()?;
    let mut shop = shop::open(settings).await?;
    #[cfg(feature = "users")]
    if let Some(users) = &shop.users {
        match users.has_administrator().await {
            Ok(true) => (),
            Ok(false) => {
                tracing::warn!("there is no administrator yet: cleave users create-admin --email you@example.com");
            }
            Err(error) => tracing::warn!(%error, "cannot tell whether there is an administrator"),
        }
    }
    let modules: Vec<&str> = shop.modules.iter().map(|module| module.name).collect();
    tracing::info!(modules = modules.join(", "), "this process serves");
    let server = Server {
        modules: shop.modules.clone(),
        verify: shop.verify.clone(),
        settings: settings.http.clone(),
        grpc: shop.grpc.take(),
        neighbours: std::mem::take(&mut shop.neighbours),
        openapi: document,
        asyncapi: events_document,
        metrics,
        extra: |_| (),
        greeting: None,
    };
    Ok(server.run().await?)
}
