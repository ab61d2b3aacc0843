//! The statements themselves, on SQLite, and on PostgreSQL where `PRODUCTS_TEST_URL` names one.
use crate::{
    MIGRATIONS, Products, Settings,
    http::NewProductBody,
    service::{Error, Service, Viewer},
    store::list::{Filter, PriceRange, Sort},
};
use database::{
    Database, Location, migrate,
    once::{Kept, Once},
};
use kernel::{Call, Currency, Id, Minor, Principal, SystemClock, Trace};
use products_api::{
    Catalogue, ConfirmError, ReleaseError, Reserve, ReserveError, ReserveLine, Short, Stock, VariantId,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

struct Shop {
    products: Products,
    _folder: tempfile::TempDir,
}

impl Shop {
    async fn new() -> Vec<Self> {
        let mut shops = vec![Self::on(None).await];
        if let Ok(url) = std::env::var("PRODUCTS_TEST_URL") {
            shops.push(Self::on(Some(url)).await);
        }
        shops
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
        let products = Products::open(db, Arc::new(SystemClock), Settings::default(), spool).await.unwrap();
        Self { products, _folder: folder }
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

#[tokio::test]
async fn a_category_holds_its_children() {
    use crate::service::NewCategory;
    for shop in Shop::new().await {
        let new = |name: &str, parent: Option<&str>| NewCategory {
            slug: None,
            name: name.into(),
            parent: parent.map(str::to_owned),
        };
        shop.service().create_category(new("Paper", None), Once::unkeyed()).await.unwrap();
        shop.service().create_category(new("Note Books", Some("paper")), Once::unkeyed()).await.unwrap();
        let orphan = shop.service().create_category(new("X", Some("none")), Once::unkeyed()).await;
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
        assert_eq!(short, Ok(ReserveError::OutOfStock(vec![Short { variant: red, available: 2 }])));
        let moved = stock.reserve(&call(), reserve(&[(red, 1, 1999)], 600)).await.unwrap_err().split();
        assert!(matches!(moved, Ok(ReserveError::Changed(prices)) if prices[0].price == Minor::new(2000).ok()));
        stock.confirm(&call(), id).await.unwrap();
        stock.confirm(&call(), id).await.unwrap();
        stock.ship(&call(), id).await.unwrap();
        stock.ship(&call(), id).await.unwrap();
        assert_eq!(levels().await, (2, 0));
        assert_eq!(stock.release(&call(), id).await.unwrap_err().split(), Ok(ReleaseError::Shipped));

        let second = reserve(&[(red, 2, 2000)], 600);
        stock.reserve(&call(), second.clone()).await.unwrap();
        assert!(matches!(service.count_stock(&call(), red, 1).await, Err(Error::BelowReserved)));
        assert!(matches!(service.adjust_stock(&call(), red, -1, Once::unkeyed()).await, Err(Error::BelowReserved)));
        stock.release(&call(), second.reservation).await.unwrap();
        stock.release(&call(), second.reservation).await.unwrap();
        assert_eq!(stock.reserve(&call(), second).await.unwrap_err().split(), Ok(ReserveError::Over));
        assert_eq!(levels().await, (2, 0));

        let never = reserve(&[(red, 1, 2000)], 600);
        stock.release(&call(), never.reservation).await.unwrap();
        assert_eq!(stock.reserve(&call(), never).await.unwrap_err().split(), Ok(ReserveError::Over));

        let brief = reserve(&[(red, 2, 2000)], 0);
        stock.reserve(&call(), brief.clone()).await.unwrap();
        stock.reserve(&call(), reserve(&[(red, 2, 2000)], 0)).await.unwrap();
        assert_eq!(stock.confirm(&call(), brief.reservation).await.unwrap_err().split(), Ok(ConfirmError::Over));
        assert_eq!(levels().await, (2, 2));
        service.sweep().await;
        assert_eq!(levels().await, (2, 0));
        let quotes = shop.products.catalogue().quote(&call(), vec![red, blue, Id::new()]).await.unwrap();
        assert_eq!(quotes.len(), 2);
        assert_eq!((quotes[0].title.as_str(), quotes[0].prices.len(), quotes[0].sold), ("Lamp – Red", 2, true));
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
    }
}
