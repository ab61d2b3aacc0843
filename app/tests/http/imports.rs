use crate::shop;
use serde_json::json;
use testkit::{Answer, unique, until};

const HEADER: &str = "Handle,Title,Vendor,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Tracker,Variant Inventory Qty,Status";

/// A file of one product in two sizes.
fn file(handle: &str) -> String {
    let first = format!("{handle},\"Shirt, \"\"Größe\"\"\",Us,Size,S,,19.99,shopify,5,active");
    format!("{HEADER}\n{first}\n{handle},,,,M,,24.5,,0,\n")
}

async fn import(query: &str, file: String) -> Answer {
    let staff = shop().staff().await;
    let request = staff.request(reqwest::Method::POST, &format!("/v1/imports{query}"));
    let begun = request.body("text/csv", file).send().await.expect(202);
    let path = format!("/v1/imports/{}", begun.text("/id"));
    assert_eq!(begun.header("location"), Some(path.as_str()));
    until("the import ends", || async {
        let import = staff.get(&path).send().await.expect(200);
        ["done", "failed"].contains(&import.text("/status").as_str()).then_some(import)
    })
    .await
}

fn counts(import: &Answer) -> [i64; 3] {
    ["/created", "/updated", "/unchanged"].map(|count| import.number(count))
}

#[tokio::test]
async fn a_file_is_imported_once_and_again_without_change() {
    let handle = unique("shirt");
    let first = import("?currency=EUR", file(&handle)).await;
    assert_eq!(
        (first.text("/status"), first.number("/rows"), counts(&first)),
        ("done".into(), 2, [1, 0, 0]),
        "{}",
        first.json()
    );
    let path = format!("/v1/products/{handle}");
    let made = shop().anonymous().get(&path).send().await.expect(200);
    assert_eq!(made.text("/title"), "Shirt, \"Größe\"");
    assert_eq!((made.number("/variants/0/prices/0/amount"), made.number("/variants/1/prices/0/amount")), (1999, 2450));
    assert_eq!((made.number("/variants/0/available"), made.at("/variants/1/track_stock")), (5, json!(false)));

    let stock = format!("/v1/variants/{}/stock", made.text("/variants/0/id"));
    shop().staff().await.put(&stock, json!({ "on_hand": 2 })).send().await.expect(200);
    assert_eq!(counts(&import("?currency=EUR&format=shopify", file(&handle)).await), [0, 0, 1]);
    let again = shop().anonymous().get(&path).send().await.expect(200);
    assert_eq!(again.number("/variants/0/available"), 2, "an import never resets stock");

    let dearer = file(&handle).replace(",24.5,", ",25.5,");
    assert_eq!(counts(&import("?currency=EUR", dearer).await), [0, 1, 0]);
    let dearer = shop().anonymous().get(&path).send().await.expect(200);
    assert_eq!(
        (dearer.number("/version"), dearer.number("/variants/1/prices/0/amount")),
        (again.number("/version") + 1, 2550)
    );
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let handle = unique("dry");
    let tried = import("?dry_run=true", file(&handle)).await;
    assert_eq!((tried.at("/dry_run"), counts(&tried)), (json!(true), [1, 0, 0]));
    shop().staff().await.get(&format!("/v1/products/{handle}")).send().await.problem(404, "not_found");
}

#[tokio::test]
async fn a_row_that_is_wrong_is_told_by_its_line() {
    let handle = unique("bad");
    let rows = format!("{HEADER}\n{handle},Shirt,,,,,cheap,shopify,1,active\n");
    let import = import("?currency=EUR", rows).await;
    assert_eq!(import.number("/errors/0/line"), 2, "{}", import.json());
    assert!(import.number("/error_count") >= 1);
}

#[tokio::test]
async fn an_import_is_begun_once_with_its_key() {
    let (staff, key) = (shop().staff().await, unique("import"));
    let begin =
        |file: String| staff.request(reqwest::Method::POST, "/v1/imports").key(&key).body("text/csv", file).send();
    let rows = file(&unique("keyed"));
    let first = begin(rows.clone()).await.expect(202);
    let again = begin(rows).await.expect(202);
    assert_eq!((first.text("/id"), again.header("idempotent-replayed")), (again.text("/id"), Some("true")));
    begin(file(&unique("other"))).await.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let staff = shop().staff().await;
    let body = vec![b'x'; (64 << 20) + 1];
    let request = staff.request(reqwest::Method::POST, "/v1/imports").body("text/csv", body).try_send().await;
    match request {
        Ok(answer) => drop(answer.problem(413, "body_too_large")),
        // the server hung up while we still sent: what it said is lost on the way
        Err(error) => assert!(!error.is_timeout(), "{error}"),
    }
    staff.get("/v1/products?limit=1").send().await.expect(200);
}

#[tokio::test]
async fn what_was_exported_is_unchanged_when_it_comes_back() {
    let handle = unique("export");
    import("?currency=EUR", file(&handle)).await;
    let exported = shop().staff().await.get("/v1/exports/products?currency=EUR").send().await.expect(200);
    let text = String::from_utf8(exported.bytes).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap().to_owned();
    let mine: Vec<_> = lines.filter(|line| line.starts_with(&handle)).collect();
    assert_eq!(mine.len(), 2, "{text}");
    let back = import("?currency=EUR", format!("{header}\n{}\n", mine.join("\n"))).await;
    assert_eq!(counts(&back), [0, 0, 1], "{}", back.json());
}
