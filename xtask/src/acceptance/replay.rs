//! A real month, order by order, through the API that any client uses; then the shop's books beside the file's.
//!
//! Stock is what the month sells and no more: when every order is placed, nothing may be left and nothing lacking.
use super::{
    api::{Api, Guest, list, number, text},
    progress::Progress,
    report::Report,
    retail::{Article, CURRENCY, Invoice, Month, pounds},
};
use crate::error::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
};

const WORKERS: usize = 8;
/// A product holds no more variants.
const VARIANTS: usize = 100;
/// The one option that tells a product's variants apart.
const OPTION: &str = "Price";

pub(super) async fn run(api: &Api, months: &[Month], report: &mut Report) -> Result<()> {
    let products = products(months);
    let variants = create(api, &products).await?;
    let invoices: Vec<_> = months.iter().flat_map(|month| &month.invoices).collect();
    let progress = Progress::new("orders", invoices.len());
    let placed = each(&invoices, |(number, invoice)| {
        let (variants, progress) = (&variants, &progress);
        async move {
            let order = place(api, number, invoice, variants).await.context(format_args!("invoice {number}"))?;
            progress.step();
            Ok((order, (number.as_str(), *invoice)))
        }
    })
    .await?;
    progress.finish();
    compare(api, months, &placed.into_iter().collect(), report).await?;
    report.equal("units left in stock", 0, left(api, &products).await?);
    Ok(())
}

/// What becomes one product: a stock code, and its prices with the units that will be sold at each.
struct Product {
    slug: String,
    title: String,
    prices: BTreeMap<Article, i64>,
}

fn products(months: &[Month]) -> Vec<Product> {
    let mut codes: BTreeMap<&str, BTreeMap<Article, i64>> = BTreeMap::new();
    for (article, quantity) in months.iter().flat_map(|m| m.invoices.values()).flat_map(|invoice| &invoice.lines) {
        *codes.entry(&article.code).or_default().entry(article.clone()).or_default() += quantity;
    }
    let title =
        |code: &str| months.iter().find_map(|month| month.titles.get(code)).map_or(code, String::as_str).to_owned();
    let mut products = Vec::new();
    for (code, prices) in codes {
        let mut prices = prices.into_iter().peekable();
        while prices.peek().is_some() {
            // Codes that differ in case only are different things, which slugs cannot say: they are numbered.
            let slug = format!("online-retail-{:05}", products.len());
            products.push(Product { slug, title: title(code), prices: prices.by_ref().take(VARIANTS).collect() });
        }
    }
    products
}

impl Product {
    fn body(&self) -> Value {
        let names: Vec<_> = self.prices.keys().map(|article| pounds(article.price)).collect();
        let variant = |(article, quantity): (&Article, &i64)| {
            json!({
                "sku": format!("{}-{}", self.slug, article.price),
                "options": { OPTION: pounds(article.price) },
                "prices": [{ "amount": article.price, "currency": CURRENCY }],
                "stock": quantity,
                "track_stock": true,
            })
        };
        json!({
            "title": self.title,
            "slug": self.slug,
            "status": "active",
            "options": [{ "name": OPTION, "values": names }],
            "variants": self.prices.iter().map(variant).collect::<Vec<_>>(),
        })
    }
}

/// Makes the catalogue; answers the id of each article's variant.
async fn create(api: &Api, products: &[Product]) -> Result<BTreeMap<Article, String>> {
    let progress = Progress::new("products", products.len());
    let made = each(products, |product| {
        let progress = &progress;
        async move {
            let key = format!("acceptance-{}", product.slug);
            let made = api.post("/v1/products", &key, &product.body()).await?;
            let mut ids = Vec::new();
            for article in product.prices.keys() {
                let at_price = |variant: &&Value| variant["options"][OPTION] == pounds(article.price);
                let variant = list(&made, "/variants")?.iter().find(at_price);
                let variant = variant.context(format_args!("no variant at {} in {made}", pounds(article.price)))?;
                ids.push((article.clone(), text(variant, "/id")?.to_owned()));
            }
            progress.step();
            Ok(ids)
        }
    })
    .await?;
    progress.finish();
    Ok(made.into_iter().flatten().collect())
}

/// Cart, address, checkout: as a guest does. Answers the order's id.
async fn place(api: &Api, number: &str, invoice: &Invoice, variants: &BTreeMap<Article, String>) -> Result<String> {
    let mut lines = Vec::with_capacity(invoice.lines.len());
    for (article, quantity) in &invoice.lines {
        let variant = variants.get(article).context(format_args!("no variant for {article:?}"))?;
        lines.push(json!({ "variant_id": variant, "quantity": quantity }));
    }
    let key = format!("acceptance-cart-{number}");
    let body = json!({ "currency": CURRENCY, "lines": lines });
    let opened = Guest { method: Method::POST, path: "/v1/carts", cart: None, key: Some(&key), body: &body };
    let cart = api.guest(opened, &[201]).await?;
    let (path, token) = (format!("/v1/carts/{}", text(&cart, "/id")?), text(&cart, "/token")?);
    let body = json!({
        "email": email(number),
        "shipping_address": {
            "name": format!("Customer of {number}"), "line1": "1 High Street", "city": "London",
            "postal_code": "N1 9GU", "country": "GB",
        },
    });
    let addressed = Guest { method: Method::PATCH, path: &path, cart: Some(token), key: None, body: &body };
    api.guest(addressed, &[200]).await?;
    let (path, key) = (format!("{path}/checkout"), format!("acceptance-checkout-{number}"));
    let body = json!({ "payment": { "provider": "test", "token": "tok_ok" } });
    let bought = Guest { method: Method::POST, path: &path, cart: Some(token), key: Some(&key), body: &body };
    let order = api.guest(bought, &[200, 201]).await?;
    Ok(text(&order, "/id")?.to_owned())
}

fn email(invoice: &str) -> String {
    format!("invoice-{}@example.com", invoice.to_lowercase())
}

#[derive(Default)]
struct Books {
    orders: usize,
    lines: u64,
    units: i64,
    total: i64,
    differing: Vec<String>,
}

/// Reads every order back, as staff, and puts the books side by side.
async fn compare(
    api: &Api,
    months: &[Month],
    placed: &BTreeMap<String, (&str, &Invoice)>,
    report: &mut Report,
) -> Result<()> {
    let mut listed = Vec::new();
    api.list("/v1/orders", |order| {
        listed.push(order);
        Ok(())
    })
    .await?;
    let mut books = Books::default();
    for mut order in listed {
        if order.get("lines").is_none() {
            order = api.get(&format!("/v1/orders/{}", text(&order, "/id")?), &[]).await?;
        }
        books.enter(&order, placed)?;
    }
    let sum = |of: fn(&Month) -> u64| months.iter().map(of).sum::<u64>();
    println!(
        "{}: {} rows sold; not replayed: {} returned, {} at price zero, {} others",
        months.iter().map(|month| month.name.as_str()).collect::<Vec<_>>().join(", "),
        sum(|m| m.sold_rows),
        sum(|m| m.returned_rows),
        sum(|m| m.free_rows),
        sum(|m| m.other_rows)
    );
    for difference in books.differing.iter().take(10) {
        println!("  {difference}");
    }
    report.equal("orders", months.iter().map(|month| month.invoices.len()).sum(), books.orders);
    report.equal("lines", sum(Month::lines), books.lines);
    report.equal("units", months.iter().map(Month::units).sum(), books.units);
    let total = months.iter().map(Month::total).sum();
    report.equal(format!("total in {CURRENCY}"), pounds(total), pounds(books.total));
    report.equal("orders unlike their invoice", 0, books.differing.len());
    Ok(())
}

impl Books {
    fn enter(&mut self, order: &Value, placed: &BTreeMap<String, (&str, &Invoice)>) -> Result<()> {
        let id = text(order, "/id")?;
        let lines = list(order, "/lines")?;
        let mut units = 0;
        for line in lines {
            units += number(line, "/quantity")?;
        }
        let total = number(order, "/totals/total/amount")?;
        self.orders += 1;
        self.lines += lines.len() as u64;
        self.units += units;
        self.total += total;
        let Some((invoice, expected)) = placed.get(id) else {
            self.differing.push(format!("order {id} belongs to no invoice"));
            return Ok(());
        };
        let found = (lines.len(), units, total, text(order, "/status")?, text(order, "/email")?);
        let currency = text(order, "/totals/total/currency")?;
        let email = email(invoice);
        if found != (expected.lines.len(), expected.units(), expected.total(), "placed", &email) || currency != CURRENCY
        {
            let (lines, units, total) = (expected.lines.len(), expected.units(), pounds(expected.total()));
            self.differing.push(format!(
                "order {id}: {found:?} {currency}, but invoice {invoice} has {lines} lines, {units} units and comes to {total}"
            ));
        }
        Ok(())
    }
}

/// What the month's variants still have to sell.
async fn left(api: &Api, products: &[Product]) -> Result<i64> {
    let read = each(products, |product| async move {
        let product = api.get(&format!("/v1/products/{}", product.slug), &[]).await?;
        list(&product, "/variants")?.iter().map(|variant| Ok(number(variant, "/available")?.abs())).sum::<Result<i64>>()
    });
    Ok(read.await?.into_iter().sum())
}

/// Does the work for every item, a few at once; the first error ends it.
async fn each<'a, T, R, F>(items: &'a [T], work: impl Fn(&'a T) -> F) -> Result<Vec<R>>
where
    F: Future<Output = Result<R>>,
{
    let next = AtomicUsize::new(0);
    let worker = async || {
        let mut done = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(item).await?);
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(done)
    };
    let workers: [_; WORKERS] = std::array::from_fn(|_| worker());
    let [a, b, c, d, e, f, g, h] = workers;
    let (a, b, c, d, e, f, g, h) = tokio::try_join!(a, b, c, d, e, f, g, h)?;
    Ok([a, b, c, d, e, f, g, h].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn month(prices: &[(&str, i64)]) -> Month {
        let mut month = Month::default();
        for &(code, price) in prices {
            let article = Article { code: code.into(), price };
            *month.invoices.entry("1".into()).or_default().lines.entry(article).or_default() += 2;
        }
        month
    }

    #[test]
    fn codes_that_differ_in_case_are_two_products() {
        let products =
            products(&[month(&[("85123A", 255), ("85123a", 255), ("85123a", 300)]), month(&[("85123A", 255)])]);
        assert_eq!(products.len(), 2);
        assert_ne!(products[0].slug, products[1].slug);
        let body = products[0].body();
        assert_eq!(body["variants"][0]["stock"], 4, "the stock is what all months sell");
        assert_eq!(products[1].body()["options"][0]["values"], json!(["2.55", "3.00"]));
    }

    #[test]
    fn a_code_with_too_many_prices_is_spread() {
        let prices: Vec<_> = (1..=VARIANTS as i64 + 1).map(|price| ("M", price)).collect();
        let sizes: Vec<_> = products(&[month(&prices)]).iter().map(|product| product.prices.len()).collect();
        assert_eq!(sizes, [VARIANTS, 1]);
    }

    #[tokio::test]
    async fn every_item_is_worked_on_once() {
        let (items, sum) = ((1..=100).collect::<Vec<u64>>(), Cell::new(0));
        let done = each(&items, |item| {
            let sum = &sum;
            async move {
                tokio::task::yield_now().await;
                sum.set(sum.get() + item);
                Ok(*item)
            }
        });
        assert_eq!((done.await.unwrap().len(), sum.get()), (100, 5050));
    }

    #[test]
    fn books_tell_what_differs() {
        let month = month(&[("A", 255)]);
        let placed = BTreeMap::from([("ord_1".to_owned(), ("1", &month.invoices["1"]))]);
        let order = |total: i64| {
            json!({ "id": "ord_1", "status": "placed", "email": "invoice-1@example.com", "lines": [{ "quantity": 2 }],
                    "totals": { "total": { "amount": total, "currency": "GBP" } } })
        };
        let mut books = Books::default();
        books.enter(&order(510), &placed).unwrap();
        assert!(books.differing.is_empty(), "{:?}", books.differing);
        books.enter(&order(511), &placed).unwrap();
        assert_eq!((books.orders, books.lines, books.units, books.total, books.differing.len()), (2, 2, 4, 1021, 1));
    }
}
