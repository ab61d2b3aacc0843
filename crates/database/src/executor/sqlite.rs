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
    SqliteConnection,
    connection::{Connection as _, SimpleConnection as _},
};
use std::path::Path;

/// Units in one commit.
const BATCH: usize = 256;

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

pub(super) fn write_groups(mut conn: Conn, queue: &Queue) {
    while let Some(first) = queue.next() {
        let mut group = vec![first];
        group.extend(std::iter::from_fn(|| queue.waiting()).take(BATCH - 1));
        if group.len() > 1 && together(&mut conn, &mut group).is_some() {
            group.into_iter().for_each(|unit| queue.answer(unit, Ok(())));
        } else {
            for mut unit in group {
                let fate = alone(&mut conn, &mut *unit);
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

fn alone(conn: &mut Conn, unit: &mut dyn Work) -> Result<()> {
    conn.fresh();
    if let Err(error) = conn.begin() {
        conn.abandon();
        return Err(Error::Unavailable(error.to_string()));
    }
    let fate = match unit.run(conn) {
        Ran::Well if conn.trouble.is_none() => match commit(conn) {
            Ok(()) => return Ok(()),
            Err(error) => Err(uncommitted(error, conn.trouble)),
        },
        Ran::Well => Err(swallowed()),
        Ran::Refused => Ok(()),
        Ran::Panicked => Err(Error::Panicked),
    };
    conn.abandon();
    fate
}

/// A commit that a constraint, a lock or a full disk refused has done nothing. After any other failure of the disk,
/// only the next opening tells.
fn uncommitted(error: diesel::result::Error, trouble: Option<Trouble>) -> Error {
    let text = error.to_string();
    match trouble {
        Some(_) if !text.contains("full") && !text.contains("locked") => Error::Unknown(text),
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
