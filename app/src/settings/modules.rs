//! `[modules]`: where each module runs and what it keeps its data in.
use super::{
    module::ModuleName,
    place::{HttpAddress, Place},
};
use host::Masked;
use serde::{Deserialize, Serialize, Serializer};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Modules {
    pub users: Placed,
    pub products: Placed,
    pub orders: Placed,
    pub webhooks: Placed,
    pub storefront: Fronted,
}

/// A domain.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Placed {
    pub place: Place,
    pub database: Masked,
    #[serde(serialize_with = "or_empty")]
    pub http: Option<HttpAddress>,
}

/// A module that nobody calls, so that it has no place.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fronted {
    #[serde(serialize_with = "or_empty")]
    pub http: Option<HttpAddress>,
}

impl Modules {
    pub(crate) fn domains(&self) -> [(ModuleName, &Placed); 4] {
        [
            (ModuleName::Users, &self.users),
            (ModuleName::Products, &self.products),
            (ModuleName::Orders, &self.orders),
            (ModuleName::Webhooks, &self.webhooks),
        ]
    }
    pub(crate) fn domain(&self, module: ModuleName) -> Option<&Placed> {
        self.domains().into_iter().find_map(|(name, placed)| (name == module).then_some(placed))
    }
    pub(crate) fn http(&self, module: ModuleName) -> Option<&HttpAddress> {
        self.domain(module).map_or(self.storefront.http.as_ref(), |placed| placed.http.as_ref())
    }
}

/// As it is written: parsed apart, so that everything that is wrong is told at once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    users: WrittenPlaced,
    products: WrittenPlaced,
    orders: WrittenPlaced,
    webhooks: WrittenPlaced,
    storefront: WrittenFronted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPlaced {
    place: String,
    database: Masked,
    http: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFronted {
    http: String,
}

impl Written {
    /// `None` after a complaint. `plaintext` is what `grpc.plaintext` says.
    pub(super) fn parse(self, plaintext: bool, complain: &mut impl FnMut(String)) -> Option<Modules> {
        let Self { users, products, orders, webhooks, storefront } = self;
        let mut domain = |module, written: WrittenPlaced| written.parse(module, plaintext, complain);
        let (users, products, orders, webhooks) = (
            domain(ModuleName::Users, users),
            domain(ModuleName::Products, products),
            domain(ModuleName::Orders, orders),
            domain(ModuleName::Webhooks, webhooks),
        );
        let http = address(ModuleName::Storefront, &storefront.http, complain);
        Some(Modules {
            users: users?,
            products: products?,
            orders: orders?,
            webhooks: webhooks?,
            storefront: Fronted { http: http? },
        })
    }
}

impl WrittenPlaced {
    fn parse(self, module: ModuleName, plaintext: bool, complain: &mut impl FnMut(String)) -> Option<Placed> {
        let place = self.place.parse::<Place>().and_then(|place| match place.problem(plaintext) {
            Some(problem) => Err(problem),
            None => Ok(place),
        });
        let place = place.map_err(|bad| complain(format!("modules.{module}.place: {bad}"))).ok();
        let http = address(module, &self.http, complain);
        Some(Placed { place: place?, database: self.database, http: http? })
    }
}

fn address(module: ModuleName, text: &str, complain: &mut impl FnMut(String)) -> Option<Option<HttpAddress>> {
    if text.is_empty() {
        return Some(None);
    }
    text.parse().map(Some).map_err(|bad: String| complain(format!("modules.{module}.http: {bad}"))).ok()
}

fn or_empty<S: Serializer>(address: &Option<HttpAddress>, serializer: S) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => address.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}
