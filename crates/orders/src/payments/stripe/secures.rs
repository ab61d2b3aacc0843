//! Before the money is taken: opened, secured, let go of.
use super::{
    Asked, KEYS, Means, Standing, Stripe, Word, after, amounts,
    client::{Answer, Form},
    form,
    objects::{Intent, Told},
};
use kernel::{Failure, Minor};
use sha2::{Digest as _, Sha256};

impl Stripe {
    pub(super) async fn open_intent(&self, asked: &Asked) -> Result<String, Failure> {
        let amount = amounts::at_stripe(asked.amount).map_err(|reason| {
            tracing::error!(order = %asked.order, reason, "Stripe cannot be asked for this payment");
            Failure::Denied
        })?;
        if let Some(found) = self.intent(asked).await? {
            return Ok(found.id);
        }
        let mut wish = form(&[
            ("amount", amount.to_string()),
            ("currency", asked.amount.currency.code().to_ascii_lowercase()),
            ("capture_method", "manual".into()),
            ("payment_method_types[]", "card".into()),
            ("metadata[order]", asked.order.to_string()),
        ]);
        if self.settings.multicapture {
            wish.extend(form(&[("payment_method_options[card][request_multicapture]", "if_available".into())]));
        }
        for turn in 0..KEYS {
            let key = format!("{}-open-{turn}", asked.order);
            match self.client.post::<Intent>("/v1/payment_intents", &wish, Some(&key)).await? {
                Answer::Is(intent) => return Ok(intent.id),
                Answer::Refused { status, told } => {
                    let (code, param) = (told.code, told.param);
                    tracing::error!(order = %asked.order, status, code, param, "Stripe opens no payment");
                    return Err(Failure::Denied);
                }
                Answer::Failed { replayed } => match after(self.intent(asked).await)? {
                    Some(found) => return Ok(found.id),
                    None if replayed => {}
                    None => return Err(Failure::Unknown),
                },
            }
        }
        Err(Failure::Unknown)
    }

    pub(super) async fn confirm(&self, asked: &Asked, means: &Means) -> Result<Word, Failure> {
        let intent = self.intent(asked).await?.ok_or(Failure::UNAVAILABLE)?;
        if matches!(intent.status.as_str(), "requires_capture" | "succeeded" | "canceled" | "processing") {
            return self.word(asked, &intent).await;
        }
        let declined = |reason: String| Word {
            reference: intent.id.clone(),
            standing: Standing::Declined { reason },
            captured: Minor::ZERO,
            refunded: Minor::ZERO,
        };
        let Some(token) = &means.token else { return Ok(declined("A means of payment is needed.".into())) };
        let mut wish = form(&[("payment_method", token.clone())]);
        wish.extend(means.return_url.iter().map(|url| ("return_url".to_owned(), url.clone())));
        // another token is another wish; the token itself is written nowhere
        let digest = Sha256::digest(format!("{wish:?}"));
        let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let path = format!("/v1/payment_intents/{}/confirm", intent.id);
        // What stands so already may be of an older token: it says nothing of this one.
        let before = intent.standing();
        for turn in 0..KEYS {
            let key = format!("{}-confirm-{digest}-{turn}", asked.order);
            let answer = self.client.post::<Intent>(&path, &wish, Some(&key)).await?;
            if let Answer::Refused { status: 402, told } = answer {
                return Ok(declined(told.for_buyer()));
            }
            // an answer that was kept may be older than what has happened since
            let now = after(self.intent(asked).await)?.ok_or(Failure::Unknown)?;
            let open = matches!(now.standing(), Standing::Open | Standing::Declined { .. } | Standing::Action(_));
            match answer {
                Answer::Refused { told, .. } if open && told.is_of_the_means() => {
                    return Ok(declined(told.for_buyer()));
                }
                Answer::Refused { status, told } if open => return Err(not_taken(asked, status, told)),
                Answer::Failed { replayed: true } if now.standing() == before => {}
                Answer::Failed { replayed: false } if now.standing() == before => return Err(Failure::Unknown),
                Answer::Is(_) | Answer::Refused { .. } | Answer::Failed { .. } => {
                    return after(self.word(asked, &now).await);
                }
            }
        }
        Err(Failure::Unknown)
    }

    pub(super) async fn take_back(&self, asked: &Asked) -> Result<Option<Word>, Failure> {
        let Some(mut intent) = self.intent(asked).await? else { return Ok(None) };
        let path = format!("/v1/payment_intents/{}", intent.id);
        let known = Asked { reference: Some(intent.id.clone()), ..asked.clone() };
        if intent.status == "processing" {
            return Err(Failure::Unknown);
        }
        // no keys: neither can be done twice, and a kept refusal would outlive its reason
        if intent.status == "requires_capture" && intent.amount_received > 0 {
            let wish = form(&[("amount_to_capture", "0".into()), ("final_capture", "true".into())]);
            self.client.post::<Intent>(&[&path, "/capture"].concat(), &wish, None).await?;
            intent = after(self.intent(&known).await)?.ok_or(Failure::Unknown)?;
        } else if !matches!(intent.status.as_str(), "canceled" | "succeeded") {
            self.client.post::<Intent>(&[&path, "/cancel"].concat(), &Form::new(), None).await?;
            intent = after(self.intent(&known).await)?.ok_or(Failure::Unknown)?;
        }
        match intent.status.as_str() {
            "succeeded" => after(self.give_back(asked, &intent).await)?,
            "canceled" => {}
            _ => return Err(Failure::Unknown),
        }
        let word = after(self.word(asked, &intent).await)?;
        Ok(Some(Word { standing: Standing::Voided, ..word }))
    }
}

/// Refused, and not for the card: the shop's settings, or its account. Nothing was taken.
fn not_taken(asked: &Asked, status: u16, told: Told) -> Failure {
    let (code, param) = (told.code, told.param);
    tracing::error!(order = %asked.order, status, code, param, "Stripe does not take this payment");
    Failure::Denied
}
