use super::{
    bodies::{ChangeProduct, NewProductBody, bad_query},
    shown::ProductBody,
};
use crate::{
    domain::{
        product::{Named, Product, Status},
        text,
    },
    service::{Service, Viewer},
    store::{
        CATALOGUE, SOLD,
        list::{Filter, PriceRange, Sort},
    },
};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, web::Data};
use kernel::{Currency, Minor};
use std::future::{Ready, ready};
use uuid::Uuid;
use web::{Body, Caller, Fresh, Post, Problem, Query, Reply, Versioned, page};

/// The product that a path names, by id or slug. A text that can be neither names nothing: 404.
pub(crate) struct ProductPath(pub Named);

impl FromRequest for ProductPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let named = request.match_info().get("product").and_then(|text| text.parse().ok());
        ready(named.map(Self).ok_or_else(Problem::not_found))
    }
}

pub(crate) async fn list(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (viewer, query) = (service.viewer(&caller.call), request.query_string());
    service.ready.answer(&request, viewer == Viewer::Public, || listed(&service, viewer, query)).await
}

async fn listed(service: &Service, viewer: Viewer, query: &str) -> Result<Fresh, Problem> {
    let mut query = Query::read(query)?;
    let (limit, cursor, count) = (query.limit()?, query.cursor()?, query.flag("count")?);
    let filter = filter(&mut query, viewer)?;
    query.end()?;
    let after = cursor.map(|cursor| filter.after(&cursor)).transpose()?;
    let mut shows = vec![CATALOGUE];
    shows.extend((filter.sort == Sort::BestSelling).then_some(SOLD));
    let products = service.page(filter, after, limit, count).await?;
    shows.extend(products.items.iter().flat_map(shown_in));
    Ok(Fresh { reply: Reply::json(200, &page(products, ProductBody::from)).hashed(), shows })
}

/// What is shown where a product is: itself, and its variants with their stock.
fn shown_in(product: &Product) -> impl Iterator<Item = Uuid> {
    std::iter::once(*product.id.uuid()).chain(product.variants.iter().map(|variant| *variant.id.uuid()))
}

fn filter(query: &mut Query, viewer: Viewer) -> Result<Filter, Problem> {
    let currency: Option<Currency> = query.parse("currency")?;
    let priced = |name: &str| currency.ok_or_else(|| bad_query(name, "needs currency"));
    let sort = match query.text("sort")?.as_deref() {
        None | Some("newest") => Sort::Newest,
        Some("title") => Sort::Title,
        Some("best_selling") => Sort::BestSelling,
        Some("price") => Sort::Price(priced("sort")?),
        Some("-price") => Sort::PriceDown(priced("sort")?),
        Some(_) => return Err(bad_query("sort", "newest, price, -price, title or best_selling")),
    };
    let (min, max) = (amount(query, "price_min")?, amount(query, "price_max")?);
    let price = match (min, max) {
        (None, None) => None,
        (min, max) => Some(PriceRange {
            currency: priced("price_min, price_max")?,
            min: min.unwrap_or(Minor::ZERO),
            max: max.unwrap_or(Minor::MAX),
        }),
    };
    let status = match viewer {
        Viewer::Public => Some(Status::Active),
        Viewer::Staff => query.parse("status")?,
    };
    let words = query.text("q")?.map(|q| searched(&q)).unwrap_or_default();
    Ok(Filter { status: status.map(Status::as_str), words, category: query.text("category")?, price, sort })
}

/// What was asked for without a letter or digit is nowhere, rather than everywhere.
fn searched(q: &str) -> Vec<String> {
    let words = text::searched(q);
    if words.is_empty() && !q.trim().is_empty() { vec!["!".to_owned()] } else { words }
}

fn amount(query: &mut Query, name: &str) -> Result<Option<Minor>, Problem> {
    let amount = query.parse::<i64>(name)?.map(Minor::new);
    amount.transpose().map_err(|why| bad_query(name, why))
}

pub(crate) async fn create(
    service: Data<Service>,
    caller: Caller,
    post: Post<NewProductBody>,
) -> Result<HttpResponse, Problem> {
    let kept = post.once(|product: &Product| {
        Reply::json(201, &ProductBody::from(product))
            .location(format!("/v1/products/{}", product.id))
            .etag(product.version)
    });
    let new = post.body.read()?;
    Ok(kept.answer(service.create(&caller.call, new, kept.handle()).await?))
}

pub(crate) async fn show(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    path: ProductPath,
) -> Result<HttpResponse, Problem> {
    let viewer = service.viewer(&caller.call);
    let shown = async || {
        let product = service.product(viewer, path.0.clone()).await?;
        let (version, shows) = (product.version, shown_in(&product).collect());
        Ok::<_, Problem>(Fresh { reply: Reply::json(200, &ProductBody::from(product)).etag(version), shows })
    };
    service.ready.answer(&request, viewer == Viewer::Public, shown).await
}

pub(crate) async fn change(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    path: ProductPath,
    body: Body<ChangeProduct>,
) -> Result<HttpResponse, Problem> {
    let changes = body.0.read()?;
    let product = service.change(&caller.call, path.0, Versioned::expected(&request)?, changes).await?;
    Ok(Reply::json(200, &ProductBody::from(&product)).etag(product.version).into())
}

pub(crate) async fn archive(
    service: Data<Service>,
    caller: Caller,
    path: ProductPath,
) -> Result<HttpResponse, Problem> {
    service.archive(&caller.call, path.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
