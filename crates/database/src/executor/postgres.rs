//! PostgreSQL: a few threads, a connection each, one queue for reads and writes.
//!
//! A write is a transaction; a deadlock, a serialisation failure or a table that was changed beside it runs it again, a few
//! times, then answers `Busy`. Rows in id order stay the rule: the retry is a net. A read runs in autocommit. A connection
//! that is gone before the commit has done nothing (`Unavailable`); at the commit nobody knows (`Unknown`). The thread gets
//! a new one.
use super::{
    Queue,
    crew::Place,
    unit::{Ran, Work, commit, swallowed},
};
use crate::{
    conn::Conn,
    error::{Error, Result, Trouble},
    location::quoted,
    meter::Meter,
};
use diesel::{
    PgConnection, RunQueryDsl as _,
    connection::{Connection as _, SimpleConnection as _},
    dsl::sql,
    sql_types::Text,
};
use std::time::{Duration, Instant};

/// Runs of one unit.
const TRIES: u32 = 5;
/// After as long without use, a connection is tried before a read, which runs only once.
const IDLE: Duration = Duration::from_secs(1);

/// A session as the domain's own role, in its own schema.
pub(crate) fn session(url: &str, schema: &str, role: Option<&str>) -> Result<PgConnection> {
    let mut conn = PgConnection::establish(&patient(url)).map_err(|e| Error::Unavailable(e.to_string()))?;
    // A deadlock, and a statement whose columns have changed, are known by their English texts. Only a superuser, or whoever
    // was granted it, may ask for English; others live with the server's setting. By itself, so that a refusal undoes
    // nothing.
    if conn.batch_execute("SET lc_messages TO 'C'").is_err() && !speaks_english(&mut conn) {
        tracing::warn!(
            schema,
            "the server's messages are not in English: deadlocks are answered, not tried again, and a column that gets another type needs a restart"
        );
    }
    let role = role.map(|role| format!("SET ROLE {};", quoted(role))).unwrap_or_default();
    let (path, name) = (quoted(schema), quoted(&format!("cleave-{schema}")));
    conn.batch_execute(&format!("{role} SET search_path TO {path}; SET application_name TO {name};"))
        .map_err(|e| Error::Unavailable(e.to_string()))?;
    Ok(conn)
}

fn speaks_english(conn: &mut PgConnection) -> bool {
    let setting = diesel::select(sql::<Text>("current_setting('lc_messages')")).get_result::<String>(conn);
    setting.is_ok_and(|locale| ["C", "POSIX", "en"].iter().any(|english| locale.starts_with(english)))
}

/// A server that does not answer must not hold a thread for long, unless the URL says how long.
fn patient(url: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    if url.contains("connect_timeout=") { url.into() } else { format!("{url}{separator}connect_timeout=5") }
}

pub(super) fn connect(url: &str, schema: &str, role: Option<&str>, meter: &Meter) -> Result<Conn> {
    let mut conn = session(url, schema, role)?;
    // what reads is outside of a transaction; `Conn::begin` says otherwise for what writes
    conn.batch_execute("SET default_transaction_read_only TO on; SET statement_timeout TO '60s'")
        .map_err(|e| Error::Unavailable(e.to_string()))?;
    let mut conn = Conn::postgres(conn);
    conn.set_instrumentation(meter.statements());
    Ok(conn)
}

pub(super) fn serve(mut held: Option<Conn>, connect: &dyn Fn() -> Result<Conn>, queue: &Queue, mut place: Place) {
    let mut used = Instant::now();
    loop {
        if held.is_none() && !place.nobody_is_connected() {
            let refused = |error: &Error| tracing::warn!(%error, "PostgreSQL gives no further connection");
            held = connect().inspect_err(refused).ok();
            if held.is_none() && place.may_leave() {
                return;
            }
        }
        place.set_connected(held.is_some());
        let Some(mut unit) = queue.next() else { return };
        if !unit.writes() && unit.gone() {
            continue;
        }
        if !unit.writes() && used.elapsed() > IDLE {
            held.take_if(|conn| !conn.alive());
        }
        place.set_connected(held.is_some());
        if held.is_none() {
            match connect() {
                Ok(conn) => held = Some(conn),
                Err(error) => {
                    refuse(unit, &error, queue, &place);
                    continue;
                }
            }
            place.set_connected(true);
        }
        let fate = run(&mut held, connect, &mut *unit);
        place.set_connected(held.is_some());
        queue.tell(held.as_mut(), matches!(fate, Err(Error::Unknown(_))));
        used = Instant::now();
        queue.answer(unit, fate);
    }
}

/// Answers who cannot be served, and where nobody has a connection all others that wait: they would hear the same after as
/// long again.
fn refuse(unit: Box<dyn Work>, error: &Error, queue: &Queue, place: &Place) {
    let mut refused = Some(unit);
    while let Some(unit) = refused {
        queue.answer(unit, Err(Error::Unavailable(format!("no connection: {error}"))));
        refused = place.nobody_is_connected().then(|| queue.waiting()).flatten();
    }
}

fn run(held: &mut Option<Conn>, connect: &dyn Fn() -> Result<Conn>, unit: &mut dyn Work) -> Result<()> {
    let (mut attempt, mut may_be_dead) = (1, true);
    loop {
        let conn = match held {
            Some(conn) => conn,
            None => held.insert(connect()?),
        };
        conn.fresh();
        let (fate, trouble) = if unit.writes() {
            match conn.begin() {
                Ok(()) => transact(conn, unit),
                Err(error) => {
                    *held = None;
                    if std::mem::take(&mut may_be_dead) {
                        continue; // while nobody used it; nothing was asked of it yet
                    }
                    return Err(Error::Unavailable(error.to_string()));
                }
            }
        } else {
            plainly(conn, unit)
        };
        match trouble {
            Some(Trouble::Lost) => tracing::warn!("a connection to PostgreSQL was lost"),
            Some(Trouble::Changed) => tracing::warn!("a table was changed beside this process: connecting anew"),
            _ => (),
        }
        if matches!(trouble, Some(Trouble::Lost | Trouble::Changed)) {
            *held = None;
        }
        if matches!(trouble, Some(Trouble::Retry | Trouble::Changed)) && unit.writes() && attempt < TRIES {
            // Random, or two that collided collide again. Nobody says when the other one is through, and what sleeps is a
            // thread of the database's own, outside of any transaction.
            let jitter = uuid::Uuid::now_v7().as_u128() as u64 % (10 << attempt);
            std::thread::sleep(Duration::from_millis(jitter));
            attempt += 1;
            continue;
        }
        return fate;
    }
}

fn plainly(conn: &mut Conn, unit: &mut dyn Work) -> (Result<()>, Option<Trouble>) {
    let fate = match unit.run(conn) {
        Ran::Panicked => Err(Error::Panicked),
        Ran::Well | Ran::Refused => Ok(()),
    };
    let mut trouble = conn.trouble;
    // after trouble it may be dead, after a panic in the middle of a transaction of the unit's own
    if (trouble.is_some() || conn.depth().is_some()) && !conn.abandon() {
        trouble = Some(Trouble::Lost);
    }
    conn.fresh();
    (without_effect(fate, trouble), trouble)
}

fn transact(conn: &mut Conn, unit: &mut dyn Work) -> (Result<()>, Option<Trouble>) {
    let ran = unit.run(conn);
    let fate = match ran {
        Ran::Well if conn.trouble.is_none() => match commit(conn) {
            Ok(()) => return (Ok(()), None),
            Err(error) => Some(match conn.trouble {
                None => Err(Error::Query(error)), // a deferred constraint: it rolled back
                Some(Trouble::Retry | Trouble::Changed) => Err(Error::Busy),
                Some(Trouble::Batch | Trouble::Full | Trouble::Lost) => Err(Error::Unknown(error.to_string())),
            }),
        },
        _ => None,
    };
    let mut trouble = conn.trouble;
    if !conn.abandon() {
        trouble = Some(Trouble::Lost);
    }
    let fate = fate.unwrap_or_else(|| match ran {
        Ran::Well => without_effect(Err(swallowed()), trouble),
        Ran::Refused => without_effect(Ok(()), trouble),
        Ran::Panicked => Err(Error::Panicked),
    });
    (fate, trouble)
}

/// What a transaction that broke before its commit is answered.
fn without_effect(fate: Result<()>, trouble: Option<Trouble>) -> Result<()> {
    match trouble {
        Some(Trouble::Lost) => Err(Error::Unavailable("the connection was lost".into())),
        Some(Trouble::Retry | Trouble::Changed) => Err(Error::Busy), // after the last attempt
        _ => fate,
    }
}
