//! products over HTTP: the table, a file per noun.
mod bodies;
mod categories;
mod imports;
mod problems;
mod products;
mod reviews;
pub(crate) mod shown;
mod stock;
mod variants;

use crate::service::MODERATE;
use bodies::ChangeProduct;
pub(crate) use bodies::NewProductBody;
use categories::CategoryBody;
pub(crate) use categories::NewCategoryBody;
use imports::ImportBody;
use kernel::{Code, Needs};
use reviews::{ChangeReview, ModerationBody, NewReviewBody, ReviewBody};
use shown::ProductBody;
use stock::{Adjustment, Count, MovementBody, StockBody};
use variants::{AddVariant, ChangeVariant, SoldBody};
use web::{Paged, Route, delete, get, patch, post, put};

const READ: Needs = Needs::Permission("products:read");
const WRITE: Needs = Needs::Permission("products:write");
const REVIEWS: Needs = Needs::Permission(MODERATE);
const STOCK_READ: Needs = Needs::Permission("stock:read");
const STOCK_WRITE: Needs = Needs::Permission("stock:write");

pub fn routes() -> Vec<Route> {
    let mut routes = catalogue();
    routes.extend(variants());
    routes.extend(reviews());
    routes.extend(files());
    routes
}

fn catalogue() -> Vec<Route> {
    use Needs::Nothing;
    vec![
        get("/v1/products", Nothing, products::list)
            .says("List products: the active ones, or with `products:read` all")
            .gives::<Paged<ProductBody>>(200, "A page")
            .gives_nothing(304, "What the client has")
            .paged()
            .query("q", "words, each the beginning of a word of the title, a tag, a SKU or a category's name")
            .query("category", "a category's slug; those directly below it are included")
            .query("currency", "ISO 4217; what price filters and sorts are in")
            .query("price_min", "minor units; a variant costs this or more")
            .query("price_max", "minor units; a variant costs this or less")
            .query("sort", "newest (when not given), price, -price, title or best_selling")
            .query("status", "draft, active or archived; for holders of `products:read`")
            .query("count", "true: count them as well, up to 10,000"),
        post("/v1/products", WRITE, products::create)
            .says("Create a product")
            .takes::<NewProductBody>()
            .gives::<ProductBody>(201, "The product")
            .keyed()
            .fails(&[Code::SlugTaken]),
        get("/v1/products/{product}", Nothing, products::show)
            .says("A product by its id or slug")
            .gives::<ProductBody>(200, "The product")
            .gives_nothing(304, "What the client has"),
        patch("/v1/products/{product}", WRITE, products::change)
            .says("Change a product")
            .takes::<ChangeProduct>()
            .gives::<ProductBody>(200, "The product")
            .conditional()
            .fails(&[Code::SlugTaken]),
        delete("/v1/products/{product}", WRITE, products::archive)
            .says("Archive a product: it is not sold any more")
            .gives_nothing(204, "Archived"),
        get("/v1/categories", Nothing, categories::list)
            .says("All categories, by slug")
            .gives::<Paged<CategoryBody>>(200, "All of them"),
        post("/v1/categories", WRITE, categories::create)
            .says("Create a category")
            .takes::<NewCategoryBody>()
            .gives::<CategoryBody>(201, "The category")
            .keyed()
            .fails(&[Code::SlugTaken]),
    ]
}

fn variants() -> Vec<Route> {
    vec![
        post("/v1/products/{product}/variants", WRITE, variants::add)
            .says("Add a variant to a product")
            .takes::<AddVariant>()
            .gives::<SoldBody>(201, "The variant")
            .keyed()
            .fails(&[Code::OptionsTaken]),
        patch("/v1/variants/{id}", WRITE, variants::change)
            .says("Change a variant; If-Match takes the version of its product")
            .takes::<ChangeVariant>()
            .gives::<SoldBody>(200, "The variant")
            .conditional(),
        get("/v1/variants/{id}/stock", STOCK_READ, stock::show)
            .says("What there is of a variant")
            .gives::<StockBody>(200, "The stock"),
        put("/v1/variants/{id}/stock", STOCK_WRITE, stock::count)
            .says("Set what is on hand, as it was counted")
            .takes::<Count>()
            .gives::<StockBody>(200, "The stock")
            .fails(&[Code::BelowReserved]),
        post("/v1/variants/{id}/stock-adjustments", STOCK_WRITE, stock::adjust)
            .says("Add to what is on hand, or take from it")
            .takes::<Adjustment>()
            .gives::<StockBody>(200, "The stock")
            .keyed()
            .fails(&[Code::BelowReserved]),
        get("/v1/variants/{id}/stock-movements", STOCK_READ, stock::movements)
            .says("What changed the stock of a variant, newest first; all of it adds up to the stock")
            .gives::<Paged<MovementBody>>(200, "A page")
            .paged()
            .query("count", "true: count them as well, up to 10,000"),
    ]
}

fn reviews() -> Vec<Route> {
    use Needs::{Nothing, User};
    vec![
        get("/v1/products/{product}/reviews", Nothing, reviews::list)
            .says("List a product's reviews: the published ones, or with `reviews:moderate` all")
            .gives::<Paged<ReviewBody>>(200, "A page")
            .paged()
            .query("sort", "newest (when not given), mark or -mark")
            .query("verified", "true: by those who bought it; false: by those who did not")
            .query("status", "pending, published or rejected; for holders of `reviews:moderate`")
            .query("count", "true: count them as well, up to 10,000"),
        post("/v1/products/{product}/reviews", User, reviews::submit)
            .says("Review a product, once")
            .takes::<NewReviewBody>()
            .gives::<ReviewBody>(201, "The review")
            .keyed()
            .fails(&[Code::AlreadyReviewed]),
        get("/v1/reviews/{id}", Nothing, reviews::show)
            .says("A review; until it is published its author's and staff's alone")
            .gives::<ReviewBody>(200, "The review")
            .gives_nothing(304, "What the client has"),
        patch("/v1/reviews/{id}", User, reviews::change)
            .says("Change a review that you wrote; it waits to be published again")
            .takes::<ChangeReview>()
            .gives::<ReviewBody>(200, "The review")
            .conditional(),
        delete("/v1/reviews/{id}", User, reviews::delete)
            .says("Delete a review: your own, or with `reviews:moderate` any")
            .gives_nothing(204, "Deleted"),
        post("/v1/reviews/{id}/moderation", REVIEWS, reviews::moderate)
            .says("Publish or reject a review; If-Match takes the version that was looked at")
            .takes::<ModerationBody>()
            .gives::<ReviewBody>(200, "The review")
            .keyed()
            .conditional(),
    ]
}

fn files() -> Vec<Route> {
    vec![
        post("/v1/imports", WRITE, imports::create)
            .says("Import a file of products, up to 64 MiB; the same file again changes nothing")
            .streams("text/csv")
            .gives::<ImportBody>(202, "The import, which goes on by itself")
            .query("format", "shopify (when not given)")
            .query("currency", "ISO 4217; what the file's prices are in")
            .query("dry_run", "true: write nothing, say what would be")
            .keyed()
            .fails(&[Code::InvalidQuery, Code::BodyTooLarge, Code::UnsupportedMediaType]),
        get("/v1/imports/{id}", WRITE, imports::show)
            .says("What came of an import so far")
            .gives::<ImportBody>(200, "The import"),
        get("/v1/exports/products", READ, imports::export)
            .says("All products as a file of Shopify's format (text/csv)")
            .gives_stream(200, "text/csv", "The file")
            .query("format", "shopify (when not given)")
            .query("currency", "ISO 4217; the prices in it are written")
            .fails(&[Code::InvalidQuery]),
    ]
}

#[cfg(test)]
mod tests {
    use super::routes;
    use std::collections::HashSet;

    #[test]
    fn the_table_makes_a_document() {
        let (routes, mut seen) = (routes(), HashSet::new());
        assert!(
            routes.iter().all(|route| seen.insert((route.method.clone(), route.path)) && !route.summary.is_empty())
        );
        let document: serde_json::Value = serde_json::from_str(&web::document(&routes, "0")).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in ["Product", "NewProduct", "Variant", "Money", "Import", "Category", "Stock"] {
            assert!(schemas.contains_key(name), "{name} of {:?}", schemas.keys());
        }
    }
}
