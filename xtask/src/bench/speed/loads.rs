//! Which loads are measured, and beside what.
use super::{
    k6::Visits,
    limits::Constant,
    pgbench::{self, Replay},
    stand::{Cart, Stand, WORDS, credentials},
    turn::{Drive, Lane, Tools},
    wrk::{self, Job},
};
use crate::{
    bench::goods::{self, asked},
    error::{Context, Result},
    servers::Postgres,
};
use reqwest::RequestBuilder;
use serde_json::json;

/// Lanes that take turns. `limit` is the lane that the others are a share of.
pub(super) struct Group {
    pub(super) load: &'static str,
    pub(super) how: String,
    pub(super) lanes: Vec<Lane>,
    pub(super) limit: usize,
    pub(super) is_open: bool,
    /// What the lanes are driven at, kept until the last turn.
    _servers: Vec<Constant>,
}

/// What groups are made for: shops that hold the same, the first of them on the databases that are listened to.
pub(super) struct Ground<'a> {
    pub(super) tools: &'a Tools,
    pub(super) shops: Vec<&'a Stand>,
    pub(super) postgres: Option<&'a Postgres>,
}

/// Requests that are replayed as SQL: enough that it is not one row again and again.
const REPLAYED: usize = 8;
/// Products that are asked for, one after another.
const ROTATED: usize = 1000;

#[derive(Clone, Copy)]
pub(super) enum Read {
    List,
    Detail,
    Search,
    Orders,
}

#[derive(Clone, Copy)]
pub(super) enum Change {
    Register,
    SignIn,
    CreateCart,
    AddToCart,
    SetQuantity,
}

impl Read {
    /// The number of paths, and each of them.
    fn paths(self, products: usize) -> Vec<String> {
        match self {
            Self::List => vec!["/v1/products?limit=20".into()],
            Self::Detail => (0..products.min(ROTATED)).map(|n| format!("/v1/products/bench-{n}")).collect(),
            Self::Search => WORDS.iter().map(|word| format!("/v1/products?limit=20&q={word}")).collect(),
            Self::Orders => vec!["/v1/orders?limit=20".into()],
        }
    }

    fn job(self, stand: &Stand) -> Result<Job> {
        let (at, staff) = (stand.at()?, format!("Bearer {}", stand.goods.staff));
        let paths = self.paths(stand.products);
        let base = if matches!(self, Self::Orders) { &at.orders } else { &at.products };
        Ok(match self {
            Self::List => Job::read(base, &paths[0], String::new()),
            // Asked without a token it is no list, so every status is looked at.
            Self::Orders => Job::checked(base, &paths[0], format!("wrk.headers['authorization'] = '{staff}'\n"), 200),
            Self::Detail | Self::Search => Job::read(base, &paths[0], rotated(&paths)),
        })
    }

    fn domain(self) -> &'static str {
        if matches!(self, Self::Orders) { "orders" } else { "products" }
    }

    fn request(self, stand: &Stand, path: &str) -> Result<RequestBuilder> {
        let (at, http) = (stand.at()?, goods::client()?);
        Ok(match self {
            Self::Orders => http.get(format!("{}{path}", at.orders)).bearer_auth(&stand.goods.staff),
            _ => http.get(format!("{}{path}", at.products)),
        })
    }
}

fn rotated(paths: &[String]) -> String {
    wrk::in_turn(&paths.iter().map(|path| wrk::request("GET", path, &[], None)).collect::<Vec<_>>())
}

impl Change {
    fn job(self, stand: &Stand) -> Result<Job> {
        let (at, goods) = (stand.at()?, &stand.goods);
        let json = ("content-type", "application/json");
        let each = |paths: &dyn Fn(&Cart) -> Vec<String>| {
            wrk::in_turn(&goods.carts.iter().flat_map(paths).collect::<Vec<_>>())
        };
        let of = |cart: &Cart, method, path: &str, body: String| {
            wrk::request(method, &format!("{}{path}", cart.path), &[json, ("x-cart-token", &cart.token)], Some(&body))
        };
        let line = |variant: &str| format!("{{\"variant_id\":\"{variant}\",\"quantity\":1}}");
        let variant = |number: usize| &goods.variants[number % goods.variants.len()];
        let (base, path, status, script) = match self {
            Self::Register => (&at.users, "/v1/users", 201, register()),
            Self::SignIn => {
                let all = goods
                    .emails
                    .iter()
                    .map(|email| wrk::request("POST", "/v1/sessions", &[json], Some(&credentials(email))));
                (&at.users, "/v1/sessions", 201, wrk::in_turn(&all.collect::<Vec<_>>()))
            }
            Self::CreateCart => {
                let body = |number| format!("{{\"currency\":\"EUR\",\"lines\":[{}]}}", line(variant(number)));
                let one = |number| wrk::request("POST", "/v1/carts", &[json], Some(&body(number)));
                (&at.orders, "/v1/carts", 201, wrk::in_turn(&(0..goods.variants.len()).map(one).collect::<Vec<_>>()))
            }
            // Another variant each time round: carts grow to eight lines.
            Self::AddToCart => {
                let add =
                    |cart: &Cart| (0..8).map(|n| of(cart, "POST", "/lines", line(variant(n)))).collect::<Vec<_>>();
                (&at.orders, "/v1/carts", 200, each(&add))
            }
            // Next to each other, so that each changes something.
            Self::SetQuantity => {
                let set = |cart: &Cart| {
                    let path = format!("/lines/{}", cart.line);
                    (1..=2).map(|n| of(cart, "PATCH", &path, format!("{{\"quantity\":{n}}}"))).collect::<Vec<_>>()
                };
                (&at.orders, "/v1/carts", 200, each(&set))
            }
        };
        Ok(Job::checked(base, path, script, status))
    }
}

/// Nobody has registered by that address.
fn register() -> String {
    "local n = 0\nrequest = function() n = n + 1\n\
     local body = '{\"email\":\"new-TURN-' .. thread .. '-' .. n .. '@shop.example\",\"password\":\"somebody of the shop\",\"name\":\"New\"}'\n\
     return wrk.format('POST', '/v1/users', {['content-type']='application/json'}, body) end\n"
        .into()
}

impl Ground<'_> {
    fn shop_lanes(&self, drive: impl Fn(&Stand) -> Result<Drive>) -> Result<Vec<Lane>> {
        let lane = |stand: &&Stand| {
            let single = stand.name.starts_with("single");
            let who = if single { "shop" } else { "shop, split, mutual TLS" };
            Ok(Lane {
                who: who.into(),
                drive: drive(stand)?,
                servers: stand.ids(),
                database: stand.database(),
                internals: stand.internals(),
            })
        };
        self.shops.iter().map(lane).collect()
    }

    fn first(&self) -> Result<&Stand> {
        self.shops.first().copied().context("no shop to measure")
    }

    fn closed(&self) -> String {
        format!("closed, {}", self.tools.connections)
    }

    /// Beside the same bytes from actix-web and from nginx.
    pub(super) async fn ready(&self, load: &'static str, read: Read) -> Result<Group> {
        let mut lanes = self.shop_lanes(|stand| Ok(Drive::Closed(read.job(stand)?)))?;
        let limit = lanes.len();
        let (bytes, folder) =
            (self.bytes(read).await?, self.tools.folder.join(format!("ready-{limit}-{}", load.len())));
        let (actix, nginx) = (
            Constant::actix(&self.tools.limits, &folder, self.tools.cores, &bytes)?,
            Constant::nginx(&self.tools.nginx, &folder, self.tools.cores, &bytes).await?,
        );
        for (who, server) in [("actix alone, the same bytes", &actix), ("nginx alone, the same bytes", &nginx)] {
            let job = Job { base: server.url.clone(), ..read.job(self.first()?)? };
            lanes.push(constant(who, Drive::Closed(job), server));
        }
        let _servers = vec![actix, nginx];
        Ok(Group { load, how: self.closed(), lanes, limit, is_open: false, _servers })
    }

    /// The same asked by clients that have the answer already: each server's own tag, and it says that it is still good.
    pub(super) async fn known(&self, load: &'static str, read: Read) -> Result<Group> {
        let mut group = self.ready(load, read).await?;
        for lane in &mut group.lanes {
            if let Drive::Closed(job) = &mut lane.drive {
                job.know().await?;
            }
        }
        Ok(group)
    }

    /// Beside the same SQL from pgbench, or where there is no server for it beside the same bytes from actix-web.
    pub(super) async fn built(&self, load: &'static str, read: Read) -> Result<Group> {
        let mut lanes = self.shop_lanes(|stand| Ok(Drive::Closed(read.job(stand)?)))?;
        let (limit, mut servers) = (lanes.len(), Vec::new());
        let folder = self.tools.folder.join(format!("built-{limit}-{}", load.len()));
        match self.postgres {
            Some(postgres) if postgres.pgbench().is_some() => {
                let stand = self.first()?;
                let database = stand.database_of(read.domain());
                let mut requests = Vec::new();
                // Connections that are made when they are first needed, and statements that are prepared then.
                for path in read.paths(stand.products).iter().take(REPLAYED) {
                    asked(read.request(stand, path)?, 200).await?;
                }
                pgbench::listen(postgres, &self.tools.folder).await?;
                for path in read.paths(stand.products).iter().take(REPLAYED) {
                    let asking = asked(read.request(stand, path)?, 200);
                    requests.push(pgbench::heard(postgres, &database, asking).await?);
                }
                pgbench::listen_no_more(postgres, &self.tools.folder).await?;
                requests.retain(|request| !request.is_empty());
                if requests.is_empty() {
                    return Err(format!("{load}: PostgreSQL heard nothing").into());
                }
                let replay = Replay::of(postgres, (&database, read.domain()), &folder, &requests)?;
                lanes.push(sql("pgbench, the same SQL", replay, postgres));
            }
            _ => {
                let bytes = self.bytes(read).await?;
                let actix = Constant::actix(&self.tools.limits, &folder, self.tools.cores, &bytes)?;
                let job = Job { base: actix.url.clone(), ..read.job(self.first()?)? };
                lanes.push(constant("actix alone, the same bytes", Drive::Closed(job), &actix));
                servers.push(actix);
            }
        }
        Ok(Group { load, how: self.closed(), lanes, limit, is_open: false, _servers: servers })
    }

    /// Beside what no change can be quicker than: the hashing of a password, or a commit that is on the disk.
    pub(super) fn change(&self, load: &'static str, change: Change) -> Result<Group> {
        let mut lanes = self.shop_lanes(|stand| Ok(Drive::Closed(change.job(stand)?)))?;
        let limit = lanes.len();
        let alone = |who: &str, drive| Lane {
            who: who.into(),
            drive,
            servers: Vec::new(),
            database: Vec::new(),
            internals: Vec::new(),
        };
        lanes.push(match (change, self.postgres) {
            (Change::Register | Change::SignIn, _) => alone("Argon2id alone, on all cores", Drive::Hash),
            (_, Some(postgres)) if postgres.pgbench().is_some() => {
                let folder = self.tools.folder.join("commit");
                sql("pgbench, a row and a commit", Replay::script(postgres, "postgres", &folder, COMMIT)?, postgres)
            }
            _ => alone("a page written and synced", Drive::Sync),
        });
        Ok(Group { load, how: self.closed(), lanes, limit, is_open: false, _servers: Vec::new() })
    }

    /// So many visits a second, beside actix-web with the bytes of a list at the same rate.
    pub(super) async fn open(&self, load: &'static str, what: &'static str, rate: u32) -> Result<Group> {
        let visits = |stand: &Stand| {
            let at = stand.at()?;
            let given = json!({
                "products": at.products, "orders": at.orders, "count": stand.products.min(ROTATED), "words": WORDS,
                "variants": stand.goods.variants,
                "address": goods::address("")["shipping_address"],
            });
            Ok(Drive::Open(Visits { rate, what, given }))
        };
        let mut lanes = self.shop_lanes(visits)?;
        let limit = lanes.len();
        let folder = self.tools.folder.join(format!("open-{what}"));
        let bytes = self.bytes(Read::List).await?;
        let actix = Constant::actix(&self.tools.limits, &folder, self.tools.cores, &bytes)?;
        let given = json!({ "products": actix.url, "count": 1, "words": WORDS });
        let drive = Drive::Open(Visits { rate, what: "list", given });
        lanes.push(constant("actix alone, bytes of a list", drive, &actix));
        Ok(Group { load, how: format!("open, {rate}/s"), lanes, limit, is_open: true, _servers: vec![actix] })
    }

    async fn bytes(&self, read: Read) -> Result<String> {
        let stand = self.first()?;
        let bytes = asked(read.request(stand, &read.paths(stand.products)[0])?, 200).await?;
        if bytes.contains("\"data\":[]") {
            return Err("nothing was found, and that is no load".into());
        }
        Ok(bytes)
    }
}

/// The same read of shops that hold more and more; the first is what the others are compared with.
pub(super) fn sizes(tools: &Tools, load: &'static str, read: Read, shops: &[&Stand]) -> Result<Group> {
    let lane = |stand: &&Stand| {
        Ok(Lane {
            who: format!("{} products", stand.products),
            drive: Drive::Closed(read.job(stand)?),
            servers: stand.ids(),
            database: stand.database(),
            internals: stand.internals(),
        })
    };
    let lanes = shops.iter().map(lane).collect::<Result<_>>()?;
    Ok(Group {
        load,
        how: format!("closed, {}", tools.connections),
        lanes,
        limit: 0,
        is_open: false,
        _servers: Vec::new(),
    })
}

/// Of a table of its own, made by whoever comes first.
const COMMIT: &str = "INSERT INTO commits (said) VALUES (:client_id);\n";

/// The table of [`COMMIT`].
pub(super) async fn commits(tools: &Tools, postgres: &Postgres) -> Result<()> {
    pgbench::execute(
        postgres,
        &tools.folder,
        "CREATE TABLE commits (id bigserial PRIMARY KEY, said integer NOT NULL);\n",
    )
    .await
}

fn constant(who: &str, drive: Drive, server: &Constant) -> Lane {
    Lane { who: who.into(), drive, servers: vec![server.id()], database: Vec::new(), internals: Vec::new() }
}

fn sql(who: &str, replay: Replay, postgres: &Postgres) -> Lane {
    Lane {
        who: who.into(),
        drive: Drive::Sql(replay),
        servers: Vec::new(),
        database: vec![postgres.id()],
        internals: Vec::new(),
    }
}
