use crate::{BINARY, shop};
use kernel::Code;
use std::process::Command;
use testkit::{document, told};

const DOCUMENTS: [(&str, &str); 2] = [("openapi", document::TEXT), ("asyncapi", told::TEXT)];

#[test]
fn the_checked_in_documents_are_what_the_binary_prints() {
    for (name, text) in DOCUMENTS {
        let printed = Command::new(BINARY).arg(name).output().unwrap();
        assert!(printed.status.success());
        let same = printed.stdout == text.as_bytes();
        assert!(same, "docs/{name}.json is old: run `cargo run -- {name} > docs/{name}.json`");
    }
}

#[tokio::test]
async fn the_server_gives_the_same_documents() {
    for (name, text) in DOCUMENTS {
        let given = shop().anonymous().get(&format!("/{name}.json")).send().await.expect(200);
        assert_eq!(given.header("content-type"), Some("application/json"));
        assert!(given.bytes == text.as_bytes(), "{name}");
    }
}

#[tokio::test]
async fn the_reference_needs_nobody_else() {
    let anonymous = shop().anonymous();
    let page = anonymous.get("/docs/").send().await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let html = String::from_utf8(page.bytes).unwrap();
    let named = ["src=\"", "href=\""].into_iter().flat_map(|name| html.split(name).skip(1));
    let mut assets: Vec<_> = named.filter_map(|rest| rest.split('"').next()).collect();
    assets.sort_unstable();
    assets.dedup();
    assert!(assets.iter().any(|asset| asset.ends_with(".js")) && assets.iter().any(|asset| asset.ends_with(".css")));
    for asset in assets {
        assert!(!asset.contains("//"), "{asset} is another host's");
        let path = format!("/docs/{}", asset.trim_start_matches("./"));
        let got = anonymous.get(&path).send().await.expect(200);
        let text = String::from_utf8_lossy(&got.bytes).into_owned();
        for foreign in ["src=\"http", "import(\"http", "url(http", "@import \"http"] {
            assert!(!text.contains(foreign), "{path} loads from another host: {foreign}");
        }
    }
    let short = anonymous.get("/docs").send().await; // followed
    short.expect(200);
}

#[tokio::test]
async fn every_code_is_documented() {
    let page = shop().anonymous().get("/docs/errors").send().await.expect(200);
    let html = String::from_utf8(page.bytes).unwrap();
    let document = shop().anonymous().get("/openapi.json").send().await.text("/info/description");
    for code in Code::ALL {
        assert!(html.contains(&format!("id=\"{}\"", code.as_str())), "{} is not in /docs/errors", code.as_str());
        let row = format!("| {} | `{}` |", code.status(), code.as_str());
        assert!(document.contains(&row), "{} is not in the document", code.as_str());
    }
}
