//! Carts: made, changed, checked out.
use crate::shop;
use serde_json::{Value, json};
use testkit::{address, unique};

/// The pointers of a problem's fields.
fn pointers(problem: &testkit::Answer) -> Vec<String> {
    let all = problem.at("/errors");
    all.as_array().expect("a list").iter().map(|e| e["pointer"].as_str().expect("a pointer").to_owned()).collect()
}

#[tokio::test]
async fn a_new_cart_shows_its_lines_its_totals_and_once_its_token() {
    let goods = shop().goods(1999, 5).await;
    let cart = shop().anonymous().cart(&[(&goods.variant, 2)]).await;
    let made = &cart.made;
    assert_eq!(made.header("location"), Some(cart.path("").as_str()));
    assert_eq!(made.number("/totals/total/amount"), 3998);
    assert_eq!(made.text("/lines/0/unit_price/currency"), "EUR");
    assert_eq!(made.number("/lines/0/total/amount"), 3998);
    let shown = cart.show().await;
    assert_eq!(shown.json().get("token"), None);
    assert_eq!(shown.at("/lines"), made.at("/lines"));
}

#[tokio::test]
async fn the_same_variant_joins_its_line() {
    let (one, other) = (shop().goods(100, 5).await, shop().goods(7, 5).await);
    let cart = shop().anonymous().cart(&[(&one.variant, 1), (&other.variant, 1), (&one.variant, 2)]).await;
    assert_eq!(cart.made.number("/lines/0/quantity"), 3);
    let added = cart.add(&one.variant, 4).send().await.expect(200);
    assert_eq!(added.at("/lines").as_array().map(Vec::len), Some(2));
    assert_eq!(added.number("/lines/0/quantity"), 7);
    assert_eq!(added.number("/totals/subtotal/amount"), 707);
}

#[tokio::test]
async fn lines_are_changed_and_taken_out() {
    let goods = shop().goods(250, 5).await;
    let cart = shop().anonymous().cart(&[(&goods.variant, 1)]).await;
    let line = cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id")));
    let changed = cart.owner.patch(&line, json!({ "quantity": 3 })).send().await.expect(200);
    assert_eq!(changed.number("/totals/total/amount"), 750);
    for quantity in [0, -1, 1_000_001] {
        let refused = cart.owner.patch(&line, json!({ "quantity": quantity })).send().await.problem(422, "invalid");
        assert_eq!(pointers(&refused), ["/quantity"]);
    }
    let empty = cart.owner.delete(&line).send().await.expect(200);
    assert_eq!(empty.at("/lines"), json!([]));
    cart.owner.delete(&line).send().await.problem(404, "not_found");
    cart.owner.patch(&line, json!({ "quantity": 1 })).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_line_of_another_cart_is_not_found() {
    let goods = shop().goods(250, 5).await;
    let (mine, other) =
        (shop().anonymous().cart(&[(&goods.variant, 1)]).await, shop().anonymous().cart(&[(&goods.variant, 1)]).await);
    let line = mine.path(&format!("/lines/{}", other.made.text("/lines/0/id")));
    mine.owner.delete(&line).send().await.problem(404, "not_found");
    assert_eq!(other.show().await.number("/lines/0/quantity"), 1);
}

#[tokio::test]
async fn a_cart_holds_a_thousand_lines_and_no_more() {
    let variants = shop().variants(1001, 100, 1).await;
    let lines: Vec<(&str, i64)> = variants[..1000].iter().map(|variant| (variant.as_str(), 1)).collect();
    let cart = shop().anonymous().cart(&lines).await;
    assert_eq!(cart.made.at("/lines").as_array().map(Vec::len), Some(1000));
    let order: Vec<Value> =
        cart.made.at("/lines").as_array().expect("a list").iter().map(|l| l["variant_id"].clone()).collect();
    assert_eq!(order, variants[..1000], "in the order they were added");
    assert_eq!(cart.show().await.at("/lines"), cart.made.at("/lines"));
    let refused = cart.add(&variants[1000], 1).send().await.problem(422, "invalid");
    assert_eq!(pointers(&refused), ["/lines"]);
    cart.add(&variants[0], 1).send().await.expect(200);
    assert_eq!(cart.show().await.at("/lines").as_array().map(Vec::len), Some(1000));
    let all: Vec<_> = variants.iter().map(|v| json!({ "variant_id": v, "quantity": 1 })).collect();
    let body = json!({ "currency": "EUR", "lines": all });
    let refused = shop().anonymous().post("/v1/carts", body).send().await.problem(422, "invalid");
    assert_eq!(pointers(&refused), ["/lines"]);
}

#[tokio::test]
async fn a_line_holds_a_million_pieces_and_no_more() {
    let goods = shop().goods(1, 5).await;
    let cart = shop().anonymous().cart(&[(&goods.variant, 999_999)]).await;
    cart.add(&goods.variant, 1).send().await.expect(200);
    let refused = cart.add(&goods.variant, 1).send().await.problem(422, "invalid");
    assert_eq!(pointers(&refused), ["/quantity"]);
    assert_eq!(cart.show().await.number("/lines/0/quantity"), 1_000_000);
}

#[tokio::test]
async fn what_is_not_sold_does_not_get_into_a_cart() {
    let admin = shop().admin().await;
    let body = |status: &str, currency: &str| json!({ "title": unique("Thing"), "status": status, "variants": [{ "prices": [{ "amount": 5, "currency": currency }] }] });
    let draft = admin.post("/v1/products", body("draft", "EUR")).send().await.expect(201).text("/variants/0/id");
    let yen = admin.post("/v1/products", body("active", "JPY")).send().await.expect(201).text("/variants/0/id");
    let goods = shop().goods(5, 5).await;
    let nobody = format!("{}_00000000000000000000000000", goods.variant.split('_').next().expect("a prefix"));
    let cart = shop().anonymous().cart(&[]).await;
    for variant in [&draft, &yen, &nobody] {
        let refused = cart.add(variant, 1).send().await.problem(422, "invalid");
        assert_eq!(pointers(&refused), ["/variant_id"]);
        assert_eq!(refused.text("/errors/0/code"), "not_usable");
    }
    let refused = cart.add("not an id", 1).send().await.problem(422, "invalid");
    assert_eq!(pointers(&refused), ["/variant_id"]);
    let line = |variant: &str| json!({ "variant_id": variant, "quantity": 1 });
    let lines = [line(&draft), line(&goods.variant), line(&yen), line(&nobody)];
    let refused = shop().anonymous().post("/v1/carts", json!({ "currency": "EUR", "lines": lines })).send().await;
    assert_eq!(
        pointers(&refused.problem(422, "invalid")),
        ["/lines/0/variant_id", "/lines/2/variant_id", "/lines/3/variant_id"]
    );
    assert_eq!(cart.show().await.at("/lines"), json!([]));
}

#[tokio::test]
async fn a_cart_reserves_nothing() {
    let goods = shop().goods(5, 1).await;
    let cart = shop().guest_cart(&[(&goods.variant, 3)]).await;
    cart.add(&goods.variant, 5).send().await.expect(200);
    assert_eq!(shop().stock(&goods.variant).await, (1, 0, 1));
}

#[tokio::test]
async fn who_buys_and_where_it_goes_is_kept_and_null_empties() {
    let cart = shop().anonymous().cart(&[]).await;
    let body = json!({ "email": "a@test.example", "shipping_address": address(), "billing_address": address() });
    let changed = cart.change(body).send().await.expect(200);
    assert_eq!(changed.text("/email"), "a@test.example");
    assert_eq!(changed.text("/shipping_address/city"), "Berlin");
    assert_eq!(changed.text("/billing_address/country"), "DE");
    let emptied = cart.change(json!({ "email": null, "billing_address": null })).send().await.expect(200);
    assert_eq!(emptied.at("/email"), Value::Null);
    assert_eq!(emptied.at("/billing_address"), Value::Null);
    assert_eq!(emptied.text("/shipping_address/city"), "Berlin", "what is not given stays");
    let bad = json!({ "email": "nobody", "shipping_address": { "name": "", "line1": "x", "city": "y", "postal_code": "1", "country": "Germany" } });
    let refused = cart.change(bad).send().await.problem(422, "invalid");
    assert_eq!(pointers(&refused), ["/email", "/shipping_address/name", "/shipping_address/country"]);
}

#[tokio::test]
async fn the_only_way_of_sending_is_chosen_for_the_cart() {
    let cart = shop().anonymous().cart(&[]).await;
    let options = cart.owner.get(&cart.path("/shipping-options")).send().await.expect(200);
    let free = json!({ "amount": 0, "currency": "EUR" });
    assert_eq!(options.at("/items"), json!([{ "id": "standard", "name": "Standard", "price": free }]));
    assert_eq!(options.at("/next"), Value::Null);
    assert_eq!(cart.made.text("/shipping_option_id"), "standard");
    let chosen = cart.change(json!({ "shipping_option_id": "standard" })).send().await.expect(200);
    assert_eq!(chosen.text("/shipping_option_id"), "standard");
    let refused = cart.change(json!({ "shipping_option_id": "by-pigeon" })).send().await.problem(422, "invalid");
    assert_eq!(pointers(&refused), ["/shipping_option_id"]);
    assert_eq!(cart.show().await.number("/version"), 2, "a refused change leaves no trace");
}

#[tokio::test]
async fn a_change_of_what_was_read_before_is_refused() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().anonymous().cart(&[(&goods.variant, 1)]).await;
    let read = cart.show().await;
    let tag = read.header("etag").expect("a tag").to_owned();
    cart.change(json!({ "email": "a@test.example" })).header("if-match", &tag).send().await.expect(200);
    let stale = cart.change(json!({ "email": "b@test.example" })).header("if-match", &tag).send().await;
    stale.problem(412, "version_mismatch");
    let line = cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id")));
    let stale = cart.owner.patch(&line, json!({ "quantity": 2 })).header("if-match", &tag).send().await;
    stale.problem(412, "version_mismatch");
    cart.owner.delete(&line).header("if-match", &tag).send().await.problem(412, "version_mismatch");
    let now = cart.show().await;
    assert_eq!(now.text("/email"), "a@test.example");
    assert_eq!(now.number("/version"), 2);
    let same = cart.owner.get(&cart.path("")).header("if-none-match", now.header("etag").expect("a tag"));
    same.send().await.expect(304);
}

#[tokio::test]
async fn without_its_token_a_cart_is_not_there() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
    let other = shop().guest_cart(&[]).await;
    let strangers = [
        shop().anonymous(),
        shop().anonymous().cart_token("ct_wrong"),
        other.owner,
        shop().customer().await,
        shop().staff().await,
    ];
    let line = cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id")));
    for stranger in strangers {
        let asked = [
            stranger.get(&cart.path("")),
            stranger.patch(&cart.path(""), json!({ "email": null })),
            stranger.post(&cart.path("/lines"), json!({ "variant_id": goods.variant, "quantity": 1 })),
            stranger.patch(&line, json!({ "quantity": 2 })),
            stranger.delete(&line),
            stranger.get(&cart.path("/shipping-options")),
            stranger.post(&cart.path("/checkout"), testkit::pay("tok_ok")),
            stranger.delete(&cart.path("/checkout")),
        ];
        for request in asked {
            request.send().await.problem(404, "not_found");
        }
    }
    assert_eq!(cart.show().await.number("/version"), 2);
}

#[tokio::test]
async fn a_customers_cart_has_no_token_and_is_nobody_elses() {
    let goods = shop().goods(5, 5).await;
    let customer = shop().customer().await;
    let cart = customer.cart(&[(&goods.variant, 1)]).await.ready().await;
    assert_eq!(cart.made.json().get("token"), None);
    shop().customer().await.get(&cart.path("")).send().await.problem(404, "not_found");
    shop().anonymous().get(&cart.path("")).send().await.problem(404, "not_found");
    cart.bought().await;
}

#[tokio::test]
async fn a_guest_cart_bought_by_a_user_is_that_users_order() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
    let customer = shop().customer().await;
    let token = customer.token().expect("signed in");
    let order =
        cart.owner.clone().bearer(token).post(&cart.path("/checkout"), testkit::pay("tok_ok")).send().await.expect(201);
    let mine = customer.get("/v1/orders").send().await.expect(200);
    assert_eq!(mine.at("/items").as_array().map(Vec::len), Some(1));
    assert_eq!(mine.text("/items/0/id"), order.text("/id"));
}

#[tokio::test]
async fn a_checkout_names_all_that_the_cart_still_needs() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().anonymous().cart(&[]).await;
    let refused = cart.checkout("tok_ok").send().await.problem(422, "cart_incomplete");
    assert_eq!(pointers(&refused), ["/lines", "/email", "/shipping_address"]);
    cart.add(&goods.variant, 1).send().await.expect(200);
    let refused = cart.checkout("tok_ok").send().await.problem(422, "cart_incomplete");
    assert_eq!(pointers(&refused), ["/email", "/shipping_address"]);
    assert_eq!(shop().stock(&goods.variant).await, (5, 0, 5));
    cart.ready().await.bought().await;
}

#[tokio::test]
async fn a_declined_card_leaves_the_cart_open_for_a_good_one() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 2)]).await;
    cart.checkout("tok_declined").send().await.problem(402, "payment_declined");
    assert_eq!(shop().stock(&goods.variant).await, (5, 0, 5));
    cart.add(&goods.variant, 1).send().await.expect(200);
    let order = cart.bought().await;
    assert_eq!(order.number("/lines/0/quantity"), 3);
    assert_eq!(shop().stock(&goods.variant).await, (5, 3, 2));
}

#[tokio::test]
async fn a_checkout_that_waits_for_its_buyer_can_be_given_up_and_done_again() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 2)]).await;
    cart.owner.delete(&cart.path("/checkout")).send().await.problem(409, "no_checkout");
    let waits = cart.checkout("tok_action").send().await.expect(202);
    assert_eq!(waits.text("/status"), "pending");
    assert_eq!(waits.text("/next_action/type"), "redirect");
    assert_eq!(shop().stock(&goods.variant).await, (5, 2, 3));
    // Whoever asks again is told the same.
    let again = cart.checkout("tok_ok").send().await.expect(202);
    assert_eq!((again.at("/id"), again.at("/next_action")), (waits.at("/id"), waits.at("/next_action")));
    let line = cart.path(&format!("/lines/{}", cart.made.text("/lines/0/id")));
    for edit in [
        cart.change(json!({ "email": "b@test.example" })),
        cart.add(&goods.variant, 1),
        cart.owner.patch(&line, json!({ "quantity": 1 })),
        cart.owner.delete(&line),
    ] {
        assert!(edit.send().await.problem(409, "cart_locked").header("retry-after").is_some());
    }
    let open = cart.owner.delete(&cart.path("/checkout")).send().await.expect(200);
    assert_eq!(open.number("/lines/0/quantity"), 2);
    assert_eq!(shop().stock(&goods.variant).await, (5, 0, 5));
    cart.owner.delete(&cart.path("/checkout")).send().await.problem(409, "no_checkout");
    cart.add(&goods.variant, 1).send().await.expect(200);
    let order = cart.bought().await;
    assert_ne!(order.at("/id"), waits.at("/id"), "each attempt is an order of its own");
    assert_eq!(shop().stock(&goods.variant).await, (5, 3, 2));
    cart.owner.delete(&cart.path("/checkout")).send().await.problem(409, "cart_completed");
    cart.change(json!({ "email": null })).send().await.problem(409, "cart_completed");
}

#[tokio::test]
async fn a_price_that_moved_is_shown_before_it_is_paid() {
    let (one, other) = (shop().goods(500, 5).await, shop().goods(100, 5).await);
    let cart = shop().guest_cart(&[(&other.variant, 1), (&one.variant, 1)]).await;
    shop().reprice(&one.variant, 700).await;
    let changed = cart.checkout("tok_ok").send().await.problem(409, "cart_changed");
    assert_eq!(pointers(&changed), ["/lines/1"]);
    assert_eq!(changed.text("/errors/0/variant"), one.variant);
    let shown = cart.show().await;
    assert_eq!(shown.number("/lines/1/unit_price/amount"), 700);
    assert_eq!(shown.number("/lines/0/unit_price/amount"), 100);
    assert_eq!(shop().stock(&one.variant).await, (5, 0, 5));
    assert_eq!(shop().stock(&other.variant).await, (5, 0, 5));
    assert_eq!(cart.bought().await.number("/totals/total/amount"), 800);
}

#[tokio::test]
async fn what_is_no_longer_sold_leaves_the_cart() {
    let (gone, stays) = (shop().goods(500, 5).await, shop().goods(100, 5).await);
    let cart = shop().guest_cart(&[(&gone.variant, 1), (&stays.variant, 1)]).await;
    shop().admin().await.delete(&format!("/v1/products/{}", gone.product)).send().await.expect(204);
    let changed = cart.checkout("tok_ok").send().await.problem(409, "cart_changed");
    assert_eq!(pointers(&changed), ["/lines/0"]);
    let shown = cart.show().await;
    assert_eq!(shown.at("/lines").as_array().map(Vec::len), Some(1));
    assert_eq!(shown.text("/lines/0/variant_id"), stays.variant);
    assert_eq!(cart.bought().await.number("/totals/total/amount"), 100);
}

#[tokio::test]
async fn more_than_there_is_cannot_be_bought() {
    let (scarce, plenty) = (shop().goods(5, 2).await, shop().goods(5, 9).await);
    let cart = shop().guest_cart(&[(&plenty.variant, 1), (&scarce.variant, 3)]).await;
    let short = cart.checkout("tok_ok").send().await.problem(409, "out_of_stock");
    assert_eq!((short.text("/variant"), short.number("/available")), (scarce.variant.clone(), 2));
    assert_eq!(pointers(&short), ["/lines/1"]);
    assert_eq!(shop().stock(&plenty.variant).await, (9, 0, 9), "all or nothing");
    let line = cart.path(&format!("/lines/{}", cart.made.text("/lines/1/id")));
    cart.owner.patch(&line, json!({ "quantity": 2 })).send().await.expect(200);
    cart.bought().await;
}

#[tokio::test]
async fn without_track_stock_more_can_be_bought_than_there_is() {
    let body = json!({ "title": unique("Thing"), "status": "active", "variants": [{ "prices": [{ "amount": 5, "currency": "EUR" }], "track_stock": false }] });
    let made = shop().admin().await.post("/v1/products", body).send().await.expect(201);
    let cart = shop().guest_cart(&[(&made.text("/variants/0/id"), 1000)]).await;
    cart.bought().await;
}

#[tokio::test]
async fn money_that_comes_some_other_way_is_pending() {
    let goods = shop().goods(5, 5).await;
    let cart = shop().guest_cart(&[(&goods.variant, 1)]).await;
    let pay = |provider: &str| json!({ "payment": { "provider": provider } });
    let refused = cart.owner.post(&cart.path("/checkout"), pay("barter")).send().await.problem(422, "invalid");
    assert_eq!(pointers(&refused), ["/payment/provider"]);
    let order = cart.owner.post(&cart.path("/checkout"), pay("manual")).send().await.expect(201);
    assert_eq!((order.text("/status"), order.text("/payment_status")), ("placed".into(), "pending".into()));
}
