//! Reviews: written, moderated, counted; and what follows from orders and from the end of an account.
use crate::{
    goods::{address, lamp, made, pages, refused},
    shop,
};
use serde_json::{Value, json};
use testkit::{Actor, Answer, unique, until};

async fn review(author: &Actor, product: &str, mark: i64) -> Answer {
    let body = json!({ "mark": mark, "title": " Well ", "text": "<p onclick=x()>It glows.</p>", "author": "Ann" });
    author.post(&format!("/v1/products/{product}/reviews"), body).send().await.expect(201)
}

async fn says(status: &str, review: &Answer) -> Answer {
    let path = format!("/v1/reviews/{}/moderation", review.text("/id"));
    shop().staff().await.post(&path, json!({ "status": status })).send().await.expect(200)
}

async fn published(author: &Actor, product: &str, mark: i64) -> Answer {
    says("published", &review(author, product, mark).await).await
}

async fn rating(product: &str) -> Value {
    shop().anonymous().get(&format!("/v1/products/{product}")).send().await.expect(200).at("/rating")
}

async fn shown(review: &Answer) -> Answer {
    shop().staff().await.get(&format!("/v1/reviews/{}", review.text("/id"))).send().await.expect(200)
}

async fn bought(buyer: &Actor, lines: &[(&str, i64)]) -> String {
    buyer.cart(lines).await.ready().await.bought().await.text("/id")
}

#[tokio::test]
async fn a_review_is_seen_once_staff_has_published_it() {
    let product = made(shop(), lamp()).await.text("/id");
    let (author, other, anyone) = (shop().customer().await, shop().customer().await, shop().anonymous());
    let path = format!("/v1/products/{product}/reviews");
    let new = review(&author, &product, 4).await;
    let one = format!("/v1/reviews/{}", new.text("/id"));
    assert_eq!(new.header("location"), Some(one.as_str()));
    assert_eq!(
        (new.text("/status"), new.text("/title"), new.at("/verified")),
        ("pending".into(), "Well".into(), json!(false))
    );
    assert_eq!((new.text("/text"), new.text("/author")), ("<p>It glows.</p>".into(), "Ann".into()));
    author.post(&path, json!({ "mark": 1 })).send().await.problem(409, "already_reviewed");
    for stranger in [&anyone, &other] {
        stranger.get(&one).send().await.problem(404, "not_found");
    }
    let shown = author.get(&one).send().await.expect(200);
    assert_eq!(shown.json(), new.json());
    let tag = shown.header("etag").expect("a tag").to_owned();
    author.get(&one).header("if-none-match", tag).send().await.expect(304);
    assert_eq!(anyone.get(&path).send().await.expect(200).at("/items"), json!([]));
    assert_eq!(rating(&product).await, Value::Null);
    let staff = shop().staff().await;
    assert_eq!(pages(&staff, &format!("{path}?status=pending"), 1, "/id").await, [new.text("/id")]);
    anyone.get(&format!("{path}?status=pending")).send().await.problem(400, "invalid_query");

    let verdict = format!("{one}/moderation");
    refused(staff.post(&verdict, json!({ "status": "draft" })).send().await, &[("/status", "invalid_format")]);
    let praised = json!({ "status": "published", "reason": "fine" });
    refused(staff.post(&verdict, praised).send().await, &[("/reason", "not_usable")]);
    let out = says("published", &new).await;
    assert_eq!((out.text("/status"), out.number("/version")), ("published".into(), 2));
    assert_eq!(anyone.get(&one).send().await.expect(200).json(), out.json());
    assert_eq!(rating(&product).await, json!({ "count": 1, "average": "4.00" }));

    // Written anew, it is looked at anew; and staff publishes only what it has looked at.
    let tag = out.header("etag").expect("a tag").to_owned();
    let edit = |body: Value| author.patch(&one, body).header("if-match", &tag);
    other.patch(&one, json!({ "mark": 1 })).send().await.problem(404, "not_found");
    refused(edit(json!({ "mark": 0 })).send().await, &[("/mark", "out_of_range")]);
    let edited = edit(json!({ "mark": 2, "title": "" })).send().await.expect(200);
    assert_eq!(
        (edited.text("/status"), edited.at("/title"), edited.number("/mark")),
        ("pending".into(), Value::Null, 2)
    );
    edit(json!({ "mark": 3 })).send().await.problem(412, "version_mismatch");
    let publish = staff.post(&verdict, json!({ "status": "published" })).header("if-match", &tag);
    publish.send().await.problem(412, "version_mismatch");
    assert_eq!(rating(&product).await, Value::Null);
    let rude = json!({ "status": "rejected", "reason": "Rude." });
    staff.post(&verdict, rude).send().await.expect(200);
    assert_eq!(author.get(&one).send().await.expect(200).text("/reason"), "Rude.");
    anyone.get(&one).send().await.problem(404, "not_found");
    other.delete(&one).send().await.problem(404, "not_found");
    author.delete(&one).send().await.expect(204);
    review(&author, &product, 5).await;
}

#[tokio::test]
async fn the_average_is_exact() {
    let thing = made(shop(), lamp()).await;
    let (product, path) = (thing.text("/id"), format!("/v1/products/{}/reviews", thing.text("/id")));
    let mut all = Vec::new();
    for (mark, average) in [(5, "5.00"), (4, "4.50"), (4, "4.33"), (1, "3.50"), (1, "3.00"), (2, "2.83")] {
        all.push(published(&shop().customer().await, &product, mark).await);
        assert_eq!(rating(&product).await, json!({ "count": all.len(), "average": average }));
    }
    let page = shop().anonymous().get(&format!("/v1/storefront/products/{}", thing.text("/slug"))).send().await;
    assert_eq!(page.expect(200).at("/rating"), json!({ "count": 6, "average": "2.83" }));
    let ids = |places: &[usize]| places.iter().map(|n| all[*n].text("/id")).collect::<Vec<_>>();
    let list = async |query: &str| pages(&shop().anonymous(), &format!("{path}{query}"), 2, "/id").await;
    assert_eq!(list("").await, ids(&[5, 4, 3, 2, 1, 0]));
    assert_eq!(list("?sort=mark").await, ids(&[3, 4, 5, 1, 2, 0]));
    assert_eq!(list("?sort=-mark&verified=false").await, ids(&[0, 2, 1, 5, 4, 3]));
    assert_eq!(list("?verified=true").await, [""; 0]);
    says("rejected", &all[0]).await;
    assert_eq!(rating(&product).await, json!({ "count": 5, "average": "2.40" }));
}

#[tokio::test]
async fn an_order_makes_its_buyer_a_verified_reviewer() {
    let goods = shop().goods(500, 50).await;
    let (buyer, early) = (shop().customer().await, shop().customer().await);
    let first = published(&early, &goods.product, 3).await;
    assert_eq!(first.at("/verified"), json!(false));
    let order = bought(&early, &[(&goods.variant, 1)]).await;
    bought(&buyer, &[(&goods.variant, 2)]).await;
    let verified = async |review: &Answer, is: bool| {
        until("it is known who bought it", async || (shown(review).await.at("/verified") == json!(is)).then_some(()))
            .await;
    };
    verified(&first, true).await;
    assert_eq!(shown(&first).await.text("/status"), "published");
    let late = review(&buyer, &goods.product, 5).await;
    verified(&late, true).await;
    early.post(&format!("/v1/orders/{order}/cancel"), json!({})).send().await.expect(200);
    verified(&first, false).await;
}

#[tokio::test]
async fn best_sellers_come_first() {
    let tag = unique("t").replace('-', "");
    let mut made_of = Vec::new();
    for title in ["A", "B", "C"] {
        let mut product = lamp();
        (product["title"], product["tags"]) = (json!(title), json!([tag]));
        made_of.push(made(shop(), product).await.text("/variants/0/id"));
    }
    let list =
        async || pages(&shop().anonymous(), &format!("/v1/products?q={tag}&sort=best_selling"), 1, "/title").await;
    assert_eq!(list().await, ["C", "B", "A"], "the newest of those that nobody bought");
    let buyer = shop().customer().await;
    bought(&buyer, &[(&made_of[1], 3), (&made_of[0], 1)]).await;
    until("what was bought counts", async || (list().await == ["B", "A", "C"]).then_some(())).await;
    let most = bought(&buyer, &[(&made_of[0], 5)]).await;
    until("so does what came later", async || (list().await == ["A", "B", "C"]).then_some(())).await;
    buyer.post(&format!("/v1/orders/{most}/cancel"), json!({})).send().await.expect(200);
    until("what is cancelled does not", async || (list().await == ["B", "A", "C"]).then_some(())).await;
}

/// What of an order is somebody's.
fn named(order: &Answer) -> [bool; 3] {
    ["/email", "/shipping_address", "/billing_address"].map(|pointer| order.at(pointer) != Value::Null)
}

#[tokio::test]
async fn whose_account_is_gone_is_forgotten_and_the_books_stay() {
    let goods = shop().goods(500, 50).await;
    let (user, staff) = (shop().customer().await, shop().staff().await);
    let review = published(&user, &goods.product, 4).await;
    let (cancelled, underway) =
        (bought(&user, &[(&goods.variant, 1)]).await, bought(&user, &[(&goods.variant, 1)]).await);
    user.post(&format!("/v1/orders/{cancelled}/cancel"), json!({})).send().await.expect(200);
    let cart = user.cart(&[(&goods.variant, 1)]).await.ready().await;
    cart.change(json!({ "billing_address": address() })).send().await.expect(200);
    let order = async |id: &str| staff.get(&format!("/v1/orders/{id}")).send().await.expect(200);
    let before = order(&cancelled).await;
    assert_eq!(named(&before), [true, true, false]);
    user.delete("/v1/users/me").send().await.expect(204);

    let after = until("the order that had ended is nobody's", async || {
        Some(order(&cancelled).await).filter(|order| order.at("/anonymised_at") != Value::Null)
    })
    .await;
    assert_eq!(named(&after), [false; 3]);
    for kept in ["/number", "/lines", "/totals", "/status", "/payment_status", "/payment", "/placed_at"] {
        assert_eq!(after.at(kept), before.at(kept), "{kept}");
    }
    until("the review is nobody's", async || (shown(&review).await.at("/author") == Value::Null).then_some(())).await;
    let left = shown(&review).await;
    assert_eq!(
        (left.at("/text"), left.number("/mark"), left.text("/status")),
        (review.at("/text"), 4, "published".into())
    );
    assert_eq!(rating(&goods.product).await, json!({ "count": 1, "average": "4.00" }));
    until("the cart is gone", async || (cart.owner.get(&cart.path("")).send().await.status == 404).then_some(())).await;

    // Its token lives for some minutes yet.
    let again = json!({ "mark": 1 });
    user.post(&format!("/v1/products/{}/reviews", goods.product), again).send().await.problem(401, "invalid_token");
    let late = bought(&user, &[(&goods.variant, 1)]).await;

    // What is to be sent needs its address until it is.
    assert_eq!(named(&order(&underway).await), [true, true, false]);
    for (id, way) in [(&underway, "shipments"), (&late, "cancel")] {
        let path = format!("/v1/orders/{id}/{way}");
        let done = staff.post(&path, json!({})).send().await;
        assert!([200, 201].contains(&done.status), "{}", done.json());
    }
    staff.post(&format!("/v1/orders/{underway}/captures"), json!({})).send().await.expect(201);
    for id in [&underway, &late] {
        until("what ended later is nobody's", async || (named(&order(id).await) == [false; 3]).then_some(())).await;
    }
    assert_eq!(order(&underway).await.text("/status"), "completed");
    let told = "SELECT count(*) AS number FROM outbox WHERE kind = 'order.anonymised' AND CAST(payload AS text) LIKE";
    for id in [&cancelled, &underway, &late] {
        assert_eq!(shop().number("orders", &format!("{told} '%{id}%'")), 1);
    }
}
