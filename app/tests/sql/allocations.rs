//! What each operation allocates: `allocations.txt`.
//!
//! Counted is all that the process asks its allocator for from one quiet moment to the next, with one request between
//! them: workers wait meanwhile, and whoever tells the count adds nothing to it. So a busy machine counts what an idle
//! one does. More than a tenth above the table is a change for the worse; more than a tenth below asks to write it down.
use super::{WITHOUT, quiet};
use std::{collections::BTreeMap, env, fmt, fs};
use testkit::{Actor, Backend, Counters, Least, Meter, Options, Request, Shop, held_against};

const TABLE: &str = include_str!("allocations.txt");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sql/allocations.txt");
const HEAD: &str = "# operation | on SQLite: allocations | KiB | on PostgreSQL: allocations | KiB; of the tests' build
# CLEAVE_WRITE_ALLOCATIONS=1 cargo xtask test --only sqlite allocates, and the same of postgres, write it anew\n";

/// Beyond a tenth: a text that grows its buffer once more, or a buffer that is made anew.
const SLACK: Allocated = Allocated { allocations: 3, kib: 4 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allocated {
    allocations: u64,
    kib: u64,
}

impl Allocated {
    fn between(before: &Counters, after: &Counters) -> Self {
        let bytes = after.allocated_bytes - before.allocated_bytes;
        Self { allocations: after.allocations - before.allocations, kib: bytes.div_ceil(1024) }
    }
    fn is_about(self, other: Self) -> bool {
        let about = |one: u64, other: u64, slack: u64| one.abs_diff(other) <= other / 10 + slack;
        about(self.allocations, other.allocations, SLACK.allocations) && about(self.kib, other.kib, SLACK.kib)
    }
    fn read(allocations: &str, kib: &str) -> Option<Self> {
        Some(Self { allocations: allocations.parse().ok()?, kib: kib.parse().ok()? })
    }
}

/// Each figure by itself: the try that made fewest may have made a large one.
impl Least for Allocated {
    fn least(self, other: Self) -> Self {
        Self { allocations: self.allocations.min(other.allocations), kib: self.kib.min(other.kib) }
    }
}

impl fmt::Display for Allocated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {}", self.allocations, self.kib)
    }
}

/// An operation's row: SQLite, PostgreSQL.
type Row = [Option<Allocated>; 2];

fn rows() -> BTreeMap<String, Row> {
    let row = |line: &str| {
        let [operation, columns @ ..] = &*line.split(" | ").collect::<Vec<_>>() else { return None };
        let column = |n: usize| Allocated::read(columns.get(2 * n)?, columns.get(2 * n + 1)?);
        Some(((*operation).to_owned(), [column(0), column(1)]))
    };
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

#[tokio::test]
async fn no_operation_allocates_more_than_the_table_says() {
    let shop = quiet();
    let mut meter = Meter::new(&shop, Allocated::between);
    meter.everything().await;
    let mut found = meter.found;
    found.extend(ready(shop.backend).await);
    let (mut rows, column) = (rows(), if shop.backend == Backend::Sqlite { 0 } else { 1 });
    if env::var_os("CLEAVE_WRITE_ALLOCATIONS").is_some() {
        rows.retain(|operation, _| found.contains_key(operation));
        found.iter().for_each(|(operation, cost)| rows.entry(operation.clone()).or_default()[column] = Some(*cost));
        return write(&rows);
    }
    // What is about as the table says is taken for what it says.
    let says = |operation: &str| rows.get(operation).and_then(|row| row[column]);
    let table: String = rows.keys().filter_map(|name| says(name).map(|cost| format!("{name} | {cost}\n"))).collect();
    for (operation, cost) in &mut found {
        *cost = says(operation).filter(|said| cost.is_about(*said)).unwrap_or(*cost);
    }
    held_against(&table, &found, WITHOUT).unwrap_or_else(|wrong| {
        panic!("app/tests/sql/allocations.txt, allocations | KiB; its head says how to write it anew:\n{wrong}")
    });
}

/// What is kept as it is sent: made by whoever asks first, given to the rest.
async fn ready(backend: Backend) -> BTreeMap<String, Allocated> {
    let env = [("CLEAVE__PRODUCTS__SWEEP_SECONDS".to_owned(), "3600".to_owned())].into();
    let shop = Shop::start(env!("CARGO_BIN_EXE_cleave"), Options { env, ..Options::default() });
    assert_eq!(shop.backend, backend);
    let (anyone, goods) = (shop.anonymous(), shop.goods(5, 100).await);
    let mut meter = Meter::new(&shop, Allocated::between);
    for (operation, path) in [
        ("GET /v1/products", "/v1/products".to_owned()),
        ("GET /v1/products/{product}", format!("/v1/products/{}", goods.product)),
    ] {
        let tag = anyone.get(&path).send().await.expect(200).header("etag").expect("a tag").to_owned();
        let known = async |anyone: &Actor| -> Request { anyone.get(&path).header("if-none-match", &tag) };
        assert_eq!(known(&anyone).await.send().await.status, 304);
        meter.measure(&format!("{operation}, ready"), async || anyone.get(&path)).await;
        meter.measure(&format!("{operation}, ready and known"), async || known(&anyone).await).await;
    }
    meter.found
}

fn write(rows: &BTreeMap<String, Row>) {
    let column = |cost: Option<Allocated>| cost.map_or_else(|| "? | ?".to_owned(), |cost| cost.to_string());
    let rows =
        rows.iter().map(|(name, [sqlite, postgres])| format!("{name} | {} | {}\n", column(*sqlite), column(*postgres)));
    fs::write(FILE, HEAD.to_owned() + &rows.collect::<String>()).expect("the table can be written");
}
