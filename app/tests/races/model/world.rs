//! The shop itself, in this process: products and orders on databases of their own with the guard between them, their
//! routes served without a socket, and workers that take a turn when they are told.
use super::{
    look::{Lines, Seen, SeenOrder},
    rules::{Answer, Ask, At},
    search::Sent,
    steps::{Card, GOODS},
};
use actix_web::{
    App,
    http::Method,
    middleware::from_fn,
    test::{TestRequest, call_service, init_service, read_body},
    web::Data,
};
use database::{Database, Location, Migrations};
use futures_util::future::{LocalBoxFuture, join_all};
use guard::{Limits, Unverified, Verify};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kernel::{
    Call, Clock, Code, Peer, Principal, Time, Trace, async_trait,
    token::{Claims, ISSUER, Keys, Verified},
};
use products_api::{Catalogue, Holdings, MAX_HOLDINGS, Stock};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use testkit::{Backend, address};
use web::{Module, Patience};

/// When the clock of a case begins.
const BEGAN: i64 = 1_700_000_000_000_000;
/// Far longer than anything takes here: nothing is to end by real time.
const LONG: Duration = Duration::from_secs(600);
const DOMAINS: [(&str, &Migrations); 2] = [("products", &products::MIGRATIONS), ("orders", &orders::MIGRATIONS)];

/// Time passes when the test says so.
struct Hands(AtomicI64);
impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Believes one token: the clerk's.
struct Doorman {
    clerk: Verified,
    clock: Arc<Hands>,
}
#[async_trait]
impl Verify for Doorman {
    async fn verify(&self, token: &str) -> Result<Verified, Unverified> {
        match token == self.clerk.token() {
            true => Ok(self.clerk.clone()),
            false => Err(Unverified::Rejected(kernel::token::Rejected::Invalid)),
        }
    }
    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

fn clerk() -> Verified {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key of the test's own");
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key of the test's own");
    let public: [u8; 32] = pair.public_key().as_ref().try_into().expect("a key of the test's own");
    let rights = ["products:read", "products:write", "stock:read", "stock:write", "orders:read", "orders:write"];
    let claims = Claims {
        iss: ISSUER.into(),
        sub: *kernel::Id::<()>::new().uuid(),
        sid: *kernel::Id::<()>::new().uuid(),
        iat: BEGAN / 1_000_000,
        exp: i64::MAX / 1_000_000,
        permissions: rights.map(str::to_owned).into(),
    };
    let header = Header { kid: Some("clerk".into()), ..Header::new(Algorithm::EdDSA) };
    let token = encode(&header, &claims, &EncodingKey::from_ed_der(pkcs8.as_ref())).expect("a key of the test's own");
    Keys::new([("clerk", &public)]).verify(&token, Time::from_micros(BEGAN)).expect("a key of the test's own")
}

/// Where the databases of all cases come from.
pub(super) struct Ground {
    place: Place,
    /// Databases that were migrated once, for cases to copy.
    folder: TempDir,
    clerk: Verified,
    cases: std::cell::Cell<u64>,
}
enum Place {
    Files,
    /// Of a PostgreSQL database.
    Schemas(String),
}

impl Ground {
    pub(super) fn new(backend: Backend) -> Self {
        let folder = folder();
        let place = match backend {
            Backend::Sqlite => Place::Files,
            Backend::Postgres => Place::Schemas(testkit::database("model")),
        };
        let ground = Self { place, folder, clerk: clerk(), cases: 0.into() };
        if matches!(ground.place, Place::Files) {
            for (domain, migrations) in DOMAINS {
                database::migrate(&Location::Sqlite { file: file(ground.folder.path(), domain) }, migrations).unwrap();
            }
        }
        ground
    }

    fn location(&self, domain: &str, migrations: &Migrations, folder: &Path) -> Location {
        match &self.place {
            Place::Files => {
                let file = file(folder, domain);
                fs::copy(self::file(self.folder.path(), domain), &file).unwrap();
                Location::Sqlite { file }
            }
            Place::Schemas(url) => {
                let schema = format!("{domain}_{}", self.cases.get());
                let location = Location::Postgres { url: url.clone(), schema, role: None };
                database::migrate(&location, migrations).unwrap();
                location
            }
        }
    }
}

/// In memory where there is such a place: these files need not outlive anything, and a commit waits for no disk there.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).unwrap()
}
fn file(folder: &Path, domain: &str) -> PathBuf {
    folder.join(format!("{domain}.db"))
}

/// What was answered.
pub(super) struct Got {
    ask: Ask,
    status: u16,
    body: Value,
    replayed: bool,
}

impl Got {
    /// As the model says it.
    pub(super) fn read(&self, world: &World) -> Result<Answer, String> {
        let code = self.body["code"].as_str().unwrap_or_default();
        let code = Code::ALL.iter().map(|known| known.as_str()).find(|known| *known == code).unwrap_or_default();
        let shown = self.status < 300 && (matches!(self.ask, Ask::Buy { .. }) || self.is_change());
        let order = match self.body["id"].as_str().filter(|_| shown) {
            Some(id) => Some(*world.ids.get(id).ok_or_else(|| format!("{id} is in no list of orders"))?),
            None => None,
        };
        Ok(Answer { status: self.status, code, order, replayed: self.replayed })
    }
    fn is_change(&self) -> bool {
        self.ask.takes_key() && self.ask.order().is_some()
    }
}

type Send = Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, (u16, bool, Value)>>;

struct CartHere {
    id: String,
    token: String,
    /// The ids of its lines by variant, in the order in which they were made.
    lines: [Vec<String>; GOODS],
    /// Its attempts, oldest first.
    orders: Vec<String>,
}

pub(super) struct World {
    send: Send,
    clock: Arc<Hands>,
    backend: Backend,
    products: products::Products,
    orders: orders::Orders,
    modules: [Module; 2],
    stock: Arc<dyn Stock>,
    token: String,
    variants: Vec<String>,
    carts: Vec<CartHere>,
    /// Where each order is.
    ids: HashMap<String, At>,
    /// What was first answered under a key.
    kept: BTreeMap<usize, Value>,
    _folder: TempDir,
}

impl World {
    pub(super) async fn open(ground: &Ground) -> Self {
        let folder = folder();
        ground.cases.set(ground.cases.get() + 1);
        let clock = Arc::new(Hands(AtomicI64::new(BEGAN)));
        let [products_db, orders_db] = DOMAINS.map(|(domain, migrations)| {
            let location = ground.location(domain, migrations, folder.path());
            let few = database::Settings { readers: 2, threads: 4, ..database::Settings::default() };
            Database::open(&location, domain, few).unwrap()
        });
        let uploads = folder.path().join("uploads");
        let products = products::Products::open(products_db, clock.clone(), products::Settings::default(), uploads);
        let products = products.await.unwrap();
        let (limits, orders_peer) = (Limits::default(), Peer::from("orders"));
        let peers = [orders_peer.clone()];
        let catalogue = guard::inbound::<dyn Catalogue>(products.catalogue(), &peers, clock.clone(), limits);
        let stock = guard::inbound::<dyn Stock>(products.stock(), &peers, clock.clone(), limits);
        let catalogue: Arc<dyn Catalogue> = guard::local(orders_peer.clone(), catalogue, limits);
        let stock: Arc<dyn Stock> = guard::local(orders_peer, stock, limits);
        let neighbours = orders::Neighbours { catalogue, stock: Arc::clone(&stock) };
        let settings = orders::Settings {
            payments: orders::PaymentSettings { providers: vec!["test".into()], stripe: None },
            // Leases are of real time, of which a busy machine may need much.
            checkout: orders::CheckoutSettings { reservation_minutes: super::rules::HOLD / 60, lease_seconds: 3600 },
            ..orders::Settings::default()
        };
        let orders = orders::Orders::open(orders_db, clock.clone(), neighbours, settings).await.unwrap();
        let modules = [products.module(), orders.module()];
        let send = served(&modules, Doorman { clerk: ground.clerk.clone(), clock: clock.clone() }).await;
        let backend = match ground.place {
            Place::Files => Backend::Sqlite,
            Place::Schemas(_) => Backend::Postgres,
        };
        let mut world = Self {
            send,
            clock,
            backend,
            products,
            orders,
            modules,
            stock,
            token: ground.clerk.token().to_owned(),
            variants: Vec::new(),
            carts: Vec::new(),
            ids: HashMap::new(),
            kept: BTreeMap::new(),
            _folder: folder,
        };
        world.fill().await;
        world
    }

    pub(super) const fn backend(&self) -> Backend {
        self.backend
    }
    pub(super) fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(i64::try_from(seconds).unwrap() * 1_000_000, Ordering::SeqCst);
    }
    pub(super) async fn close(self) {
        for module in &self.modules {
            for tasks in &module.tasks {
                tasks.end().await;
            }
            for database in &module.databases {
                database.close().await;
            }
        }
    }

    /// What the model's shop begins with.
    async fn fill(&mut self) {
        for (n, goods) in super::rules::stocked().iter().enumerate() {
            let price = json!({ "amount": goods.price, "currency": "EUR" });
            let variant = json!({ "prices": [price], "stock": goods.on_hand, "track_stock": goods.counted });
            let body = json!({ "title": format!("Goods {n}"), "status": "active", "variants": [variant] });
            let made = self.staff(Method::POST, "/v1/products", Some(&body)).await;
            self.variants.push(text(&made["variants"][0]["id"]));
        }
        assert_eq!(self.variants.len(), GOODS);
    }

    fn as_staff(&self, method: Method, path: &str) -> TestRequest {
        let authorization = ("authorization", format!("Bearer {}", self.token));
        TestRequest::with_uri(path).method(method).insert_header(authorization)
    }
    fn as_guest(&self, cart: usize, method: Method, rest: &str) -> TestRequest {
        let CartHere { id, token, .. } = &self.carts[cart];
        let request = TestRequest::with_uri(&format!("/v1/carts/{id}{rest}")).method(method);
        request.insert_header(("x-cart-token", token.as_str()))
    }
    async fn staff(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let request = self.as_staff(method, path);
        let request = if let Some(body) = body { request.set_json(body) } else { request };
        let (status, _, answer) = (self.send)(request).await;
        assert!((200..300).contains(&status), "{path} answers {status}: {answer}");
        answer
    }

    /// Sends all of it at once, and waits until nobody does anything any more.
    pub(super) async fn ask(&mut self, sent: &[Sent]) -> Result<Vec<Got>, String> {
        let all = join_all(sent.iter().map(|one| self.one(one))).await;
        for tasks in self.modules.iter().flat_map(|module| &module.tasks) {
            tasks.end().await;
        }
        for (got, one) in all.iter().zip(sent) {
            self.remember(one, got).await;
        }
        for (got, one) in all.iter().zip(sent).filter(|(got, _)| got.replayed) {
            let first = one.key.and_then(|key| self.kept.get(&key));
            if first != Some(&got.body) {
                return Err(format!("a replay is not what was said first:\n{}\n{first:?}", got.body));
            }
        }
        Ok(all)
    }

    async fn one(&self, sent: &Sent) -> Got {
        let ask = sent.ask.clone();
        let worker = match ask {
            Ask::Sweep => Some("products-sweep"),
            Ask::Work => Some("orders-processes"),
            _ => None,
        };
        if let Some(name) = worker {
            self.turn(name).await;
            return Got { ask, status: 0, body: Value::Null, replayed: false };
        }
        let request = self.request(&ask);
        let request = match sent.key {
            Some(key) => request.insert_header(("idempotency-key", format!("model-{key:016}"))),
            None => request,
        };
        let (status, replayed, body) = (self.send)(request).await;
        Got { ask, status, body, replayed }
    }

    async fn turn(&self, name: &str) {
        // A buyer is waited for from a moment of the database's clock on, which counts milliseconds: not in this one any more.
        let moment = std::time::Instant::now();
        while moment.elapsed() < Duration::from_millis(2) {
            tokio::task::yield_now().await;
        }
        let worker = self.modules.iter().flat_map(|module| &module.workers).find(|worker| worker.name == name);
        worker.expect("a worker of this name").turn().await;
    }

    fn request(&self, ask: &Ask) -> TestRequest {
        let post = |order: &At, rest: &str, body: Value| {
            let id = &self.carts[order.0].orders[order.1];
            self.as_staff(Method::POST, &format!("/v1/orders/{id}/{rest}")).set_json(body)
        };
        let line = |goods: usize, quantity: i64| json!({ "variant_id": self.variants[goods], "quantity": quantity });
        let part = |amount: &Option<i64>| match amount {
            Some(amount) => json!({ "amount": { "amount": amount, "currency": "EUR" }, "reason": "model" }),
            None => json!({}),
        };
        let variant = |goods: &usize, method, rest: &str, body: Value| {
            self.as_staff(method, &format!("/v1/variants/{}{rest}", self.variants[*goods])).set_json(body)
        };
        match ask {
            Ask::NewCart { lines } => {
                let lines: Vec<Value> = lines.iter().map(|(goods, quantity)| line(*goods, *quantity)).collect();
                let body = json!({ "currency": "EUR", "email": "guest@test.example", "lines": lines });
                TestRequest::with_uri("/v1/carts").method(Method::POST).set_json(body)
            }
            Ask::Add { cart, goods, quantity } => {
                self.as_guest(*cart, Method::POST, "/lines").set_json(line(*goods, *quantity))
            }
            Ask::Change { cart, line, quantity } => {
                let path = format!("/lines/{}", self.carts[*cart].lines[line.0][line.1]);
                self.as_guest(*cart, Method::PATCH, &path).set_json(json!({ "quantity": quantity }))
            }
            Ask::Remove { cart, line } => {
                self.as_guest(*cart, Method::DELETE, &format!("/lines/{}", self.carts[*cart].lines[line.0][line.1]))
            }
            Ask::Buy { cart, card } => {
                let token = match card {
                    Card::Ok => "tok_ok",
                    Card::Declined => "tok_declined",
                    Card::Action => "tok_action",
                };
                self.as_guest(*cart, Method::POST, "/checkout").set_json(testkit::pay(token))
            }
            Ask::Abandon { cart } => self.as_guest(*cart, Method::DELETE, "/checkout"),
            Ask::Event { order, authorised } => {
                let says = if *authorised { "authorised" } else { "declined" };
                let body = json!({ "order": self.carts[order.0].orders[order.1], "says": says });
                TestRequest::with_uri("/v1/payment-events/test").method(Method::POST).set_json(body)
            }
            Ask::Cancel { order } => post(order, "cancel", json!({})),
            Ask::Ship { order } => post(order, "shipments", json!({})),
            Ask::Capture { order, amount } => post(order, "captures", part(amount)),
            Ask::Refund { order, amount } => post(order, "refunds", part(amount)),
            Ask::Count { goods, on_hand } => variant(goods, Method::PUT, "/stock", json!({ "on_hand": on_hand })),
            Ask::Adjust { goods, delta } => {
                variant(goods, Method::POST, "/stock-adjustments", json!({ "delta": delta, "reason": "model" }))
            }
            Ask::Price { goods, price } => {
                let prices = json!({ "prices": [{ "amount": price, "currency": "EUR" }] });
                variant(goods, Method::PATCH, "", prices)
            }
            Ask::Sweep | Ask::Work => unreachable!("workers are asked by name"),
        }
    }

    async fn remember(&mut self, sent: &Sent, got: &Got) {
        if let Some(key) = sent.key.filter(|_| !got.replayed && (got.status < 300 || got.status == 402)) {
            self.kept.insert(key, got.body.clone());
        }
        if let Ask::NewCart { .. } = got.ask
            && got.status == 201
            && !got.replayed
        {
            let (id, token) = (text(&got.body["id"]), text(&got.body["token"]));
            self.carts.push(CartHere { id, token, lines: Default::default(), orders: Vec::new() });
            let ready = self.as_guest(self.carts.len() - 1, Method::PATCH, "");
            let (status, ..) = (self.send)(ready.set_json(json!({ "shipping_address": address() }))).await;
            assert_eq!(status, 200);
        }
    }

    /// The shop as it stands: all goods, orders and reservations, and the carts that were touched.
    pub(super) async fn look(&mut self, sent: &[Sent], all: bool) -> Result<Seen, String> {
        let mut seen = Seen::default();
        for variant in &self.variants {
            let stock = self.staff(Method::GET, &format!("/v1/variants/{variant}/stock"), None).await;
            seen.stock.push((number(&stock["on_hand"]), number(&stock["reserved"])));
        }
        let touched = |cart: &usize| all || sent.iter().any(|one| about(&one.ask, self.carts.len()) == Some(*cart));
        for cart in (0..self.carts.len()).filter(touched).collect::<Vec<_>>() {
            let (status, _, body) = (self.send)(self.as_guest(cart, Method::GET, "")).await;
            assert_eq!(status, 200);
            let lines = body["lines"].as_array().ok_or("a cart has lines")?;
            for line in lines {
                let made = &mut self.carts[cart].lines[goods(&self.variants, line)?];
                let id = text(&line["id"]);
                if !made.contains(&id) {
                    made.push(id);
                }
            }
            seen.carts.insert(cart, self.lines(&body)?);
        }
        let holdings = self.holdings().await?;
        let mut held = holdings.len();
        let mut orders = Vec::new();
        for list in ["", "&status=pending", "&status=failed"] {
            let page = self.staff(Method::GET, &format!("/v1/orders?limit=100{list}"), None).await;
            orders.extend(page["items"].as_array().ok_or("a list has items")?.iter().cloned());
        }
        orders.sort_by_key(|order| text(&order["id"]));
        for order in orders {
            let id = text(&order["id"]);
            let cart = self.carts.iter().position(|cart| order["cart_id"] == cart.id.as_str());
            let cart = cart.ok_or_else(|| format!("{id} is of no cart"))?;
            let attempts = &mut self.carts[cart].orders;
            if !attempts.contains(&id) {
                attempts.push(id.clone());
            }
            let at = (cart, attempts.iter().position(|there| *there == id).unwrap_or_default());
            self.ids.insert(id.clone(), at);
            let hold = holdings.get(id.trim_start_matches("order_")).cloned();
            held -= usize::from(hold.is_some());
            seen.orders.insert(at, self.order(&order, hold)?);
        }
        if held > 0 {
            return Err(format!("{held} reservations are of no order"));
        }
        Ok(seen)
    }

    fn order(&self, order: &Value, hold: Option<(String, Vec<(usize, i64)>)>) -> Result<SeenOrder, String> {
        let payment = &order["payment"];
        let (captured, refunded) = (number(&payment["captured"]["amount"]), number(&payment["refunded"]["amount"]));
        for (list, sum) in [("captures", captured), ("refunds", refunded)] {
            let moves = order[list].as_array().ok_or("an order has its moves")?;
            if moves.iter().any(|one| one["status"] != "done") {
                return Err(format!("{list} of {} are not all done", order["id"]));
            }
            let moved: i64 = moves.iter().map(|one| number(&one["amount"]["amount"])).sum();
            if moved != sum {
                return Err(format!("{list} of {} are {moved} together, and {sum} in the payment", order["id"]));
            }
        }
        let lines = self.lines(order)?;
        let total: i64 = lines.iter().map(|(_, quantity, price)| quantity * price).sum();
        if number(&order["totals"]["total"]["amount"]) != total || number(&payment["amount"]["amount"]) != total {
            return Err(format!("{} is about {total} and says {} and {payment}", order["id"], order["totals"]));
        }
        let sent = order["fulfilment_status"] == "fulfilled";
        if sent != (order["shipments"].as_array().map(Vec::len) == Some(1)) {
            return Err(format!("{} has other shipments than it says", order["id"]));
        }
        Ok(SeenOrder {
            status: text(&order["status"]),
            payment_status: text(&order["payment_status"]),
            sent,
            lines,
            payment: text(&payment["status"]),
            captured,
            refunded,
            late: !payment["late_at"].is_null(),
            hold,
        })
    }

    fn lines(&self, body: &Value) -> Result<Lines, String> {
        let lines = body["lines"].as_array().ok_or("lines")?.iter().map(|line| {
            Ok((goods(&self.variants, line)?, number(&line["quantity"]), number(&line["unit_price"]["amount"])))
        });
        let mut lines: Lines = lines.collect::<Result<_, String>>()?;
        lines.sort_unstable();
        Ok(lines)
    }

    /// By what follows the prefix of its id, which is its order's too.
    async fn holdings(&self) -> Result<HashMap<String, (String, Vec<(usize, i64)>)>, String> {
        let call = Call::begin(Principal::Anonymous, Trace(1), LONG);
        let page = self.stock.holdings(&call, Holdings { after: None, limit: MAX_HOLDINGS }).await;
        let mut all = HashMap::new();
        for holding in page.map_err(|error| format!("holdings: {error}"))? {
            let lines = holding.lines.iter().map(|line| {
                let variant = line.variant_id.to_string();
                let goods = self.variants.iter().position(|id| *id == variant).ok_or("a reserved variant")?;
                Ok((goods, line.quantity))
            });
            let mut lines = lines.collect::<Result<Vec<_>, String>>()?;
            lines.sort_unstable();
            let id = holding.reservation.to_string();
            let id = id.trim_start_matches("resv_").to_owned();
            all.insert(id, (format!("{:?}", holding.state).to_lowercase(), lines));
        }
        Ok(all)
    }

    /// What is off in the books, at rest.
    pub(super) async fn audit(&self) -> Vec<String> {
        let call = Call::begin(Principal::Anonymous, Trace(1), LONG);
        let mut checks = self.products.audit(true).await.unwrap();
        checks.extend(self.orders.audit(&call, true).await.unwrap());
        let off = checks.into_iter().filter(|check| check.off > 0);
        off.map(|check| format!("{} is off: {:?}", check.name, check.findings)).collect()
    }
}

/// The cart that a request touches; a new one is the last.
fn about(ask: &Ask, carts: usize) -> Option<usize> {
    match ask {
        Ask::NewCart { .. } => carts.checked_sub(1),
        Ask::Add { cart, .. }
        | Ask::Change { cart, .. }
        | Ask::Remove { cart, .. }
        | Ask::Buy { cart, .. }
        | Ask::Abandon { cart } => Some(*cart),
        other => other.order().map(|(cart, _)| cart),
    }
}

/// The modules' routes, admitted as in the binary, without its listener.
async fn served(modules: &[Module; 2], doorman: Doorman) -> Send {
    let verify: Arc<dyn Verify> = Arc::new(doorman);
    let app = App::new()
        .app_data(Data::from(verify))
        .app_data(Patience(LONG))
        .configure(|config| modules.iter().for_each(|module| module.configure(config)))
        .wrap(from_fn(web::edge));
    let app = Rc::new(init_service(app).await);
    Box::new(move |request| {
        let app = Rc::clone(&app);
        Box::pin(async move {
            let request = request.insert_header(("host", "shop.example")).to_request();
            let answer = call_service(&*app, request).await;
            let status = answer.status().as_u16();
            let replayed = answer.headers().contains_key("idempotent-replayed");
            let body = read_body(answer).await;
            (status, replayed, serde_json::from_slice(&body).unwrap_or(Value::Null))
        })
    })
}

/// What a line is of.
fn goods(variants: &[String], line: &Value) -> Result<usize, String> {
    variants.iter().position(|id| line["variant_id"] == id.as_str()).ok_or_else(|| format!("{line} is of no variant"))
}
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}
