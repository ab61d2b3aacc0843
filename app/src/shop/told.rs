//! What must hold of every domain's events, whatever it is about.
use super::events::Party;
use crate::settings::ModuleName;
use database::audit::Invariant;
use kernel::{Check, Clock};
use messaging::EventId;

/// What a check is called, whose domain it is of.
macro_rules! named {
    ($module:expr, $name:literal) => {
        match $module {
            ModuleName::Users => concat!("users.", $name),
            ModuleName::Products => concat!("products.", $name),
            ModuleName::Orders => concat!("orders.", $name),
            ModuleName::Webhooks => concat!("webhooks.", $name),
            ModuleName::Storefront => concat!("storefront.", $name),
        }
    };
}

/// Of one domain; the first at any moment, the others at rest.
fn invariants(module: ModuleName) -> [Invariant; 3] {
    let of = |name, holds, rows| Invariant { name, holds, shown: |id| EventId::from(id).to_string(), rows };
    [
        of(
            named!(module, "nothing_was_given_up"),
            "every event that was heard is handled, or tried again: see `cleave events list`",
            "SELECT id AS subject, CASE WHEN dead_at IS NOT NULL THEN kind || ' was given up after ' || tries || ' tries' END \
             AS detail FROM inbox",
        ),
        of(
            named!(module, "everything_was_told"),
            "at rest every event was told",
            "SELECT id AS subject, CASE WHEN published_at IS NULL THEN kind || ' waits to be told' END AS detail FROM outbox",
        ),
        of(
            named!(module, "everything_was_handled"),
            "at rest every event that was heard is handled",
            "SELECT id AS subject, CASE WHEN handled_at IS NULL AND dead_at IS NULL THEN kind || ' waits to be handled' END \
             AS detail FROM inbox",
        ),
    ]
}

pub(super) async fn audit(parties: &[Party], clock: &dyn Clock, at_rest: bool) -> Result<Vec<Check>, String> {
    let mut checks = Vec::new();
    for Party { module, db, .. } in parties {
        let now = clock.now();
        let [always, rest @ ..] = invariants(*module);
        let wanted = std::iter::once(always).chain(rest.into_iter().filter(|_| at_rest));
        for invariant in wanted {
            let check = db.read(move |conn| invariant.check(conn, now)).await;
            checks.push(check.map_err(|error| format!("{module}: {error}"))?);
        }
    }
    Ok(checks)
}
