//! SQLite: one writer that commits many units at once, readers beside it.
//!
//! A durable commit costs a wait for the disk, however much is in it: the writer takes what waits, gives each unit a
//! savepoint and answers after the commit. A unit's own error or a refusing constraint rolls back its savepoint only.
//! Any other trouble (a failing disk, a panic, a swallowed error) puts the whole batch in doubt: it is rolled back and
//! each unit runs alone, so that nobody pays for another's failure.
use super::{
    Queue,
    unit::{Ran, Work, begin_inner, commit, roll_back, swallowed},
};
use crate::{
    conn::Conn,
    error::{Error, Result, Trouble},
    meter::Meter,
};
use diesel::{
    RunQueryDsl as _, SqliteConnection,
    connection::{Connection as _, SimpleConnection as _},
    sql_query,
    sql_types::BigInt,
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Units in one commit.
const BATCH: usize = 256;
/// That SQLite can count.
const MOST_PAGES: i64 = 4_294_967_294;
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// `busy_timeout` comes first: every other statement may meet a lock.
pub(crate) fn session(file: &Path) -> Result<SqliteConnection> {
    let mut conn =
        SqliteConnection::establish(&file.to_string_lossy()).map_err(|e| Error::Unavailable(e.to_string()))?;
    conn.batch_execute("PRAGMA busy_timeout = 5000")?;
    conn.batch_execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    Ok(conn)
}

pub(super) fn connect(file: &Path, reader: bool, meter: &Meter) -> Result<Conn> {
    if !file.exists() {
        // opening would create an empty one, without tables
        return Err(Error::Unavailable(format!("there is no database {}", file.display())));
    }
    let mut conn = session(file)?;
    if reader {
        conn.batch_execute("PRAGMA query_only = ON")?;
    }
    let mut conn = Conn::sqlite(conn)?;
    conn.set_instrumentation(meter.statements());
    Ok(conn)
}

/// Lets the file grow to so many MiB and no further; 0: as far as the disk goes. SQLite counts pages, and never takes one
/// away that is there. It is the connection's to keep, so whoever writes is told.
pub(super) fn bound(conn: &mut Conn, max_mib: usize) -> Result<()> {
    #[derive(diesel::QueryableByName)]
    struct Page {
        #[diesel(sql_type = BigInt)]
        size: i64,
    }
    if max_mib == 0 {
        return Ok(());
    }
    let page: Page = sql_query("SELECT page_size AS size FROM pragma_page_size").get_result(conn)?;
    let bytes = i64::try_from(max_mib).unwrap_or(i64::MAX).saturating_mul(1024 * 1024);
    let pages = (bytes / page.size).min(MOST_PAGES);
    Ok(conn.batch_execute(&format!("PRAGMA max_page_count = {pages}"))?)
}

/// Tells operators that a file is full: at once, then each minute in which a write still meets it.
struct Fullness<'a> {
    file: &'a Path,
    told: Option<Instant>,
}
impl Fullness<'_> {
    fn note(&mut self, trouble: Option<Trouble>) {
        if trouble == Some(Trouble::Full) && self.told.is_none_or(|told| told.elapsed() > TELL_AGAIN) {
            tracing::error!(
                file = %self.file.display(),
                "the database is full, and what it cannot hold is refused: make room on its disk, or raise \
                 database.max_mib and start again"
            );
            self.told = Some(Instant::now());
        }
    }
}

pub(super) fn write_groups(mut conn: Conn, file: &Path, queue: &Queue) {
    let mut fullness = Fullness { file, told: None };
    while let Some(first) = queue.next() {
        let mut group = vec![first];
        group.extend(std::iter::from_fn(|| queue.waiting()).take(BATCH - 1));
        if group.len() > 1 && together(&mut conn, &mut group).is_some() {
            queue.tell(Some(&mut conn), false);
            group.into_iter().for_each(|unit| queue.answer(unit, Ok(())));
        } else {
            for mut unit in group {
                let (fate, trouble) = alone(&mut conn, &mut *unit);
                fullness.note(trouble);
                queue.tell(Some(&mut conn), matches!(fate, Err(Error::Unknown(_))));
                queue.answer(unit, fate);
            }
        }
    }
}

/// `None`: nothing was kept, and every unit must run by itself.
fn together(conn: &mut Conn, group: &mut [Box<dyn Work>]) -> Option<()> {
    conn.fresh();
    let attempt = || {
        conn.begin().ok()?;
        for unit in group {
            begin_inner(conn).ok()?;
            match unit.run(conn) {
                Ran::Well if conn.trouble.is_none() => commit(conn).ok()?,
                Ran::Refused if conn.trouble.is_none() => roll_back(conn).ok()?,
                _ => return None,
            }
        }
        commit(conn).ok()
    };
    let done = attempt();
    if done.is_none() {
        conn.abandon();
    }
    done
}

/// What it is answered, and what was in its way.
fn alone(conn: &mut Conn, unit: &mut dyn Work) -> (Result<()>, Option<Trouble>) {
    conn.fresh();
    if let Err(error) = conn.begin() {
        conn.abandon();
        return (Err(Error::Unavailable(error.to_string())), None);
    }
    let fate = match unit.run(conn) {
        Ran::Well if conn.trouble.is_none() => match commit(conn) {
            Ok(()) => return (Ok(()), None),
            Err(error) => Err(uncommitted(error, conn.trouble)),
        },
        Ran::Well => Err(swallowed()),
        Ran::Refused => Ok(()),
        Ran::Panicked => Err(Error::Panicked),
    };
    let trouble = conn.trouble;
    conn.abandon();
    // Whoever asked did nothing wrong, and nothing was done.
    let fate = if trouble == Some(Trouble::Full) { Err(Error::Unavailable("its file is full".into())) } else { fate };
    (fate, trouble)
}

/// A commit that a constraint, a lock or a full disk refused has done nothing. After any other failure of the disk,
/// only the next opening tells.
fn uncommitted(error: diesel::result::Error, trouble: Option<Trouble>) -> Error {
    let text = error.to_string();
    match trouble {
        Some(Trouble::Batch | Trouble::Lost) if !text.contains("locked") => Error::Unknown(text),
        _ => error.into(),
    }
}

pub(super) fn read_each(mut conn: Conn, queue: &Queue) {
    while let Some(mut unit) = queue.next() {
        if !unit.gone() {
            let fate = read_one(&mut conn, &mut *unit);
            queue.answer(unit, fate);
        }
    }
}

/// One snapshot for the whole unit.
fn read_one(conn: &mut Conn, unit: &mut dyn Work) -> Result<()> {
    conn.fresh();
    let fate = match begin_inner(conn) {
        Ok(()) => match unit.run(conn) {
            Ran::Panicked => Err(Error::Panicked),
            Ran::Well | Ran::Refused => Ok(()),
        },
        Err(error) => Err(Error::Unavailable(error.to_string())),
    };
    conn.abandon();
    fate
}
