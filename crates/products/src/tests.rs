//! The statements themselves, every body on both databases.
mod audit;
mod ledger;
mod reviews;
mod states;

use crate::{
    Format, MIGRATIONS, Products, Report, Settings,
    http::NewProductBody,
    service::{Error, Service, Viewer},
    store::list::{Filter, PriceRange, Sort},
};
use database::{
    Database, Location, migrate,
    once::{Kept, Once},
};
use kernel::{Call, Clock, Currency, Id, Minor, Principal, Time, Trace};
use products_api::{ConfirmError, ReleaseError, Reserve, ReserveError, ReserveLine, Short, VariantId};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// When the clock of a test begins.
const BEGAN: i64 = 1_700_000_000_000_000;

/// Time passes when a test says so.
struct Hands(AtomicI64);
impl Hands {
    fn pass(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }
}
impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

struct Shop {
    products: Products,
    /// The tables themselves.
    db: Database,
    location: Location,
    clock: Arc<Hands>,
    folder: tempfile::TempDir,
}

impl Shop {
    async fn new() -> Vec<Self> {
        let url =
            std::env::var("CLEAVE_TEST_POSTGRES").expect("CLEAVE_TEST_POSTGRES is not set: run `cargo xtask test`");
        vec![Self::on(None).await, Self::on(Some(url)).await]
    }
    async fn on(url: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = match url {
            None => Location::Sqlite { file: folder.path().join("products.db") },
            Some(url) => {
                let schema = format!("t{}", Id::<()>::new().uuid().simple());
                Location::Postgres { url, schema, role: None }
            }
        };
        let at = location.clone();
        tokio::task::spawn_blocking(move || migrate(&at, &MIGRATIONS)).await.unwrap().unwrap();
        let db = Database::open(&location, "products", database::Settings::default()).unwrap();
        let spool = folder.path().join("spool");
        let clock = Arc::new(Hands(AtomicI64::new(BEGAN)));
        let products = Products::open(db.clone(), clock.clone(), Settings::default(), spool).await.unwrap();
        Self { products, db, location, clock, folder }
    }
    /// Another process of the same domain, as far as the database can tell.
    async fn again(&self) -> Products {
        let db = Database::open(&self.location, "products", database::Settings::default()).unwrap();
        let spool = self.folder.path().join("other");
        Products::open(db, self.clock.clone(), Settings::default(), spool).await.unwrap()
    }
    fn service(&self) -> &Service {
        &self.products.0
    }
    async fn create(&self, body: serde_json::Value) -> crate::domain::product::Product {
        let body: NewProductBody = serde_json::from_value(body).unwrap();
        match self.service().create(&call(), body.read().unwrap(), Once::unkeyed()).await.unwrap() {
            Kept::Fresh(product) => product,
            Kept::Replayed(_) => unreachable!(),
        }
    }
    async fn titles(&self, filter: Filter, limit: usize) -> Vec<String> {
        let (mut titles, mut after) = (Vec::new(), None);
        loop {
            let page = self.service().page(filter.clone(), after, limit, true).await.unwrap();
            titles.extend(page.items.iter().map(|p| p.title.clone()));
            let Some(next) = page.next else { return titles };
            after = Some(filter.after(next.as_str()).unwrap());
        }
    }
}

fn call() -> Call {
    Call::begin(Principal::Anonymous, Trace(1), Duration::from_secs(10))
}

fn lamp(title: &str, cents: i64, stock: i64) -> serde_json::Value {
    json!({ "title": title, "status": "active", "tags": ["Licht"],
        "options": [{ "name": "Color", "values": ["Red", "Blue"] }],
        "variants": [
            { "sku": "L-R", "options": { "Color": "Red" }, "stock": stock,
              "prices": [{ "amount": cents, "currency": "EUR" }, { "amount": cents + 1, "currency": "USD" }] },
            { "options": { "Color": "Blue" }, "track_stock": false, "prices": [{ "amount": cents + 500, "currency": "EUR" }] },
        ] })
}

fn all() -> Filter {
    Filter { status: Some("active"), words: vec![], category: None, price: None, sort: Sort::Newest }
}

#[tokio::test]
async fn what_is_written_is_read_and_listed() {
    for shop in Shop::new().await {
        let made = shop.create(lamp("Träumerei", 2000, 5)).await;
        let named = crate::domain::product::Named::Slug("traumerei".into());
        assert_eq!(shop.service().product(Viewer::Public, named.clone()).await.unwrap(), made);
        assert_eq!(shop.create(lamp("Träumerei", 1000, 5)).await.slug, "traumerei-2");
        shop.create(lamp("Anvil", 3000, 5)).await;
        let list = |filter| shop.titles(filter, 1);
        assert_eq!(list(all()).await, ["Anvil", "Träumerei", "Träumerei"]);
        assert_eq!(list(Filter { sort: Sort::Title, ..all() }).await, ["Anvil", "Träumerei", "Träumerei"]);
        let down = Filter { sort: Sort::PriceDown(Currency::EUR), ..all() };
        assert_eq!(list(down).await, ["Anvil", "Träumerei", "Träumerei"]);
        let words = Filter { words: vec!["traum".into(), "lich".into()], sort: Sort::Price(Currency::USD), ..all() };
        assert_eq!(list(words).await.len(), 2);
        let minor = |n| Minor::new(n).unwrap();
        let range = PriceRange { currency: Currency::EUR, min: minor(1500), max: minor(2000) };
        assert_eq!(list(Filter { price: Some(range), ..all() }).await.len(), 2);
        assert!(list(Filter { category: Some("none".into()), ..all() }).await.is_empty());

        let changes = crate::domain::product::Changes { title: Some("Dream".into()), ..Default::default() };
        let stale = shop.service().change(&call(), named.clone(), Some(7), changes.clone()).await;
        assert!(matches!(stale, Err(Error::Stale)));
        let changed = shop.service().change(&call(), named.clone(), Some(1), changes).await.unwrap();
        assert_eq!((changed.version, changed.title.as_str()), (2, "Dream"));
        assert_eq!(list(Filter { words: vec!["dream".into()], ..all() }).await, ["Dream"]);
        shop.service().archive(&call(), named.clone()).await.unwrap();
        assert!(shop.service().product(Viewer::Public, named.clone()).await.is_err());
        assert_eq!(shop.service().product(Viewer::Staff, named).await.unwrap().version, 3);
    }
}

/// More products than are walked through for a page, and conditions that pick few of them, every second one, and many of
/// the oldest ones only: each finds what it would find among all.
#[tokio::test]
async fn few_or_many_are_picked_alike() {
    use crate::service::NewCategory;
    const ALL: usize = 1600;
    let title = |n: usize| {
        let word = |picks: bool, word: &'static str| if picks { word } else { "" };
        let (second, old, rare) =
            (word(n.is_multiple_of(2), " second"), word(n < 600, " elder"), word(n % 500 == 7, " rare"));
        format!("Thing {:04}{second}{old}{rare}", n * 7 % ALL)
    };
    for shop in Shop::new().await {
        let old = NewCategory { slug: None, name: "Old".into(), parent: None };
        shop.service().create_category(&call(), old, Once::unkeyed()).await.unwrap();
        for n in (0..ALL).collect::<Vec<_>>().chunks(50) {
            let create = |n: &usize| {
                let price = json!([{ "amount": 100 + n % 90, "currency": "EUR" }]);
                let categories = if *n < 600 { vec!["old"] } else { vec![] };
                shop.create(json!({ "title": title(*n), "status": "active", "categories": categories,
                    "variants": [{ "options": {}, "prices": price }] }))
            };
            futures_util::future::join_all(n.iter().map(create)).await;
        }
        for sort in
            [Sort::Newest, Sort::Title, Sort::BestSelling, Sort::Price(Currency::EUR), Sort::PriceDown(Currency::EUR)]
        {
            let whole = shop.titles(Filter { sort, ..all() }, 100).await;
            assert_eq!(whole.len(), ALL);
            for (words, category) in [
                (vec!["second"], None),
                (vec!["elde"], None),
                (vec!["elder", "second"], None),
                (vec!["rare"], None),
                (vec!["second", "rare"], None),
                (vec!["second"], Some("old")),
                (vec![], Some("old")),
                (vec!["second", "nowhere"], None),
            ] {
                let is_picked = |title: &&String| {
                    words.iter().all(|word| title.contains(word)) && (category.is_none() || title.contains("elder"))
                };
                let wanted: Vec<_> = whole.iter().filter(is_picked).cloned().collect();
                let words = words.iter().map(|word| (*word).to_owned()).collect();
                let filter = Filter { sort, words, category: category.map(str::to_owned), ..all() };
                assert_eq!(shop.titles(filter.clone(), 100).await, wanted, "{filter:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_category_holds_its_children() {
    use crate::service::NewCategory;
    for shop in Shop::new().await {
        let new = |name: &str, parent: Option<&str>| NewCategory {
            slug: None,
            name: name.into(),
            parent: parent.map(str::to_owned),
        };
        shop.service().create_category(&call(), new("Paper", None), Once::unkeyed()).await.unwrap();
        shop.service().create_category(&call(), new("Note Books", Some("paper")), Once::unkeyed()).await.unwrap();
        let orphan = shop.service().create_category(&call(), new("X", Some("none")), Once::unkeyed()).await;
        assert!(matches!(orphan, Err(Error::UnknownParent)));
        let mut body = lamp("Jotter", 100, 1);
        body["categories"] = json!(["note-books", "paper"]);
        assert_eq!(shop.create(body.clone()).await.categories, ["note-books", "paper"]);
        body["categories"] = json!(["note-books"]);
        shop.create(body.clone()).await;
        for (category, found) in [("paper", 2), ("note-books", 2), ("x", 0)] {
            assert_eq!(shop.titles(Filter { category: Some(category.into()), ..all() }, 20).await.len(), found);
        }
        assert_eq!(shop.titles(Filter { words: vec!["books".into()], ..all() }, 20).await.len(), 2);
        body["categories"] = json!(["note-books", "gone"]);
        let body: NewProductBody = serde_json::from_value(body).unwrap();
        let refused = shop.service().create(&call(), body.read().unwrap(), Once::unkeyed()).await;
        assert!(matches!(refused, Err(Error::UnknownCategories(places)) if places == [1]));
        let parents: Vec<_> = shop.service().categories().await.unwrap().into_iter().map(|c| c.parent).collect();
        assert_eq!(parents, [Some("paper".into()), None]);
    }
}

fn reserve(lines: &[(VariantId, i64, i64)], seconds: u64) -> Reserve {
    let line =
        |&(variant, quantity, price): &_| ReserveLine { variant, quantity, unit_price: Minor::new(price).unwrap() };
    let (reservation, currency) = (Id::new(), Currency::EUR);
    Reserve { reservation, currency, lines: lines.iter().map(line).collect(), hold_for: Duration::from_secs(seconds) }
}

#[tokio::test]
async fn a_reservation_from_hold_to_shipment() {
    for shop in Shop::new().await {
        let product = shop.create(lamp("Lamp", 2000, 5)).await;
        let (red, blue) = (product.variants[0].id, product.variants[1].id);
        let (stock, service) = (shop.products.stock(), shop.service());
        let levels = async || {
            let level = service.level(red).await.unwrap();
            (level.on_hand, level.reserved)
        };
        let first = reserve(&[(red, 3, 2000), (blue, 9, 2500)], 600);
        let id = first.reservation;
        assert_eq!(stock.confirm(&call(), id).await.unwrap_err().split(), Ok(ConfirmError::Over));
        stock.reserve(&call(), first.clone()).await.unwrap();
        stock.reserve(&call(), first.clone()).await.unwrap();
        assert_eq!(levels().await, (5, 3));
        let short = stock.reserve(&call(), reserve(&[(red, 3, 2000)], 600)).await.unwrap_err().split();
        assert_eq!(short, Ok(ReserveError::OutOfStock { short: vec![Short { variant: red, available: 2 }] }));
        let moved = stock.reserve(&call(), reserve(&[(red, 1, 1999)], 600)).await.unwrap_err().split();
        assert!(matches!(moved, Ok(ReserveError::Changed { prices }) if prices[0].price == Minor::new(2000).ok()));
        stock.confirm(&call(), id).await.unwrap();
        stock.confirm(&call(), id).await.unwrap();
        stock.ship(&call(), id).await.unwrap();
        stock.ship(&call(), id).await.unwrap();
        assert_eq!(levels().await, (2, 0));
        assert_eq!(stock.release(&call(), id).await.unwrap_err().split(), Ok(ReleaseError::Shipped));

        let second = reserve(&[(red, 2, 2000)], 600);
        stock.reserve(&call(), second.clone()).await.unwrap();
        assert!(matches!(service.count_stock(&call(), red, 1).await, Err(Error::BelowReserved)));
        assert!(matches!(
            service.adjust_stock(&call(), red, -1, None, Once::unkeyed()).await,
            Err(Error::BelowReserved)
        ));
        stock.release(&call(), second.reservation).await.unwrap();
        stock.release(&call(), second.reservation).await.unwrap();
        assert_eq!(stock.reserve(&call(), second).await.unwrap_err().split(), Ok(ReserveError::Over));
        assert_eq!(levels().await, (2, 0));

        let never = reserve(&[(red, 1, 2000)], 600);
        stock.release(&call(), never.reservation).await.unwrap();
        assert_eq!(stock.reserve(&call(), never).await.unwrap_err().split(), Ok(ReserveError::Over));

        let brief = reserve(&[(red, 2, 2000)], 600);
        stock.reserve(&call(), brief.clone()).await.unwrap();
        let next = reserve(&[(red, 2, 2000)], 600);
        assert!(stock.reserve(&call(), next.clone()).await.is_err(), "the first one stands");
        shop.clock.pass(Duration::from_secs(600));
        stock.reserve(&call(), next).await.unwrap();
        assert_eq!(stock.confirm(&call(), brief.reservation).await.unwrap_err().split(), Ok(ConfirmError::Over));
        service.sweep().await;
        assert_eq!(levels().await, (2, 2), "nothing else was past its time");
        shop.clock.pass(Duration::from_secs(600));
        service.sweep().await;
        assert_eq!(levels().await, (2, 0));
        let quotes = shop.products.catalogue().quote(&call(), vec![red, blue, Id::new()]).await.unwrap();
        assert_eq!(quotes.len(), 2);
        assert_eq!((quotes[0].title.as_str(), quotes[0].prices.len(), quotes[0].sold), ("Lamp – Red", 2, true));
        shop.sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_are_never_oversold() {
    for shop in Shop::new().await {
        let a = shop.create(lamp("A", 100, 50)).await.variants[0].id;
        let b = shop.create(lamp("B", 100, 50)).await.variants[0].id;
        let buyers: Vec<_> = (0..120)
            .map(|n| {
                let stock = shop.products.stock();
                let lines = if n % 2 == 0 { [(a, 1, 100), (b, 1, 100)] } else { [(b, 1, 100), (a, 1, 100)] };
                tokio::spawn(async move { stock.reserve(&call(), reserve(&lines, 600)).await.is_ok() })
            })
            .collect();
        let mut won = 0;
        for buyer in buyers {
            won += usize::from(buyer.await.unwrap());
        }
        assert_eq!(won, 50);
        assert_eq!(shop.service().level(a).await.unwrap().available(), 0);
        shop.sound().await;
    }
}

impl Shop {
    async fn import(&self, text: &str, dry_run: bool) -> Result<Report, String> {
        let file = self.folder.path().join("file.csv");
        std::fs::write(&file, text).unwrap();
        self.products.import_file(&file, Format::Shopify, Currency::EUR, dry_run, |_, _| ()).await
    }
    async fn export(&self) -> String {
        use crate::domain::shopify::{HEADER, rows};
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER).unwrap();
        for product in self.service().following(None).await.unwrap() {
            rows(&product, Currency::EUR).iter().for_each(|row| writer.write_record(row).unwrap());
        }
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    }
}

fn counts(report: &Report) -> (u64, u64, u64, u64) {
    (report.rows, report.created, report.updated, report.unchanged)
}

const FILE: &str = "\u{feff}Handle,Title,Body (HTML),Tags,Published,Option1 Name,Option1 Value,Variant SKU,\
Variant Inventory Tracker,Variant Inventory Qty,Variant Price,Image Src,Image Alt Text,Status,Extra
Lamp,Lamp,\"<p>Two
lines</p>\",\"a, b,a\",true,Color,Red,R-1,shopify,5,69.99,https://a.example/1.jpg,One,active,x
Lamp,,,,,,Blue,,shopify,-3,70,,,,x
Lamp,,,,,,,,,,,/2.jpg,,,x
Lamp,,,,,,Green,,,,7.0.0,,,,x
plain,Plain,,,true,Title,Default Title,,,1,5,,,,x
bad,Bad,,,true,Title,Default Title,,,1,five,,,,x
bad,,,,,,,,,,,/3.jpg,,,x
short,Short
Lamp,Lamp again,,,true,Color,Red,R-1,shopify,9,1,,,draft,x
";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_idempotent_and_an_export_too() {
    for shop in Shop::new().await {
        let dry = shop.import(FILE, true).await.unwrap();
        assert_eq!(dry.created, 3); // nothing is written, so the second Lamp is new as well
        assert!(shop.service().following(None).await.unwrap().is_empty());

        let first = shop.import(FILE, false).await.unwrap();
        assert_eq!(counts(&first), (9, 2, 1, 0));
        let codes: Vec<_> = first.errors.iter().map(|e| (e.line, e.code.as_ref())).collect();
        let expected = [(6, "invalid_price"), (8, "invalid_price"), (9, "product_refused"), (10, "wrong_columns")];
        assert_eq!(codes, expected);
        let lamp = &shop.service().following(None).await.unwrap()[0];
        assert_eq!((lamp.title.as_str(), lamp.status.as_str(), lamp.variants.len()), ("Lamp again", "draft", 2));
        assert_eq!((lamp.variants[0].on_hand, lamp.variants[0].available()), (5, Some(5)));
        assert_eq!(lamp.variants[1].on_hand, 0);

        shop.create(super::tests::lamp("Träumerei", 2000, 5)).await;
        let export = shop.export().await;
        let again = shop.import(&export, false).await.unwrap();
        assert_eq!((again.created, again.updated, again.unchanged, again.error_count), (0, 0, 3, 0), "{again:?}");

        let refused = shop.import("a;b;c\n1;2;3\n", false).await.unwrap_err();
        assert!(refused.contains("semicolons") && refused.contains("Variant Price"), "{refused}");
        assert!(shop.import("", false).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_products_in_one_file() {
    let mut text = String::from("Handle,Title,Option1 Name,Option1 Value,Variant Price\n");
    for n in 0..1000 {
        text.push_str(&format!("p{n},Product {n},Size,S,1.00\np{n},,,M,2.00\n"));
    }
    for shop in Shop::new().await {
        assert_eq!(counts(&shop.import(&text, false).await.unwrap()), (2000, 1000, 0, 0));
        assert_eq!(counts(&shop.import(&text, false).await.unwrap()), (2000, 0, 0, 1000));
        let changed = text.replace("p7,,,M,2.00", "p7,,,M,3.00\np7,,,L,4.00");
        assert_eq!(counts(&shop.import(&changed, false).await.unwrap()), (2001, 0, 1, 999));
        shop.sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_file_is_taken_in_a_task() {
    use crate::domain::import::ImportStatus;
    for shop in Shop::new().await {
        let (id, path) = shop.service().upload();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, FILE).unwrap();
        shop.products
            .0
            .begin_import(&call(), id, (Format::Shopify, Currency::EUR, false), Once::unkeyed())
            .await
            .unwrap();
        let done = loop {
            let import = shop.service().import(id).await.unwrap();
            if !matches!(import.status, ImportStatus::Pending | ImportStatus::Running) {
                break import;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((done.status, done.progress.created, done.progress.error_count), (ImportStatus::Done, 2, 4));
    }
}

#[tokio::test]
async fn the_demonstration_shop_is_made() {
    let read = |text: &str| -> Vec<serde_json::Value> { serde_json::from_str(text).unwrap() };
    let products = read(include_str!("../../../app/demo/catalogue.json"));
    let categories = read(include_str!("../../../app/demo/categories.json"));
    for shop in Shop::new().await {
        shop.products.seed(products.clone(), categories.clone()).await.unwrap();
        let all = Filter { status: None, ..all() };
        assert_eq!(shop.titles(all, 7).await.len(), products.len());
    }
}
