use crate::{
    goods::{lamp, made, pages, refused},
    shop,
};
use serde_json::{Value, json};
use testkit::unique;

/// Active products with one tag, so that a list of them is a test's own: title, and price in euro cents or none.
async fn shelf(tag: &str, all: &[(&str, Option<i64>)]) {
    for (title, price) in all {
        let prices = price.map(|amount| json!([{ "amount": amount, "currency": "EUR" }])).unwrap_or(json!([]));
        let product = json!({ "title": title, "status": "active", "tags": [tag], "variants": [{ "prices": prices }] });
        made(shop(), product).await;
    }
}

async fn titles(query: &str, limit: usize) -> Vec<String> {
    pages(&shop().anonymous(), &format!("/v1/products?{query}"), limit, "/title").await
}

/// A word without a dash, so that a search takes it as one.
fn word() -> String {
    unique("t").replace('-', "")
}

#[tokio::test]
async fn a_product_is_found_by_id_and_by_slug() {
    let slug = unique("desk-lamp");
    let product = json!({
        "title": "  Desk Lamp ", "slug": slug, "description": "<p>Bright</p>", "status": "active",
        "options": [{ "name": "Color", "values": ["Red", "Blue"] }],
        "tags": ["light"], "images": [{ "src": "https://pictures.example/lamp.jpg", "alt": "A lamp" }],
        "variants": [
            { "sku": "L-R", "options": { "Color": "Red" }, "prices": [{ "amount": 1999, "currency": "EUR" }], "stock": 10 },
            { "options": { "Color": "Blue" }, "prices": [{ "amount": 2199, "currency": "EUR" }, { "amount": 9, "currency": "BHD" }], "track_stock": false },
        ],
    });
    let new = made(shop(), product).await;
    assert_eq!(
        (new.text("/title"), new.text("/slug"), new.number("/version")),
        ("Desk Lamp".to_owned(), slug.clone(), 1)
    );
    assert_eq!(new.header("location"), Some(format!("/v1/products/{}", new.text("/id")).as_str()));
    let by_id = shop().anonymous().get(&format!("/v1/products/{}", new.text("/id"))).send().await.expect(200);
    let by_slug = shop().anonymous().get(&format!("/v1/products/{slug}")).send().await.expect(200);
    assert_eq!((by_id.json(), by_slug.json()), (new.json(), new.json()));
    assert_eq!(new.at("/variants/0/options"), json!({ "Color": "Red" }));
    assert_eq!((new.number("/variants/0/available"), new.at("/variants/1/available")), (10, Value::Null));
    assert_eq!(new.text("/variants/1/prices/0/currency"), "BHD", "prices stand in the order of their currencies");
}

#[tokio::test]
async fn a_slug_is_made_of_the_title() {
    let word = word();
    let first = made(shop(), json!({ "title": format!("Größe {word}!"), "variants": [{}] })).await;
    let second = made(shop(), json!({ "title": format!("Größe {word}?"), "variants": [{}] })).await;
    assert_eq!(first.text("/slug"), format!("grosse-{word}"));
    assert!(second.text("/slug").starts_with(&format!("grosse-{word}-")), "{}", second.text("/slug"));
    assert_eq!(first.text("/status"), "draft");
}

#[tokio::test]
async fn a_chosen_slug_is_taken_once() {
    let slug = unique("chosen");
    let (staff, mut product) = (shop().staff().await, lamp());
    product["slug"] = json!(slug);
    staff.post("/v1/products", product.clone()).send().await.expect(201);
    staff.post("/v1/products", product).send().await.problem(409, "slug_taken");
    let other = made(shop(), lamp()).await.text("/id");
    let renamed = staff.patch(&format!("/v1/products/{other}"), json!({ "slug": slug })).send().await;
    renamed.problem(409, "slug_taken");
}

#[tokio::test]
async fn a_draft_is_for_staff() {
    let mut product = lamp();
    product["status"] = json!("draft");
    let (title, made) = (product["title"].as_str().unwrap().to_owned(), made(shop(), product).await);
    let (staff, customer) = (shop().staff().await, shop().customer().await);
    for path in [format!("/v1/products/{}", made.text("/id")), format!("/v1/products/{}", made.text("/slug"))] {
        shop().anonymous().get(&path).send().await.problem(404, "not_found");
        customer.get(&path).send().await.problem(404, "not_found");
        staff.get(&path).send().await.expect(200);
    }
    let list = format!("/v1/products?q={title}");
    assert!(pages(&shop().anonymous(), &list, 10, "/title").await.is_empty());
    assert_eq!(pages(&staff, &list, 10, "/title").await, std::slice::from_ref(&title));
    assert_eq!(pages(&staff, &format!("{list}&status=draft"), 10, "/title").await, [title]);
    assert!(pages(&staff, &format!("{list}&status=active"), 10, "/title").await.is_empty());
    // who may not see drafts has no such parameter
    shop().anonymous().get("/v1/products?status=draft").send().await.problem(400, "invalid_query");
}

#[tokio::test]
async fn every_sort_goes_through_all_pages() {
    let tag = word();
    let goods =
        [("Zebra", Some(300)), ("Äpfel", Some(100)), ("apple", None), ("Banana", Some(200)), ("zebra", Some(200))];
    shelf(&tag, &goods).await;
    for limit in [1, 2, 3, 5, 100] {
        let newest = titles(&format!("q={tag}"), limit).await;
        assert_eq!(newest, ["zebra", "Banana", "apple", "Äpfel", "Zebra"], "{limit}");
        assert_eq!(titles(&format!("q={tag}&sort=newest"), limit).await, newest, "{limit}");
        let mut by_title = titles(&format!("q={tag}&sort=title"), limit).await;
        assert_eq!(by_title.split_off(3).iter().map(|title| title.to_lowercase()).collect::<Vec<_>>(), ["zebra"; 2]);
        assert_eq!(by_title, ["Äpfel", "apple", "Banana"], "{limit}");
        let price = titles(&format!("q={tag}&sort=price&currency=EUR"), limit).await;
        assert_eq!((price.len(), price[0].as_str(), price[3].as_str()), (4, "Äpfel", "Zebra"), "{limit}: {price:?}");
        let down = titles(&format!("q={tag}&sort=-price&currency=EUR"), limit).await;
        assert_eq!((down.len(), down[0].as_str(), down[3].as_str()), (4, "Zebra", "Äpfel"), "{limit}: {down:?}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_sort_and_filters() {
    let tag = word();
    shelf(&tag, &[("A", Some(1)), ("B", Some(2)), ("C", Some(3))]).await;
    let anonymous = shop().anonymous();
    let sorts =
        ["", "&sort=title", "&sort=price&currency=EUR", "&sort=-price&currency=EUR", "&price_min=0&currency=EUR"];
    for sort in sorts {
        let list = format!("/v1/products?limit=1&q={tag}{sort}");
        let next = anonymous.get(&list).send().await.expect(200).text("/next");
        anonymous.get(&format!("{list}&cursor={next}")).send().await.expect(200);
        for other in sorts.iter().filter(|other| **other != sort) {
            let foreign = anonymous.get(&format!("/v1/products?limit=1&q={tag}{other}&cursor={next}")).send().await;
            foreign.problem(400, "invalid_cursor");
        }
        let staff = shop().staff().await.get(&format!("{list}&cursor={next}")).send().await;
        staff.problem(400, "invalid_cursor"); // staff sees another list
    }
}

#[tokio::test]
async fn a_search_takes_the_beginnings_of_words() {
    let tag = word();
    shelf(&tag, &[("Träumerei Grußkarten", None), ("Traumhaus", None), ("Café №5", None)]).await;
    let find = |q: &str| {
        let q = q.to_owned();
        let tag = &tag;
        async move { titles(&format!("q={tag}%20{q}"), 10).await }
    };
    assert_eq!(find("TRÄU").await, ["Traumhaus", "Träumerei Grußkarten"]);
    assert_eq!(find("traumerei").await, ["Träumerei Grußkarten"]);
    assert_eq!(find("gru%20tra").await, ["Träumerei Grußkarten"]);
    assert_eq!(find("cafe%20no5").await, ["Café №5"]);
    assert!(find("haus").await.is_empty(), "the middle of a word is not its beginning");
    assert!(find("%25").await.len() == 3, "what is no word asks for nothing more");
    assert!(titles("q=%25_%27", 10).await.is_empty(), "and alone it finds nothing");
}

#[tokio::test]
async fn a_search_knows_skus_and_categories() {
    let (sku, category) = (word(), word());
    let staff = shop().staff().await;
    staff.post("/v1/categories", json!({ "name": format!("Group {category}") })).send().await.expect(201);
    let product = json!({ "title": "Thing", "status": "active", "categories": [format!("group-{category}")], "variants": [{ "sku": sku }] });
    made(shop(), product).await;
    assert_eq!(titles(&format!("q={sku}"), 10).await, ["Thing"]);
    assert_eq!(titles(&format!("q={category}"), 10).await, ["Thing"]);
}

#[tokio::test]
async fn a_category_includes_those_directly_below() {
    let staff = shop().staff().await;
    let (top, below) = (unique("top"), unique("below"));
    staff.post("/v1/categories", json!({ "name": "Top", "slug": top })).send().await.expect(201);
    let child = json!({ "name": "Below", "slug": below, "parent": top });
    staff.post("/v1/categories", child).send().await.expect(201);
    for (title, category) in [("Above", &top), ("Beneath", &below)] {
        let product = json!({ "title": title, "status": "active", "categories": [category], "variants": [{}] });
        made(shop(), product).await;
    }
    assert_eq!(titles(&format!("category={top}&sort=title"), 10).await, ["Above", "Beneath"]);
    assert_eq!(titles(&format!("category={below}"), 10).await, ["Beneath"]);
    assert!(titles(&format!("category={}", unique("none")), 10).await.is_empty());
}

#[tokio::test]
async fn prices_are_filtered_in_one_currency() {
    let tag = word();
    shelf(&tag, &[("Cheap", Some(100)), ("Dear", Some(200)), ("Free", Some(0)), ("Unpriced", None)]).await;
    let find = |filter: &str| {
        let query = format!("q={tag}&sort=title&currency=EUR&{filter}");
        async move { titles(&query, 10).await }
    };
    assert_eq!(find("price_min=100").await, ["Cheap", "Dear"]);
    assert_eq!(find("price_max=100").await, ["Cheap", "Free"]);
    assert_eq!(find("price_min=100&price_max=100").await, ["Cheap"]);
    assert!(find("price_min=200&price_max=100").await.is_empty());
    assert!(titles(&format!("q={tag}&currency=USD&price_min=0"), 10).await.is_empty());
    let anonymous = shop().anonymous();
    anonymous.get("/v1/products?price_min=1").send().await.problem(400, "invalid_query");
    anonymous.get("/v1/products?sort=price").send().await.problem(400, "invalid_query");
}

#[tokio::test]
async fn a_list_is_counted_when_asked() {
    let tag = word();
    shelf(&tag, &[("A", None), ("B", None), ("C", None)]).await;
    let list = |more: &str| {
        let path = format!("/v1/products?q={tag}&limit=2{more}");
        async move { shop().anonymous().get(&path).send().await.expect(200) }
    };
    let counted = list("&count=true").await;
    assert_eq!((counted.number("/count"), counted.at("/count_capped")), (3, json!(false)));
    assert!(list("").await.json().get("count").is_none());
}

#[tokio::test]
async fn a_product_changes_in_the_version_that_was_read() {
    let (staff, made) = (shop().staff().await, made(shop(), lamp()).await);
    let path = format!("/v1/products/{}", made.text("/id"));
    let tag = staff.get(&path).send().await.header("etag").unwrap().to_owned();
    assert_eq!(made.header("etag"), Some(tag.as_str()));
    let changed =
        staff.patch(&path, json!({ "title": "Other", "tags": ["new"] })).header("if-match", &tag).send().await;
    let changed = changed.expect(200);
    assert_eq!((changed.text("/title"), changed.number("/version")), ("Other".to_owned(), 2));
    assert_eq!(changed.at("/variants"), made.at("/variants"), "what was not given stays");
    let stale = staff.patch(&path, json!({ "title": "Lost" })).header("if-match", &tag).send().await;
    stale.problem(412, "version_mismatch");
    staff.patch(&path, json!({ "title": "Any" })).header("if-match", "*").send().await.expect(200);
    staff
        .patch(&path, json!({ "title": "X" }))
        .header("if-match", "nonsense")
        .send()
        .await
        .problem(400, "invalid_header");
}

#[tokio::test]
async fn a_product_is_not_sent_twice() {
    let path = format!("/v1/products/{}", made(shop(), lamp()).await.text("/id"));
    let anonymous = shop().anonymous();
    let tag = anonymous.get(&path).send().await.header("etag").unwrap().to_owned();
    anonymous.get(&path).header("if-none-match", format!("\"x\", {tag}")).send().await.expect(304);
    anonymous.get(&path).header("if-none-match", "\"x\"").send().await.expect(200);
}

#[tokio::test]
async fn a_list_is_not_sent_twice_until_something_in_it_changes() {
    let title = unique("Listed").replace('-', "");
    let product = json!({ "title": title, "slug": unique("listed"), "status": "active", "variants": [{ "stock": 5 }] });
    let made = made(shop(), product).await;
    let list = format!("/v1/products?q={title}");
    let (anonymous, staff) = (shop().anonymous(), shop().staff().await);
    for who in [&anonymous, &staff] {
        let tag = who.get(&list).send().await.expect(200).header("etag").unwrap().to_owned();
        who.get(&list).header("if-none-match", &tag).send().await.expect(304);
    }
    let seen = async |pointer: &str| anonymous.get(&list).send().await.expect(200).at(pointer);
    let stock = format!("/v1/variants/{}/stock", made.text("/variants/0/id"));
    staff.put(&stock, json!({ "on_hand": 3 })).send().await.expect(200);
    assert_eq!(seen("/items/0/variants/0/available").await, 3);
    let path = format!("/v1/products/{}", made.text("/id"));
    staff.patch(&path, json!({ "description": "<p>new</p>" })).send().await.expect(200);
    assert_eq!(seen("/items/0/description").await, "<p>new</p>");
    let variants = format!("{path}/variants");
    staff.patch(&path, json!({ "status": "draft" })).send().await.expect(200);
    assert_eq!(seen("/items").await, json!([]));
    staff.patch(&path, json!({ "status": "active" })).send().await.expect(200);
    assert_eq!(seen("/items/0/id").await, made.text("/id"));
    staff.post(&variants, json!({})).send().await.problem(409, "options_taken");
    staff.delete(&path).send().await.expect(204);
    assert_eq!(seen("/items").await, json!([]));
}

#[tokio::test]
async fn who_understands_compression_is_sent_less() {
    let title = unique("Long").replace('-', "");
    let description = "Washable at forty degrees. ".repeat(100);
    let product = json!({ "title": title, "status": "active", "description": description, "variants": [{}] });
    let made = made(shop(), product).await;
    let (anonymous, staff) = (shop().anonymous(), shop().staff().await);
    let path = format!("/v1/products/{}", made.text("/id"));
    for asked in [path.clone(), format!("/v1/products?q={title}")] {
        let plain = anonymous.get(&asked).send().await.expect(200);
        assert_eq!((plain.header("vary"), plain.header("content-encoding")), (Some("accept-encoding"), None));
        let mut tags = vec![plain.header("etag").unwrap().to_owned()];
        let length: usize = plain.header("content-length").unwrap().parse().unwrap();
        for encoding in ["br", "zstd", "gzip"] {
            // The second time it is there already.
            for _ in 0..2 {
                let request = anonymous.get(&asked).header("accept-encoding", format!("identity, {encoding}"));
                let sent = request.stream().await;
                let header = |name: &str| sent.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
                assert_eq!((sent.status().as_u16(), header("content-encoding").as_deref()), (200, Some(encoding)));
                assert_eq!(header("vary").as_deref(), Some("accept-encoding"));
                tags.push(header("etag").unwrap());
                let shorter = sent.bytes().await.unwrap().len();
                assert!(shorter * 2 < length, "{encoding}: {shorter} of {length}");
            }
        }
        tags.dedup();
        assert_eq!(tags.len(), 4, "a form, a tag: {tags:?}");
        for tag in tags {
            let known =
                |accepts: &str| anonymous.get(&asked).header("accept-encoding", accepts).header("if-none-match", &tag);
            let held = known("gzip, br, zstd").send().await.expect(304);
            assert_eq!((held.header("etag"), held.header("vary")), (Some(tag.as_str()), Some("accept-encoding")));
            // Nobody is told that a form is still good which they could not read.
            let plain = known("identity").send().await;
            assert_eq!(plain.status, if plain.header("etag") == Some(tag.as_str()) { 304 } else { 200 });
        }
    }
    let tag = anonymous.get(&path).header("accept-encoding", "br").stream().await;
    let tag = tag.headers()["etag"].to_str().unwrap().to_owned();
    let change = |title: &str| staff.patch(&path, json!({ "title": title })).header("if-match", &tag);
    change("Longer").send().await.expect(200);
    change("Longest").send().await.problem(412, "version_mismatch");
}

#[tokio::test]
async fn stock_that_moves_makes_a_new_answer_of_the_same_version() {
    let made = made(shop(), lamp()).await;
    let path = format!("/v1/products/{}", made.text("/id"));
    let stock = format!("/v1/variants/{}/stock", made.text("/variants/0/id"));
    let tag = made.header("etag").unwrap();
    shop().staff().await.put(&stock, json!({ "on_hand": 3 })).send().await.expect(200);
    let shown = shop().anonymous().get(&path).header("if-none-match", tag).send().await.expect(200);
    assert_eq!((shown.number("/version"), shown.number("/variants/0/available")), (1, 3));
}

#[tokio::test]
async fn an_archived_product_is_not_shown() {
    let (staff, made) = (shop().staff().await, made(shop(), lamp()).await);
    let path = format!("/v1/products/{}", made.text("/slug"));
    staff.delete(&path).send().await.expect(204);
    shop().anonymous().get(&path).send().await.problem(404, "not_found");
    assert_eq!(staff.get(&path).send().await.expect(200).text("/status"), "archived");
    staff.delete(&path).send().await.expect(204);
    assert!(titles(&format!("q={}", made.text("/title")), 10).await.is_empty());
}

#[tokio::test]
async fn a_bad_product_is_told_where() {
    let product = json!({
        "title": " ", "slug": "No Slug", "status": "sold", "categories": ["x y"], "tags": ["a", "a"],
        "images": [{ "src": "javascript:alert(1)" }],
        "variants": [{ "stock": -1, "prices": [{ "amount": -1, "currency": "EUR" }] }],
    });
    let answer = shop().staff().await.post("/v1/products", product).send().await;
    let expected = [
        ("/title", "required"),
        ("/slug", "invalid_format"),
        ("/status", "invalid_format"),
        ("/categories/0", "unknown"),
        ("/tags/1", "duplicate"),
        ("/images/0/src", "invalid_format"),
        ("/variants/0/prices/0/amount", "out_of_range"),
        ("/variants/0/stock", "out_of_range"),
    ];
    refused(answer, &expected);
}

#[tokio::test]
async fn options_and_variants_must_fit() {
    let staff = shop().staff().await;
    let colors = json!([{ "name": "Color", "values": ["Red", "Blue"] }]);
    let post = |options: &Value, variants: Value| {
        staff.post("/v1/products", json!({ "title": "T", "options": options, "variants": variants })).send()
    };
    let red = json!({ "options": { "Color": "Red" } });
    refused(post(&colors, json!([])).await, &[("/variants", "required")]);
    refused(post(&colors, json!([{}])).await, &[("/variants/0/options/Color", "required")]);
    refused(post(&colors, json!([red, red])).await, &[("/variants/1/options", "duplicate")]);
    let green = json!({ "options": { "Color": "Green", "Size": "S" } });
    let unknown = [("/variants/0/options/Size", "unknown"), ("/variants/0/options/Color", "unknown")];
    refused(post(&colors, json!([green])).await, &unknown);
    let twice = json!([{ "name": "Color", "values": ["Red"] }, { "name": "Color", "values": ["Red"] }]);
    refused(post(&twice, json!([red])).await, &[("/options/1", "duplicate")]);
    refused(
        post(&json!([{ "name": "Color", "values": [] }]), json!([red])).await,
        &[("/options/0/values", "required"), ("/variants/0/options/Color", "unknown")],
    );
    let many = json!([1, 2, 3, 4].map(|n| json!({ "name": n.to_string(), "values": ["x"] })));
    refused(post(&many, json!([{}])).await, &[("/options", "too_many")]);
    let slash = json!([{ "name": "a/b~c", "values": ["x"] }]);
    refused(post(&slash, json!([{}])).await, &[("/variants/0/options/a~1b~0c", "required")]);
}

#[tokio::test]
async fn a_category_that_is_not_there_is_refused_and_nothing_is_made() {
    let slug = unique("half");
    let mut product = lamp();
    product["slug"] = json!(slug);
    product["categories"] = json!([unique("none")]);
    let staff = shop().staff().await;
    refused(staff.post("/v1/products", product).send().await, &[("/categories/0", "unknown")]);
    staff.get(&format!("/v1/products/{slug}")).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn options_may_gain_values_but_not_lose_what_is_sold() {
    let product = json!({ "title": "Shirt", "options": [{ "name": "Size", "values": ["S"] }], "variants": [{ "options": { "Size": "S" } }] });
    let (staff, made) = (shop().staff().await, made(shop(), product).await);
    let path = format!("/v1/products/{}", made.text("/id"));
    let change =
        |values: Value| staff.patch(&path, json!({ "options": [{ "name": "Size", "values": values }] })).send();
    refused(change(json!(["M"])).await, &[("/options", "not_usable")]);
    let grown = change(json!(["XS", "S"])).await.expect(200);
    assert_eq!(grown.at("/options/0/values"), json!(["XS", "S"]));
}

#[tokio::test]
async fn html_is_kept_and_what_runs_is_dropped() {
    let mut product = lamp();
    product["description"] = json!(
        "<p onclick=\"x()\">Hi <em>you</em></p><script>alert(1)</script><a href=\"javascript:x()\">a</a><img src=x onerror=x()>"
    );
    let description = made(shop(), product).await.text("/description");
    assert!(description.starts_with("<p>Hi <em>you</em></p>"), "{description}");
    for bad in ["script", "onclick", "onerror", "javascript"] {
        assert!(!description.contains(bad), "{description}");
    }
}

#[tokio::test]
async fn what_looks_like_sql_or_html_is_text() {
    for text in ["'; DROP TABLE products; --", "<script>alert(1)</script>", "{{7*7}} %s ${x} \\'", "\u{202e}\u{1f4a1}"]
    {
        let mut product = lamp();
        product["title"] = json!(text);
        product["tags"] = json!([text]);
        product["images"] = json!([{ "src": "/x.jpg", "alt": text }]);
        product["options"] = json!([{ "name": text, "values": [text] }]);
        product["variants"][0]["options"] = json!({ text: text });
        product["variants"][0]["sku"] = json!(text);
        let id = made(shop(), product).await.text("/id");
        let shown = shop().anonymous().get(&format!("/v1/products/{id}")).send().await.expect(200);
        let places =
            ["/title", "/tags/0", "/images/0/alt", "/options/0/name", "/options/0/values/0", "/variants/0/sku"];
        for place in places {
            assert_eq!(shown.text(place), text, "{place}");
        }
        assert_eq!(shown.at("/variants/0/options"), json!({ text: text }));
        assert_eq!(shown.header("x-content-type-options"), Some("nosniff"));
    }
}
