//! Carts: made, shown, changed. Prices come from products, totals are computed here; nothing is reserved.
use super::{Error, NotSold, Service};
use crate::{
    domain::{
        cart::{Cart, CartId, CartLine, FullCart, Holder, LineId, MAX_LINES, MAX_QUANTITY},
        order::Status,
        shipping::ShippingOption,
    },
    store,
    store::carts::Changes,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, CartKey, Currency, Id};
use products_api::{Quote, VariantId};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// A cart as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct NewCart {
    pub currency: Currency,
    pub locale: String,
    pub email: Option<String>,
    pub lines: Vec<LineToAdd>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LineToAdd {
    pub variant: VariantId,
    pub quantity: i64,
}

impl Service {
    /// The token is shown once: to whoever made the cart without signing in.
    pub(crate) async fn create_cart(
        &self,
        call: &Call,
        new: NewCart,
        once: Once<(FullCart, Option<String>)>,
    ) -> Result<Kept<(FullCart, Option<String>)>, Error> {
        let user = call.principal.user();
        let token = user.is_none().then(make_token);
        let key = token.as_ref().map(|token| CartKey(Sha256::digest(token).into()));
        let now = self.now();
        let cart = Cart {
            id: Id::new(),
            token: key,
            user,
            currency: new.currency,
            locale: new.locale,
            prices_include_tax: true,
            email: new.email,
            shipping_address: None,
            billing_address: None,
            shipping_option: None,
            order: None,
            version: 1,
            created_at: now,
        };
        let quotes = self.quotes_of(call, &new.lines).await?;
        let shipping = self.shipping.clone();
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                // Here, so that an answer is replayed whatever is sold by then.
                let full = FullCart { cart: cart.clone(), lines: priced(&new.lines, &quotes, new.currency)? };
                full.totals(&shipping).map_err(|_| Error::TooExpensive)?;
                store::carts::insert(tx, &full)?;
                Ok((full, token.clone()))
            })
        };
        self.db.write(unit).await
    }

    pub(crate) async fn cart(&self, id: CartId, holder: Holder) -> Result<FullCart, Error> {
        self.db.read(move |conn| store::carts::full(conn, id, holder)).await?.ok_or(Error::NotFound)
    }

    pub(crate) async fn change_cart(
        &self,
        id: CartId,
        holder: Holder,
        expected: Option<i64>,
        changes: Changes,
    ) -> Result<FullCart, Error> {
        let (now, shipping) = (self.now(), self.shipping.clone());
        let unit = move |tx: &mut Conn| {
            let option = changes.shipping_option.clone().flatten();
            let Some(cart) = store::carts::touch(tx, id, holder, expected, changes.clone(), now)? else {
                return Err(refusal(tx, id, holder, expected)?);
            };
            if option.is_some_and(|id| shipping.offered(&cart).all(|offered| offered.id != id)) {
                return Err(Error::ShippingOption);
            }
            let full = FullCart { lines: store::carts::lines(tx, id)?, cart };
            full.totals(&shipping).map_err(|_| Error::TooExpensive)?;
            Ok(full)
        };
        self.db.write(unit).await
    }

    /// Five statements with products' two, however many lines: prices of every currency are asked for before the cart
    /// is seen, so that it need not be read first.
    pub(crate) async fn add_lines(
        &self,
        call: &Call,
        id: CartId,
        holder: Holder,
        added: Vec<LineToAdd>,
        once: Once<FullCart>,
    ) -> Result<Kept<FullCart>, Error> {
        let quotes = self.quotes_of(call, &added).await?;
        let (now, shipping) = (self.now(), self.shipping.clone());
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let Some(cart) = store::carts::touch(tx, id, holder, None, Changes::default(), now)? else {
                    return Err(refusal(tx, id, holder, None)?);
                };
                store::carts::add(tx, id, &priced(&added, &quotes, cart.currency)?, Error::TooMany("/quantity"))?;
                let lines = store::carts::lines(tx, id)?;
                if lines.len() > MAX_LINES {
                    return Err(Error::TooMany("/lines"));
                }
                let full = FullCart { cart, lines };
                full.totals(&shipping).map_err(|_| Error::TooExpensive)?;
                Ok(full)
            })
        };
        self.db.write(unit).await
    }

    pub(crate) async fn change_line(
        &self,
        id: CartId,
        holder: Holder,
        expected: Option<i64>,
        line: LineId,
        quantity: i64,
    ) -> Result<FullCart, Error> {
        self.edit_lines(id, holder, expected, move |tx| store::carts::set_quantity(tx, id, line, quantity)).await
    }

    pub(crate) async fn remove_line(
        &self,
        id: CartId,
        holder: Holder,
        expected: Option<i64>,
        line: LineId,
    ) -> Result<FullCart, Error> {
        self.edit_lines(id, holder, expected, move |tx| store::carts::remove(tx, id, line)).await
    }

    async fn edit_lines(
        &self,
        id: CartId,
        holder: Holder,
        expected: Option<i64>,
        edit: impl Fn(&mut Conn) -> database::Result<bool> + Send + 'static,
    ) -> Result<FullCart, Error> {
        let (now, shipping) = (self.now(), self.shipping.clone());
        let unit = move |tx: &mut Conn| {
            let Some(cart) = store::carts::touch(tx, id, holder, expected, Changes::default(), now)? else {
                return Err(refusal(tx, id, holder, expected)?);
            };
            if !edit(tx)? {
                return Err(Error::NotFound);
            }
            let full = FullCart { lines: store::carts::lines(tx, id)?, cart };
            full.totals(&shipping).map_err(|_| Error::TooExpensive)?;
            Ok(full)
        };
        self.db.write(unit).await
    }

    pub(crate) async fn shipping_options(
        &self,
        id: CartId,
        holder: Holder,
    ) -> Result<(Cart, Vec<ShippingOption>), Error> {
        let cart = self.db.read(move |conn| store::carts::find(conn, id, holder)).await?.ok_or(Error::NotFound)?;
        let offered = self.shipping.offered(&cart).cloned().collect();
        Ok((cart, offered))
    }

    async fn quotes_of(&self, call: &Call, lines: &[LineToAdd]) -> Result<Vec<Quote>, Error> {
        if lines.len() > MAX_LINES {
            return Err(Error::TooMany("/lines"));
        }
        let variants: Vec<_> = lines.iter().map(|line| line.variant).collect();
        if variants.is_empty() { Ok(Vec::new()) } else { self.quotes(call, variants).await }
    }
}

/// Lines as they lie in a cart: what is sold, at today's price; a variant that is named twice becomes one line.
fn priced(lines: &[LineToAdd], quotes: &[Quote], currency: Currency) -> Result<Vec<CartLine>, Error> {
    let by_variant: std::collections::HashMap<_, _> = quotes.iter().map(|quote| (quote.variant, quote)).collect();
    let (mut found, mut refused) = (Vec::<CartLine>::new(), Vec::new());
    let mut places = std::collections::HashMap::new();
    for (n, line) in lines.iter().enumerate() {
        let quote = match by_variant.get(&line.variant) {
            None => Err(NotSold::Unknown),
            Some(quote) if !quote.sold => Err(NotSold::Draft),
            Some(quote) => quote.price(currency).map(|price| (quote, price)).ok_or(NotSold::NoPrice),
        };
        match (quote, places.get(&line.variant)) {
            (Err(why), _) => refused.push((n, why)),
            (Ok(_), Some(place)) => {
                let joined: &mut CartLine = &mut found[*place];
                joined.quantity += line.quantity;
                if joined.quantity > MAX_QUANTITY {
                    return Err(Error::TooMany("/quantity"));
                }
            }
            (Ok((quote, unit_price)), None) => {
                places.insert(line.variant, found.len());
                let (title, sku) = (quote.title.clone(), quote.sku.clone());
                found.push(CartLine {
                    id: Id::new(),
                    variant: line.variant,
                    title,
                    sku,
                    quantity: line.quantity,
                    unit_price,
                });
            }
        }
    }
    if refused.is_empty() { Ok(found) } else { Err(Error::NotSold(refused)) }
}

/// Why a cart could not be taken for a change of the `expected` version. Each statement sees the newest state: a cart whose
/// attempt has failed meanwhile is open, or is about to be, and one that is open was locked a moment ago.
pub(crate) fn refusal(tx: &mut Conn, id: CartId, holder: Holder, expected: Option<i64>) -> database::Result<Error> {
    let Some(cart) = store::carts::find(tx, id, holder)? else { return Ok(Error::NotFound) };
    let Some(attempt) = cart.order else {
        let is_stale = expected.is_some_and(|expected| expected != cart.version);
        return Ok(if is_stale { Error::Stale } else { Error::CartLocked });
    };
    Ok(match store::orders::find(tx, attempt)?.map(|order| order.status) {
        None | Some(Status::Pending | Status::Failed) => Error::CartLocked,
        Some(Status::Placed | Status::Completed | Status::Cancelled) => Error::CartCompleted,
    })
}

fn make_token() -> String {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    format!("ct_{}", URL_SAFE_NO_PAD.encode(bytes))
}
