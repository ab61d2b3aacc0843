//! The model: what a shop is, and what each request does to it, step by step.
//!
//! Written from `docs/checkout.md` and the contract of `Stock`, not from the code. A request is a task of several
//! moments; between two of them anybody else's may come. What a moment finds decides the next one.
use super::steps::{Card, GOODS};
use std::collections::BTreeMap;

/// How long goods are held, and a buyer waited for.
pub(super) const HOLD: u64 = 900;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Shop {
    pub now: u64,
    pub goods: Vec<Goods>,
    pub carts: Vec<Cart>,
    /// What became of each `Idempotency-Key`; of those that are not here nothing is kept.
    pub keys: BTreeMap<usize, Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Goods {
    pub counted: bool,
    pub on_hand: i64,
    pub price: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Cart {
    /// By variant.
    pub lines: BTreeMap<usize, Line>,
    /// How many lines of each variant there ever were: one that comes back is another one.
    pub made: [usize; GOODS],
    /// The attempt that has it.
    pub holder: Option<usize>,
    /// Every attempt there was.
    pub orders: Vec<Order>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Line {
    /// Of its variant's lines in this cart.
    pub nth: usize,
    pub quantity: i64,
    pub price: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Status {
    Pending,
    Placed,
    Completed,
    Cancelled,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Hold {
    None,
    Held { until: u64 },
    Confirmed,
    Shipped,
    Released,
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Pay {
    Open,
    Action,
    Declined,
    Authorised,
    Voided,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Order {
    pub lines: BTreeMap<usize, (i64, i64)>,
    pub status: Status,
    pub sent: bool,
    pub hold: Hold,
    pub pay: Pay,
    pub captured: i64,
    pub refunded: i64,
    /// Money came when it was over.
    pub late: bool,
    /// Until when its buyer is waited for.
    pub waits: Option<u64>,
    /// Something is under way for it that somebody drives.
    pub busy: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    Claimed,
    Kept(Answer),
}

/// A cart and which of its orders.
pub(super) type At = (usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Answer {
    pub status: u16,
    pub code: &'static str,
    /// The order it shows.
    pub order: Option<At>,
    pub replayed: bool,
}

pub(super) const fn says(status: u16, code: &'static str) -> Answer {
    Answer { status, code, order: None, replayed: false }
}
const fn shows(status: u16, order: At) -> Answer {
    Answer { status, code: "", order: Some(order), replayed: false }
}
const BUSY: Answer = says(409, "order_busy");

/// What is asked for, its targets found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ask {
    NewCart { lines: Vec<(usize, i64)> },
    Add { cart: usize, goods: usize, quantity: i64 },
    Change { cart: usize, line: (usize, usize), quantity: i64 },
    Remove { cart: usize, line: (usize, usize) },
    Buy { cart: usize, card: Card },
    Abandon { cart: usize },
    Event { order: At, authorised: bool },
    Cancel { order: At },
    Ship { order: At },
    Capture { order: At, amount: Option<i64> },
    Refund { order: At, amount: Option<i64> },
    Count { goods: usize, on_hand: i64 },
    Adjust { goods: usize, delta: i64 },
    Price { goods: usize, price: i64 },
    Sweep,
    Work,
}

impl Ask {
    /// Whether it takes an `Idempotency-Key`.
    pub(super) const fn takes_key(&self) -> bool {
        matches!(
            self,
            Self::NewCart { .. }
                | Self::Add { .. }
                | Self::Buy { .. }
                | Self::Cancel { .. }
                | Self::Ship { .. }
                | Self::Capture { .. }
                | Self::Refund { .. }
                | Self::Adjust { .. }
        )
    }
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::NewCart { .. } => "new cart",
            Self::Add { .. } => "add",
            Self::Change { .. } => "change",
            Self::Remove { .. } => "remove",
            Self::Buy { .. } => "buy",
            Self::Abandon { .. } => "abandon",
            Self::Event { .. } => "event",
            Self::Cancel { .. } => "cancel",
            Self::Ship { .. } => "ship",
            Self::Capture { .. } => "capture",
            Self::Refund { .. } => "refund",
            Self::Count { .. } => "count",
            Self::Adjust { .. } => "adjust",
            Self::Price { .. } => "price",
            Self::Sweep => "sweep",
            Self::Work => "work",
        }
    }
    pub(super) const fn order(&self) -> Option<At> {
        match self {
            Self::Event { order, .. }
            | Self::Cancel { order }
            | Self::Ship { order }
            | Self::Capture { order, .. }
            | Self::Refund { order, .. } => Some(*order),
            _ => None,
        }
    }
}

/// Where a request stands: its next moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Moment {
    Begin,
    /// Prices were asked for; the cart was not touched yet.
    Quoted(Vec<i64>),
    Reserve {
        order: At,
        again: bool,
    },
    /// Not enough is there of these: holds that are past their time may be what is missing.
    FreeDue {
        order: At,
        short: Vec<usize>,
    },
    Authorise {
        order: At,
    },
    Confirm {
        order: At,
        end: Answer,
    },
    Place {
        order: At,
        end: Answer,
    },
    Release {
        order: At,
        end: Answer,
    },
    /// `now` are prices that moved.
    Fail {
        order: At,
        end: Answer,
        voided: bool,
        now: Vec<(usize, i64)>,
    },
    /// Goods of a cancelled order, or of one that is sent, are moved; then it is written down.
    Goods,
    Finish {
        amount: i64,
    },
    Revert {
        order: At,
    },
    /// What the worker found, each driven on by itself.
    Each(Vec<Self>),
    TakeOver {
        order: At,
    },
    Done(Answer),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Task {
    pub ask: Ask,
    pub key: Option<usize>,
    pub at: Moment,
}

impl Order {
    pub(super) fn total(&self) -> i64 {
        self.lines.values().map(|(quantity, price)| quantity * price).sum()
    }
    fn hears(&mut self, word: Pay) {
        let rank = |pay| match pay {
            Pay::Open => 0,
            Pay::Action | Pay::Declined => 1,
            Pay::Authorised => 2,
            Pay::Voided => 3,
        };
        self.pay = match (self.pay, word) {
            (Pay::Declined, Pay::Voided) => Pay::Declined,
            (Pay::Voided, Pay::Authorised) => Pay::Authorised,
            (known, older) if rank(known) > rank(older) => known,
            (_, newer) => newer,
        };
    }
    pub(super) fn payment_status(&self) -> &'static str {
        match self.pay {
            _ if self.captured > 0 && self.refunded == self.captured => "refunded",
            _ if self.refunded > 0 => "partially_refunded",
            _ if self.captured == self.total() => "paid",
            _ if self.status == Status::Failed => "failed",
            Pay::Open | Pay::Action => "pending",
            Pay::Authorised => "authorised",
            Pay::Declined => "failed",
            Pay::Voided => "voided",
        }
    }
    fn complete(&mut self) {
        let all_came = self.captured > 0 && self.captured == self.total();
        if self.status == Status::Placed && self.sent && all_came {
            self.status = Status::Completed;
        }
    }
}

impl Shop {
    pub(super) fn new(goods: Vec<Goods>) -> Self {
        Self { now: 0, goods, carts: Vec::new(), keys: BTreeMap::new() }
    }
    pub(super) fn order(&self, (cart, nth): At) -> &Order {
        &self.carts[cart].orders[nth]
    }
    fn order_mut(&mut self, (cart, nth): At) -> &mut Order {
        &mut self.carts[cart].orders[nth]
    }
    fn orders(&self) -> impl Iterator<Item = &Order> {
        self.carts.iter().flat_map(|cart| &cart.orders)
    }
    pub(super) fn reserved(&self, goods: usize) -> i64 {
        let held = self.orders().filter(|order| matches!(order.hold, Hold::Held { .. } | Hold::Confirmed));
        let pieces = held.filter_map(|order| order.lines.get(&goods)).map(|(quantity, _)| quantity);
        if self.goods[goods].counted { pieces.sum() } else { 0 }
    }
    fn short(&self, order: At) -> Vec<usize> {
        let left = |goods: usize| self.goods[goods].on_hand - self.reserved(goods);
        let lines = self.order(order).lines.iter();
        let short = lines.filter(|(goods, (quantity, _))| self.goods[**goods].counted && left(**goods) < *quantity);
        short.map(|(goods, _)| *goods).collect()
    }
    /// Ends the holds that are past their time, of these variants or of all; how many those were.
    fn expire(&mut self, of: Option<&[usize]>) -> usize {
        let now = self.now;
        let orders = self.carts.iter_mut().flat_map(|cart| &mut cart.orders);
        let due = orders
            .filter(|order| matches!(order.hold, Hold::Held { until } if until <= now))
            .filter(|order| of.is_none_or(|of| of.iter().any(|goods| order.lines.contains_key(goods))));
        due.map(|order| order.hold = Hold::Expired).count()
    }
    fn free(&mut self, order: At) {
        let order = self.order_mut(order);
        if order.hold != Hold::Expired {
            order.hold = Hold::Released;
        }
    }

    /// The next moment of a task; `None` while it must wait for another.
    pub(super) fn step(&mut self, task: &Task) -> Option<Moment> {
        match self.replay(task) {
            Some(answer) => Some(Moment::Done(answer)),
            None => self.moment(task, task.at.clone()),
        }
    }
    fn replay(&self, task: &Task) -> Option<Answer> {
        let first = match task.at {
            Moment::Begin => !matches!(task.ask, Ask::NewCart { .. } | Ask::Add { .. }),
            Moment::Quoted(_) => true,
            _ => false,
        };
        match self.keys.get(&task.key?).filter(|_| first)? {
            Key::Claimed => Some(says(409, "idempotency_in_progress")),
            Key::Kept(answer) => Some(Answer { replayed: true, ..*answer }),
        }
    }
    fn claim(&mut self, task: &Task) {
        self.keys.extend(task.key.map(|key| (key, Key::Claimed)));
    }
    /// The end of a task whose answer is kept.
    fn keeps(&mut self, task: &Task, answer: Answer) -> Moment {
        self.keys.extend(task.key.map(|key| (key, Key::Kept(answer))));
        Moment::Done(answer)
    }
    fn gives_up(&mut self, task: &Task, answer: Answer) -> Moment {
        task.key.map(|key| self.keys.remove(&key));
        Moment::Done(answer)
    }

    fn moment(&mut self, task: &Task, at: Moment) -> Option<Moment> {
        Some(match at {
            Moment::Begin => return self.begin(task),
            Moment::Quoted(prices) => self.quoted(task, &prices),
            Moment::Reserve { order, again } => self.reserve(order, again),
            Moment::FreeDue { order, short } => match self.expire(Some(&short)) {
                0 => fails(order, says(409, "out_of_stock")),
                _ => Moment::Reserve { order, again: true },
            },
            Moment::Authorise { order } => self.authorise(task, order),
            Moment::Confirm { order, end } => {
                let (bought, late) = (self.order_mut(order), says(409, "out_of_stock"));
                match bought.hold {
                    Hold::Held { .. } => {
                        bought.hold = Hold::Confirmed;
                        Moment::Place { order, end }
                    }
                    _ => Moment::Release { order, end: if end.status == 201 { late } else { end } },
                }
            }
            Moment::Place { order, end } => {
                let placed = self.order_mut(order);
                (placed.status, placed.busy) = (Status::Placed, false);
                self.keeps(task, end)
            }
            Moment::Release { order, end } => {
                self.free(order);
                Moment::Fail { order, end, voided: true, now: Vec::new() }
            }
            Moment::Fail { order, end, voided, now } => self.fail(task, order, end, voided, &now),
            Moment::Goods => self.goods(task),
            Moment::Finish { amount } => self.finish(task, amount),
            Moment::Revert { order } => {
                let over = self.order_mut(order);
                over.hears(Pay::Voided);
                (over.refunded, over.late, over.busy) = (over.captured, true, false);
                Moment::Done(says(204, ""))
            }
            Moment::TakeOver { order } => {
                let now = self.now;
                let left = self.order_mut(order);
                if left.waits.is_none_or(|until| until > now) {
                    return Some(Moment::Done(says(0, "")));
                }
                (left.waits, left.busy) = (None, true);
                Moment::Release { order, end: says(0, "") }
            }
            Moment::Each(_) | Moment::Done(_) => return None,
        })
    }

    fn begin(&mut self, task: &Task) -> Option<Moment> {
        let now = self.now;
        Some(match &task.ask {
            Ask::NewCart { lines } => Moment::Quoted(lines.iter().map(|(goods, _)| self.goods[*goods].price).collect()),
            Ask::Add { goods, .. } => Moment::Quoted(vec![self.goods[*goods].price]),
            Ask::Change { cart, line, quantity } => match self.locked(*cart) {
                Some(refused) => Moment::Done(refused),
                None => match self.line(*cart, *line) {
                    Some(there) => {
                        there.quantity = *quantity;
                        Moment::Done(says(200, ""))
                    }
                    None => Moment::Done(says(404, "not_found")),
                },
            },
            Ask::Remove { cart, line } => match self.locked(*cart) {
                Some(refused) => Moment::Done(refused),
                None if self.line(*cart, *line).is_none() => Moment::Done(says(404, "not_found")),
                None => {
                    self.carts[*cart].lines.remove(&line.0);
                    Moment::Done(says(200, ""))
                }
            },
            Ask::Buy { cart, .. } => return self.buy(task, *cart),
            Ask::Abandon { cart } => {
                let Some(nth) = self.carts[*cart].holder else { return Some(Moment::Done(says(409, "no_checkout"))) };
                let (order, refused) = ((*cart, nth), self.locked(*cart));
                let waiting = self.order_mut(order);
                if waiting.waits.is_none() {
                    return refused.map(Moment::Done);
                }
                (waiting.waits, waiting.busy) = (None, true);
                Moment::Release { order, end: says(200, "") }
            }
            Ask::Event { order, authorised } => self.event(*order, *authorised),
            Ask::Cancel { .. } | Ask::Ship { .. } | Ask::Capture { .. } | Ask::Refund { .. } => self.change(task),
            Ask::Count { goods, on_hand } => {
                let fits = *on_hand >= self.reserved(*goods);
                if fits {
                    self.goods[*goods].on_hand = *on_hand;
                }
                Moment::Done(if fits { says(200, "") } else { says(409, "below_reserved") })
            }
            Ask::Adjust { goods, delta } => {
                let then = self.goods[*goods].on_hand + delta;
                if then < self.reserved(*goods) {
                    return Some(Moment::Done(says(409, "below_reserved")));
                }
                self.goods[*goods].on_hand = then;
                self.keeps(task, says(200, ""))
            }
            Ask::Price { goods, price } => {
                self.goods[*goods].price = *price;
                Moment::Done(says(200, ""))
            }
            Ask::Sweep => {
                self.expire(None);
                Moment::Done(says(0, ""))
            }
            Ask::Work => {
                let carts = self.carts.iter().enumerate();
                let all = carts.flat_map(|(c, cart)| cart.orders.iter().enumerate().map(move |(n, o)| ((c, n), o)));
                let due = all.filter(|(_, order)| order.waits.is_some_and(|until| until <= now));
                Moment::Each(due.map(|(order, _)| Moment::TakeOver { order }).collect())
            }
        })
    }

    fn line(&mut self, cart: usize, (goods, nth): (usize, usize)) -> Option<&mut Line> {
        self.carts[cart].lines.get_mut(&goods).filter(|line| line.nth == nth)
    }
    /// Why a cart cannot be changed.
    fn locked(&self, cart: usize) -> Option<Answer> {
        let holder = &self.carts[cart].orders[self.carts[cart].holder?];
        Some(says(409, if holder.status == Status::Pending { "cart_locked" } else { "cart_completed" }))
    }

    fn quoted(&mut self, task: &Task, prices: &[i64]) -> Moment {
        let (cart, lines) = match &task.ask {
            Ask::NewCart { lines } => {
                self.carts.push(Cart::default());
                (self.carts.len() - 1, lines.clone())
            }
            Ask::Add { cart, goods, quantity } => (*cart, vec![(*goods, *quantity)]),
            _ => return Moment::Done(says(0, "nothing is quoted")),
        };
        if let Some(refused) = self.locked(cart) {
            return Moment::Done(refused);
        }
        let cart = &mut self.carts[cart];
        for ((goods, quantity), price) in lines.iter().zip(prices) {
            let made = &mut cart.made[*goods];
            let line = cart.lines.entry(*goods).or_insert_with(|| {
                *made += 1;
                Line { nth: *made - 1, quantity: 0, price: 0 }
            });
            (line.quantity, line.price) = (line.quantity + quantity, *price);
        }
        let status = if matches!(task.ask, Ask::NewCart { .. }) { 201 } else { 200 };
        self.keeps(task, says(status, ""))
    }

    fn buy(&mut self, task: &Task, cart: usize) -> Option<Moment> {
        if let Some(nth) = self.carts[cart].holder {
            let (order, there) = ((cart, nth), self.order((cart, nth)));
            return match there.status {
                Status::Pending if there.waits.is_some() => Some(Moment::Done(shows(202, order))),
                Status::Pending => None,
                _ => Some(Moment::Done(shows(200, order))),
            };
        }
        if self.carts[cart].lines.is_empty() {
            return Some(Moment::Done(says(422, "cart_incomplete")));
        }
        let bought = &mut self.carts[cart];
        let lines = bought.lines.iter().map(|(goods, line)| (*goods, (line.quantity, line.price))).collect();
        bought.orders.push(Order {
            lines,
            status: Status::Pending,
            sent: false,
            hold: Hold::None,
            pay: Pay::Open,
            captured: 0,
            refunded: 0,
            late: false,
            waits: None,
            busy: true,
        });
        let nth = bought.orders.len() - 1;
        bought.holder = Some(nth);
        self.claim(task);
        Some(Moment::Reserve { order: (cart, nth), again: false })
    }

    fn reserve(&mut self, order: At, again: bool) -> Moment {
        let lines = &self.order(order).lines;
        let now = lines.iter().map(|(goods, (_, price))| (*goods, *price, self.goods[*goods].price));
        let moved: Vec<_> = now.filter(|(_, shown, now)| shown != now).map(|(goods, _, now)| (goods, now)).collect();
        if !moved.is_empty() {
            return Moment::Fail { order, end: says(409, "cart_changed"), voided: false, now: moved };
        }
        let short = self.short(order);
        match (short.is_empty(), again) {
            (false, false) => return Moment::FreeDue { order, short },
            (false, true) => return fails(order, says(409, "out_of_stock")),
            (true, _) => (),
        }
        let until = self.now + HOLD;
        self.order_mut(order).hold = Hold::Held { until };
        Moment::Authorise { order }
    }

    fn authorise(&mut self, task: &Task, order: At) -> Moment {
        let Ask::Buy { card, .. } = &task.ask else { return Moment::Done(says(0, "nobody pays")) };
        let until = self.now + HOLD;
        let bought = self.order_mut(order);
        match card {
            Card::Ok => {
                bought.hears(Pay::Authorised);
                Moment::Confirm { order, end: shows(201, order) }
            }
            Card::Declined => {
                bought.hears(Pay::Declined);
                Moment::Release { order, end: says(402, "payment_declined") }
            }
            Card::Action => {
                bought.hears(Pay::Action);
                (bought.waits, bought.busy) = (Some(until), false);
                self.keeps(task, shows(202, order))
            }
        }
    }

    fn fail(&mut self, task: &Task, order: At, end: Answer, voided: bool, now: &[(usize, i64)]) -> Moment {
        let failed = self.order_mut(order);
        if voided {
            // The money was there, and the goods were gone by then.
            failed.late |= failed.pay == Pay::Authorised;
            failed.hears(Pay::Voided);
        }
        (failed.status, failed.busy) = (Status::Failed, false);
        let cart = &mut self.carts[order.0];
        cart.holder = None;
        for (goods, price) in now {
            cart.lines.entry(*goods).and_modify(|line| line.price = *price);
        }
        match end.status {
            402 => self.keeps(task, end),
            _ => self.gives_up(task, end),
        }
    }

    fn event(&mut self, at: At, authorised: bool) -> Moment {
        let (order, heard) = (self.order_mut(at), Moment::Done(says(204, "")));
        order.hears(if authorised { Pay::Authorised } else { Pay::Declined });
        if order.waits.take().is_some() {
            order.busy = true;
            let end = says(204, "");
            return match authorised {
                true => Moment::Confirm { order: at, end },
                false => Moment::Release { order: at, end },
            };
        }
        let over = !order.busy && matches!(order.status, Status::Failed | Status::Cancelled);
        if over && (order.pay == Pay::Authorised || order.captured != order.refunded) {
            order.busy = true;
            return Moment::Revert { order: at };
        }
        heard
    }

    /// Cancel, ship, capture, refund: looked at, and begun when nothing else is under way.
    fn change(&mut self, task: &Task) -> Moment {
        let Some(at) = task.ask.order() else { return Moment::Done(says(0, "no order")) };
        let order = self.order_mut(at);
        let unsent = order.status == Status::Placed && !order.sent;
        let (left, back) = (order.total() - order.captured, order.captured - order.refunded);
        let within = |amount: &Option<i64>, left: i64| Some(amount.unwrap_or(left)).filter(|n| (1..=left).contains(n));
        let (amount, refused) = match &task.ask {
            Ask::Cancel { .. } if order.status == Status::Cancelled => return self.keeps(task, shows(200, at)),
            Ask::Cancel { .. } => (unsent.then_some(0), "order_not_cancellable"),
            Ask::Ship { .. } => (unsent.then_some(0), "order_not_shippable"),
            Ask::Capture { amount, .. } => {
                let open = order.status == Status::Placed && order.pay == Pay::Authorised;
                (within(amount, left).filter(|_| open), "order_not_capturable")
            }
            Ask::Refund { amount, .. } => {
                let bought = !matches!(order.status, Status::Pending | Status::Failed);
                (within(amount, back).filter(|_| bought), "order_not_refundable")
            }
            _ => (None, "not_a_change"),
        };
        let Some(amount) = amount else { return Moment::Done(says(409, refused)) };
        if std::mem::replace(&mut order.busy, true) {
            return Moment::Done(BUSY);
        }
        self.claim(task);
        match task.ask {
            Ask::Cancel { .. } | Ask::Ship { .. } => Moment::Goods,
            _ => Moment::Finish { amount },
        }
    }

    fn goods(&mut self, task: &Task) -> Moment {
        let Some(at) = task.ask.order() else { return Moment::Done(says(0, "no order")) };
        if matches!(task.ask, Ask::Cancel { .. }) {
            self.free(at);
            return Moment::Finish { amount: 0 };
        }
        let order = &mut self.carts[at.0].orders[at.1];
        order.hold = Hold::Shipped;
        for (goods, (quantity, _)) in &order.lines {
            if self.goods[*goods].counted {
                self.goods[*goods].on_hand -= quantity;
            }
        }
        Moment::Finish { amount: 0 }
    }

    fn finish(&mut self, task: &Task, amount: i64) -> Moment {
        let Some(at) = task.ask.order() else { return Moment::Done(says(0, "no order")) };
        let order = self.order_mut(at);
        order.busy = false;
        match task.ask {
            Ask::Cancel { .. } => {
                order.hears(Pay::Voided);
                (order.status, order.refunded) = (Status::Cancelled, order.captured);
                return self.keeps(task, shows(200, at));
            }
            Ask::Ship { .. } => order.sent = true,
            Ask::Capture { .. } => order.captured += amount,
            _ => order.refunded += amount,
        }
        order.complete();
        self.keeps(task, shows(201, at))
    }
}

const fn fails(order: At, end: Answer) -> Moment {
    Moment::Fail { order, end, voided: false, now: Vec::new() }
}

/// Four kinds of goods: few pieces, and one that nobody counts.
pub(super) fn stocked() -> Vec<Goods> {
    let stock = [(true, 4, 100), (true, 3, 250), (true, 9, 70), (false, 0, 40)];
    let goods: Vec<_> = stock.map(|(counted, on_hand, price)| Goods { counted, on_hand, price }).into();
    assert_eq!(goods.len(), GOODS);
    goods
}
