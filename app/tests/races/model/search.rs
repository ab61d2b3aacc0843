//! Whether some order of the moments of what ran together leads to what was seen.
use super::{
    look::{Seen, difference, seen},
    rules::{Answer, Ask, At, Key, Moment, Order, Shop, Status, Task, says, stocked},
    steps::{Amount, GOODS, Step},
    world::World,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Write,
};
use testkit::Backend;

/// A request as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub ask: Ask,
    pub key: Option<usize>,
}

/// By kind, status and code.
pub(super) type Met = BTreeMap<(&'static str, u16, &'static str), u64>;

/// The states that the shop may be in, after all that was seen of it; and every keyed request so far.
pub(super) struct Minds {
    states: BTreeSet<Shop>,
    keyed: Vec<Ask>,
    /// How often each kind of request was answered how.
    pub met: Met,
    /// Statements of one transaction do not see the same moment there.
    loose: bool,
}

impl Minds {
    pub(super) fn new(backend: Backend) -> Self {
        let states = BTreeSet::from([Shop::new(stocked())]);
        Self { states, keyed: Vec::new(), met: Met::new(), loose: backend == Backend::Postgres }
    }

    /// Takes a step in both, and compares. How many requests that was.
    pub(super) async fn take(&mut self, world: &mut World, step: &Step) -> Result<u64, String> {
        if let Step::Pass { seconds } = step {
            self.pass(world, u64::from(*seconds));
            return Ok(1);
        }
        let sent: Vec<Sent> = match step {
            Step::Together { cart, steps } => {
                let mut sent: Vec<Sent> = Vec::new();
                for (near, step) in steps {
                    let step = if *near { step.about(*cart) } else { step.clone() };
                    // Again and near: a twin of the one before.
                    let twin =
                        sent.last().filter(|last| *near && matches!(step, Step::Again { .. }) && last.key.is_some());
                    match twin.cloned() {
                        Some(twin) => sent.push(twin),
                        None => sent.extend(self.found(&step)),
                    }
                }
                sent
            }
            step => self.found(step).into_iter().collect(),
        };
        if !sent.is_empty() {
            self.compare(world, &sent, false).await?;
        }
        Ok(sent.len() as u64)
    }

    /// Whatever time ends has ended: nothing is held, waited for or under way, and the books say so.
    pub(super) async fn rest(&mut self, world: &mut World) -> Result<(), String> {
        self.pass(world, 7200);
        for ask in [Ask::Sweep, Ask::Work, Ask::Sweep] {
            self.compare(world, &[Sent { ask, key: None }], true).await?;
        }
        if let Some(shop) = self.states.first() {
            for order in shop.carts.iter().flat_map(|cart| &cart.orders) {
                let late = order.late.then_some("late");
                for how in [order.payment_status()].into_iter().chain(late) {
                    *self.met.entry(("orders that ended", 0, how)).or_default() += 1;
                }
            }
        }
        let off = world.audit().await;
        if off.is_empty() { Ok(()) } else { Err(off.join("\n")) }
    }

    fn pass(&mut self, world: &mut World, seconds: u64) {
        world.pass(seconds);
        let then = |mut state: Shop| {
            state.now += seconds;
            state
        };
        self.states = std::mem::take(&mut self.states).into_iter().map(then).collect();
    }

    /// Where the step leads in the shop as it is; `None` where there is nothing that it could be about.
    fn found(&mut self, step: &Step) -> Option<Sent> {
        let shop = self.states.first()?;
        let count = shop.carts.len();
        let cart = |n: &u8| (count > 0).then(|| usize::from(*n) % count);
        let goods = |n: &u8| usize::from(*n) % GOODS;
        // The cart's last order, or the next cart's that has one.
        let any = |n: &u8, back: &u8| {
            let first = cart(n)?;
            let cart = (first..first + count).map(|n| n % count).find(|n| !shop.carts[*n].orders.is_empty())?;
            let orders = shop.carts[cart].orders.len();
            Some((cart, orders - 1 - usize::from(*back) % orders))
        };
        // One that was bought, if there is any: others can only be refused.
        let carts = shop.carts.iter().enumerate();
        let all = carts.flat_map(|(c, cart)| cart.orders.iter().enumerate().map(move |(n, order)| ((c, n), order)));
        let bought = |order: &Order| !matches!(order.status, Status::Pending | Status::Failed);
        let bought: Vec<At> = all.filter(|(_, order)| bought(order)).map(|(at, _)| at).collect();
        let order = |n: &u8, back: &u8| {
            let there = usize::from(*n / 2).checked_rem(bought.len()).filter(|_| *back == 0);
            there.map(|at| bought[at]).or_else(|| any(n, back))
        };
        let line = |n: &u8, line: &u8| {
            let (cart, lines) = (cart(n)?, &shop.carts[cart(n)?].lines);
            let at = usize::from(*line).checked_rem(lines.len())?;
            lines.iter().nth(at).map(|(goods, line)| (cart, (*goods, line.nth)))
        };
        let part = |at, amount: &Amount| match amount {
            Amount::All => None,
            Amount::Part(eighths) => Some((shop.order(at).total() * i64::from(*eighths) / 8).max(1)),
        };
        let ask = match step {
            Step::NewCart(lines) => {
                let mut all: Vec<(usize, i64)> = Vec::new();
                for (n, quantity) in lines {
                    match all.iter_mut().find(|(there, _)| *there == goods(n)) {
                        Some((_, there)) => *there += i64::from(*quantity),
                        None => all.push((goods(n), i64::from(*quantity))),
                    }
                }
                Ask::NewCart { lines: all }
            }
            Step::Add { cart: c, goods: n, quantity } => {
                Ask::Add { cart: cart(c)?, goods: goods(n), quantity: i64::from(*quantity) }
            }
            Step::Change { cart: c, line: n, quantity } => {
                let (cart, line) = line(c, n)?;
                Ask::Change { cart, line, quantity: i64::from(*quantity) }
            }
            Step::Remove { cart: c, line: n } => {
                let (cart, line) = line(c, n)?;
                Ask::Remove { cart, line }
            }
            Step::Buy { cart: c, card } => Ask::Buy { cart: cart(c)?, card: *card },
            Step::Abandon { cart: c } => Ask::Abandon { cart: cart(c)? },
            Step::Event { cart, back, authorised } => {
                // A buyer who is waited for, if there is one: what comes then decides between hold, clock and worker.
                let waits =
                    shop.carts.iter().enumerate().find_map(|(c, there)| {
                        Some((c, there.holder.filter(|nth| there.orders[*nth].waits.is_some())?))
                    });
                let order = match cart % 4 {
                    0 => any(cart, back)?,
                    1 => waits.or_else(|| any(cart, back))?,
                    _ => order(cart, back)?,
                };
                Ask::Event { order, authorised: *authorised }
            }
            Step::Cancel { cart, back } => Ask::Cancel { order: order(cart, back)? },
            Step::Ship { cart, back } => Ask::Ship { order: order(cart, back)? },
            Step::Capture { cart, back, amount } => {
                let order = order(cart, back)?;
                Ask::Capture { order, amount: part(order, amount) }
            }
            Step::Refund { cart, back, amount } => {
                let order = order(cart, back)?;
                Ask::Refund { order, amount: part(order, amount) }
            }
            Step::Count { goods: n, on_hand } => Ask::Count { goods: goods(n), on_hand: i64::from(*on_hand) },
            Step::Adjust { goods: n, delta } => Ask::Adjust { goods: goods(n), delta: i64::from(*delta) },
            Step::Price { goods: n, price } => Ask::Price { goods: goods(n), price: i64::from(*price) * 50 },
            Step::Sweep => Ask::Sweep,
            Step::Work => Ask::Work,
            Step::Again { request } => {
                let nth = usize::from(*request).checked_rem(self.keyed.len())?;
                let key = self.keyed.len() - 1 - nth;
                return Some(Sent { ask: self.keyed[key].clone(), key: Some(key) });
            }
            Step::Pass { .. } | Step::Together { .. } => return None,
        };
        let key = ask.takes_key().then(|| {
            self.keyed.push(ask.clone());
            self.keyed.len() - 1
        });
        Some(Sent { ask, key })
    }

    async fn compare(&mut self, world: &mut World, sent: &[Sent], all: bool) -> Result<(), String> {
        let said = world.ask(sent).await?;
        let seen_now = world.look(sent, all).await?;
        let said: Vec<Answer> = said.iter().map(|got| got.read(world)).collect::<Result<_, _>>()?;
        let tasks: Vec<Task> =
            sent.iter().map(|Sent { ask, key }| Task { ask: ask.clone(), key: *key, at: Moment::Begin }).collect();
        let ends = self.ends(&tasks, Some(&said));
        let agree: BTreeSet<Shop> =
            ends.iter().map(|(_, shop)| shop).filter(|shop| seen(shop, &seen_now) == seen_now).cloned().collect();
        if agree.is_empty() {
            return Err(self.why(sent, &tasks, &said, &seen_now, &ends));
        }
        self.states = agree;
        for (Sent { ask, .. }, said) in sent.iter().zip(&said) {
            let code = if said.replayed { "replayed" } else { said.code };
            *self.met.entry((ask.kind(), said.status, code)).or_default() += 1;
        }
        Ok(())
    }

    /// Every end that some order of moments leads to; with `said`, of those that answer so.
    fn ends(&self, tasks: &[Task], said: Option<&[Answer]>) -> BTreeSet<(Vec<Answer>, Shop)> {
        let mut open: Vec<(Shop, Vec<Task>)> = self.states.iter().map(|shop| (shop.clone(), tasks.to_vec())).collect();
        let (mut been, mut ends) = (HashSet::new(), BTreeSet::new());
        while let Some((shop, tasks)) = open.pop() {
            let answers: Option<Vec<Answer>> = tasks.iter().map(done).collect();
            if let Some(answers) = answers {
                ends.insert((answers, shop));
                continue;
            }
            for n in 0..tasks.len() {
                for (then, at) in self.after(&shop, &tasks[n], tasks.len() > 1) {
                    let mut tasks = tasks.clone();
                    tasks[n].at = at;
                    let fits = done(&tasks[n]).zip(said).is_none_or(|(answer, said)| answer == said[n]);
                    if fits && been.insert((then.clone(), tasks.clone())) {
                        open.push((then, tasks));
                    }
                }
            }
        }
        ends
    }

    /// Where a task may be after its next moment.
    fn after(&self, shop: &Shop, task: &Task, beside_others: bool) -> Vec<(Shop, Moment)> {
        if let Moment::Each(each) = &task.at {
            if each.iter().all(|one| matches!(one, Moment::Done(_))) {
                return vec![(shop.clone(), Moment::Done(says(0, "")))];
            }
            let next = each.iter().enumerate().filter_map(|(n, one)| {
                let (mut shop, mut each) = (shop.clone(), each.clone());
                each[n] = shop.step(&Task { at: one.clone(), ..task.clone() })?;
                Some((shop, Moment::Each(each)))
            });
            return next.collect();
        }
        let mut then = shop.clone();
        let next = then.step(task);
        let mut all: Vec<_> = next.map(|at| (then, at)).into_iter().collect();
        if self.loose && beside_others && matches!(task.at, Moment::Begin) {
            all.extend(too_late(&task.ask).map(|answer| (shop.clone(), Moment::Done(answer))));
        }
        all
    }

    fn why(
        &self,
        sent: &[Sent],
        tasks: &[Task],
        said: &[Answer],
        seen_now: &Seen,
        ends: &BTreeSet<(Vec<Answer>, Shop)>,
    ) -> String {
        let mut text = String::new();
        for (Sent { ask, key }, said) in sent.iter().zip(said) {
            writeln!(text, "  asked {ask:?} (key {key:?})\n    said {}", word(said)).expect("text");
        }
        if ends.is_empty() {
            let ends = self.ends(tasks, None);
            let allowed: BTreeSet<&Vec<Answer>> = ends.iter().map(|(answers, _)| answers).collect();
            writeln!(text, "the model allows only these answers:").expect("text");
            for answers in allowed.iter().take(8) {
                let words: Vec<String> = answers.iter().map(word).collect();
                writeln!(text, "  {}", words.join("; ")).expect("text");
            }
        }
        for (_, shop) in ends.iter().take(3) {
            writeln!(text, "the answers are allowed, what came of it is not:").expect("text");
            text.push_str(&difference(&seen(shop, seen_now), seen_now));
        }
        text
    }
}

fn done(task: &Task) -> Option<Answer> {
    match &task.at {
        Moment::Done(answer) => Some(*answer),
        _ => None,
    }
}

/// What may be said of an order that somebody else has just changed.
fn too_late(ask: &Ask) -> Option<Answer> {
    match ask {
        Ask::Cancel { .. } | Ask::Ship { .. } | Ask::Capture { .. } | Ask::Refund { .. } => {
            Some(says(409, "order_busy"))
        }
        Ask::Event { .. } => Some(says(503, "unavailable")),
        _ => None,
    }
}

fn word(answer: &Answer) -> String {
    let Answer { status, code, order, replayed } = answer;
    let order = order.map(|(cart, nth)| format!(" order {nth} of cart {cart}")).unwrap_or_default();
    format!("{status} {code}{order}{}", if *replayed { " (replayed)" } else { "" })
}

#[test]
fn the_model_itself_keeps_what_it_promises() {
    // A key that is kept answers the same; of two who want the last piece one gets it, in any order.
    let mut minds = Minds::new(Backend::Sqlite);
    let mut shop = Shop::new(stocked());
    shop.goods[0].on_hand = 1;
    for _ in 0..2 {
        let lines = vec![(0, 1)];
        let made = Task { ask: Ask::NewCart { lines }, key: None, at: Moment::Begin };
        minds.states = BTreeSet::from([shop]);
        shop = minds.ends(&[made], None).pop_first().expect("a cart").1;
    }
    minds.states = BTreeSet::from([shop]);
    let buy = |cart, key| Task { ask: Ask::Buy { cart, card: super::steps::Card::Ok }, key, at: Moment::Begin };
    let ends = minds.ends(&[buy(0, Some(0)), buy(1, None)], None);
    let mut statuses: Vec<(u16, u16)> = ends.iter().map(|(said, _)| (said[0].status, said[1].status)).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [(201, 409), (409, 201)]);
    let first = ends.into_iter().find(|(said, _)| said[0].status == 201).expect("one order of them").1;
    assert!(matches!(first.keys.get(&0), Some(Key::Kept(answer)) if answer.status == 201));
    minds.states = BTreeSet::from([first]);
    let again = minds.ends(&[buy(0, Some(0))], None).pop_first().expect("an answer").0;
    assert!(again[0].replayed && again[0].status == 201);
}
