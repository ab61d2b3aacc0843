//! `cleave audit`: what it says of a shop in which all is well, and of one row that is not. It may be asked while the shop
//! is at work.
mod orders;

use crate::{moved::populate, start};
use serde_json::Value;
use std::process::Output;
use testkit::{Backend, Options, Shop, Topology};

const MODULES: [&str; 4] = ["users", "products", "orders", "webhooks"];

/// What the process that a module runs in prints, by itself.
fn audit(shop: &Shop, module: &str, more: &[&str]) -> Output {
    shop.command_of(module, &[&["audit"], more].concat()).output().expect("it ends")
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn audits_clean(shop: Shop) {
    populate(&shop, &shop.admin().await).await;
    assert_eq!(shop.audit(), [""; 0]);
    for module in MODULES {
        let told = audit(&shop, module, &[]);
        assert_eq!(told.status.code(), Some(0), "{}", printed(&told));
        assert!(printed(&told).ends_with("checks: everything holds\n"), "{}", printed(&told));
    }
    let told = audit(&shop, "users", &["--json", "--at-rest"]);
    let checks: Vec<Value> = serde_json::from_slice(&told.stdout).expect("a list");
    let sessions = checks.iter().find(|check| check["name"] == "users.session_has_account").expect("it is looked at");
    assert!(sessions["looked_at"].as_u64() > Some(0) && sessions["off"] == 0, "{sessions}");
}

#[tokio::test]
async fn a_shop_in_one_process_audits_clean() {
    audits_clean(start()).await;
}

#[tokio::test]
async fn a_split_shop_audits_clean() {
    let options = Options { topology: Some(Topology::Split), ..Options::default() };
    audits_clean(Shop::start(env!("CARGO_BIN_EXE_cleave"), options)).await;
}

/// Who cannot look says so, and neither that all is well nor that anything is off.
#[test]
fn who_cannot_look_says_so() {
    let shop = start();
    let away = [("CLEAVE__MODULES__ORDERS__DATABASE", "postgres://somebody:secret@127.0.0.1:1/shop")];
    let nowhere = [("CLEAVE__MODULES__ORDERS__DATABASE", "sqlite:not-there.db")];
    for (env, why) in [(away, "127.0.0.1"), (nowhere, "migrations are pending")] {
        let told = shop.command(&["audit"]).envs(env).output().expect("it ends");
        assert_eq!((told.status.code(), told.stdout.len()), (Some(2), 0), "{}", printed(&told));
        assert!(printed(&told).contains(why) && !printed(&told).contains("secret"), "{}", printed(&told));
    }
    assert!(!shop.data_dir().join("not-there.db").exists(), "who only looks makes no file");
}

/// Rows that are off, each as `corrupt` leaves it, and the check that names them.
async fn names(check: &str, corrupt: impl FnOnce(&Shop)) {
    let mut shop = start();
    shop.ends_unaudited("a row of it is off");
    shop.customer().await;
    assert_eq!(shop.audit(), [""; 0]);
    corrupt(&shop);
    let told = audit(&shop, "users", &[]);
    assert_eq!(told.status.code(), Some(1), "{}", printed(&told));
    let off: Vec<_> = printed(&told).lines().filter(|line| line.starts_with("OFF")).map(str::to_owned).collect();
    assert!(off.len() == 1 && off[0].contains(&format!(" {check} ")), "{off:?}\n{}", printed(&told));
    assert!(printed(&told).contains("\n     "), "it says which: {}", printed(&told));
}

/// The database refuses this one, too: its index is dropped first.
#[tokio::test]
async fn two_accounts_of_one_address_are_named() {
    names("users.address_is_one_accounts", |shop| {
        shop.corrupt("users", "DROP INDEX users_email_key");
        let first = "(SELECT email_key FROM users WHERE email_key LIKE 'admin@%')";
        let email = "email = upper(email_key)";
        shop.corrupt("users", &format!("UPDATE users SET email_key = {first}"));
        shop.corrupt("users", &format!("UPDATE users SET {email}"));
    })
    .await;
}

#[tokio::test]
async fn an_address_that_is_not_folded_is_named() {
    let corrupt = "UPDATE users SET email_key = 'x' || email_key WHERE email LIKE 'admin@%'";
    names("users.address_is_folded", |shop| shop.corrupt("users", corrupt)).await;
}

/// Foreign keys are not looked at while rows are corrupted, here and below.
#[tokio::test]
async fn a_session_without_account_is_named() {
    names("users.session_has_account", |shop| {
        let (session, token) = (ids(shop), "the token's");
        shop.corrupt("users", &format!("INSERT INTO sessions (id, user_id, created_at, used_at, expires_at) SELECT {session}, {session}, created_at, used_at, expires_at FROM sessions LIMIT 1"));
        shop.corrupt("users", &format!("INSERT INTO refresh_tokens (hash, session_id, created_at) SELECT {}, {session}, created_at FROM sessions LIMIT 1", bytes(shop, token)));
    })
    .await;
}

#[tokio::test]
async fn a_postal_address_without_account_is_named() {
    names("users.address_has_account", |shop| {
        let id = ids(shop);
        shop.corrupt("users", &format!("INSERT INTO addresses (id, user_id, address, version, created_at) SELECT {id}, {id}, '{{}}', 1, created_at FROM users LIMIT 1"));
    })
    .await;
}

#[tokio::test]
async fn a_token_without_session_is_named() {
    names("users.token_has_session", |shop| {
        let (id, hash) = (ids(shop), bytes(shop, "a token's"));
        shop.corrupt("users", &format!("INSERT INTO refresh_tokens (hash, session_id, created_at) SELECT {hash}, {id}, created_at FROM users LIMIT 1"));
    })
    .await;
}

#[tokio::test]
async fn a_session_that_two_tokens_carry_on_is_named() {
    names("users.session_has_one_token", |shop| {
        let hash = bytes(shop, "another token's");
        shop.corrupt("users", &format!("INSERT INTO refresh_tokens (hash, session_id, created_at) SELECT {hash}, id, created_at FROM sessions LIMIT 1"));
    })
    .await;
}

#[tokio::test]
async fn keys_that_do_not_sign_yet_are_named() {
    let later = |shop: &Shop| match shop.backend {
        Backend::Sqlite => "signs_from + 3600000000",
        Backend::Postgres => "signs_from + interval '1 hour'",
    };
    names("users.key_signs", |shop| {
        shop.corrupt("users", &format!("UPDATE signing_keys SET signs_from = {}", later(shop)));
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_published_wrong_is_named() {
    names("users.key_signs", |shop| {
        shop.corrupt("users", &format!("UPDATE signing_keys SET public_key = {}", bytes(shop, "no key")));
    })
    .await;
}

#[tokio::test]
async fn an_account_that_no_event_tells_of_is_named() {
    let corrupt = "DELETE FROM outbox WHERE position = (SELECT min(position) FROM outbox)";
    names("users.account_was_told", |shop| shop.corrupt("users", corrupt)).await;
}

#[tokio::test]
async fn an_account_that_is_told_of_and_gone_is_named() {
    names("users.told_account_is_there", |shop| {
        let id = ids(shop);
        let trace = "00000000000000000000000000000000";
        shop.corrupt("users", &format!("INSERT INTO outbox (id, kind, subject, payload, trace, occurred_at) SELECT {id}, 'user.registered', {id}, '{{}}', '{trace}', created_at FROM users LIMIT 1"));
    })
    .await;
}

/// What is the same of every domain is looked at in users.
#[tokio::test]
async fn an_event_that_was_given_up_is_named() {
    names("users.nothing_was_given_up", |shop| {
        let form = if shop.backend == Backend::Sqlite { "" } else { "::jsonb" };
        let id = ids(shop);
        shop.corrupt("users", &format!("INSERT INTO inbox (id, kind, subject, event, received_at, tries, dead_at) SELECT {id}, 'lamp.lit', 'lamp', '{{}}'{form}, created_at, 10, created_at FROM users LIMIT 1"));
    })
    .await;
}

#[tokio::test]
async fn events_that_wait_are_named_at_rest() {
    let mut shop = start();
    shop.ends_unaudited("a row of it is off");
    shop.settled().await;
    shop.stop();
    let off = |shop: &Shop| {
        let told = printed(&audit(shop, "users", &["--at-rest"]));
        let off =
            told.lines().filter_map(|line| line.strip_prefix("OFF")?.split_whitespace().next().map(str::to_owned));
        off.collect::<Vec<_>>()
    };
    assert_eq!(off(&shop), [""; 0]);
    shop.corrupt("users", "UPDATE outbox SET published_at = NULL");
    assert_eq!(off(&shop), ["users.everything_was_told"]);
    shop.corrupt("users", "UPDATE outbox SET published_at = occurred_at");
    let form = if shop.backend == Backend::Sqlite { "" } else { "::jsonb" };
    let id = ids(&shop);
    shop.corrupt("users", &format!("INSERT INTO inbox (id, kind, subject, event, received_at, tries) SELECT {id}, 'lamp.lit', 'lamp', '{{}}'{form}, created_at, 0 FROM users LIMIT 1"));
    assert_eq!(off(&shop), ["users.everything_was_handled"]);
}

/// The checks that every domain has.
const COMMON: [&str; 3] = [".nothing_was_given_up", ".everything_was_told", ".everything_was_handled"];

/// Where rows of users and of products are corrupted.
const CORRUPTED: [(&str, &str); 2] =
    [("users.", include_str!("audit.rs")), ("products.", include_str!("../../../crates/products/src/tests/audit.rs"))];

/// A check that nobody has heard speak may have nothing to say.
#[tokio::test]
async fn every_check_is_made_to_speak() {
    let told = audit(&start(), "users", &["--json", "--at-rest"]);
    let checks: Vec<Value> = serde_json::from_slice(&told.stdout).expect("a list");
    let all = checks.iter().filter_map(|check| check["name"].as_str());
    let (common, all): (Vec<_>, Vec<&str>) = all.partition(|name| COMMON.iter().any(|end| name.ends_with(end)));
    assert_eq!(common.len(), COMMON.len() * MODULES.len());
    for (domain, tests) in CORRUPTED {
        let silent = |name: &&&str| name.starts_with(domain) && !tests.contains(&format!("\"{name}\""));
        assert_eq!(all.iter().filter(silent).collect::<Vec<_>>(), [&""; 0], "no test makes them speak");
        assert!(all.iter().any(|name| name.starts_with(domain)));
    }
    let mut of_orders: Vec<_> = all.into_iter().filter(|name| name.starts_with("orders.")).collect();
    of_orders.sort_unstable();
    assert_eq!(of_orders, orders::spoken(), "each has its case, and each case its check");
}

/// An id that nobody has.
fn ids(shop: &Shop) -> &'static str {
    match shop.backend {
        Backend::Sqlite => "x'00000000000070008000000000000001'",
        Backend::Postgres => "'00000000-0000-7000-8000-000000000001'::uuid",
    }
}

fn bytes(shop: &Shop, text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    match shop.backend {
        Backend::Sqlite => format!("x'{hex}'"),
        Backend::Postgres => format!("'\\x{hex}'::bytea"),
    }
}
