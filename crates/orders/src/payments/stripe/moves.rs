//! Money that moves: taken, and given back. Each wish leaves its id in Stripe's metadata, and is known by it alone: an
//! amount says nothing, for two wishes may be of the same, and so may be what somebody did by hand.
use super::{
    Asked, KEYS, Moved, Part, Stripe, after, amounts,
    client::Answer,
    form,
    objects::{Intent, Refund},
};
use kernel::{Failure, Minor, Money};

/// The mark of what gives back a payment whole.
const VOID: &str = "void";

/// As long as a name in Stripe's metadata may be: 40.
fn captured_as(part: &Part) -> String {
    format!("capture_{}", part.id.simple())
}

fn refused(reason: &str) -> Result<Moved, Failure> {
    Ok(Moved::Refused { reason: reason.to_owned() })
}

/// Stripe failed, and nothing is found. Under a key that only brings the same answer back, nothing ever will be;
/// otherwise it may be under way.
fn not_found(replayed: bool) -> Result<Moved, Failure> {
    if replayed { Ok(Moved::Again) } else { Err(Failure::Unknown) }
}

fn taken(asked: &Asked, intent: &Intent) -> Result<Moved, Failure> {
    let left = if intent.status == "succeeded" { intent.amount - intent.amount_received } else { 0 };
    let reference = intent.latest_charge.clone().unwrap_or_else(|| intent.id.clone());
    Ok(Moved::Done { reference, released: Stripe::minor(asked, left)? })
}

/// One that is on its way counts: Stripe has promised it, and tells should it fail.
fn returned(refund: &Refund) -> Moved {
    match refund.counts() {
        true => Moved::Done { reference: refund.id.clone(), released: Minor::ZERO },
        false => Moved::Refused { reason: "The bank did not take the refund.".into() },
    }
}

impl Stripe {
    /// What a capture left behind at Stripe, if it did.
    async fn taken_before(&self, asked: &Asked, part: &Part) -> Result<Option<Moved>, Failure> {
        let Some(intent) = self.intent(asked).await? else { return Ok(None) };
        let ours = intent.metadata.contains_key(&captured_as(part));
        ours.then(|| taken(asked, &intent)).transpose()
    }

    pub(super) async fn take(&self, asked: &Asked, part: &Part) -> Result<Moved, Failure> {
        let Ok(amount) = amounts::at_stripe(Money::new(part.amount, asked.amount.currency)) else {
            return refused("Stripe cannot say this amount.");
        };
        let Some(intent) = self.intent(asked).await? else { return refused("Stripe knows of no such payment.") };
        let known = Asked { reference: Some(intent.id.clone()), ..asked.clone() };
        if intent.metadata.contains_key(&captured_as(part)) {
            return taken(asked, &intent);
        }
        let mut wish = form(&[("amount_to_capture", amount.to_string())]);
        wish.push((format!("metadata[{}]", captured_as(part)), amount.to_string()));
        if self.settings.multicapture && intent.amount_received + amount < intent.amount {
            wish.extend(form(&[("final_capture", "false".into())]));
        }
        let path = format!("/v1/payment_intents/{}/capture", intent.id);
        let key = format!("{}-capture-{}", part.id, part.turn);
        match self.client.post::<Intent>(&path, &wish, Some(&key)).await? {
            Answer::Is(intent) => taken(asked, &intent),
            Answer::Refused { .. } => match after(self.taken_before(&known, part).await)? {
                Some(done) => Ok(done),
                None => refused("Stripe does not take this amount: it is no longer secured, or more than is left."),
            },
            Answer::Failed { replayed } => match after(self.taken_before(&known, part).await)? {
                Some(done) => Ok(done),
                None => not_found(replayed),
            },
        }
    }

    async fn given_before(&self, intent: &Intent, wish: &str) -> Result<Option<Moved>, Failure> {
        let all = self.refunds(intent).await?;
        Ok(all.iter().find(|one| one.is_of(wish)).map(returned))
    }

    pub(super) async fn give(&self, asked: &Asked, part: &Part) -> Result<Moved, Failure> {
        let Ok(amount) = amounts::at_stripe(Money::new(part.amount, asked.amount.currency)) else {
            return refused("Stripe cannot say this amount.");
        };
        let Some(intent) = self.intent(asked).await? else { return refused("Stripe knows of no such payment.") };
        let id = part.id.to_string();
        if let Some(done) = self.given_before(&intent, &id).await? {
            return Ok(done);
        }
        let wish = form(&[
            ("payment_intent", intent.id.clone()),
            ("amount", amount.to_string()),
            ("metadata[refund]", id.clone()),
        ]);
        match self.client.post::<Refund>("/v1/refunds", &wish, Some(&format!("{id}-refund-{}", part.turn))).await? {
            Answer::Is(refund) => Ok(returned(&refund)),
            Answer::Refused { .. } => match after(self.given_before(&intent, &id).await)? {
                Some(done) => Ok(done),
                None => refused("Stripe does not refund this amount: it is more than is left."),
            },
            Answer::Failed { replayed } => match after(self.given_before(&intent, &id).await)? {
                Some(done) => Ok(done),
                None => not_found(replayed),
            },
        }
    }

    /// Everything that was taken goes back. What the bank did not take back is not asked for again, for Stripe would fail
    /// again: the payment ends with that much less refunded, `cleave audit` names its order, and staff find another way.
    pub(super) async fn give_back(&self, asked: &Asked, intent: &Intent) -> Result<(), Failure> {
        for turn in 0..KEYS {
            let all = self.refunds(intent).await?;
            let back: i64 = all.iter().filter(|one| one.counts()).map(|one| one.amount).sum();
            let left = intent.amount_received - back;
            if left <= 0 {
                return Ok(());
            }
            if all.iter().any(|one| one.is_of(VOID) && !one.counts()) {
                let (order, reference) = (asked.order, &intent.id);
                tracing::error!(%order, reference, left, "a refund failed at the bank: pay the buyer back another way");
                return Ok(());
            }
            let wish = form(&[
                ("payment_intent", intent.id.clone()),
                ("amount", left.to_string()),
                ("metadata[refund]", VOID.into()),
            ]);
            let key = format!("{}-void-{back}-{turn}", asked.order);
            match self.client.post::<Refund>("/v1/refunds", &wish, Some(&key)).await? {
                Answer::Is(_) | Answer::Failed { replayed: true } => {}
                Answer::Failed { replayed: false } => return Err(Failure::Unknown),
                Answer::Refused { status, told } => {
                    let code = told.code;
                    tracing::error!(order = %asked.order, status, code, "Stripe does not give this payment back yet");
                    return Err(Failure::Unknown);
                }
            }
        }
        Err(Failure::Unknown)
    }
}
