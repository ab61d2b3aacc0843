//! A shop under measurement: started, filled, and started again with other settings on what it holds.
use super::turn::{Tools, memory};
use crate::{
    bench::{
        cpu,
        goods::{address, asked, client, json, payment, text},
        shops::{ADMIN, Addresses},
    },
    error::{Context, Result},
    servers::{OwnNats, Postgres},
};
use launch::{Broker, Databases, Domain, Errors, Fleet, Module, Plan, Topology, Wanted};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::{task::spawn_blocking, time::sleep};

const PASSWORD: &str = "a visitor of the measured shop";
/// Accounts that sign in, and carts that are filled, one after another.
const VISITORS: usize = 16;
const CARTS: usize = 64;
/// Products of which variants are put into carts.
const BOUGHT: usize = 100;
/// How long it may take to rest, and how long it must rest: with less than a twentieth of a core.
const REST: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_secs(2);

/// What shops are made of.
pub(super) struct Yard<'a> {
    pub(super) binary: PathBuf,
    pub(super) postgres: Option<&'a Postgres>,
    pub(super) nats: &'a OwnNats,
}

pub(super) struct Stand {
    pub(super) name: String,
    pub(super) products: usize,
    pub(super) goods: Goods,
    fleet: Option<Fleet>,
    database: Option<u32>,
}

/// What loads ask for.
#[derive(Default)]
pub(super) struct Goods {
    pub(super) staff: String,
    pub(super) emails: Vec<String>,
    pub(super) variants: Vec<String>,
    pub(super) carts: Vec<Cart>,
}

pub(super) struct Cart {
    pub(super) path: String,
    pub(super) token: String,
    pub(super) line: String,
}

/// Databases have the shop's name, and the domain's.
pub(super) fn database(shop: &str, domain: &str) -> String {
    format!("{shop}_{domain}")
}

pub(super) fn databases(shops: &[String]) -> Vec<String> {
    shops.iter().flat_map(|shop| Domain::ALL.map(|domain| database(shop, domain.name()))).collect()
}

pub(super) fn name(topology: Topology, products: usize) -> String {
    format!("{}_{products}", if topology == Topology::Single { "single" } else { "split" })
}

impl Stand {
    /// With a catalogue; people, carts and orders come with [`Stand::furnish`].
    pub(super) async fn open(tools: &Tools, yard: &Yard<'_>, topology: Topology, products: usize) -> Result<Self> {
        let name = name(topology, products);
        let folder = tools.folder.join(&name);
        std::fs::create_dir_all(&folder).context("cannot make a folder for the shop")?;
        let databases = match yard.postgres {
            None => Databases::Files,
            Some(postgres) => {
                let one = |domain: Domain| (domain, postgres.url(&database(&name, domain.name())));
                Databases::Own(Domain::ALL.map(one).into())
            }
        };
        let env = [
            ("CLEAVE__PAYMENTS__PROVIDERS", "test"),
            // A line a request would be measured too, and the reading of it.
            ("CLEAVE__LOG__FILTER", "warn"),
            // Nobody signs in anew while others are measured, and everybody comes from one address.
            ("CLEAVE__USERS__ACCESS_TOKEN_SECONDS", "86400"),
            ("CLEAVE__HTTP__TRIES_PER_MINUTE", "0"),
        ];
        let single = topology == Topology::Single;
        let wanted = Wanted {
            topology,
            binary: yard.binary.clone(),
            folder: folder.clone(),
            databases,
            broker: if single { Broker::InProcess } else { yard.nats.broker(&name) },
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            nginx: Some(tools.nginx.clone()),
            errors: Errors::Inherited,
            ..Wanted::default()
        };
        let started = Instant::now();
        // Apart, so that Ctrl-C is heard meanwhile.
        let fleet = spawn_blocking(move || prepared(wanted, &folder, products)).await.context("no shop")??;
        let seconds = started.elapsed().as_secs_f64();
        println!("{name}: {products} products imported, and started, after {seconds:.1} s");
        let database = yard.postgres.map(Postgres::id);
        Ok(Self { name, products, goods: Goods::default(), fleet: Some(fleet), database })
    }

    fn fleet(&self) -> &Fleet {
        self.fleet.as_ref().expect("only away while it starts again")
    }

    pub(super) fn at(&self) -> Result<Addresses> {
        let of = |module| self.fleet().url_of(module).map(str::to_owned).context("a process has no address");
        Ok(Addresses {
            users: of(Module::Of(Domain::Users))?,
            products: of(Module::Of(Domain::Products))?,
            orders: of(Module::Of(Domain::Orders))?,
            storefront: of(Module::Storefront)?,
        })
    }
    pub(super) fn ids(&self) -> Vec<u32> {
        self.fleet().ids()
    }
    pub(super) fn database(&self) -> Vec<u32> {
        self.database.into_iter().collect()
    }
    pub(super) fn internals(&self) -> Vec<String> {
        self.fleet().internals().into_iter().map(|(_, url)| url).collect()
    }
    /// The name of a domain's PostgreSQL database.
    pub(super) fn database_of(&self, domain: &str) -> String {
        database(&self.name, domain)
    }

    /// The same data, a new process, and from now on this setting.
    pub(super) async fn again(&mut self, setting: Option<(&'static str, &'static str)>) -> Result<()> {
        let mut fleet = self.fleet.take().context("it starts already")?;
        let started = spawn_blocking(move || {
            fleet.stop();
            if let Some((name, value)) = setting {
                fleet.set(name, value);
            }
            fleet.start()?;
            // Before that a first request may find nobody.
            fleet.meet().map(|()| fleet)
        });
        self.fleet = Some(started.await.context("a shop could not be started")??);
        Ok(())
    }

    /// Milliseconds from nothing to the first list that is answered, on what it holds already; MB when it then idles.
    pub(super) async fn cold(&mut self) -> Result<(f64, f64)> {
        let mut fleet = self.fleet.take().context("it starts already")?;
        let started = spawn_blocking(move || {
            fleet.stop();
            let started = Instant::now();
            fleet.start()?;
            let url = fleet.url_of(Module::Of(Domain::Products)).unwrap_or_default().to_owned();
            while !is_answered(&url) {
                if started.elapsed() > Duration::from_secs(30) {
                    return Err("no list within 30 s of the start".into());
                }
                std::thread::sleep(Duration::from_millis(1)); // the shop needs the cores
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((started.elapsed(), fleet))
        });
        let (took, fleet) = started.await.context("a shop could not be started")??;
        self.fleet = Some(fleet);
        sleep(Duration::from_secs(1)).await;
        Ok((took.as_secs_f64() * 1e3, memory(&self.ids(), "VmRSS:")?))
    }

    /// Returns when the shop and its database have done what they were given: what was imported is told and heard of after
    /// the import, and PostgreSQL looks through its tables.
    pub(super) async fn rest(&self) -> Result<()> {
        let (ids, asked) = ([self.ids(), self.database()].concat(), Instant::now());
        let mut used = cpu::used(&ids)?;
        while asked.elapsed() < REST {
            sleep(LOOK).await;
            let before = std::mem::replace(&mut used, cpu::used(&ids)?);
            if used.saturating_sub(before) < LOOK / 20 {
                return Ok(());
            }
        }
        Err(format!("{} is still busy after {} s without a request", self.name, REST.as_secs()).into())
    }

    /// People who sign in, carts, and orders that staff lists.
    pub(super) async fn furnish(&mut self, orders: usize) -> Result<()> {
        let (at, http) = (self.at()?, client()?);
        let session = async |email: &str, password: &str| {
            let body = json!({ "email": email, "password": password });
            let answer = json(&asked(http.post(format!("{}/v1/sessions", at.users)).json(&body), 201).await?)?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(text(&answer, "/access_token")?.to_owned())
        };
        let mut goods = Goods { staff: session(ADMIN.0, ADMIN.1).await?, ..Goods::default() };
        for number in 0..VISITORS {
            let email = format!("visitor-{number}@shop.example");
            let body = json!({ "email": email, "password": PASSWORD, "name": "Visitor" });
            asked(http.post(format!("{}/v1/users", at.users)).json(&body), 201).await?;
            goods.emails.push(email);
        }
        for number in 0..self.products.min(BOUGHT) {
            let url = format!("{}/v1/products/bench-{number}", at.products);
            goods.variants.push(text(&json(&asked(http.get(url), 200).await?)?, "/variants/0/id")?.to_owned());
        }
        for number in 0..CARTS + orders {
            let variant = &goods.variants[number % goods.variants.len()];
            let body = json!({ "currency": "EUR", "lines": [{ "variant_id": variant, "quantity": 1 }] });
            let made = json(&asked(http.post(format!("{}/v1/carts", at.orders)).json(&body), 201).await?)?;
            let cart = cart(&made)?;
            if number >= CARTS {
                let url = format!("{}{}", at.orders, cart.path);
                let change = http.patch(&url).header("X-Cart-Token", &cart.token);
                asked(change.json(&address(&goods.emails[number % VISITORS])), 200).await?;
                let checkout = http.post(format!("{url}/checkout")).header("X-Cart-Token", &cart.token);
                let checkout = checkout.header("Idempotency-Key", format!("bench-order-{number:08}"));
                asked(checkout.json(&payment()), 201).await?;
            } else {
                goods.carts.push(cart);
            }
        }
        self.goods = goods;
        Ok(())
    }
}

pub(super) fn credentials(email: &str) -> String {
    format!("{{\"email\":\"{email}\",\"password\":\"{PASSWORD}\"}}")
}

fn cart(made: &Value) -> Result<Cart> {
    let path = format!("/v1/carts/{}", text(made, "/id")?);
    Ok(Cart { path, token: text(made, "/token")?.to_owned(), line: text(made, "/lines/0/id")?.to_owned() })
}

fn prepared(wanted: Wanted, folder: &Path, products: usize) -> Result<Fleet> {
    let mut fleet = Fleet::prepare(Plan::new(wanted)?)?;
    let (email, password) = ADMIN;
    fleet.run(&["users", "create-admin", "--email", email, "--password-stdin"], password)?;
    let file = folder.join("catalogue.csv");
    write(File::create(&file).context("cannot create a catalogue")?, products).context("cannot write a catalogue")?;
    fleet.run(&["import", "products", &file.display().to_string()], "")?;
    fleet.start()?;
    fleet.meet()?;
    Ok(fleet)
}

/// As operators import it.
fn write(file: impl Write, products: usize) -> Result<(), csv::Error> {
    let mut csv = csv::Writer::from_writer(file);
    csv.write_record([
        "Handle",
        "Title",
        "Body (HTML)",
        "Published",
        "Option1 Name",
        "Option1 Value",
        "Variant SKU",
        "Variant Inventory Tracker",
        "Variant Inventory Qty",
        "Variant Price",
        "Status",
    ])?;
    for product in 0..products {
        let handle = format!("bench-{product}");
        let cloth = WORDS[product % WORDS.len()];
        for (index, size) in ["S", "M", "L"].into_iter().enumerate() {
            let title = format!("Shirt of {cloth}, {product}");
            let body = format!("<p>A shirt, number <b>{product}</b>. Washable at forty degrees.</p>");
            let [title, body, published, option, status] = match index {
                0 => [title.as_str(), &body, "true", "Size", "active"],
                _ => [""; 5],
            };
            let (sku, price) = (format!("BENCH-{product}-{size}"), format!("{}.99", 9 + product % 90));
            csv.write_record([
                &handle, title, body, published, option, size, &sku, "shopify", "1000000", &price, status,
            ])?;
        }
    }
    csv.flush()?;
    Ok(())
}

/// One of them is in each product's title.
pub(super) const WORDS: [&str; 8] = ["cotton", "linen", "wool", "silk", "denim", "flannel", "jersey", "tweed"];

/// Whether a list is answered with 200; by hand, so that no client's own start counts.
fn is_answered(url: &str) -> bool {
    let Some(address) = url.strip_prefix("http://") else { return false };
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let asked = format!("GET /v1/products?limit=20 HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut head = [0; 12];
    stream.write_all(asked.as_bytes()).is_ok() && stream.read_exact(&mut head).is_ok() && head == *b"HTTP/1.1 200"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_whole() {
        let mut file = Vec::new();
        write(&mut file, 9).unwrap();
        let rows: Vec<_> = csv::Reader::from_reader(file.as_slice()).into_records().map(Result::unwrap).collect();
        assert_eq!((rows.len(), &rows[0][0], &rows[26][6]), (27, "bench-0", "BENCH-8-L"));
        assert!(rows[0][1].contains("cotton") && rows[24][1].contains("cotton"), "every eighth is of the same cloth");
    }

    #[test]
    fn no_two_shops_share_a_database() {
        let shops = [name(Topology::Single, 10), name(Topology::Split, 10), name(Topology::Single, 100)];
        let names = databases(&shops);
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 12);
    }
}
