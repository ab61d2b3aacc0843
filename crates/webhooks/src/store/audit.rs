//! Invariants of webhooks, recomputed from the tables.
use crate::domain::delivery::Sent;
use database::audit::{Invariant, shown};
use webhooks_api::WebhookEndpoint;

/// What holds at every moment.
pub(crate) static ALWAYS: [Invariant; 5] = [
    Invariant {
        name: "webhooks.what_is_heard_is_delivered",
        holds: "every event in the journal that an endpoint hears has a delivery to it",
        shown: shown::<WebhookEndpoint>,
        rows: "SELECT e.id AS subject, CASE WHEN d.id IS NULL THEN 'hears ' || j.kind || ' at position ' || j.position \
               || ', which has no delivery' END AS detail FROM endpoints e JOIN journal j ON j.position > e.hears_from \
               LEFT JOIN deliveries d ON d.endpoint_id = e.id AND d.event_id = j.event_id \
               WHERE e.deleted_at IS NULL AND EXISTS (SELECT 1 FROM endpoint_patterns p WHERE p.endpoint_id = e.id \
               AND (p.pattern = j.kind OR (p.pattern LIKE '%*' AND \
               substr(j.kind, 1, length(p.pattern) - 1) = substr(p.pattern, 1, length(p.pattern) - 1))))",
    },
    Invariant {
        name: "webhooks.tries_are_logged",
        holds: "a delivery has as many tries as it counts, and was delivered by one that was answered well",
        shown: shown::<Sent>,
        rows: "SELECT d.id AS subject, CASE WHEN COALESCE(a.tries, 0) <> d.attempts THEN 'counts ' || d.attempts \
               || ' tries and has ' || COALESCE(a.tries, 0) WHEN d.state = 'delivered' AND COALESCE(a.good, 0) = 0 \
               THEN 'delivered, and no try was answered well' WHEN d.state = 'failed' AND d.attempts = 0 \
               THEN 'failed without a try' END AS detail FROM deliveries d LEFT JOIN (SELECT delivery_id, COUNT(*) AS tries, \
               SUM(CASE WHEN status BETWEEN 200 AND 299 THEN 1 ELSE 0 END) AS good FROM attempts GROUP BY delivery_id) a \
               ON a.delivery_id = d.id",
    },
    Invariant {
        name: "webhooks.journal_has_no_holes",
        holds: "what the journal has lies between what was purged and its head",
        shown: shown::<Sent>,
        rows: "SELECT j.event_id AS subject, CASE WHEN h.id IS NULL OR j.position > h.position OR j.position <= h.purged \
               THEN 'stands at ' || j.position || ', outside of the journal' END AS detail \
               FROM journal j LEFT JOIN journal_head h ON h.id = 1",
    },
    Invariant {
        name: "webhooks.nothing_lies_about",
        holds: "what is being tried is tried by somebody who is alive",
        shown: shown::<Sent>,
        rows: "SELECT d.id AS subject, CASE WHEN d.leased_until < :minutes_ago THEN 'was taken minutes ago, and not ended' \
               END AS detail FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id \
               WHERE d.state = 'pending' AND e.paused_at IS NULL AND e.deleted_at IS NULL",
    },
    Invariant {
        name: "webhooks.endpoints_hear_something",
        holds: "every endpoint hears something, and has a secret",
        shown: shown::<WebhookEndpoint>,
        rows: "SELECT e.id AS subject, CASE WHEN length(e.secret) < 25 THEN 'has no secret' WHEN NOT EXISTS \
               (SELECT 1 FROM endpoint_patterns p WHERE p.endpoint_id = e.id) THEN 'hears nothing' END AS detail \
               FROM endpoints e WHERE e.deleted_at IS NULL",
    },
];
