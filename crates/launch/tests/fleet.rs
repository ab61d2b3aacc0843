//! A fleet of a shop that does nothing: what is started, what it is told, and that nothing is left behind.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
use launch::{Databases, Died, Domain, Errors, Fleet, Module, Plan, Signal, Topology, Wanted, find_nginx};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Writes down how it was called, says what a server says, and serves nobody.
const SHOP: &str = r#"#!/bin/sh
echo "$* data=$CLEAVE__DATA_DIR" >>calls
case "$1" in
serve)
    if [ -e refused ]; then echo "no such luck" >&2; exit 1; fi
    echo "$CLEAVE__DATA_DIR" >&2
    trap 'echo "end $3" >>calls; exit 0' TERM
    echo $$ >"pid-$3"
    mkfifo "idle-$$"
    echo "listening on http://$CLEAVE__HTTP__LISTEN"
    echo "metrics on http://$CLEAVE__HTTP__INTERNAL_LISTEN/metrics"
    : >"said-$3"
    read -r nothing <>"idle-$$"
    ;;
topology) echo "server { listen $5; location / { return 200 'through nginx'; } }" ;;
users) cat >>calls ;;
esac
"#;

fn wanted(folder: &TempDir, topology: Topology) -> Wanted {
    let binary = folder.path().join("shop.sh");
    fs::write(&binary, SHOP).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let nginx = Some(find_nginx().expect("nginx is found by `cargo xtask test`"));
    Wanted { topology, binary, folder: folder.path().into(), nginx, ..Wanted::default() }
}
fn calls(folder: &TempDir) -> Vec<String> {
    let text = fs::read_to_string(folder.path().join("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
fn get(url: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
/// The letter that the system has for what a process does.
fn state(folder: &Path, module: &str) -> Option<char> {
    let pid = fs::read_to_string(folder.join(format!("pid-{module}"))).ok()?;
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
fn until(what: &str, ready: impl Fn() -> bool) {
    let asked = Instant::now();
    while !ready() {
        assert!(asked.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// One shop serves many tests at once.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Fleet>();
};

#[test]
fn a_single_shop_is_one_process_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let mut fleet = Fleet::prepare(Plan::new(wanted(&folder, Topology::Single)).unwrap()).unwrap();
    assert_eq!(calls(&folder), [""; 0]);
    fleet.start().unwrap();
    assert_eq!(fleet.url(), "http://127.0.0.1:0", "as the process said");
    let data = folder.path().join("data").display().to_string();
    fleet.run(&["users", "create-admin"], "a password").unwrap();
    fleet.stop();
    let wanted =
        [format!("serve data={data}"), format!("users create-admin data={data}"), "a password".into(), "end ".into()];
    assert_eq!(calls(&folder), wanted);
}

#[test]
fn a_plain_shop_has_no_certificates_and_its_processes_are_known() {
    let folder = TempDir::new().unwrap();
    let plan = Plan::new(Wanted { plaintext: true, ..wanted(&folder, Topology::Split) }).unwrap();
    let mut fleet = Fleet::prepare(plan).unwrap();
    assert_eq!(calls(&folder), [""; 0]);
    assert_eq!((fleet.ids(), fleet.gateway_id()), (vec![], None));
    fleet.start().unwrap();
    let pid = |module: &Module| fs::read_to_string(folder.path().join(format!("pid-{}", module.name()))).unwrap();
    let pids: BTreeSet<u32> = Module::ALL.iter().map(|module| pid(module).trim().parse().unwrap()).collect();
    assert_eq!(fleet.ids().into_iter().collect::<BTreeSet<_>>(), pids);
    let gateway = fleet.gateway_id().unwrap();
    assert!(fs::read_to_string(format!("/proc/{gateway}/comm")).unwrap().contains("nginx"));
}

#[test]
fn a_split_shop_is_prepared_started_and_stopped_in_order() {
    let folder = TempDir::new().unwrap();
    let databases = Databases::Own(Domain::ALL.map(|domain| (domain, "postgres://h/d".to_owned())).into());
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let errors = Errors::Told(Arc::new(move |name, line| keep.lock().unwrap().push(format!("{name}: {line}"))));
    let plan = Plan::new(Wanted { databases, errors, ..wanted(&folder, Topology::Split) }).unwrap();
    let mut fleet = Fleet::prepare(plan).unwrap();
    let prepared: Vec<_> = calls(&folder).iter().map(|call| call.split(" data=").next().unwrap().to_owned()).collect();
    let certificates = folder.path().join("certificates").display().to_string();
    let init = format!("certs init --dir {certificates} --only users");
    let migrated = Domain::ALL.map(|domain| format!("migrate --only {}", domain.name()));
    assert_eq!(prepared, [&[init][..], &migrated].concat());

    fleet.start().unwrap();
    assert!(get(&fleet.url()).unwrap().ends_with("through nginx"));
    assert_eq!(fleet.internals().len(), 5);
    fleet.run(&["users", "list"], "").unwrap();
    assert!(calls(&folder).iter().any(|call| call.starts_with("users list --only users")));

    let products = Module::Of(Domain::Products);
    let url = fleet.url_of(products).unwrap().to_owned();
    fleet.stop_module(products).unwrap();
    assert_eq!((fleet.url_of(products), fleet.ended()), (None, None), "it was asked to");
    assert!(fleet.stop_module(products).unwrap_err().to_string().contains("products"));
    fleet.start_module(products).unwrap();
    assert_eq!(fleet.url_of(products), Some(url.as_str()), "its neighbours find it where it was");
    fleet.kill_module(products).unwrap();
    fleet.start().unwrap();

    fleet.stop();
    assert!(get(&fleet.url()).is_err());
    let ended: Vec<_> =
        calls(&folder).into_iter().filter_map(|call| call.strip_prefix("end ").map(str::to_owned)).collect();
    assert_eq!(ended, ["products", "storefront", "webhooks", "orders", "products", "users"]);
    let data = folder.path().join("data/orders").display().to_string();
    assert!(told.lock().unwrap().contains(&format!("orders: {data}")));
}

#[test]
fn who_is_frozen_stands_still_and_is_stopped_all_the_same() {
    let folder = TempDir::new().unwrap();
    let mut fleet = Fleet::prepare(Plan::new(wanted(&folder, Topology::Split)).unwrap()).unwrap();
    fleet.start().unwrap();
    let orders = Module::Of(Domain::Orders);
    fleet.signal(orders, Signal::Freeze).unwrap();
    until("orders stands still", || state(folder.path(), "orders") == Some('T'));
    fleet.signal(orders, Signal::Thaw).unwrap();
    until("orders goes on", || state(folder.path(), "orders") == Some('S'));
    fleet.signal(orders, Signal::Freeze).unwrap();
    drop(fleet);
    assert!(calls(&folder).contains(&"end orders".to_owned()));
}

#[test]
fn who_ends_without_being_asked_is_named() {
    let folder = TempDir::new().unwrap();
    let mut fleet = Fleet::prepare(Plan::new(wanted(&folder, Topology::Out(Domain::Users))).unwrap()).unwrap();
    fleet.start().unwrap();
    assert_eq!(fleet.ended(), None);
    fleet.signal(Module::Of(Domain::Users), Signal::Stop).unwrap();
    until("its end is seen", || fleet.ended() == Some("users"));

    fleet.stop();
    fs::write(folder.path().join("refused"), "").unwrap();
    let why = fleet.start().unwrap_err().to_string();
    assert!(why.contains("users ended before it said"), "{why}");
}

/// The test starts itself again, and kills that.
#[test]
fn nothing_outlives_who_started_it() {
    const FOLDER: &str = "CLEAVE_TEST_LEASH";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        let wanted = Wanted { binary: folder.join("shop.sh"), folder: folder.into(), ..Wanted::default() };
        let mut fleet = Fleet::prepare(Plan::new(wanted).unwrap()).unwrap();
        fleet.start().unwrap();
        // It is killed long before.
        return thread::sleep(Duration::from_secs(60));
    }
    let folder = TempDir::new().unwrap();
    wanted(&folder, Topology::Single);
    let mut other = Command::new(std::env::current_exe().unwrap());
    other.args(["--exact", "nothing_outlives_who_started_it"]).env(FOLDER, folder.path());
    let mut other = other.stdout(std::process::Stdio::null()).spawn().unwrap();
    // Until then it would die of having nobody to say it to.
    until("it has said where it is", || folder.path().join("said-").exists());
    other.kill().unwrap();
    other.wait().unwrap();
    until("it ended", || calls(&folder).contains(&"end ".to_owned()));
}

#[test]
fn who_died_is_told_with_the_signal_and_starts_again_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::prepare(Plan::new(wanted(&folder, Topology::Split)).unwrap()).unwrap();
    let orders = Module::Of(Domain::Orders);
    fleet.tell_servers(Some(orders), "CLEAVE__DATA_DIR", "told");
    fleet.start().unwrap();
    assert!(calls(&folder).iter().any(|call| call.contains("--only orders") && call.ends_with("data=told")));
    assert_eq!(fleet.died().unwrap(), []);
    let address = fleet.url_of(orders).unwrap().to_owned();
    fleet.signal(orders, Signal::Kill).unwrap();
    until("it is seen to have ended", || fleet.ended() == Some("orders"));
    assert_eq!(fleet.died().unwrap(), [Died { process: "orders", signal: Some(9) }]);
    assert_eq!((fleet.url_of(orders), fleet.ended()), (None, None));
    fleet.start().unwrap();
    assert_eq!(fleet.url_of(orders), Some(address.as_str()));
    assert!(!calls(&folder).last().unwrap().ends_with("data=told"), "only the one that died was told");
}
