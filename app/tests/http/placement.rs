//! Which modules a process is about, as the command line says; and what `topology` makes of it.
use crate::{BINARY, health::cleave};
use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", told(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const USERS_OUT: &[(&str, &str)] = &[
    ("CLEAVE__MODULES__USERS__PLACE", "https://users.internal:7400"),
    ("CLEAVE__MODULES__USERS__HTTP", "http://users.internal:8081"),
];

#[test]
fn migrate_touches_what_is_here() {
    assert_eq!(printed(&cleave(&["migrate", "--only", "users"], &[])).lines().count(), 1);
    let rest = printed(&cleave(&["migrate"], USERS_OUT));
    assert!(rest.contains("products: ") && rest.contains("orders: ") && !rest.contains("users: "), "{rest}");
    assert!(printed(&cleave(&["migrate", "--only", "users"], USERS_OUT)).starts_with("users: migrated"));
    assert!(told(&cleave(&["migrate", "--only", "storefront"], &[])).contains("no domain is here"));
}

#[test]
fn an_administrator_is_made_where_users_live() {
    let folder = tempfile::tempdir().unwrap();
    let create = |only: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(["users", "create-admin", "--email", "a@example.com", "--password-stdin"]).args(only);
        command.current_dir(folder.path()).envs(USERS_OUT.iter().copied());
        let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may refuse before it reads.
        let _ = running.stdin.take().unwrap().write_all(b"a password of some length\n");
        running.wait_with_output().unwrap()
    };
    let refused = create(&[]);
    assert!(!refused.status.success());
    assert!(told(&refused).contains("https://users.internal:7400") && told(&refused).contains("--only users"));
    assert!(!folder.path().join("data").exists(), "nothing was opened");
    assert!(printed(&create(&["--only", "users"])).contains("is an administrator now"));
    let files = std::fs::read_dir(folder.path().join("data")).unwrap();
    let databases = files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|it| it == "db"));
    assert_eq!(databases.count(), 1, "users' alone");
}

#[test]
fn an_import_is_about_products_alone() {
    let refused = cleave(&["import", "products", BINARY, "--only", "users"], &[]);
    assert!(!refused.status.success() && told(&refused).contains("products is not among --only users"));
}

#[test]
fn what_cannot_be_served_is_told_before_anything_is_opened() {
    for (args, word) in [
        (&["serve", "--only", "orders"][..], "modules.products.place"),
        (&["serve", "--only", "user"], "there are users, products, orders, webhooks, storefront"),
        (&["topology", "--only", "storefront"], "modules.orders.place"),
        (&["demo", "--only", "users"], "whole shop"),
    ] {
        let refused = cleave(args, &[]);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{args:?}");
        assert!(told(&refused).contains(word), "{}", told(&refused));
    }
    let places = [("CLEAVE__MODULES__USERS__PLACE", "consul:users"), ("CLEAVE__GRPC__LISTEN", "nowhere")];
    let refused = told(&cleave(&["config"], &places));
    assert!(refused.contains("modules.users.place: `consul:users`") && refused.contains("grpc.listen"), "{refused}");
}

#[test]
fn the_topology_is_told_in_every_form() {
    let secret = [("CLEAVE__DATABASE__URL", "postgres://u:s3cret@h/db")];
    let env = [USERS_OUT, &secret].concat();
    let form = |format: &str| printed(&cleave(&["topology", "--format", format], &env));
    let json: Value = serde_json::from_str(&form("json")).unwrap();
    assert_eq!(json["modules"][0]["place"], "https://users.internal:7400");
    assert_eq!((&json["modules"][0]["here"], &json["modules"][1]["here"]), (&false.into(), &true.into()));
    assert_eq!(json["modules"][2]["database"], "postgres");
    assert!(form("text").lines().any(|line| line == "orders calls products: Catalogue, Stock"));
    assert!(form("mermaid").starts_with("flowchart LR\n"));
    let nginx = form("nginx");
    assert!(nginx.contains("server users.internal:8081;") && nginx.contains("listen 80;"));
    for format in ["json", "text", "mermaid", "nginx"] {
        assert!(!form(format).contains("s3cret"), "{format}");
    }
}
