//! The use cases of webhooks, one a function.
use crate::http;
use database::Database;
use kernel::{Check, Clock, EventKind};
use messaging::Listener;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use web::Module;

/// How webhooks behaves.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {}

/// The domain. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks(Arc<Service>);

pub(crate) struct Service {
    db: Database,
    clock: Arc<dyn Clock>,
    kinds: Vec<EventKind>,
}

impl Webhooks {
    /// `db` is migrated; `kinds` are all that any domain tells; `settings` have no problems.
    pub async fn open(
        db: Database,
        clock: Arc<dyn Clock>,
        kinds: Vec<EventKind>,
        settings: Settings,
    ) -> Result<Self, String> {
        let Settings {} = settings;
        Ok(Self(Arc::new(Service { db, clock, kinds })))
    }
    pub fn module(&self) -> Module {
        Module::new("webhooks", http::routes(), Arc::clone(&self.0)).on(self.0.db.clone())
    }
    /// What it hears: everything.
    pub fn listener(&self) -> Listener {
        Listener::default()
    }
    /// Recomputes every invariant from the tables.
    pub async fn audit(&self, _at_rest: bool) -> Result<Vec<Check>, database::Error> {
        Ok(Vec::new())
    }
}
