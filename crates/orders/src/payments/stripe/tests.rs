//! The provider against the server that stands in for Stripe: whatever is lost, one effect in its books.
use super::*;
use testkit::stripe::{Book, Fault, Stripe as StandIn};

const NOW: Time = Time::from_micros(1_800_000_000_000_000);

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}
fn shop(multicapture: bool) -> (StandIn, Stripe, Asked) {
    let far = StandIn::start(0).unwrap();
    let settings = StripeSettings {
        secret_key: "sk_test".into(),
        webhook_secrets: vec!["whsec".into()],
        base_url: far.url(),
        timeout_seconds: 1,
        multicapture,
        ..Default::default()
    };
    assert_eq!(settings.problems(), Vec::<String>::new());
    let amount = Money::new(minor(5000), kernel::Currency::EUR);
    let (captured, refunded) = (Minor::ZERO, Minor::ZERO);
    let asked = Asked { order: OrderId::new(), reference: None, amount, captured, refunded, since: NOW };
    (far, Stripe::new(&settings).unwrap(), asked)
}
fn means(token: &str) -> Means {
    Means { token: Some(token.into()), return_url: Some("https://shop.example/back".into()) }
}
fn part(amount: i64) -> Part {
    Part { id: uuid::Uuid::now_v7(), amount: minor(amount), turn: 0 }
}
fn book(far: &StandIn, asked: &Asked) -> Book {
    far.books()[&asked.order.to_string()]
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
                Err(_) => assert!(left > 0, "never known"),
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
    let late = Fault::Late(std::time::Duration::from_millis(1500));
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
    let (signature, body) = far.event(&id, "payment_intent.amount_capturable_updated", "whsec", NOW.seconds());
    let header = |name: &str| (name == "stripe-signature").then(|| signature.clone());
    let heard = stripe.event(&header, &body, NOW).unwrap();
    assert_eq!(heard, Some(Heard { order: asked.order, reference: id, word: None }));
    assert!(stripe.event(&header, b"{}", NOW).is_err());
    assert!(stripe.event(&|_| None, &body, NOW).is_err());
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
