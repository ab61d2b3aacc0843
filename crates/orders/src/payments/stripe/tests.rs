//! The provider against the server that stands in for Stripe: whatever is lost, one effect in its books.
use super::*;
use kernel::{Clock as _, Minor, Money};
use std::time::Duration;
use testkit::stripe::{Book, Fault, KEY, SECRET, Stripe as StandIn};

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}
fn now() -> Time {
    kernel::SystemClock.now()
}
fn shop(multicapture: bool) -> (StandIn, Stripe, Asked) {
    let far = StandIn::start().unwrap();
    let settings = StripeSettings {
        secret_key: KEY.into(),
        webhook_secrets: vec![SECRET.into()],
        base_url: far.url(),
        timeout_seconds: 1,
        multicapture,
        ..Default::default()
    };
    assert_eq!(settings.problems(), Vec::<String>::new());
    let amount = Money::new(minor(5000), kernel::Currency::EUR);
    let (captured, refunded) = (Minor::ZERO, Minor::ZERO);
    let asked = Asked { order: OrderId::new(), reference: None, amount, captured, refunded, since: now() };
    (far, Stripe::new(&settings).unwrap(), asked)
}
fn means(token: &str) -> Means {
    Means { token: Some(token.into()), return_url: Some("https://shop.example/back".into()) }
}
fn part(amount: i64) -> Part {
    Part { id: uuid::Uuid::now_v7(), amount: minor(amount), turn: 0 }
}
fn book(far: &StandIn, asked: &Asked) -> Book {
    far.book(&asked.order.to_string())
}
async fn secured(stripe: &Stripe, asked: &mut Asked) {
    asked.reference = Some(stripe.open(asked).await.unwrap());
    assert_eq!(stripe.authorise(asked, &means("pm_card_visa")).await.unwrap().standing, Standing::Authorised);
}
/// Asks until it is known, as orders does.
macro_rules! until_known {
    ($ask:expr) => {{
        let mut left = 6;
        loop {
            left -= 1;
            match $ask.await {
                Ok(known) => break known,
                Err(Failure::Denied) => panic!("denied"),
                Err(_) => {
                    assert!(left > 0, "never known");
                    // a driver has others in between; whatever is late is done by then
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
        }
    }};
}
async fn moved(stripe: &Stripe, asked: &Asked, part: &Part, refund: bool) -> Moved {
    let mut part = part.clone();
    loop {
        let end = match refund {
            true => until_known!(stripe.refund(asked, &part)),
            false => until_known!(stripe.capture(asked, &part)),
        };
        if end != Moved::Again {
            return end;
        }
        part.turn += 1;
        assert!(part.turn < 4);
    }
}
fn faults() -> [Fault; 7] {
    let late = Fault::Late(Duration::from_millis(1500));
    [Fault::Fails, Fault::DoneThenFails, Fault::Hangs, late, Fault::Lost, Fault::DoneThenLost, Fault::Busy]
}

#[tokio::test]
async fn whatever_is_lost_it_is_done_once() {
    for fault in faults() {
        let (far, stripe, mut asked) = shop(false);
        far.next("POST /v1/payment_intents", fault);
        asked.reference = Some(until_known!(stripe.open(&asked)));
        assert_eq!(book(&far, &asked).intents, 1, "{fault:?}");
        far.next("/confirm", fault);
        let word = until_known!(stripe.authorise(&asked, &means("pm_card_visa")));
        assert_eq!(word.standing, Standing::Authorised, "{fault:?}");
        far.next("/capture", fault);
        let wish = part(3000);
        let done = moved(&stripe, &asked, &wish, false).await;
        assert!(matches!(done, Moved::Done { released, .. } if released == minor(2000)), "{fault:?} {done:?}");
        far.next("POST /v1/refunds", fault);
        let wish = part(1000);
        assert!(matches!(moved(&stripe, &asked, &wish, true).await, Moved::Done { .. }), "{fault:?}");
        assert_eq!(book(&far, &asked), Book { intents: 1, authorised: 0, captured: 3000, refunded: 1000 }, "{fault:?}");
        far.next("POST /v1/refunds", fault);
        assert_eq!(until_known!(stripe.void(&asked)).unwrap().standing, Standing::Voided, "{fault:?}");
        assert_eq!(book(&far, &asked).refunded, 3000, "{fault:?}");
        assert_eq!(far.faults_left(), 0);
    }
}

#[tokio::test]
async fn what_is_secured_is_let_go_of() {
    for fault in faults() {
        let (far, stripe, mut asked) = shop(false);
        secured(&stripe, &mut asked).await;
        far.next("/cancel", fault);
        assert_eq!(until_known!(stripe.void(&asked)).unwrap().standing, Standing::Voided, "{fault:?}");
        assert_eq!(book(&far, &asked), Book { intents: 1, ..Book::default() }, "{fault:?}");
    }
}

#[tokio::test]
async fn declined_then_the_bank_asks() {
    let (far, stripe, mut asked) = shop(false);
    let id = stripe.open(&asked).await.unwrap();
    let no = stripe.authorise(&asked, &means("pm_card_chargeDeclined")).await.unwrap();
    assert!(matches!(no.standing, Standing::Declined { .. }));
    asked.reference = Some(id.clone());
    let word = stripe.authorise(&asked, &means("pm_card_authenticationRequired")).await.unwrap();
    assert!(matches!(word.standing, Standing::Action(NextAction { url, .. }) if url.ends_with(&id)));
    far.bank_confirms(&id);
    assert_eq!(stripe.look(&asked).await.unwrap().unwrap().standing, Standing::Authorised);
    let (signature, body) = far.event(&id, "payment_intent.amount_capturable_updated", SECRET, now().seconds());
    let header = |name: &str| (name == "stripe-signature").then(|| signature.clone());
    let heard = stripe.event(&header, &body, now()).unwrap();
    assert_eq!(heard, Some(Heard { order: asked.order, reference: id, word: None }));
    assert!(stripe.event(&header, b"{}", now()).is_err());
    assert!(stripe.event(&|_| None, &body, now()).is_err());
}

#[tokio::test]
async fn several_captures_keep_the_rest_secured() {
    let (far, stripe, mut asked) = shop(true);
    secured(&stripe, &mut asked).await;
    let (one, two) = (part(2000), part(2000));
    assert!(
        matches!(moved(&stripe, &asked, &one, false).await, Moved::Done { released, .. } if released == Minor::ZERO)
    );
    asked.captured = minor(2000);
    moved(&stripe, &asked, &two, false).await;
    moved(&stripe, &asked, &two, false).await;
    assert_eq!(book(&far, &asked), Book { intents: 1, authorised: 1000, captured: 4000, refunded: 0 });
    assert!(matches!(moved(&stripe, &asked, &part(4001), true).await, Moved::Refused { .. }));
    stripe.void(&asked).await.unwrap();
    assert_eq!(book(&far, &asked), Book { intents: 1, authorised: 0, captured: 4000, refunded: 4000 });
}

/// Asks once that it answers with its own failure, and once that it repeats it.
#[tokio::test]
async fn a_key_is_given_up_only_when_its_failure_is_repeated() {
    let (far, stripe, mut asked) = shop(false);
    secured(&stripe, &mut asked).await;
    let wish = part(5000);
    far.next("/capture", Fault::Fails);
    assert_eq!(stripe.capture(&asked, &wish).await, Err(Failure::Unknown), "it may be under way");
    assert_eq!(stripe.capture(&asked, &wish).await, Ok(Moved::Again), "never under this key");
    assert_eq!(far.keys("/capture"), 1);
    let next = Part { turn: 1, ..wish.clone() };
    assert!(matches!(stripe.capture(&asked, &next).await, Ok(Moved::Done { .. })));
    assert_eq!((far.keys("/capture"), book(&far, &asked).captured), (2, 5000));
    let back = part(700);
    far.next("POST /v1/refunds", Fault::Fails);
    assert_eq!(stripe.refund(&asked, &back).await, Err(Failure::Unknown));
    assert_eq!(stripe.refund(&asked, &back).await, Ok(Moved::Again));
}

#[tokio::test]
async fn neither_silence_nor_a_look_that_failed_spends_a_key() {
    for fault in [Fault::Hangs, Fault::Lost, Fault::DoneThenLost, Fault::Late(Duration::from_millis(1500))] {
        let (far, stripe, mut asked) = shop(false);
        secured(&stripe, &mut asked).await;
        let wish = part(5000);
        far.next("/capture", fault);
        let first = stripe.capture(&asked, &wish).await;
        assert_eq!(first, Err(Failure::Unknown), "{fault:?}");
        assert!(matches!(until_known!(stripe.capture(&asked, &wish)), Moved::Done { .. }), "{fault:?}");
        assert_eq!((far.keys("/capture"), book(&far, &asked).captured), (1, 5000), "{fault:?}");
    }
    // it failed, and says so again; and then nothing can be looked up
    let (far, stripe, mut asked) = shop(false);
    secured(&stripe, &mut asked).await;
    let wish = part(5000);
    far.next("/capture", Fault::Fails);
    assert_eq!(stripe.capture(&asked, &wish).await, Err(Failure::Unknown));
    far.next("/capture", Fault::Lost);
    assert_eq!(stripe.capture(&asked, &wish).await, Err(Failure::Unknown));
    far.goes_away();
    assert_eq!(stripe.capture(&asked, &wish).await, Err(Failure::UNAVAILABLE), "not even looked for");
    far.comes_back().unwrap();
    assert_eq!(stripe.capture(&asked, &wish).await, Ok(Moved::Again));
    assert_eq!(far.keys("/capture"), 1);
}

#[tokio::test]
async fn what_is_under_way_under_a_key_is_waited_for() {
    let (far, stripe, mut asked) = shop(false);
    secured(&stripe, &mut asked).await;
    let wish = part(5000);
    far.next("/capture", Fault::Late(Duration::from_millis(2500)));
    assert_eq!(stripe.capture(&asked, &wish).await, Err(Failure::Unknown), "no answer in time");
    assert_eq!(stripe.capture(&asked, &wish).await, Err(Failure::Unknown), "its key is in use");
    assert!(matches!(until_known!(stripe.capture(&asked, &wish)), Moved::Done { .. }));
    assert_eq!((far.keys("/capture"), book(&far, &asked).captured), (1, 5000));
}

#[tokio::test]
async fn a_capture_is_known_by_its_mark_and_not_by_its_amount() {
    let (far, stripe, mut asked) = shop(true);
    secured(&stripe, &mut asked).await;
    let (one, two) = (part(2000), part(2000));
    moved(&stripe, &asked, &one, false).await;
    // what is known here is older than the first of them
    moved(&stripe, &asked, &two, false).await;
    assert_eq!(book(&far, &asked).captured, 4000);
    let (far, stripe, mut asked) = shop(false);
    secured(&stripe, &mut asked).await;
    far.takes_by_hand(asked.reference.as_ref().unwrap(), 2000);
    assert!(matches!(moved(&stripe, &asked, &part(2000), false).await, Moved::Refused { .. }));
    assert_eq!(stripe.look(&asked).await.unwrap().unwrap().captured, minor(2000), "and is heard of as what it is");
}

#[tokio::test]
async fn what_an_older_token_left_says_nothing_of_this_one() {
    let (far, stripe, mut asked) = shop(false);
    asked.reference = Some(stripe.open(&asked).await.unwrap());
    let waits = stripe.authorise(&asked, &means("pm_card_authenticationRequired")).await.unwrap();
    assert!(matches!(waits.standing, Standing::Action(_)));
    far.next("/confirm", Fault::Fails);
    assert_eq!(stripe.authorise(&asked, &means("pm_card_visa")).await, Err(Failure::Unknown), "of the older one");
    assert_eq!(stripe.authorise(&asked, &means("pm_card_visa")).await.unwrap().standing, Standing::Authorised);
    assert_eq!(far.keys("/confirm"), 3);
}

#[tokio::test]
async fn only_the_card_is_declined() {
    let (far, stripe, mut asked) = shop(false);
    asked.reference = Some(stripe.open(&asked).await.unwrap());
    assert_eq!(stripe.authorise(&asked, &means("pm_card_notForThisAccount")).await, Err(Failure::Denied));
    let unknown = stripe.authorise(&asked, &means("pm_nobody_has")).await.unwrap();
    assert!(matches!(unknown.standing, Standing::Declined { .. }));
    let none = stripe.authorise(&asked, &Means { token: None, return_url: None }).await.unwrap();
    assert!(matches!(none.standing, Standing::Declined { .. }));
    assert_eq!(book(&far, &asked), Book { intents: 1, ..Book::default() });
    let odd = |amount, currency: &str| {
        let amount = Money::new(minor(amount), currency.parse().unwrap());
        Asked { order: OrderId::new(), reference: None, amount, ..asked.clone() }
    };
    assert_eq!(stripe.open(&odd(10, "EUR")).await, Err(Failure::Denied), "too little");
    assert_eq!(stripe.open(&odd(5125, "KWD")).await, Err(Failure::Denied), "cannot be said");
    assert!(stripe.open(&odd(5120, "KWD")).await.is_ok());
}

#[tokio::test]
async fn refunds_on_their_way_count_and_failed_ones_do_not() {
    for (status, refunded) in [("pending", 5000), ("failed", 0)] {
        let (far, stripe, mut asked) = shop(false);
        secured(&stripe, &mut asked).await;
        moved(&stripe, &asked, &part(5000), false).await;
        far.refunds_are(status);
        for _ in 0..3 {
            let word = until_known!(stripe.void(&asked)).unwrap();
            assert_eq!((word.standing, word.refunded), (Standing::Voided, minor(refunded)), "{status}");
        }
        assert_eq!(far.asked("POST /v1/refunds"), 1, "{status}: asked for once");
    }
}

#[tokio::test]
async fn a_payment_without_a_reference_is_found_among_many() {
    let (far, stripe, asked) = shop(false);
    let order = asked.order.to_string();
    far.has_made(&order, 3600);
    assert_eq!(stripe.look(&asked).await.unwrap(), None, "older than the order");
    let made = far.has_made(&order, 0);
    far.is_busy_with(250);
    let found = stripe.look(&asked).await.unwrap().unwrap();
    assert_eq!((found.reference, far.asked("GET /v1/payment_intents")), (made, 4));
    assert_eq!(found.standing, Standing::Open);
}

#[tokio::test]
async fn a_key_that_stripe_does_not_accept_does_nothing() {
    let (far, _, asked) = shop(false);
    let settings = StripeSettings {
        secret_key: "sk_test_another".into(),
        webhook_secrets: vec![SECRET.into()],
        base_url: far.url(),
        ..Default::default()
    };
    let stripe = Stripe::new(&settings).unwrap();
    assert_eq!(stripe.open(&asked).await, Err(Failure::UNAVAILABLE));
    assert!(far.books().is_empty());
}
