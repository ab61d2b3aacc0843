//! webhooks over HTTP: the table, a file per noun.
use web::Route;

/// What webhooks serves.
pub fn routes() -> Vec<Route> {
    Vec::new()
}
