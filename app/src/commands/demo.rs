//! A sample shop to try things on: "Paper & Brass", made for this project.
use super::Failed;
use crate::settings::{Flags, Settings};

#[cfg(all(feature = "users", feature = "products", feature = "orders", feature = "storefront"))]
pub(crate) use full::run;

#[cfg(not(all(feature = "users", feature = "products", feature = "orders", feature = "storefront")))]
pub(crate) async fn run(_: Settings, _: &Flags) -> Result<(), Failed> {
    Err("the demonstration needs all domains in one build".into())
}

#[cfg(all(feature = "users", feature = "products", feature = "orders", feature = "storefront"))]
mod full {
    use super::{Failed, Flags, Settings};
    use crate::{
        commands::{document, events_document},
        settings::ModuleName,
        shop::{self, Shop},
    };
    use actix_web::{HttpResponse, web};
    use host::{Masked, Server};
    use include_dir::{Dir, include_dir};
    use serde_json::Value;
    use std::{
        net::{SocketAddr, ToSocketAddrs},
        time::Instant,
    };

    static PICTURES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/demo/pictures");
    const CATALOGUE: &str = include_str!("../../demo/catalogue.json");
    const CATEGORIES: &str = include_str!("../../demo/categories.json");
    const GREETING: &str = include_str!("../../demo/greeting.txt");

    const ADMIN: (&str, &str) = ("admin@paper-and-brass.example", "admin of the demo");
    const CUSTOMER: (&str, &str) = ("ada@paper-and-brass.example", "customer of the demo");

    pub(crate) async fn run(mut settings: Settings, flags: &Flags) -> Result<(), Failed> {
        let started = Instant::now();
        if settings.here.len() < ModuleName::ALL.len() {
            return Err("the demonstration is a whole shop in one process: all modules have to be here".into());
        }
        if flags.data_dir.is_none() {
            settings.data_dir = settings.data_dir.join("demo");
        }
        settings.database.url = Masked::default();
        settings.payments.providers = vec!["manual".into(), "test".into()];
        refuse_others(&settings.http.listen)?;
        let metrics = host::start_metrics()?;
        let mut shop = shop::open(&settings).await?;
        seed(&shop).await?;
        let server = Server {
            modules: shop.modules.clone(),
            verify: shop.verify.clone(),
            settings: settings.http.clone(),
            grpc: shop.grpc.take(),
            neighbours: std::mem::take(&mut shop.neighbours),
            openapi: document,
            asyncapi: events_document,
            metrics,
            extra: |config| {
                config.service(::web::plain("/demo/pictures/{name}", picture));
            },
            greeting: Some(Box::new(move |address| greeting(address, started))),
        };
        Ok(server.run().await?)
    }

    /// Its passwords are known to everybody, so only this machine may reach it.
    fn refuse_others(listen: &str) -> Result<(), Failed> {
        let mut addresses = listen.to_socket_addrs().map_err(|error| format!("http.listen: {listen}: {error}"))?;
        if addresses.all(|address| address.ip().is_loopback()) {
            return Ok(());
        }
        Err(format!("the demonstration listens on this machine only, not on {listen}: its passwords are public").into())
    }

    /// Once; the administrator comes last, so that a start that was broken off begins again.
    async fn seed(shop: &Shop) -> Result<(), Failed> {
        let (Some(users), Some(products)) = (&shop.users, &shop.products) else {
            return Err("the demonstration needs users and products here".into());
        };
        if users.has_administrator().await.map_err(|error| error.to_string())? {
            return Ok(());
        }
        let read = |text: &str| serde_json::from_str::<Vec<Value>>(text).map_err(|error| error.to_string());
        products.seed(read(CATALOGUE)?, read(CATEGORIES)?).await?;
        let (email, password) = CUSTOMER;
        match users.create_customer(email, password, "Ada").await {
            Ok(()) => (),
            Err(why) => tracing::info!(why, "the customer of the demonstration is there already"),
        }
        let (email, password) = ADMIN;
        users.create_administrator(email, password, "Administrator").await?;
        Ok(())
    }

    async fn picture(name: web::Path<String>) -> HttpResponse {
        match PICTURES.get_file(name.as_str()) {
            Some(file) => HttpResponse::Ok().content_type("image/svg+xml").body(file.contents()),
            None => HttpResponse::NotFound().finish(),
        }
    }

    fn greeting(address: SocketAddr, started: Instant) -> String {
        GREETING
            .replace("{shop}", &format!("http://{address}"))
            .replace("{admin}", ADMIN.0)
            .replace("{admin_password}", ADMIN.1)
            .replace("{customer}", CUSTOMER.0)
            .replace("{customer_password}", CUSTOMER.1)
            .replace("{seconds}", &format!("{:.2}", started.elapsed().as_secs_f64()))
    }
}
