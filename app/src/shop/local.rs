//! The one place that wires implementations: databases, domains, and the guarded handles between them.
use super::{Domain, alone, domains, prepare};
use crate::{
    boundaries,
    settings::{ModuleName, Settings, listed},
};
use database::{DataDirLock, Database};
use guard::{Inbound, Verify};
use host::KeyRing;
use kernel::{Clock, Handle, SystemClock, To};
use std::sync::Arc;
use web::Module;

/// An opened shop.
pub(crate) struct Shop {
    pub modules: Vec<Module>,
    pub verify: Arc<dyn Verify>,
    pub users: users::Users,
    pub products: products::Products,
    /// One server a data directory.
    _lock: DataDirLock,
}

/// Puts guards between domains: the callee's half once a trait, the caller's half a handle.
struct Wiring<'a> {
    settings: &'a Settings,
    clock: Arc<dyn Clock>,
}

impl Wiring<'_> {
    fn inbound<T: ?Sized>(&self, domain: &str, name: &str, service: Arc<T>) -> Inbound<To<T>> {
        guard::inbound(service, &boundaries::peers(domain, name), Arc::clone(&self.clock), self.settings.calls)
    }
    fn handle<T: Handle<guard::Outbound<Inbound<To<T>>>> + ?Sized>(
        &self,
        peer: &str,
        inbound: &Inbound<To<T>>,
    ) -> Arc<T> {
        guard::local(peer.into(), inbound.clone(), self.settings.calls)
    }
    fn database(&self, domain: &Domain) -> Result<Database, String> {
        alone::open_database(self.settings, domain)
    }
}

pub(crate) async fn open(settings: &Settings) -> Result<Shop, String> {
    if ModuleName::ALL.into_iter().any(|module| !settings.is_here(module)) {
        let here = listed(settings.here.iter().copied());
        return Err(format!("only {here} would be served here, and there is no wire to the others"));
    }
    let lock = lock(settings)?;
    prepare(settings)?;
    let wiring = Wiring { settings, clock: Arc::new(SystemClock) };
    let clock = || Arc::clone(&wiring.clock);
    let [users_at, products_at, orders_at] =
        <[Domain; 3]>::try_from(domains(settings)).map_err(|_| "three domains are built in")?;
    let failed = |error: database::Error| error.to_string();

    let users =
        users::Users::open(wiring.database(&users_at)?, clock(), settings.users.clone()).await.map_err(failed)?;
    let tokens = wiring.inbound("users", "Tokens", users.tokens());
    let accounts = wiring.inbound("users", "Accounts", users.accounts());

    let uploads = settings.data_dir.join("uploads");
    let products =
        products::Products::open(wiring.database(&products_at)?, clock(), settings.products.clone(), uploads)
            .await
            .map_err(failed)?;
    let catalogue = wiring.inbound("products", "Catalogue", products.catalogue());
    let stock = wiring.inbound("products", "Stock", products.stock());

    let neighbours =
        orders::Neighbours { catalogue: wiring.handle("orders", &catalogue), stock: wiring.handle("orders", &stock) };
    let choices = orders::Settings {
        payments: settings.payments.clone(),
        shipping: settings.shipping.clone(),
        checkout: settings.checkout.clone(),
    };
    let orders = orders::Orders::open(wiring.database(&orders_at)?, clock(), neighbours, choices).await?;
    let history = wiring.inbound("orders", "OrderHistory", orders.history());

    let storefront = storefront::Storefront::new(
        wiring.handle("storefront", &accounts),
        wiring.handle("storefront", &catalogue),
        wiring.handle("storefront", &history),
    );
    let verify = Arc::new(KeyRing::new(wiring.handle("host", &tokens), clock()));
    let modules = vec![users.module(), products.module(), orders.module(), storefront.module()];
    Ok(Shop { modules, verify, users, products, _lock: lock })
}

fn lock(settings: &Settings) -> Result<DataDirLock, String> {
    settings.make_data_dir()?;
    database::lock_data_dir(&settings.data_dir).map_err(|error| error.to_string())
}
