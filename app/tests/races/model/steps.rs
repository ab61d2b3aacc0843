//! What can be asked for. Targets are numbers, taken modulo what there is: so any part of a case is a case as well, and it
//! can be shrunk to anything.
use proptest::{collection::vec, prelude::*};
use std::fmt::{self, Display};

/// How many variants there are; the last is not counted.
pub(super) const GOODS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Card {
    Ok,
    Declined,
    Action,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    NewCart(Vec<(u8, u8)>),
    Add {
        cart: u8,
        goods: u8,
        quantity: u8,
    },
    Change {
        cart: u8,
        line: u8,
        quantity: u8,
    },
    Remove {
        cart: u8,
        line: u8,
    },
    Buy {
        cart: u8,
        card: Card,
    },
    Abandon {
        cart: u8,
    },
    /// The payment provider tells of the cart's last order, or of one before.
    Event {
        cart: u8,
        back: u8,
        authorised: bool,
    },
    Cancel {
        cart: u8,
        back: u8,
    },
    Ship {
        cart: u8,
        back: u8,
    },
    Capture {
        cart: u8,
        back: u8,
        amount: Amount,
    },
    Refund {
        cart: u8,
        back: u8,
        amount: Amount,
    },
    Count {
        goods: u8,
        on_hand: u8,
    },
    Adjust {
        goods: u8,
        delta: i8,
    },
    Price {
        goods: u8,
        price: u8,
    },
    Sweep,
    Work,
    Pass {
        seconds: u16,
    },
    /// An earlier request again, with its key.
    Again {
        request: u8,
    },
    /// All at once. Those that say so are about the same cart, its last order, and what it holds.
    Together {
        cart: u8,
        steps: Vec<(bool, Step)>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    All,
    /// So many eighths of the order's total, which may be too much.
    Part(u8),
}

#[derive(Clone)]
pub(super) struct Steps(pub Vec<Step>);

pub(super) fn strategy() -> impl Strategy<Value = Steps> {
    let step = prop_oneof![2 => alone(), 1 => together()];
    vec(step, 1..120).prop_map(Steps)
}

fn together() -> impl Strategy<Value = Step> {
    (any::<u8>(), vec((prop::bool::weighted(0.8), at_once()), 1..=4))
        .prop_map(|(cart, steps)| Step::Together { cart, steps })
}

fn card() -> impl Strategy<Value = Card> {
    prop_oneof![3 => Just(Card::Ok), 1 => Just(Card::Declined), 3 => Just(Card::Action)]
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![1 => Just(Amount::All), 2 => (1_u8..=9).prop_map(Amount::Part)]
}

fn alone() -> impl Strategy<Value = Step> {
    let lines = vec((any::<u8>(), 1_u8..=3), 1..=3);
    let seconds = prop_oneof![1_u16..60, Just(400_u16), Just(899_u16), Just(900_u16), 901_u16..4000];
    prop_oneof![
        5 => lines.prop_map(Step::NewCart),
        3 => seconds.prop_map(|seconds| Step::Pass { seconds }),
        20 => at_once(),
    ]
}

/// What may run beside others. No cart is new there and no time passes, so that what happens is told apart.
fn at_once() -> impl Strategy<Value = Step> {
    let (c, b) = (any::<u8>, || prop_oneof![3 => Just(0_u8), 1 => any::<u8>()]);
    prop_oneof![
        2 => (c(), c(), 1_u8..=3).prop_map(|(cart, goods, quantity)| Step::Add { cart, goods, quantity }),
        1 => (c(), c(), 1_u8..=3).prop_map(|(cart, line, quantity)| Step::Change { cart, line, quantity }),
        1 => (c(), c()).prop_map(|(cart, line)| Step::Remove { cart, line }),
        10 => (c(), card()).prop_map(|(cart, card)| Step::Buy { cart, card }),
        2 => c().prop_map(|cart| Step::Abandon { cart }),
        5 => (c(), b(), any::<bool>()).prop_map(|(cart, back, authorised)| Step::Event { cart, back, authorised }),
        2 => (c(), b()).prop_map(|(cart, back)| Step::Cancel { cart, back }),
        2 => (c(), b()).prop_map(|(cart, back)| Step::Ship { cart, back }),
        4 => (c(), b(), amount()).prop_map(|(cart, back, amount)| Step::Capture { cart, back, amount }),
        3 => (c(), b(), amount()).prop_map(|(cart, back, amount)| Step::Refund { cart, back, amount }),
        1 => (c(), 0_u8..8).prop_map(|(goods, on_hand)| Step::Count { goods, on_hand }),
        3 => (c(), prop_oneof![1 => -3_i8..=-1, 3 => 1_i8..=6]).prop_map(|(goods, delta)| Step::Adjust { goods, delta }),
        1 => (c(), 1_u8..3).prop_map(|(goods, price)| Step::Price { goods, price }),
        2 => Just(Step::Sweep),
        2 => Just(Step::Work),
        4 => c().prop_map(|request| Step::Again { request }),
    ]
}

impl Step {
    /// How many run together in it.
    pub(super) fn parts(&self) -> usize {
        if let Self::Together { steps, .. } = self { steps.len() } else { 0 }
    }
    pub(super) fn leave_out(&mut self, part: usize) {
        if let Self::Together { steps, .. } = self {
            steps.remove(part);
        }
    }
    /// The same, about this cart, its last order, its first line or what it holds.
    pub(super) fn about(&self, near: u8) -> Self {
        let mut step = self.clone();
        match &mut step {
            Self::Add { cart, .. }
            | Self::Change { cart, .. }
            | Self::Remove { cart, .. }
            | Self::Buy { cart, .. }
            | Self::Abandon { cart } => *cart = near,
            Self::Event { cart, back, .. }
            | Self::Cancel { cart, back }
            | Self::Ship { cart, back }
            | Self::Capture { cart, back, .. }
            | Self::Refund { cart, back, .. } => (*cart, *back) = (near, 0),
            Self::Again { request } => *request = 0,
            _ => (),
        }
        step
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Together { cart, steps } => {
                write!(f, "together, about cart {cart}:")?;
                steps
                    .iter()
                    .try_for_each(|(near, step)| write!(f, "\n    {}{step:?}", if *near { "" } else { "elsewhere: " }))
            }
            other => write!(f, "{other:?}"),
        }
    }
}
impl Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}
impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}
