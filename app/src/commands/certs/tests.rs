use super::*;
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, time::Duration};

const NAMES: [&str; 5] = ["users", "products", "orders", "webhooks", "storefront"];

fn plan(dir: &Path) -> Plan {
    Plan { dir: dir.join("certs"), days: 365, trust_domain: "paper".into() }
}

fn files(dir: &Path) -> BTreeMap<String, String> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    all.map(|path| (name(&path), fs::read_to_string(path).unwrap())).collect()
}

fn told(failed: Result<Vec<String>, Failed>) -> String {
    failed.unwrap_err().0
}

#[test]
fn what_is_made_is_believed() {
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(temp.path());
    let before = SystemClock.now();
    let lines = init(&plan).unwrap();
    assert_eq!(lines.len(), 7);
    assert!(lines[1].contains("users.pem and its key for spiffe://paper/users, valid until "), "{}", lines[1]);

    let certificates = Certificates::open(&plan.dir, "paper", &NAMES).unwrap();
    let (_, until) = certificates.expires();
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let second = Duration::from_secs(1);
    assert!(before + year < until + second && until <= SystemClock.now() + year, "until {until}");

    // Each is for its module and for this shop.
    assert!(Certificates::open(&plan.dir, "brass", &NAMES).is_err());
    fs::copy(plan.dir.join("users.pem"), plan.dir.join("orders.pem")).unwrap();
    fs::copy(plan.dir.join("users.key"), plan.dir.join("orders.key")).unwrap();
    let bad = Certificates::open(&plan.dir, "paper", &NAMES).unwrap_err().to_string();
    assert!(bad.contains("orders.pem: shows spiffe://paper/users"), "{bad}");
}

#[test]
fn keys_are_their_owners() {
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(temp.path());
    init(&plan).unwrap();
    issue(&plan, ModuleName::Users).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&plan.dir), 0o700);
    let names: Vec<String> = files(&plan.dir).into_keys().collect();
    assert_eq!(names.len(), 12, "{names:?}");
    for name in names.iter().filter(|name| name.ends_with(".key")) {
        assert_eq!(mode(&plan.dir.join(name)), 0o600, "{name}");
    }
}

#[test]
fn an_authority_is_made_once() {
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(temp.path());
    init(&plan).unwrap();
    let before = files(&plan.dir);
    let why = told(init(&plan));
    assert!(why.contains("authority.pem is there already: `cleave certs issue MODULE"), "{why}");
    assert_eq!(files(&plan.dir), before);
}

#[test]
fn issue_replaces_one_module() {
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(temp.path());
    init(&plan).unwrap();
    let (running, before) = (Certificates::open(&plan.dir, "paper", &NAMES).unwrap(), files(&plan.dir));
    issue(&Plan { days: 30, ..self::plan(temp.path()) }, ModuleName::Orders).unwrap();
    let after = files(&plan.dir);
    let changed: Vec<&String> = after.keys().filter(|name| after.get(*name) != before.get(*name)).collect();
    assert_eq!(changed, ["orders.key", "orders.pem"]);
    assert!(running.reload().unwrap());
    assert_eq!(running.expires().0, "orders.pem");
}

#[test]
fn nothing_is_issued_without_its_authority() {
    let (temp, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plan = plan(temp.path());
    let why = told(issue(&plan, ModuleName::Users));
    assert!(why.contains("authority.pem: ") && why.contains("`cleave certs init` makes an authority"), "{why}");

    init(&plan).unwrap();
    let before = files(&plan.dir);
    let bad_domain = Plan { trust_domain: "Paper".into(), ..self::plan(temp.path()) };
    let why = told(issue(&bad_domain, ModuleName::Users));
    assert!(why.contains("nothing was made: `Paper` is not a trust domain"), "{why}");
    assert_eq!(files(&plan.dir), before);

    let another = self::plan(other.path());
    init(&another).unwrap();
    fs::copy(another.dir.join(ROOT_KEY), plan.dir.join(ROOT_KEY)).unwrap();
    assert_eq!(told(issue(&plan, ModuleName::Users)), "authority.key is the key of no certificate in authority.pem");

    // Both roots: whose key is there signs.
    fs::write(plan.dir.join(ROOT), before[ROOT].clone() + &files(&another.dir)[ROOT]).unwrap();
    issue(&plan, ModuleName::Users).unwrap();
    fs::write(plan.dir.join(ROOT), &files(&another.dir)[ROOT]).unwrap();
    Certificates::open(&plan.dir, "paper", &["users"]).unwrap();
}

#[test]
fn a_leaf_ends_with_its_authority() {
    let now = SystemClock.now();
    let nine_years = Duration::from_secs(9 * 365 * 24 * 60 * 60);
    let root = authority::root("paper", now.minus(nine_years)).unwrap();
    let authority = Authority::read(&root.certificate, &root.key, now).unwrap();
    let leaf = authority.leaf("paper", "users", now, 3650).unwrap();
    assert!(leaf.until <= root.until && now < leaf.until, "{} and {}", leaf.until, root.until);

    let old = authority::root("paper", now.minus(nine_years * 2)).unwrap();
    let why = Authority::read(&old.certificate, &old.key, now).err().unwrap().0;
    assert!(why.starts_with("the authority expired at "), "{why}");
}

#[test]
fn two_commands_keep_apart() {
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(temp.path());
    let other = Staged::in_folder(&plan.dir).unwrap();
    assert!(told(init(&plan)).contains("another `cleave certs` is at work"));
    drop(other);
    init(&plan).unwrap();
}
