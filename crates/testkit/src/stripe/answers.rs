//! The part of the API that a shop uses.
use super::state::{Form, Said, State, error, number, refused};
use serde_json::{Map, Value, json};

/// With three decimals: the last must be zero.
const THREE_DECIMALS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];
/// Less than this is not taken (of most currencies).
const LEAST: i64 = 50;

fn text(form: &Form, name: &str) -> String {
    form.get(name).cloned().unwrap_or_default()
}
fn amount(form: &Form, name: &str) -> Option<i64> {
    form.get(name)?.parse().ok()
}
fn metadata(form: &Form) -> Map<String, Value> {
    let inner = |name: &str| Some(name.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned());
    form.iter().filter_map(|(name, value)| Some((inner(name)?, Value::from(value.clone())))).collect()
}

impl State {
    pub(super) fn answer(&mut self, what: &str, form: &Form) -> Said {
        let parts: Vec<&str> = what.split(['/', ' ']).filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            ["POST", "v1", "payment_intents"] => self.open(form),
            ["POST", "v1", "refunds"] => self.refund(form),
            ["GET", "v1", "payment_intents"] => (200, list(&self.intents, form)),
            ["GET", "v1", "refunds"] => (200, list(&self.refunds, form)),
            [_, "v1", "payment_intents", id, rest @ ..] => {
                let Some(intent) = self.intents.iter_mut().find(|one| one["id"] == *id) else {
                    return (404, error("invalid_request_error", "resource_missing"));
                };
                let changed = match rest {
                    [] => Ok(()),
                    ["confirm"] => confirm(intent, form),
                    ["cancel"] => cancel(intent),
                    ["capture"] => capture(intent, form),
                    _ => Err((404, error("invalid_request_error", ""))),
                };
                changed.err().unwrap_or_else(|| (200, intent.clone()))
            }
            _ => (404, error("invalid_request_error", "")),
        }
    }

    fn open(&mut self, form: &Form) -> Said {
        let (amount, currency) = (amount(form, "amount").unwrap_or_default(), text(form, "currency"));
        if amount < LEAST {
            return refused("amount_too_small");
        }
        if THREE_DECIMALS.contains(&currency.as_str()) && amount % 10 != 0 {
            return refused("parameter_invalid_integer");
        }
        let multicapture = form.contains_key("payment_method_options[card][request_multicapture]");
        (200, self.add_intent(amount, &currency, metadata(form), multicapture))
    }

    fn refund(&mut self, form: &Form) -> Said {
        let (of, wished) = (text(form, "payment_intent"), amount(form, "amount").unwrap_or_default());
        let back = self.refunded(&of);
        let Some(intent) = self.intents.iter().find(|one| one["id"] == of) else {
            return refused("resource_missing");
        };
        if wished <= 0 || wished > number(intent, "amount_received") - back {
            return refused("charge_already_refunded");
        }
        let status = if self.refund_status.is_empty() { "succeeded" } else { self.refund_status };
        let id = format!("re_{}", self.serial());
        let refund = json!({
            "id": id, "object": "refund", "amount": wished, "payment_intent": of, "status": status,
            "metadata": metadata(form),
        });
        self.refunds.push(refund.clone());
        (200, refund)
    }
}

/// Newest first, in pages.
fn list(all: &[Value], form: &Form) -> Value {
    let (of, since) = (form.get("payment_intent"), amount(form, "created[gte]"));
    let fits = |one: &&Value| {
        of.is_none_or(|of| one["payment_intent"] == **of) && since.is_none_or(|since| number(one, "created") >= since)
    };
    let mut data: Vec<Value> = all.iter().rev().filter(fits).cloned().collect();
    if let Some(after) = form.get("starting_after") {
        data = data.into_iter().skip_while(|one| one["id"] != **after).skip(1).collect();
    }
    let limit = amount(form, "limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10).min(100);
    let has_more = data.len() > limit;
    data.truncate(limit);
    json!({"object": "list", "data": data, "has_more": has_more})
}

fn is_open(intent: &Value) -> bool {
    let open = ["requires_payment_method", "requires_confirmation", "requires_action"];
    intent["status"].as_str().is_some_and(|status| open.contains(&status))
}

fn unexpected() -> Said {
    refused("payment_intent_unexpected_state")
}

fn confirm(intent: &mut Value, form: &Form) -> Result<(), Said> {
    if !is_open(intent) {
        return Err(unexpected());
    }
    match text(form, "payment_method").as_str() {
        "pm_card_visa" => {
            intent["status"] = "requires_capture".into();
            intent["next_action"] = Value::Null;
        }
        "pm_card_authenticationRequired" => {
            intent["status"] = "requires_action".into();
            let url = format!("https://bank.example/{}", intent["id"].as_str().unwrap_or_default());
            intent["next_action"] = match form.contains_key("return_url") {
                true => json!({"type": "redirect_to_url", "redirect_to_url": {"url": url}}),
                false => json!({"type": "use_stripe_sdk"}),
            };
        }
        "pm_card_chargeDeclined" => {
            let told = json!({"type": "card_error", "code": "card_declined", "decline_code": "generic_decline"});
            intent["status"] = "requires_payment_method".into();
            intent["next_action"] = Value::Null;
            intent["last_payment_error"] = told.clone();
            return Err((402, json!({"error": told})));
        }
        // An account that may not take cards.
        "pm_card_notForThisAccount" => return Err(refused("account_invalid")),
        _ => {
            let told = json!({"type": "invalid_request_error", "code": "resource_missing", "param": "payment_method"});
            return Err((400, json!({"error": told})));
        }
    }
    Ok(())
}

fn cancel(intent: &mut Value) -> Result<(), Said> {
    let secured = intent["status"] == "requires_capture" && number(intent, "amount_received") == 0;
    if !(is_open(intent) || secured) {
        return Err(unexpected());
    }
    intent["status"] = "canceled".into();
    intent["next_action"] = Value::Null;
    Ok(())
}

fn capture(intent: &mut Value, form: &Form) -> Result<(), Said> {
    if intent["status"] != "requires_capture" {
        return Err(unexpected());
    }
    let received = number(intent, "amount_received");
    let left = number(intent, "amount") - received;
    let (wished, goes_on) = (amount(form, "amount_to_capture").unwrap_or(left), text(form, "final_capture") == "false");
    if wished > left || wished <= 0 && received == 0 || goes_on && intent["multicapture"] != true {
        return Err(refused("amount_too_large"));
    }
    intent["amount_received"] = (received + wished).into();
    if let Some(kept) = intent["metadata"].as_object_mut() {
        kept.extend(metadata(form));
    }
    if !goes_on {
        intent["status"] = "succeeded".into();
    }
    Ok(())
}
