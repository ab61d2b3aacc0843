//! Moves a domain's tables from one database to another, of either kind, and proves that nothing is missing.
//!
//! [`copy`] holds the source so that nobody writes to it, makes the tables of the target by the same migrations, carries
//! the rows over table by table in the order of foreign keys and primary keys, compares counts and hashes that both
//! databases answer, and sets the target's sequences. [`backup`] does the same for many domains, from snapshots taken
//! together, into SQLite files, while servers write on.
//!
//! **Half a copy.** The target holds a table `cleave_copy` from before the first row until all is compared; a server
//! refuses to open such a database. A copy that is run again finds it, checks that the rows which are there are still the
//! source's first ones, and goes on behind them; otherwise it empties the tables and starts anew. The source is never
//! written to.
//!
//! **Nothing is lost.** SQLite: the source's one write lock is held from before the first row is read until all is
//! compared. PostgreSQL: all its tables are locked against writers for as long, and the copy neither begins nor ends
//! well while another session of the domain is there, for what that one waits to write would go to the old database.
mod backup;
mod catalogue;
mod rows;
mod source;
mod target;
mod value;

pub use backup::{Domain, backup};
pub(crate) use target::refuse_half;

use crate::{Error, Location, Migrations};
use catalogue::Table;
use source::Source;
use std::time::{Duration, Instant};
use target::Target;

/// The table that says that a copy is not finished.
const MARK: &str = "cleave_copy";

/// A table that is the same on both sides now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub table: String,
    pub rows: u64,
    /// Rows that an earlier, unfinished copy had brought.
    pub found: u64,
    /// Of what the rows hold; the same in either database.
    pub hash: String,
    pub took: Duration,
}

/// How far a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// So many rows of a table are kept in the target.
    Rows { table: &'a str, rows: u64 },
    /// The table was compared.
    Done(&'a Copied),
}

/// Hears how far it is.
pub type Watch<'a> = &'a mut dyn FnMut(Step<'_>);

/// Why nothing was copied, or not all.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Database(#[from] Error),
    #[error("source and target are the same database")]
    Same,
    #[error("there is no database {0}")]
    Missing(Location),
    #[error("migrations of the source are pending ({}); run `cleave migrate` first", .0.join(", "))]
    Pending(Vec<String>),
    #[error("{0} is in use: stop the server first, and whatever else works on it")]
    InUse(Location),
    #[error("the target is not empty: its table {0} has rows")]
    NotEmpty(String),
    #[error("the target holds a part of a copy of {0}: finish that one, or name another target")]
    Half(String),
    #[error("{0}")]
    Unlike(String),
    #[error("{table} is not the same on both sides: {source_has} in the source, {target_has} in the target")]
    Differs { table: String, source_has: String, target_has: String },
    #[error("{0}")]
    Folder(String),
}
impl From<diesel::result::Error> for CopyError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}
/// With this module's error.
pub type Result<T, E = CopyError> = std::result::Result<T, E>;

/// Copies all tables of a domain, `migrations` being its own, from `source` to `target`. See the module for what it
/// promises. Blocks for as long as it takes.
pub fn copy(source: &Location, target: &Location, migrations: &Migrations, watch: Watch<'_>) -> Result<Vec<Copied>> {
    if source == target {
        return Err(CopyError::Same);
    }
    let mut from = Source::open(source, migrations)?;
    from.hold()?;
    let mut to = Target::open(target, source, migrations)?;
    let copied = carry(&mut from, &mut to, watch)?;
    from.refuse_others()?;
    to.finish(&from.counters()?)?;
    Ok(copied)
}

/// Brings what is missing and compares all.
fn carry(from: &mut Source, to: &mut Target, watch: Watch<'_>) -> Result<Vec<Copied>> {
    let pairs = alike(from.tables()?, to.tables()?)?;
    if to.begun && !same_so_far(from, to, &pairs)? {
        to.empty(&pairs)?;
    }
    let mut all = Vec::new();
    for (source, target) in &pairs {
        let started = Instant::now();
        let found = target.count(&mut to.conn)?;
        bring(from, to, (source, target), found, watch)?;
        let (rows, hash) = compare(from, to, (source, target))?;
        let copied = Copied { table: source.name.clone(), rows, found, hash, took: started.elapsed() };
        watch(Step::Done(&copied));
        all.push(copied);
    }
    Ok(all)
}

/// The source's table and the target's.
type Pair = (Table, Table);

/// Both must have the same tables with the same columns and keys; their types are each database's own.
fn alike(source: Vec<Table>, target: Vec<Table>) -> Result<Vec<Pair>> {
    let shape = |table: &Table| {
        let columns: Vec<_> = table.columns.iter().map(|column| column.name.clone()).collect();
        (table.name.clone(), columns, table.key.clone(), table.own.clone())
    };
    let shapes = |tables: &[Table]| {
        let mut shapes: Vec<_> = tables.iter().map(shape).collect();
        shapes.sort();
        shapes
    };
    let (ours, theirs) = (shapes(&source), shapes(&target));
    if let Some((name, ..)) = ours.iter().find(|one| !theirs.contains(one)) {
        return Err(CopyError::Unlike(format!(
            "the target has no table {name} with the columns and key of the source's"
        )));
    }
    if let Some((name, ..)) = theirs.iter().find(|one| !ours.contains(one)) {
        return Err(CopyError::Unlike(format!("the target has a table {name} that the source has not")));
    }
    let with_target = |source: Table| {
        let target = target.iter().find(|table| table.name == source.name).cloned();
        target.map(|target| (source, target)).ok_or_else(|| CopyError::Unlike("a table is gone".into()))
    };
    source.into_iter().map(with_target).collect()
}

/// Whether all that an earlier copy brought are the first rows of the source, still as they are there.
fn same_so_far(from: &mut Source, to: &mut Target, pairs: &[Pair]) -> Result<bool> {
    for (source, target) in pairs {
        let Some(end) = target.last(&mut to.conn)? else { continue };
        let theirs = target.digest(&mut to.conn, None, |row| target.unreferred(row))?;
        let ours = source.digest(&mut from.conn, Some(&end), |row| source.unreferred(row))?;
        if (ours.rows, ours.hash()) != (theirs.rows, theirs.hash()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The rows behind the target's last one, then what refers to rows of the same table.
fn bring(
    from: &mut Source,
    to: &mut Target,
    (source, target): (&Table, &Table),
    found: u64,
    watch: Watch<'_>,
) -> Result<()> {
    let (mut after, mut rows) = (target.last(&mut to.conn)?, found);
    loop {
        let chunk = source.next(&mut from.conn, after.as_ref(), None)?;
        let Some(last) = chunk.last() else { break };
        after = Some(source.key_of(last));
        rows += chunk.len() as u64;
        let chunk: Vec<_> = chunk.into_iter().map(|row| source.unreferred(row)).collect();
        to.keep(|conn| target.insert(conn, &chunk))?;
        watch(Step::Rows { table: &source.name, rows });
    }
    let mut after = None;
    while !source.own.is_empty() {
        let chunk = source.next(&mut from.conn, after.as_ref(), None)?;
        let Some(last) = chunk.last() else { break };
        after = Some(source.key_of(last));
        to.keep(|conn| target.refer(conn, &chunk))?;
    }
    Ok(())
}

/// Counts, rows and hash, each as its database answers now.
fn compare(from: &mut Source, to: &mut Target, (source, target): (&Table, &Table)) -> Result<(u64, String)> {
    let (ours, theirs) =
        (source.digest(&mut from.conn, None, |row| row)?, target.digest(&mut to.conn, None, |row| row)?);
    let (counted, there) = (source.count(&mut from.conn)?, target.count(&mut to.conn)?);
    if (counted, counted, ours.hash()) == (there, ours.rows, theirs.hash()) && ours.rows == theirs.rows {
        return Ok((counted, ours.hash()));
    }
    let has = |digest: &value::Digest, counted| format!("{digest:?}, {counted} counted");
    Err(CopyError::Differs {
        table: source.name.clone(),
        source_has: has(&ours, counted),
        target_has: has(&theirs, there),
    })
}
