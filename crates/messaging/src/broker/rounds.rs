//! What of a batch may be under way at once.
use crate::Envelope;
use std::collections::HashMap;

/// The n-th event of every subject is in the n-th round, and a round is begun when all of the one before it are kept.
///
/// Were a subject's events sent together, a later one could be kept where an earlier one failed, and stand before it
/// for ever once that is tried again. So a batch takes as many turns as its longest subject has events, and batches
/// are mostly of many subjects.
pub(super) fn rounds(events: &[Envelope]) -> Vec<Vec<&Envelope>> {
    let mut told: HashMap<&str, usize> = HashMap::new();
    let mut rounds: Vec<Vec<&Envelope>> = Vec::new();
    for event in events {
        let round = told.entry(&event.subject).or_default();
        if rounds.len() == *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(event);
        *round += 1;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventId, MediaType, SpecVersion};
    use kernel::Time;

    fn event(subject: &str) -> Envelope {
        Envelope {
            specversion: SpecVersion::V1,
            id: EventId::new(),
            source: "/orders".into(),
            kind: "order.placed".into(),
            subject: subject.into(),
            time: Time::from_micros(0),
            datacontenttype: MediaType::Json,
            dataschema: String::new(),
            traceparent: String::new(),
            data: serde_json::Value::Null,
        }
    }

    #[test]
    fn no_round_has_a_subject_twice_and_order_is_kept() {
        let events = ["a", "b", "a", "c", "a", "b"].map(event);
        let ids = |round: &Vec<&Envelope>| round.iter().map(|event| event.id).collect::<Vec<_>>();
        let all: Vec<_> = rounds(&events).iter().map(ids).collect();
        let at = |places: &[usize]| places.iter().map(|place| events[*place].id).collect::<Vec<_>>();
        assert_eq!(all, [at(&[0, 1, 3]), at(&[2, 5]), at(&[4])]);
        assert!(rounds(&[]).is_empty());
    }
}
