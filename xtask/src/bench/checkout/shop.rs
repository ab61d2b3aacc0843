//! A shop of its own database, and what its buyers do.
use super::lap::{Lap, Meters};
use crate::{
    bench::{
        goods::{self, Goods, asked, json, text},
        shops::{ADMIN, Addresses},
    },
    error::{Context, Result},
    servers::{OwnNats, Postgres},
};
use launch::{Broker, Databases, Domain, Errors, Fleet, Module, Plan, Topology, Wanted};
use reqwest::Client;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::{JoinSet, spawn_blocking};

pub(super) const FIRST_ORDERS: &str = "/v1/orders?limit=20";

/// What all shops of a run share.
pub(super) struct Ground<'a> {
    pub(super) binary: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) postgres: Option<&'a Postgres>,
    pub(super) products: usize,
    /// A shop of several processes has these before it and between them.
    pub(super) split: Option<(PathBuf, OwnNats)>,
}

pub(super) struct Shop {
    pub(super) fleet: Fleet,
    pub(super) at: Addresses,
    pub(super) goods: Arc<Goods>,
    /// The administrator's token.
    staff: String,
    /// The database's process, where there is one.
    database: Vec<u32>,
    words: Arc<Mutex<String>>,
}

/// A guest's, with a line and an address.
#[derive(Clone)]
pub(super) struct Cart {
    url: String,
    token: String,
    turn: usize,
}

/// What is done again and again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Carts that are there are checked out.
    Checkout,
    /// The cart is made and addressed before.
    Purchase,
    /// Staff look at the newest orders.
    FirstOrders,
    /// And at some that are far down the list.
    DeepOrders,
}

/// The same, with what it takes.
pub(super) enum Work {
    Checkout(Vec<Cart>),
    Purchase,
    /// A path, as staff.
    Read(String),
}

impl Load {
    pub(super) const ALL: [Self; 2] = [Self::Checkout, Self::Purchase];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Purchase => "cart to placed order",
            Self::FirstOrders => "staff's orders, first page",
            Self::DeepOrders => "staff's orders, a page far down",
        }
    }
}

impl Shop {
    /// With goods in it, and running. `name` is its database's, too.
    pub(super) async fn open(ground: &Ground<'_>, name: &str) -> Result<Self> {
        let words = Arc::<Mutex<String>>::default();
        let wanted = ground.wanted(name, Arc::clone(&words));
        std::fs::create_dir_all(&wanted.folder).context("cannot make a folder for the shop")?;
        let fleet = spawn_blocking(|| {
            let mut fleet = Fleet::prepare(Plan::new(wanted)?)?;
            fleet.run(&["users", "create-admin", "--email", ADMIN.0, "--password-stdin"], ADMIN.1)?;
            fleet.start()?;
            Ok::<_, launch::Failed>(fleet)
        });
        let fleet = fleet.await.context("a shop could not be started")??;
        let at = addresses(&fleet)?;
        let goods = Arc::new(Goods::fill(&at, ground.products).await?);
        let staff = goods::sign_in(&goods::client()?, &at, ADMIN).await?;
        let database = ground.postgres.map(Postgres::id).into_iter().collect();
        Ok(Self { fleet, at, goods, staff, database, words })
    }

    /// In order; its database is at rest then.
    pub(super) fn stop(&mut self) {
        self.fleet.stop();
    }

    pub(super) fn start(&mut self) -> Result<()> {
        self.fleet.start()?;
        self.fleet.meet()?;
        self.at = addresses(&self.fleet)?;
        Ok(())
    }

    /// What its processes complained of, and whether one of them is gone.
    pub(super) fn words(&self) -> String {
        let words = self.words.lock().expect("nobody panics with the words").clone();
        match self.fleet.ended() {
            Some(process) => format!("; {process} ended without being asked to{words}"),
            None => words,
        }
    }

    /// So many carts, ready to be checked out.
    pub(super) async fn carts(&self, count: usize) -> Result<Vec<Cart>> {
        const AT_ONCE: usize = 16;
        let (due, mut making) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for _ in 0..AT_ONCE {
            let (due, buyer) = (Arc::clone(&due), self.buyer()?);
            making.spawn(async move {
                let mut made = Vec::new();
                while due.fetch_add(1, Ordering::Relaxed) < count {
                    made.push(buyer.cart().await?);
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(made)
            });
        }
        let mut carts = Vec::with_capacity(count);
        while let Some(made) = making.join_next().await {
            carts.append(&mut made.context("a buyer died")??);
        }
        Ok(carts)
    }

    /// So many buyers, until the time is over or, where they only check out, there are no more carts. Their first
    /// requests, which open connections, come before.
    pub(super) async fn lap(&self, work: Work, buyers: usize, length: Duration) -> Result<Lap> {
        let (carts, work) = match work {
            Work::Checkout(carts) => (carts, Work::Checkout(Vec::new())),
            other => (Vec::new(), other),
        };
        let (carts, work) = (Arc::new(Mutex::new(carts.into_iter())), Arc::new(work));
        let mut ready = Vec::with_capacity(buyers);
        for _ in 0..buyers {
            let buyer = self.buyer()?;
            asked(buyer.http.get(format!("{}/v1/nothing", buyer.at.orders)), 404).await?;
            ready.push(buyer);
        }
        let before = Meters::read(self, &self.database).await?;
        let started = Instant::now();
        let mut acting = JoinSet::new();
        for buyer in ready {
            let (carts, work) = (Arc::clone(&carts), Arc::clone(&work));
            acting.spawn(async move {
                let (end, mut took) = (started + length, Vec::new());
                while Instant::now() < end {
                    let asked = Instant::now();
                    match &*work {
                        Work::Purchase => buyer.check_out(&buyer.cart().await?).await?,
                        Work::Read(path) => buyer.read(path).await.map(drop)?,
                        Work::Checkout(_) => {
                            let next = carts.lock().expect("nobody panics with carts").next();
                            let Some(cart) = next else { break };
                            buyer.check_out(&cart).await?;
                        }
                    }
                    took.push(asked.elapsed());
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(took)
            });
        }
        let mut took = Vec::new();
        while let Some(acted) = acting.join_next().await {
            took.append(&mut acted.context("a buyer died")??);
        }
        let lasted = started.elapsed();
        let after = Meters::read(self, &self.database).await?;
        took.sort_unstable();
        Ok(after.since(&before, took, lasted))
    }

    /// The last of so many pages of a hundred orders that is whole, and is not the list's end.
    pub(super) async fn far_down(&self, pages: usize) -> Result<String> {
        let (buyer, mut path, mut whole) = (self.buyer()?, FIRST_ORDERS.to_owned(), FIRST_ORDERS.to_owned());
        for _ in 0..pages {
            let page = json(&buyer.read(&path.replace("limit=20", "limit=100")).await?)?;
            let Some(next) = page.pointer("/next").and_then(serde_json::Value::as_str) else { break };
            whole = std::mem::replace(&mut path, format!("{FIRST_ORDERS}&cursor={next}"));
        }
        Ok(whole)
    }

    /// One after another, each when the one before is answered.
    pub(super) async fn check_out_each(&self, carts: &[Cart]) -> Result<()> {
        let buyer = self.buyer()?;
        for cart in carts {
            buyer.check_out(cart).await?;
        }
        Ok(())
    }

    fn buyer(&self) -> Result<Buyer> {
        let staff = self.staff.clone();
        Ok(Buyer { http: goods::client()?, at: self.at.clone(), goods: Arc::clone(&self.goods), staff })
    }
}

struct Buyer {
    http: Client,
    at: Addresses,
    goods: Arc<Goods>,
    staff: String,
}

impl Buyer {
    async fn read(&self, path: &str) -> Result<String> {
        let page = asked(self.http.get(format!("{}{path}", self.at.orders)).bearer_auth(&self.staff), 200).await?;
        if page.contains("\"number\"") { Ok(page) } else { Err(format!("{path} shows no order: {page}").into()) }
    }

    async fn cart(&self) -> Result<Cart> {
        let (turn, product) = self.goods.next();
        let lines = [json!({ "variant_id": product.variant, "quantity": 1 })];
        let carts = format!("{}/v1/carts", self.at.orders);
        let made = asked(self.http.post(&carts).json(&json!({ "currency": "EUR", "lines": lines })), 201).await?;
        let made = json(&made)?;
        let cart = Cart { url: format!("{carts}/{}", text(&made, "/id")?), token: text(&made, "/token")?.into(), turn };
        let change = self.http.patch(&cart.url).header("X-Cart-Token", &cart.token);
        asked(change.json(&goods::address(&format!("guest-{turn}@shop.example"))), 200).await?;
        Ok(cart)
    }

    /// Expects an order that is placed, and its money secured.
    async fn check_out(&self, cart: &Cart) -> Result<()> {
        // The shop may have been started anew since.
        let path = cart.url.split_once("/v1/").map_or(cart.url.as_str(), |(_, path)| path);
        let request = self.http.post(format!("{}/v1/{path}/checkout", self.at.orders));
        let request = request.header("X-Cart-Token", &cart.token);
        let request = request.header("Idempotency-Key", format!("bench-checkout-{:08}", cart.turn));
        let order = asked(request.json(&goods::payment()), 201).await?;
        let read = json(&order)?;
        if (text(&read, "/status")?, text(&read, "/payment_status")?) == ("placed", "authorised") {
            return Ok(());
        }
        Err(format!("a checkout ended in something else than a placed order: {order}").into())
    }
}

impl Ground<'_> {
    fn wanted(&self, name: &str, words: Arc<Mutex<String>>) -> Wanted {
        let env = [
            ("CLEAVE__PAYMENTS__PROVIDERS", "test"),
            // A line a request would be measured too, and the reading of it.
            ("CLEAVE__LOG__FILTER", "warn"),
            ("CLEAVE__USERS__ACCESS_TOKEN_SECONDS", "86400"),
        ];
        let tell = move |process: &str, line: &str| {
            let mut words = words.lock().expect("nobody panics with the words");
            if words.len() < 4000 {
                words.push_str(&format!("\n  {process}: {line}"));
            }
        };
        let databases = self.postgres.map_or(Databases::Files, |postgres| Databases::Shared(postgres.url(name)));
        // Shops of the same name on both databases share nothing.
        let kind = if self.postgres.is_some() { "postgres" } else { "sqlite" };
        let broker = self.split.as_ref().map_or(Broker::InProcess, |(_, nats)| nats.broker(name));
        Wanted {
            topology: if self.split.is_some() { Topology::Split } else { Topology::Single },
            binary: self.binary.to_owned(),
            folder: self.folder.join(kind).join(name),
            databases,
            broker,
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            nginx: self.split.as_ref().map(|(nginx, _)| nginx.clone()),
            errors: Errors::Told(Arc::new(tell)),
            ..Wanted::default()
        }
    }
}

fn addresses(fleet: &Fleet) -> Result<Addresses> {
    let of = |module| fleet.url_of(module).map(str::to_owned).context("a process has no address");
    Ok(Addresses {
        users: of(Module::Of(Domain::Users))?,
        products: of(Module::Of(Domain::Products))?,
        orders: of(Module::Of(Domain::Orders))?,
        storefront: of(Module::Storefront)?,
    })
}
