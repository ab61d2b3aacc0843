//! Products, variants, stock, categories, imports, exports.
use super::{lamp, nothing};
use crate::{
    pair::{Pair, Who},
    script::people::People,
};
use serde_json::json;

/// What is on sale afterwards.
pub(crate) struct Goods {
    pub variant: String,
    /// Another one, of which there is one piece.
    pub last: String,
    /// One that has a price in yen only.
    pub yen: String,
}

pub(crate) async fn script(pair: &mut Pair, People { anyone, customer, clerk, .. }: &People) -> Goods {
    let category = json!({ "slug": "lamps", "name": "Lamps" });
    pair.twice(clerk.post("/v1/categories", category.clone()), "category-0001").await.expect(201);
    pair.send(clerk.post("/v1/categories", category)).await.problem(409, "slug_taken");
    pair.send(clerk.post("/v1/categories", json!({ "slug": "No Slug", "name": "" }))).await.expect(422);
    pair.send(anyone.get("/v1/categories")).await.expect(200);

    let made = pair.twice(clerk.post("/v1/products", lamp("one", 100)), "product-0001").await.expect(201);
    pair.send(clerk.post("/v1/products", lamp("one", 100))).await.problem(409, "slug_taken");
    pair.send(customer.post("/v1/products", lamp("two", 1))).await.problem(403, "forbidden");
    let last = pair.send(clerk.post("/v1/products", lamp("two", 1))).await.expect(201);
    let mut yen = lamp("yen", 1);
    yen["variants"][0]["prices"] = json!([{ "amount": 5000, "currency": "JPY" }]);
    let yen = pair.send(clerk.post("/v1/products", yen)).await.expect(201).text("/variants/0/id");
    let mut draft = lamp("draft", 1);
    draft["status"] = json!("draft");
    pair.send(clerk.post("/v1/products", draft)).await.expect(201);

    let path = format!("/v1/products/{}", made.text("/id"));
    for who in [anyone, customer, clerk] {
        for path in [&path, "/v1/products/one", "/v1/products/draft", "/v1/storefront/products/one"] {
            pair.send(who.get(path)).await;
            pair.send(who.ask("HEAD", path)).await;
        }
        pair.send(who.get("/v1/storefront/products/draft")).await;
        pair.send(who.get("/v1/storefront/products/none")).await.problem(404, "not_found");
    }
    let tag = pair.send(anyone.get(&path)).await.expect(200).tag();
    for known in [tag.as_str(), "*", &format!("W/{tag}")] {
        pair.send(anyone.get(&path).header("if-none-match", known)).await.expect(304);
        pair.send(anyone.ask("HEAD", &path).header("if-none-match", known)).await.expect(304);
    }
    let retitle =
        clerk.patch(&path, json!({ "title": "Another lamp", "categories": ["lamps"] })).header("if-match", &tag);
    pair.send(retitle.clone()).await.expect(200);
    pair.send(retitle).await.problem(412, "version_mismatch");
    pair.send(clerk.patch(&path, json!({ "slug": "two" }))).await.problem(409, "slug_taken");
    lists(pair, anyone).await;
    let tag = pair.send(anyone.get("/v1/products?limit=2")).await.expect(200).tag();
    pair.send(anyone.get("/v1/products?limit=2").header("if-none-match", &tag)).await.expect(304);
    variants(pair, clerk, made.text("/variants/0/id")).await;

    let gone = pair.send(clerk.post("/v1/products", lamp("gone", 1))).await.expect(201).text("/id");
    pair.send(clerk.delete(&format!("/v1/products/{gone}"))).await.expect(204);
    pair.send(clerk.delete(&format!("/v1/products/{gone}"))).await;
    pair.send(anyone.get(&format!("/v1/products/{gone}"))).await.problem(404, "not_found");
    reviews(pair, &path, [anyone, customer, clerk]).await;
    imports(pair, clerk).await;
    Goods { variant: made.text("/variants/0/id"), last: last.text("/variants/0/id"), yen }
}

async fn reviews(pair: &mut Pair, product: &str, [anyone, customer, clerk]: [&Who; 3]) {
    let path = format!("{product}/reviews");
    let review = json!({ "mark": 4, "title": "Well", "text": "<b>It</b> <script>x</script>glows.", "author": "Ann" });
    let one = pair.twice(customer.post(&path, review.clone()), "review-0001").await.expect(201);
    pair.send(customer.post(&path, review.clone())).await.problem(409, "already_reviewed");
    pair.send(customer.post(&path, json!({ "mark": 6, "author": "x".repeat(101) }))).await.expect(422);
    pair.send(anyone.post(&path, review)).await.problem(401, "unauthenticated");
    let one = format!("/v1/reviews/{}", one.text("/id"));
    for who in [anyone, customer, clerk] {
        pair.send(who.get(&one)).await;
        pair.send(who.get(&path)).await.expect(200);
        pair.send(who.get(&format!("{path}?status=pending&sort=-mark"))).await;
    }
    let tag = pair.send(customer.get(&one)).await.expect(200).tag();
    pair.send(customer.get(&one).header("if-none-match", &tag)).await.expect(304);
    let rewrite = customer.patch(&one, json!({ "mark": 5 })).header("if-match", &tag);
    pair.send(rewrite.clone()).await.expect(200);
    pair.send(rewrite).await.problem(412, "version_mismatch");
    pair.send(clerk.patch(&one, json!({ "mark": 1 }))).await.problem(404, "not_found");
    let verdict = format!("{one}/moderation");
    pair.send(customer.post(&verdict, json!({ "status": "published" }))).await.problem(403, "forbidden");
    pair.send(clerk.post(&verdict, json!({ "status": "published" })).header("if-match", &tag)).await.expect(412);
    pair.send(clerk.post(&verdict, json!({ "status": "pending" }))).await.expect(422);
    pair.twice(clerk.post(&verdict, json!({ "status": "published" })), "verdict-0001").await.expect(200);
    for query in ["?sort=mark&count=true", "?verified=true", "?verified=false&limit=1"] {
        pair.send(anyone.get(&format!("{path}{query}"))).await.expect(200);
    }
    pair.send(anyone.get(&format!("{path}?cursor=nonsense"))).await.problem(400, "invalid_cursor");
    pair.send(anyone.get(&format!("{path}?sort=loudest"))).await.problem(400, "invalid_query");
    pair.send(anyone.get(product)).await.expect(200);
    pair.send(anyone.get(&one)).await.expect(200);
    let none = pair.send(customer.post("/v1/products/two/reviews", json!({ "mark": 1 }))).await.expect(201).text("/id");
    pair.send(customer.delete(&format!("/v1/reviews/{none}"))).await.expect(204);
    pair.send(customer.delete(&format!("/v1/reviews/{none}"))).await.problem(404, "not_found");
    let verdict = clerk.post(&format!("/v1/reviews/{none}/moderation"), json!({ "status": "published" }));
    pair.send(verdict).await.problem(404, "not_found");
}

async fn lists(pair: &mut Pair, anyone: &Who) {
    for query in ["", "?q=lamp&sort=title", "?category=lamps", "?currency=EUR&price_min=1&sort=-price", "?count=true"] {
        pair.send(anyone.get(&format!("/v1/products{query}"))).await.expect(200);
    }
    let mut path = "/v1/products?limit=1&sort=title".to_owned();
    while let Some(next) = pair.send(anyone.get(&path)).await.expect(200).body["next"].as_str() {
        path = format!("/v1/products?limit=1&sort=title&cursor={next}");
    }
    pair.send(anyone.get(&path.replace("sort=title", "sort=newest"))).await.problem(400, "invalid_cursor");
}

async fn variants(pair: &mut Pair, clerk: &Who, one: String) {
    let red = json!({ "options": { "Color": "Red" }, "prices": [{ "amount": 5, "currency": "EUR" }], "stock": 3 });
    let mut shirt = lamp("shirt", 1);
    shirt["options"] = json!([{ "name": "Color", "values": ["Red", "Blue"] }]);
    shirt["variants"] = json!([red]);
    let shirt = pair.send(clerk.post("/v1/products", shirt)).await.expect(201);
    let more = format!("/v1/products/{}/variants", shirt.text("/id"));
    let blue = json!({ "options": { "Color": "Blue" }, "stock": 3 });
    pair.twice(clerk.post(&more, blue), "variant-0001").await.expect(201);
    pair.send(clerk.post(&more, red)).await.problem(409, "options_taken");
    pair.send(clerk.post(&more, json!({ "options": { "Size": "L" } }))).await.expect(422);

    let path = format!("/v1/variants/{}", shirt.text("/variants/0/id"));
    let resku = clerk.patch(&path, json!({ "sku": "red-shirt" }));
    let tag = pair.send(resku.clone()).await.expect(200).header("etag").map(str::to_owned);
    if let Some(tag) = tag {
        pair.send(resku.clone().header("if-match", &tag)).await.expect(200);
    }
    pair.send(resku.header("if-match", "\"99-0\"")).await.problem(412, "version_mismatch");
    pair.send(clerk.patch(&path, json!({ "prices": [{ "amount": -1, "currency": "EUR" }] }))).await.expect(422);

    let stock = format!("/v1/variants/{one}/stock");
    pair.send(clerk.get(&stock)).await.expect(200);
    pair.send(clerk.put(&stock, json!({ "on_hand": 50 }))).await.expect(200);
    pair.send(clerk.put(&stock, json!({ "on_hand": -1 }))).await.expect(422);
    let adjust = |delta: i64| clerk.post(&format!("/v1/variants/{one}/stock-adjustments"), json!({ "delta": delta }));
    pair.twice(adjust(5), "adjustment-0001").await.expect(200);
    pair.send(adjust(-1000)).await.problem(409, "below_reserved");
    pair.send(clerk.get(&format!("/v1/variants/{}/stock", nothing("var")))).await.problem(404, "not_found");
}

async fn imports(pair: &mut Pair, clerk: &Who) {
    let mut file = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n".to_owned();
    for row in 0..300 {
        file.push_str(&format!("imported-{row},Imported {row},Title,Default Title,imp-{row},{row}.50\n"));
    }
    file.push_str("broken,Broken,Title,Default Title,broken,not a price\n");
    let import = |query: &str| clerk.ask("POST", &format!("/v1/imports{query}")).body("text/csv", file.clone());
    let done = |import: &serde_json::Value| import["status"] == "done" || import["status"] == "failed";
    // In one piece, in many, and with a key.
    let begun = pair.send(import("?currency=EUR")).await.expect(202).text("/id");
    pair.until(clerk.get(&format!("/v1/imports/{begun}")), done).await.expect(200);
    let begun = pair.send(import("?currency=EUR&dry_run=true").chunked()).await.expect(202).text("/id");
    pair.until(clerk.get(&format!("/v1/imports/{begun}")), done).await.expect(200);
    let begun = pair.twice(import("?currency=USD"), "import-0001").await.expect(202).text("/id");
    pair.until(clerk.get(&format!("/v1/imports/{begun}")), done).await.expect(200);
    let other = clerk.ask("POST", "/v1/imports?currency=USD").body("text/csv", "Handle\n");
    pair.send(other.header("idempotency-key", "import-0001")).await.problem(422, "idempotency_key_reused");
    for nonsense in ["", "\0\0", "a,b,c\n1,2\n", "\"unclosed"] {
        let begun = pair.send(clerk.ask("POST", "/v1/imports").body("text/csv", nonsense)).await;
        if begun.status == 202 {
            pair.until(clerk.get(&format!("/v1/imports/{}", begun.text("/id"))), done).await.expect(200);
        }
    }
    pair.send(clerk.get("/v1/exports/products?currency=EUR")).await.expect(200);
    pair.send(clerk.ask("HEAD", "/v1/exports/products?currency=EUR")).await;
    pair.send(clerk.get("/v1/exports/products?currency=XXX")).await.problem(400, "invalid_query");
}
