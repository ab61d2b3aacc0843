//! The one place that wires implementations: databases, domains, and the handles between them.
use super::{
    Domain, alone, domains, prepare,
    wiring::{Here, Wiring},
};
use crate::settings::{ModuleName, Settings};
use database::{DataDirLock, Database};
use guard::Verify;
use host::{Grpc, KeyRing, Neighbour};
use orders_api::OrderHistory;
use products_api::{Catalogue, Stock};
use std::{sync::Arc, time::Duration};
use users_api::{Accounts, Tokens};
use web::Module;
use wire::Services;

/// An opened shop, or the part of one that is here.
pub(crate) struct Shop {
    pub modules: Vec<Module>,
    pub verify: Arc<dyn Verify>,
    /// How neighbours reach what is here, where they do.
    pub grpc: Option<Grpc>,
    /// Whom it asks elsewhere.
    pub neighbours: Vec<Neighbour>,
    #[cfg(feature = "users")]
    pub users: Option<users::Users>,
    #[cfg(feature = "products")]
    pub products: Option<products::Products>,
    /// One server a data directory.
    _lock: Option<DataDirLock>,
}

/// The traits that are served here, and the modules.
#[derive(Default)]
struct Opened {
    modules: Vec<Module>,
    tokens: Here<dyn Tokens>,
    accounts: Here<dyn Accounts>,
    catalogue: Here<dyn Catalogue>,
    stock: Here<dyn Stock>,
    history: Here<dyn OrderHistory>,
    #[cfg(feature = "users")]
    users: Option<users::Users>,
    #[cfg(feature = "products")]
    products: Option<products::Products>,
}

pub(crate) async fn open(settings: &Settings) -> Result<Shop, String> {
    let lock = lock(settings)?;
    prepare(settings)?;
    let (wiring, mut opened) = (Wiring::new(settings)?, Opened::default());
    for module in ModuleName::ALL.into_iter().filter(|module| settings.is_here(*module)) {
        match module {
            #[cfg(feature = "users")]
            ModuleName::Users => opened.users(&wiring).await?,
            #[cfg(feature = "products")]
            ModuleName::Products => opened.products(&wiring).await?,
            #[cfg(feature = "orders")]
            ModuleName::Orders => opened.orders(&wiring).await?,
            #[cfg(feature = "storefront")]
            ModuleName::Storefront => opened.storefront(&wiring)?,
            #[cfg(not(all(feature = "users", feature = "products", feature = "orders", feature = "storefront")))]
            _ => return Err(format!("this build has no {module}")),
        }
    }
    let first = settings.here.first().ok_or("no module is to be served here")?;
    let tokens = wiring.handle::<_, users_remote::Wire>(*first, ModuleName::Users, &opened.tokens)?;
    let verify: Arc<dyn Verify> = KeyRing::open(tokens, Arc::clone(&wiring.clock));
    if let Some(certificates) = &wiring.certificates {
        host::keep_reading(certificates, Duration::from_secs(settings.grpc.reload_seconds));
    }
    let grpc = (!settings.grpc.listen.is_empty()).then(|| Grpc {
        settings: settings.grpc.clone(),
        services: opened.services(&verify, Duration::from_secs(settings.grpc.max_seconds)),
        certificates: wiring.certificates.clone().filter(|_| !settings.grpc.plaintext),
    });
    Ok(Shop {
        modules: opened.modules,
        verify,
        grpc,
        neighbours: wiring.neighbours(),
        #[cfg(feature = "users")]
        users: opened.users,
        #[cfg(feature = "products")]
        products: opened.products,
        _lock: lock,
    })
}

impl Opened {
    #[cfg(feature = "users")]
    async fn users(&mut self, wiring: &Wiring<'_>) -> Result<(), String> {
        let database = database(wiring, ModuleName::Users)?;
        let users = users::Users::open(database, Arc::clone(&wiring.clock), wiring.settings.users.clone()).await;
        let users = users.map_err(|error| error.to_string())?;
        self.tokens = wiring.serve(ModuleName::Users, "Tokens", users.tokens());
        self.accounts = wiring.serve(ModuleName::Users, "Accounts", users.accounts());
        self.modules.push(users.module());
        self.users = Some(users);
        Ok(())
    }

    #[cfg(feature = "products")]
    async fn products(&mut self, wiring: &Wiring<'_>) -> Result<(), String> {
        let (database, settings) = (database(wiring, ModuleName::Products)?, wiring.settings);
        let (clock, uploads) = (Arc::clone(&wiring.clock), settings.data_dir.join("uploads"));
        let products = products::Products::open(database, clock, settings.products.clone(), uploads).await;
        let products = products.map_err(|error| error.to_string())?;
        self.catalogue = wiring.serve(ModuleName::Products, "Catalogue", products.catalogue());
        self.stock = wiring.serve(ModuleName::Products, "Stock", products.stock());
        self.modules.push(products.module());
        self.products = Some(products);
        Ok(())
    }

    #[cfg(feature = "orders")]
    async fn orders(&mut self, wiring: &Wiring<'_>) -> Result<(), String> {
        let (me, products) = (ModuleName::Orders, ModuleName::Products);
        let neighbours = orders::Neighbours {
            catalogue: wiring.handle::<_, products_remote::Wire>(me, products, &self.catalogue)?,
            stock: wiring.handle::<_, products_remote::Wire>(me, products, &self.stock)?,
        };
        let choices = orders::Settings {
            payments: wiring.settings.payments.clone(),
            shipping: wiring.settings.shipping.clone(),
            checkout: wiring.settings.checkout.clone(),
        };
        let clock = Arc::clone(&wiring.clock);
        let orders = orders::Orders::open(database(wiring, me)?, clock, neighbours, choices).await?;
        self.history = wiring.serve(me, "OrderHistory", orders.history());
        self.modules.push(orders.module());
        Ok(())
    }

    #[cfg(feature = "storefront")]
    fn storefront(&mut self, wiring: &Wiring<'_>) -> Result<(), String> {
        let me = ModuleName::Storefront;
        let storefront = storefront::Storefront::new(
            wiring.handle::<_, users_remote::Wire>(me, ModuleName::Users, &self.accounts)?,
            wiring.handle::<_, products_remote::Wire>(me, ModuleName::Products, &self.catalogue)?,
            wiring.handle::<_, orders_remote::Wire>(me, ModuleName::Orders, &self.history)?,
        );
        self.modules.push(storefront.module());
        Ok(())
    }

    /// What is here, as neighbours reach it.
    fn services(&self, verify: &Arc<dyn Verify>, longest: Duration) -> Services {
        let mut services = Services::new(Arc::clone(verify), longest);
        services.add::<_, users_remote::Wire>(&self.tokens, users_remote::pb::DESCRIPTORS);
        services.add::<_, users_remote::Wire>(&self.accounts, users_remote::pb::DESCRIPTORS);
        services.add::<_, products_remote::Wire>(&self.catalogue, products_remote::pb::DESCRIPTORS);
        services.add::<_, products_remote::Wire>(&self.stock, products_remote::pb::DESCRIPTORS);
        services.add::<_, orders_remote::Wire>(&self.history, orders_remote::pb::DESCRIPTORS);
        services
    }
}

#[cfg(any(feature = "users", feature = "products", feature = "orders"))]
fn database(wiring: &Wiring<'_>, module: ModuleName) -> Result<Database, String> {
    let all = domains(wiring.settings);
    let domain: Option<&Domain> = all.iter().find(|domain| domain.name == module.as_str());
    alone::open_database(wiring.settings, domain.ok_or_else(|| format!("{module} has no database"))?)
}

/// Whoever owns data owns its folder; the aggregator owns none.
fn lock(settings: &Settings) -> Result<Option<DataDirLock>, String> {
    if domains(settings).is_empty() {
        return Ok(None);
    }
    settings.make_data_dir()?;
    database::lock_data_dir(&settings.data_dir).map(Some).map_err(|error| error.to_string())
}
