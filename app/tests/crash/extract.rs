//! `docs/extract.md`, word for word: a domain moves out of a populated shop, and who buys there cannot tell.
use crate::moved::{goes_on, populate, shown};
use crate::start;
use std::{
    ffi::OsString,
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use testkit::until;

const PAGE: &str = include_str!("../../../docs/extract.md");

/// What the page's blocks say, one after another.
fn commands() -> String {
    let blocks = PAGE.split("```sh\n").skip(1).map(|rest| rest.split_once("```").expect("a block ends").0);
    blocks.collect::<Vec<_>>().join("\n")
}

/// What the page leaves running, and the shop before it.
struct Left {
    folder: PathBuf,
    first: Child,
}
impl Drop for Left {
    fn drop(&mut self) {
        for name in ["shop.pid", "orders.pid", "nginx.pid"] {
            if let Ok(pid) = fs::read_to_string(self.folder.join(name)) {
                let _ = Command::new("kill").arg(pid.trim()).stderr(Stdio::null()).status(); // or it ended before
            }
        }
        let _ = self.first.wait(); // it was told by its process id
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// What nginx needs beside the page's file.
fn nginx(folder: &Path) -> String {
    let program = launch::find_nginx().expect("nginx: `cargo xtask test` finds or fetches it");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind}_temp; "))
        .concat();
    let main = format!(
        "user root root; pid nginx.pid; error_log error.log warn; events {{}} http {{ access_log off; {temporary} include cleave.conf; }}"
    );
    fs::write(folder.join("nginx.conf"), main).expect("a file");
    format!("{} -e error.log -p {} -c nginx.conf", program.display(), folder.display())
}

#[tokio::test]
async fn a_domain_moves_out_as_the_page_says() {
    let mut shop = start();
    let admin = shop.admin().await;
    let last = populate(&shop, &admin).await;
    let admin = admin.token().expect("signed in").to_owned();
    let before = shown(&shop, &admin).await;
    shop.stop();

    // The same shop, as somebody runs it who follows the page: by its own settings, in a folder of its own.
    let dir = TempDir::new().expect("a folder");
    let folder = dir.path().to_owned();
    symlink(env!("CARGO_BIN_EXE_cleave"), folder.join("cleave")).expect("a link");
    fs::write(folder.join("shop.toml"), "").expect("a file");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("PATH"));
    let shop_name: OsString = testkit::unique("shop").into();
    let told: Vec<(OsString, OsString)> = {
        let command = shop.command(&[]);
        let told = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        // The page chooses the broker; names of its own, since the run's is shared.
        let ours = ["CLEAVE__HTTP__INTERNAL_LISTEN", "CLEAVE__EVENTS__BROKER"];
        let named =
            ["STREAM", "PREFIX"].map(|name| (format!("CLEAVE__EVENTS__NATS__{name}").into(), shop_name.clone()));
        told.filter(|(name, _)| !ours.iter().any(|our| name == our)).chain(named).collect()
    };
    let here = |mut command: Command| {
        command.current_dir(&folder).env("PATH", &path).envs(told.iter().cloned());
        command
    };
    let http = free();
    let mut serve = Command::new("cleave");
    serve.args(["serve", "--config", "shop.toml", "--listen", &http.to_string()]);
    let mut serve = here(serve);
    let first = serve.stdout(Stdio::null()).spawn().expect("it starts");
    fs::write(folder.join("shop.pid"), first.id().to_string()).expect("a file");
    let mut left = Left { folder: folder.clone(), first };
    shop.url = format!("http://{http}");
    let actor = shop.anonymous();
    until("the shop is open", async || actor.get("/readyz").try_send().await.ok().map(drop)).await;

    let gateway = free();
    let mut page = Command::new("sh");
    page.args(["-eu", "-c", &commands()]);
    let mut page = here(page);
    let nats = std::env::var("CLEAVE_TEST_NATS").expect("CLEAVE_TEST_NATS: `cargo xtask test` starts one");
    page.env("NATS", nats)
        .env("SHOP_HTTP", http.to_string())
        .env("SHOP_DATA", shop.data_dir())
        .env("SHOP_GRPC", free().to_string());
    page.env("ORDERS_HTTP", free().to_string()).env("ORDERS_GRPC", free().to_string());
    page.env("ORDERS_DATABASE", testkit::database("orders")).env("GATEWAY", gateway.to_string());
    page.env("NGINX_CONF", folder.join("cleave.conf")).env("NGINX_RELOAD", nginx(&folder));
    let running = std::thread::spawn(move || page.output().expect("sh can be run"));
    // The first process is ours to wait for, or its id would stay and the page would wait for it.
    let (begun, mut ended) = (Instant::now(), None);
    while !running.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(180), "the page does not end");
        ended = left.first.try_wait().expect("it is ours");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let done = running.join().expect("it ends");
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{told}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(ended.is_some_and(|status| status.success()), "the shop stopped in order");
    assert_eq!(told.rsplit_once("module ").expect("a table").1.matches("ready").count(), 5, "{told}");

    shop.url = format!("http://{gateway}");
    let actor = shop.anonymous();
    until("the gateway answers", async || actor.get("/readyz").try_send().await.ok().map(drop)).await;
    assert_eq!(shown(&shop, &admin).await, before);
    goes_on(&shop, &last).await;
    shop.ends_unaudited("its orders have moved out; what lies here is as it was before");
}
