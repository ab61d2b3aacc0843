use crate::{goods::refused, shop};
use serde_json::{Value, json};
use testkit::unique;

#[tokio::test]
async fn a_category_lies_below_another() {
    let staff = shop().staff().await;
    let (top, below) = (unique("office"), unique("paper"));
    let made = staff.post("/v1/categories", json!({ "name": " Office ", "slug": top })).send().await.expect(201);
    assert_eq!(
        (made.text("/name"), made.text("/slug"), made.at("/parent")),
        ("Office".to_owned(), top.clone(), Value::Null)
    );
    let child = json!({ "name": "Paper", "slug": below, "parent": top });
    let child = staff.post("/v1/categories", child).send().await.expect(201);
    assert_eq!(child.text("/parent"), top);
    let listed = shop().anonymous().get("/v1/categories").send().await.expect(200).at("/items");
    let slugs: Vec<_> = listed.as_array().unwrap().iter().map(|category| category["slug"].as_str().unwrap()).collect();
    assert!(slugs.is_sorted(), "{slugs:?}");
    assert!(slugs.contains(&top.as_str()) && slugs.contains(&below.as_str()));
}

#[tokio::test]
async fn a_slug_comes_from_the_name_and_is_taken_once() {
    let (staff, word) = (shop().staff().await, unique("w"));
    let made = staff.post("/v1/categories", json!({ "name": format!("Bürö {word}") })).send().await.expect(201);
    assert_eq!(made.text("/slug"), format!("buro-{word}"));
    let same = json!({ "name": "Other", "slug": made.text("/slug") });
    staff.post("/v1/categories", same).send().await.problem(409, "slug_taken");
}

#[tokio::test]
async fn a_bad_category_is_told_where() {
    let staff = shop().staff().await;
    let bad = json!({ "name": "", "slug": "Bad Slug", "parent": "no parent" });
    let expected = [("/slug", "invalid_format"), ("/name", "required"), ("/parent", "unknown")];
    refused(staff.post("/v1/categories", bad).send().await, &expected);
    let orphan = json!({ "name": unique("Orphan"), "parent": unique("none") });
    refused(staff.post("/v1/categories", orphan).send().await, &[("/parent", "unknown")]);
}

#[tokio::test]
async fn a_category_is_made_once_with_its_key() {
    let (staff, key) = (shop().staff().await, unique("key"));
    let body = json!({ "name": unique("Once") });
    let first = staff.post("/v1/categories", body.clone()).key(&key).send().await.expect(201);
    let again = staff.post("/v1/categories", body).key(&key).send().await.expect(201);
    assert_eq!(first.bytes, again.bytes);
}
