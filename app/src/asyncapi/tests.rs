use super::*;
use crate::shop;
use database::outbox::Untold;
use kernel::Time;
use messaging::EventId;

fn parsed() -> Value {
    serde_json::from_str(&document(&shop::catalogue(), "1.2.3")).unwrap()
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| match (name.as_str(), member) {
            ("$ref", Value::String(place)) => found.push(place),
            _ => references(member, found),
        }),
        Value::Array(all) => all.iter().for_each(|one| references(one, found)),
        _ => (),
    }
}

#[test]
fn what_is_referred_to_is_there() {
    let document = parsed();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for place in found {
        let place = place.strip_prefix('#').expect("a place in the document");
        assert!(document.pointer(place).is_some(), "{place}");
    }
}

#[test]
fn every_kind_is_told_on_each_broker_and_its_data_is_where_envelopes_say() {
    let document = parsed();
    for kind in shop::catalogue() {
        let place = kind.schema_place();
        let (file, pointer) = place.split_once('#').unwrap();
        assert_eq!(file, "/asyncapi.json");
        let schema = document.pointer(pointer).unwrap_or_else(|| panic!("{place}"));
        assert_eq!(schema["type"], "object", "{place}");
        assert!(!schema["required"].as_array().unwrap().is_empty(), "{place}");
        let channels = document["channels"].as_object().unwrap();
        let brokers = channels.iter().filter(|(_, channel)| channel["messages"].get(kind.name).is_some());
        let mut brokers: Vec<_> = brokers.filter_map(|(name, _)| name.split('.').next()).collect();
        brokers.sort_unstable();
        assert_eq!(brokers, ["kafka", "nats"], "{}", kind.name);
        assert!(
            !kind.summary.trim().is_empty() && kind.summary.trim().ends_with('.'),
            "{}: {}",
            kind.name,
            kind.summary
        );
    }
}

#[test]
fn kinds_are_words_and_each_is_there_once() {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let mut seen = BTreeSet::new();
    for kind in shop::catalogue() {
        assert!(kind.name.split('.').all(word) && kind.name.matches('.').count() == 1, "{}", kind.name);
        assert!(seen.insert(kind.name), "{} is there twice", kind.name);
    }
}

#[test]
fn an_envelope_has_the_members_of_its_schema() {
    let all = shop::catalogue();
    let kind = all.iter().find(|kind| kind.name == "user.deleted").unwrap();
    let (kind_name, trace) = (kind.name.to_owned(), "f".repeat(32));
    let user = users_api::UserId::new();
    let payload = json!({ "user_id": user });
    let untold = Untold {
        position: 1,
        id: *EventId::new().uuid(),
        kind: kind_name,
        subject: *user.uuid(),
        payload,
        trace,
        occurred_at: Time::from_micros(0),
    };
    let told = serde_json::to_value(messaging::envelope("users", kind, untold)).unwrap();
    let schema = envelope::schema();
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(members(&told), members(&schema["properties"]));
    assert_eq!(testkit::told::envelope_complaint(&told), None);
    let another = json!({ "data": { "user_id": user }, "dataschema": told["dataschema"], "type": "user.deleted" });
    assert!(testkit::told::envelope_complaint(&another).is_some());
}
