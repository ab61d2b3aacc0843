//! What somebody does in a shop, through every call between its processes. Nothing is asked twice: an answer that
//! another try would have mended is one that a customer would have seen.
use crate::{
    acceptance::api::{list, number, text},
    error::{Context, Result},
};
use launch::{Fleet, Module};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What is done, in this order.
pub(super) const STEPS: [&str; 11] = [
    "neighbours",
    "registration",
    "sign-in",
    "product page",
    "cart",
    "checkout",
    "refusal",
    "order history",
    "account page",
    "cancellation",
    "shipment",
];
const REQUEST: Duration = Duration::from_secs(30);
/// How long a process may take to find those that were replaced.
const NEIGHBOURS: Duration = Duration::from_secs(30);
const STOCK: i64 = 5;
const PRICE: i64 = 1999;
const BUYER: &str = "buyer@shop.example";
const PASSWORD: &str = "a customer's password";

#[derive(Clone, Copy)]
pub(super) struct Staff {
    pub(super) email: &'static str,
    pub(super) password: &'static str,
}

/// As a customer of this name, who has no account yet.
pub(super) async fn run(fleet: &Fleet, staff: Staff, customer: &str, worked: &mut usize) -> Result<()> {
    let http = Client::builder().timeout(REQUEST).build().context("cannot make an HTTP client")?;
    let mut done = |step: &str| {
        assert_eq!(STEPS.get(*worked), Some(&step), "steps are done in their order");
        *worked += 1;
    };
    for module in Module::ALL {
        reaches_its_neighbours(&http, fleet, module).await?;
    }
    done("neighbours");
    let shop = Visitor { http, url: fleet.url(), token: None };
    let email = format!("{}@shop.example", customer.replace([' ', ','], "-"));
    let body = json!({ "email": email, "password": PASSWORD, "name": "Customer" });
    let user = shop.post("/v1/users", body, 201).await?;
    done("registration");
    let (customer, staff) =
        (shop.signed_in(&email, PASSWORD).await?, shop.signed_in(staff.email, staff.password).await?);
    same(&customer.get("/v1/users/me").await?, "/id", &user["id"])?;
    done("sign-in");
    let goods = Goods::make(&staff, &shop).await?;
    goods.can_be_bought(STOCK).await?;
    done("product page");
    let (first, second) = (goods.cart(&customer, 2).await?, goods.cart(&customer, 1).await?);
    done("cart");
    let (first, second) = (buy(&customer, &first).await?, buy(&customer, &second).await?);
    goods.can_be_bought(STOCK - 3).await?;
    done("checkout");
    let too_many = goods.cart(&customer, STOCK).await?;
    let refused = customer.post(&format!("/v1/carts/{too_many}/checkout"), payment(), 409).await?;
    same(&refused, "/code", &json!("out_of_stock"))?;
    done("refusal");
    let bought = [second.as_str(), first.as_str()];
    shows(&customer.get("/v1/orders").await?, "/items", bought)?;
    done("order history");
    let account = customer.get("/v1/storefront/account").await?;
    same(&account, "/email", &json!(email))?;
    shows(&account, "/orders", bought)?;
    done("account page");
    let cancelled = customer.post(&format!("/v1/orders/{first}/cancel"), json!({}), 200).await?;
    same(&cancelled, "/status", &json!("cancelled"))?;
    goods.can_be_bought(STOCK - 1).await?;
    done("cancellation");
    let sent = staff.post(&format!("/v1/orders/{second}/shipments"), json!({ "carrier": "Post" }), 201).await?;
    same(&sent, "/fulfilment_status", &json!("fulfilled"))?;
    let stock = staff.get(&format!("/v1/variants/{}/stock", goods.variant)).await?;
    same(&stock, "/on_hand", &json!(STOCK - 1))?;
    same(&stock, "/reserved", &json!(0))?;
    done("shipment");
    Ok(())
}

async fn reaches_its_neighbours(http: &Client, fleet: &Fleet, module: Module) -> Result<()> {
    let url = fleet.url_of(module).context(format_args!("{} does not run", module.name()))?;
    let process = Visitor { http: http.clone(), url: url.to_owned(), token: None };
    let asked = Instant::now();
    loop {
        let ready = process.get("/readyz").await?;
        match ready.get("unreachable") {
            None => return Ok(()),
            Some(who) if asked.elapsed() > NEIGHBOURS => {
                return Err(format!("{} does not reach {who}", module.name()).into());
            }
            Some(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// A product that nobody else buys.
struct Goods<'a> {
    shop: &'a Visitor,
    variant: String,
    slug: String,
}

impl<'a> Goods<'a> {
    async fn make(staff: &Visitor, shop: &'a Visitor) -> Result<Self> {
        let variant =
            json!({ "options": { "Size": "M" }, "prices": [{ "amount": PRICE, "currency": "EUR" }], "stock": STOCK });
        let options = json!([{ "name": "Size", "values": ["M"] }]);
        let body = json!({ "title": "Thing", "status": "active", "options": options, "variants": [variant] });
        let made = staff.post("/v1/products", body, 201).await?;
        Ok(Self { shop, variant: text(&made, "/variants/0/id")?.into(), slug: text(&made, "/slug")?.into() })
    }

    async fn can_be_bought(&self, pieces: i64) -> Result<()> {
        let page = self.shop.get(&format!("/v1/storefront/products/{}", self.slug)).await?;
        same(&page, "/variants/0/available", &json!(pieces))
    }

    /// Ready to be bought; its id.
    async fn cart(&self, customer: &Visitor, pieces: i64) -> Result<String> {
        let lines = json!([{ "variant_id": self.variant, "quantity": pieces }]);
        let made = customer.post("/v1/carts", json!({ "currency": "EUR", "lines": lines }), 201).await?;
        let id = text(&made, "/id")?;
        let address = json!({
            "name": "C. Customer", "line1": "Hauptstr. 1", "city": "Berlin", "postal_code": "10115", "country": "DE",
        });
        let (path, who) = (format!("/v1/carts/{id}"), json!({ "email": BUYER, "shipping_address": address }));
        let ready = customer.ask(Method::PATCH, &path, Some(who), 200).await?;
        same(&ready, "/lines/0/unit_price/amount", &json!(PRICE))?;
        Ok(id.into())
    }
}

fn payment() -> Value {
    json!({ "payment": { "provider": "test", "token": "tok_ok" } })
}

/// The order that a cart becomes.
async fn buy(customer: &Visitor, cart: &str) -> Result<String> {
    let order = customer.post(&format!("/v1/carts/{cart}/checkout"), payment(), 201).await?;
    same(&order, "/status", &json!("placed"))?;
    let id = text(&order, "/id")?;
    let shown = customer.get(&format!("/v1/orders/{id}")).await?;
    same(&shown, "/totals/total/amount", &json!(number(&order, "/totals/total/amount")?))?;
    Ok(id.into())
}

fn same(answer: &Value, pointer: &str, wanted: &Value) -> Result<()> {
    match answer.pointer(pointer) {
        Some(found) if found == wanted => Ok(()),
        found => Err(format!("{pointer} is {found:?}, not {wanted}, in {answer}").into()),
    }
}

fn shows(answer: &Value, pointer: &str, wanted: [&str; 2]) -> Result<()> {
    let found = list(answer, pointer)?.iter().map(|order| text(order, "/id")).collect::<Result<Vec<_>>>()?;
    if found == wanted { Ok(()) } else { Err(format!("{pointer} shows {found:?}, not {wanted:?}").into()) }
}

/// Somebody with or without an account.
struct Visitor {
    http: Client,
    url: String,
    token: Option<String>,
}

impl Visitor {
    async fn signed_in(&self, email: &str, password: &str) -> Result<Self> {
        let session = self.post("/v1/sessions", json!({ "email": email, "password": password }), 201).await?;
        let token = Some(text(&session, "/access_token")?.to_owned());
        Ok(Self { http: self.http.clone(), url: self.url.clone(), token })
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, None, 200).await
    }
    async fn post(&self, path: &str, body: Value, expected: u16) -> Result<Value> {
        self.ask(Method::POST, path, Some(body), expected).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>, expected: u16) -> Result<Value> {
        let what = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.context(&what)?;
        let (status, text) = (answer.status().as_u16(), answer.text().await.context(&what)?);
        if status != expected {
            return Err(format!("{what} answered {status}, not {expected}: {text}").into());
        }
        serde_json::from_str(&text).context(format_args!("{what} answered something that is no JSON"))
    }
}
