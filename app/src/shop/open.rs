//! The one place that wires implementations: databases, domains, and the handles between them.
use super::{
    domains,
    events::{self, Party},
    open_databases, prepare, told, up_to_date,
    wiring::{Here, Purpose, Wiring},
};
use crate::settings::{ModuleName, Settings};
use database::{DataDirLock, Database};
use guard::Verify;
use host::{Grpc, KeyRing, Neighbour};
use kernel::Check;
#[cfg(feature = "orders")]
use kernel::{Call, Principal, Trace};
use messaging::Listener;
use orders_api::OrderHistory;
use products_api::{Catalogue, Stock};
use std::{collections::HashMap, sync::Arc, time::Duration};
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
    databases: HashMap<&'static str, Database>,
    modules: Vec<Module>,
    /// Who tells and hears events.
    parties: Vec<Party>,
    tokens: Here<dyn Tokens>,
    accounts: Here<dyn Accounts>,
    catalogue: Here<dyn Catalogue>,
    stock: Here<dyn Stock>,
    history: Here<dyn OrderHistory>,
    #[cfg(feature = "users")]
    users: Option<users::Users>,
    #[cfg(feature = "products")]
    products: Option<products::Products>,
    #[cfg(feature = "orders")]
    orders: Option<orders::Orders>,
    #[cfg(feature = "webhooks")]
    webhooks: Option<webhooks::Webhooks>,
}

/// What an audit's questions to neighbours may take: a large shop's are many.
#[cfg(feature = "orders")]
const AUDIT: Duration = Duration::from_secs(600);

pub(crate) async fn open(settings: &Settings) -> Result<Shop, String> {
    let lock = lock(settings)?;
    prepare(settings)?;
    let wiring = Wiring::new(settings)?;
    let mut opened = Opened::all(&wiring).await?;
    events::attach(&wiring, std::mem::take(&mut opened.parties), &mut opened.modules).await?;
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

/// Whatever invariants the domains that are here look at. Nothing is served, migrated or written, so a server may run
/// beside it; whoever asks neighbours asks them as its server does.
pub(crate) async fn audit(settings: &Settings, at_rest: bool) -> Result<Vec<Check>, String> {
    up_to_date(settings)?;
    let wiring = Wiring::looking(settings)?;
    Opened::all(&wiring).await?.audit(&wiring, at_rest).await
}

impl Opened {
    async fn all(wiring: &Wiring<'_>) -> Result<Self, String> {
        let mut opened = Self { databases: open_databases(wiring.settings)?, ..Self::default() };
        for module in ModuleName::ALL.into_iter().filter(|module| wiring.settings.is_here(*module)) {
            match module {
                #[cfg(feature = "users")]
                ModuleName::Users => opened.users(wiring).await?,
                #[cfg(feature = "products")]
                ModuleName::Products => opened.products(wiring).await?,
                #[cfg(feature = "orders")]
                ModuleName::Orders => opened.orders(wiring).await?,
                #[cfg(feature = "webhooks")]
                ModuleName::Webhooks => opened.webhooks(wiring).await?,
                #[cfg(feature = "storefront")]
                ModuleName::Storefront => opened.storefront(wiring)?,
                #[cfg(not(all(
                    feature = "users",
                    feature = "products",
                    feature = "orders",
                    feature = "webhooks",
                    feature = "storefront"
                )))]
                _ => return Err(format!("this build has no {module}")),
            }
        }
        Ok(opened)
    }

    /// In the order of the modules.
    #[cfg_attr(
        not(any(feature = "products", feature = "orders", feature = "webhooks")),
        expect(unused_variables, reason = "nothing of users is under way for longer than a transaction")
    )]
    async fn audit(&self, wiring: &Wiring<'_>, at_rest: bool) -> Result<Vec<Check>, String> {
        let mut checks = told::audit(&self.parties, wiring.clock.as_ref(), at_rest).await?;
        #[cfg(feature = "users")]
        if let Some(users) = &self.users {
            checks.extend(users.audit().await.map_err(|error| format!("users: {error}"))?);
        }
        #[cfg(feature = "products")]
        if let Some(products) = &self.products {
            checks.extend(products.audit(at_rest).await.map_err(|error| format!("products: {error}"))?);
        }
        #[cfg(feature = "orders")]
        if let Some(orders) = &self.orders {
            let call = Call::begin(Principal::Anonymous, Trace(0), AUDIT);
            let failed = |error| format!("orders, or products, which it asks: {error}");
            checks.extend(orders.audit(&call, at_rest).await.map_err(failed)?);
        }
        #[cfg(feature = "webhooks")]
        if let Some(webhooks) = &self.webhooks {
            checks.extend(webhooks.audit().await.map_err(|error| format!("webhooks: {error}"))?);
        }
        Ok(checks)
    }

    #[cfg(feature = "users")]
    async fn users(&mut self, wiring: &Wiring<'_>) -> Result<(), String> {
        let database = self.database(ModuleName::Users)?;
        self.party(ModuleName::Users, &database, Listener::default());
        let (clock, settings) = (Arc::clone(&wiring.clock), wiring.settings.users.clone());
        let users = match wiring.purpose {
            Purpose::Serve => users::Users::open(database, clock, settings).await.map_err(|error| error.to_string())?,
            Purpose::Look => users::Users::look(database, clock, settings),
        };
        self.tokens = wiring.serve(ModuleName::Users, "Tokens", users.tokens());
        self.accounts = wiring.serve(ModuleName::Users, "Accounts", users.accounts());
        self.modules.push(users.module());
        self.users = Some(users);
        Ok(())
    }

    #[cfg(feature = "products")]
    async fn products(&mut self, wiring: &Wiring<'_>) -> Result<(), String> {
        let (database, settings) = (self.database(ModuleName::Products)?, wiring.settings);
        let (clock, uploads) = (Arc::clone(&wiring.clock), settings.data_dir.join("uploads"));
        let choices = settings.products.clone();
        let products = match wiring.purpose {
            Purpose::Serve => {
                let opened = products::Products::open(database.clone(), clock, choices, uploads).await;
                opened.map_err(|error| error.to_string())?
            }
            Purpose::Look => products::Products::look(database.clone(), clock, choices, uploads),
        };
        self.party(ModuleName::Products, &database, products.listener());
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
        let (clock, database) = (Arc::clone(&wiring.clock), self.database(me)?);
        let orders = orders::Orders::open(database.clone(), clock, neighbours, choices).await?;
        self.party(me, &database, orders.listener());
        self.history = wiring.serve(me, "OrderHistory", orders.history());
        self.modules.push(orders.module());
        self.orders = Some(orders);
        Ok(())
    }

    #[cfg(feature = "webhooks")]
    async fn webhooks(&mut self, wiring: &Wiring<'_>) -> Result<(), String> {
        let (database, clock) = (self.database(ModuleName::Webhooks)?, Arc::clone(&wiring.clock));
        let settings = wiring.settings.webhooks.clone();
        let webhooks = webhooks::Webhooks::open(database.clone(), clock, events::catalogue(), settings).await?;
        self.party(ModuleName::Webhooks, &database, webhooks.listener());
        self.modules.push(webhooks.module());
        self.webhooks = Some(webhooks);
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

    #[cfg(any(feature = "users", feature = "products", feature = "orders", feature = "webhooks"))]
    fn database(&self, module: ModuleName) -> Result<Database, String> {
        self.databases.get(module.as_str()).cloned().ok_or_else(|| format!("{module} has no database"))
    }

    #[cfg(any(feature = "users", feature = "products", feature = "orders", feature = "webhooks"))]
    fn party(&mut self, module: ModuleName, db: &Database, listener: Listener) {
        self.parties.push(Party { module, db: db.clone(), listener });
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

/// Whoever owns data owns its folder; the aggregator owns none.
fn lock(settings: &Settings) -> Result<Option<DataDirLock>, String> {
    if domains(settings).is_empty() {
        return Ok(None);
    }
    settings.make_data_dir()?;
    database::lock_data_dir(&settings.data_dir).map(Some).map_err(|error| error.to_string())
}
