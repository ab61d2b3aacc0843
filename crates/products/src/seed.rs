//! The demonstration shop: what it sells goes the same way as what comes over HTTP.
use crate::{
    Products,
    http::{NewCategoryBody, NewProductBody},
    service::Error,
};
use database::once::Once;
use kernel::{Call, Principal, Trace};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

impl Products {
    /// Products and categories, parents first, each in the shape in which it is created; the categories are made first.
    ///
    /// # Errors
    /// In words: which of them is refused, and why.
    pub async fn seed(&self, products: Vec<Value>, categories: Vec<Value>) -> Result<(), String> {
        let call = Call::begin(Principal::Anonymous, Trace(0), Duration::from_secs(60));
        for (n, category) in categories.into_iter().enumerate() {
            let refused = |why: String| format!("category {n}: {why}");
            let new = body::<NewCategoryBody>(category).map_err(refused)?.read().map_err(|p| refused(shown(&p)))?;
            there(self.0.create_category(&call, new, Once::unkeyed()).await)
                .map_err(|error| refused(error.to_string()))?;
        }
        for (n, product) in products.into_iter().enumerate() {
            let refused = |why: String| format!("product {n}: {why}");
            let new = body::<NewProductBody>(product).map_err(refused)?.read().map_err(|p| refused(shown(&p)))?;
            there(self.0.create(&call, new, Once::unkeyed()).await).map_err(|error| refused(error.to_string()))?;
        }
        Ok(())
    }
}

fn body<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|why| why.to_string())
}

fn shown(problem: &web::Problem) -> String {
    String::from_utf8_lossy(problem.reply().body()).into_owned()
}

/// A seeding that was broken off begins again: what it made before is no mistake.
fn there<T>(made: Result<T, Error>) -> Result<(), Error> {
    match made {
        Ok(_) | Err(Error::SlugTaken) => Ok(()),
        Err(error) => Err(error),
    }
}
