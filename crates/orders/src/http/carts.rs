use crate::{
    domain::{
        cart::{CartId, CartKind, CartLine, FullCart, LineId, LineKind, MAX_LINES, MAX_QUANTITY},
        shipping::ShippingOption,
        totals::Totals,
    },
    service::{Error, LineToAdd, NewCart, READ, Service},
    store::carts::Changes,
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use kernel::{BadMoney, Currency, Minor, Money, Time};
use products_api::VariantId;
use serde::{Deserialize, Deserializer, Serialize};
use web::{
    AddressBody, Body, Caller, FieldError, Fields, Paged, PathId, Pointer, Post, Problem, Reply, Versioned, reason,
};

/// A cart to begin with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCart)]
pub(crate) struct NewCartBody {
    #[schema(value_type = String, pattern = "^[A-Z]{3}$")]
    currency: Currency,
    #[schema(max_length = 35)]
    locale: Option<String>,
    #[schema(max_length = 254)]
    email: Option<String>,
    #[serde(default)]
    #[schema(max_items = 1000)]
    lines: Vec<CartLineBody>,
}

/// So many of a variant.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCartLine)]
pub(crate) struct CartLineBody {
    #[schema(value_type = String)]
    variant_id: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeLine {
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
}

/// What changes; `null` empties.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeCart {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 254)]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<AddressBody>)]
    shipping_address: Option<Option<AddressBody>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<AddressBody>)]
    billing_address: Option<Option<AddressBody>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 100)]
    shipping_option_id: Option<Option<String>>,
}

/// `null` is something given, unlike nothing.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A cart.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Cart)]
pub(crate) struct CartBody {
    #[schema(value_type = String)]
    id: CartId,
    /// Shown once, to the guest who made it: goes into `X-Cart-Token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    currency: Currency,
    locale: String,
    prices_include_tax: bool,
    email: Option<String>,
    lines: Vec<LineBody>,
    totals: TotalsBody,
    shipping_address: Option<AddressBody>,
    billing_address: Option<AddressBody>,
    shipping_option_id: Option<String>,
    version: i64,
    created_at: Time,
}

/// A line of a cart or an order.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Line)]
pub(crate) struct LineBody {
    #[schema(value_type = String)]
    pub id: LineId,
    #[schema(value_type = String)]
    pub variant_id: VariantId,
    pub title: String,
    pub sku: Option<String>,
    pub quantity: i64,
    pub unit_price: Money,
    pub discount: Money,
    pub tax: Money,
    pub total: Money,
}

/// total = subtotal - discount + shipping, plus tax where prices exclude it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Totals)]
pub(crate) struct TotalsBody {
    subtotal: Money,
    discount: Money,
    shipping: Money,
    tax: Money,
    total: Money,
}

impl TotalsBody {
    pub(crate) fn of(totals: Totals, currency: Currency) -> Self {
        let money = |amount: Minor| Money::new(amount, currency);
        let Totals { subtotal, discount, shipping, tax, total } = totals;
        Self {
            subtotal: money(subtotal),
            discount: money(discount),
            shipping: money(shipping),
            tax: money(tax),
            total: money(total),
        }
    }
}

/// A way of sending.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ShippingOption)]
pub(crate) struct ShippingOptionBody {
    id: String,
    name: String,
    price: Money,
}

fn line(line: &CartLine, currency: Currency) -> Result<LineBody, BadMoney> {
    let priced = line.priced();
    let money = |amount: Minor| Money::new(amount, currency);
    Ok(LineBody {
        id: line.id,
        variant_id: line.variant,
        title: line.title.clone(),
        sku: line.sku.clone(),
        quantity: line.quantity,
        unit_price: money(line.unit_price),
        discount: money(priced.discount),
        tax: money(priced.tax),
        total: money(priced.total()?),
    })
}

impl CartBody {
    /// Services hand out countable carts only; a failure here is an internal error.
    pub(crate) fn of(full: &FullCart, token: Option<&String>, service: &Service) -> Result<Self, Problem> {
        let FullCart { cart, lines } = full;
        let uncountable = |BadMoney| Problem::internal("a cart that cannot be counted was kept");
        let totals = full.totals(&service.shipping).map_err(uncountable)?;
        Ok(Self {
            id: cart.id,
            token: token.cloned(),
            currency: cart.currency,
            locale: cart.locale.clone(),
            prices_include_tax: cart.prices_include_tax,
            email: cart.email.clone(),
            lines: lines.iter().map(|each| line(each, cart.currency)).collect::<Result<_, _>>().map_err(uncountable)?,
            totals: TotalsBody::of(totals, cart.currency),
            shipping_address: cart.shipping_address.clone().map(AddressBody::from),
            billing_address: cart.billing_address.clone().map(AddressBody::from),
            shipping_option_id: service.shipping.chosen(cart).map(|option| option.id.clone()),
            version: cart.version,
            created_at: cart.created_at,
        })
    }
}

/// A cart as an answer.
pub(crate) fn reply(status: u16, full: &FullCart, token: Option<&String>, service: &Service) -> Reply {
    match (CartBody::of(full, token, service), CartBody::of(full, None, service)) {
        // The tag is of the cart as it is read again: without its token.
        (Ok(body), Ok(read)) => {
            let tag = Reply::json(status, &read).etag(full.cart.version);
            Reply::json(status, &body).header("etag", tag.tag().unwrap_or_default())
        }
        (Err(problem), _) | (_, Err(problem)) => problem.reply(),
    }
}

fn lines(fields: &mut Fields, at: &Pointer, lines: &[CartLineBody]) -> Vec<LineToAdd> {
    if lines.len() > MAX_LINES {
        fields.refuse(at, reason::TOO_MANY, format!("at most {MAX_LINES} lines"));
        return Vec::new();
    }
    lines.iter().enumerate().filter_map(|(n, line)| line_to_add(fields, &at.at(n), line)).collect()
}

fn line_to_add(fields: &mut Fields, at: &Pointer, line: &CartLineBody) -> Option<LineToAdd> {
    let variant = fields.take(&at.at("variant_id"), line.variant_id.parse());
    let quantity = quantity(fields, &at.at("quantity"), line.quantity);
    Some(LineToAdd { variant: variant?, quantity: quantity? })
}

fn quantity(fields: &mut Fields, at: &Pointer, quantity: i64) -> Option<i64> {
    let fits = (1..=MAX_QUANTITY).contains(&quantity).then_some(quantity).ok_or_else(|| format!("1 to {MAX_QUANTITY}"));
    fields.take_as(at, reason::RANGE, fits)
}

fn email(fields: &mut Fields, text: &str) -> Option<String> {
    let text = text.trim();
    let fits = text.len() <= 254 && email_address::EmailAddress::is_valid(text) && !text.contains(char::is_control);
    fields.take(&Pointer::root().at("email"), if fits { Ok(text.to_owned()) } else { Err("not an email address") })
}

pub(crate) async fn create(
    service: Data<Service>,
    caller: Caller,
    post: Post<NewCartBody>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, at, body) = (Fields::new(), Pointer::root(), &post.body);
    let email = body.email.as_deref().map(|text| email(&mut fields, text)).unwrap_or_default();
    let locale = fields.text(&at.at("locale"), body.locale.as_deref().unwrap_or("en"), 1, 35);
    let lines = lines(&mut fields, &at.at("lines"), &body.lines);
    let new = fields.done(locale.map(|locale| NewCart { currency: body.currency, locale, email, lines }))?;
    let shown = service.clone().into_inner();
    let kept = post.once(move |(full, token): &(FullCart, Option<String>)| {
        reply(201, full, token.as_ref(), &shown).location(format!("/v1/carts/{}", full.cart.id))
    });
    Ok(kept.answer(service.create_cart(&caller.call, new, kept.handle()).await?))
}

pub(crate) async fn show(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<CartKind>,
) -> Result<HttpResponse, Problem> {
    let full = service.cart(id.0, service.holder(&caller.call, caller.cart, READ)).await?;
    Ok(Versioned::read(&request, full.cart.version, &CartBody::of(&full, None, &service)?))
}

pub(crate) async fn change(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<CartKind>,
    body: Body<ChangeCart>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, at) = (Fields::new(), Pointer::root());
    let ChangeCart { email: new_email, shipping_address, billing_address, shipping_option_id } = body.0;
    let changes = Changes {
        email: new_email.map(|text| text.and_then(|text| email(&mut fields, &text))),
        shipping_address: shipping_address
            .map(|body| body.and_then(|body| body.read(&mut fields, &at.at("shipping_address")))),
        billing_address: billing_address
            .map(|body| body.and_then(|body| body.read(&mut fields, &at.at("billing_address")))),
        shipping_option: shipping_option_id
            .map(|id| id.and_then(|id| fields.text(&at.at("shipping_option_id"), &id, 1, 100))),
    };
    fields.check()?;
    let holder = service.holder(&caller.call, caller.cart, READ);
    let full = service.change_cart(id.0, holder, Versioned::expected(&request)?, changes).await?;
    Ok(reply(200, &full, None, &service).into())
}

pub(crate) async fn add_line(
    service: Data<Service>,
    caller: Caller,
    id: PathId<CartKind>,
    post: Post<CartLineBody>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::new();
    let line = line_to_add(&mut fields, &Pointer::root(), &post.body);
    let line = fields.done(line)?;
    let shown = service.clone().into_inner();
    let kept = post.once(move |full: &FullCart| reply(200, full, None, &shown));
    let holder = service.holder(&caller.call, caller.cart, READ);
    let added = service.add_lines(&caller.call, id.0, holder, vec![line], kept.handle()).await;
    Ok(kept.answer(added.map_err(|error| match error {
        // The body is the line itself, so pointers lead into it.
        Error::NotSold(refused) => {
            let all =
                refused.into_iter().map(|(_, why)| FieldError::new("/variant_id", reason::NOT_USABLE, why.to_string()));
            Problem::invalid(all.collect())
        }
        error => error.into(),
    })?))
}

pub(crate) async fn change_line(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<CartKind>,
    line: PathId<LineKind>,
    body: Body<ChangeLine>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::new();
    let quantity = quantity(&mut fields, &Pointer::root().at("quantity"), body.0.quantity);
    let quantity = fields.done(quantity)?;
    let holder = service.holder(&caller.call, caller.cart, READ);
    let full = service.change_line(id.0, holder, Versioned::expected(&request)?, line.0, quantity).await?;
    Ok(reply(200, &full, None, &service).into())
}

pub(crate) async fn remove_line(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<CartKind>,
    line: PathId<LineKind>,
) -> Result<HttpResponse, Problem> {
    let holder = service.holder(&caller.call, caller.cart, READ);
    let full = service.remove_line(id.0, holder, Versioned::expected(&request)?, line.0).await?;
    Ok(reply(200, &full, None, &service).into())
}

pub(crate) async fn shipping_options(
    service: Data<Service>,
    caller: Caller,
    id: PathId<CartKind>,
) -> Result<HttpResponse, Problem> {
    let (cart, options) = service.shipping_options(id.0, service.holder(&caller.call, caller.cart, READ)).await?;
    let body = |option: ShippingOption| {
        let price = Money::new(option.price(cart.currency)?, cart.currency);
        Some(ShippingOptionBody { id: option.id, name: option.name, price })
    };
    let items = options.into_iter().filter_map(body).collect();
    Ok(HttpResponse::Ok().json(Paged { items, next: None, count: None, count_capped: None }))
}
