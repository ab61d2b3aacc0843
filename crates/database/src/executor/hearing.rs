//! PostgreSQL: what other processes say to whoever tells a domain's events. A thread with a connection of its own.
//!
//! libpq hands over notifications as its socket brings them, and diesel shows no socket to wait for: so the thread looks
//! at it every few milliseconds. That is a read of a socket, not a question to the server.
use super::{Inner, postgres::session};
use crate::{
    conn::Conn,
    error::Result,
    location::quoted,
    meter::uncounted,
    touched::{News, Touched},
};
use diesel::{
    PgConnection, QueryResult, RunQueryDsl as _,
    connection::SimpleConnection as _,
    dsl::sql,
    sql_query,
    sql_types::{Integer, Text},
};
use std::{
    sync::{Weak, atomic::Ordering::SeqCst},
    thread::JoinHandle,
    time::{Duration, Instant},
};

const LOOK: Duration = Duration::from_millis(25);
const CONNECT_AGAIN: Duration = Duration::from_secs(2);

/// A channel is the whole database's; its schema's name is what a domain is.
fn channel(schema: &str) -> String {
    format!("cleave_told_{schema}")
}
/// Where processes say to one another what they changed.
fn changes(schema: &str) -> String {
    format!("cleave_touched_{schema}")
}

/// Begins to hear, once asked to.
pub(super) fn on(
    name: &'static str,
    url: String,
    schema: String,
    role: Option<String>,
) -> Box<dyn FnOnce(Weak<Inner>) -> JoinHandle<()> + Send> {
    Box::new(move |database| {
        super::spawn(name, "hear", move || {
            let listen = format!("LISTEN {}; LISTEN {}", quoted(&channel(&schema)), quoted(&changes(&schema)));
            let connect = || {
                let mut conn = session(&url, &schema, role.as_deref()).ok()?;
                conn.batch_execute(&listen).ok()?;
                let pid = diesel::select(sql::<Integer>("pg_backend_pid()")).get_result(&mut conn).ok()?;
                Some(Ear { conn, pid })
            };
            hear(&database, &changes(&schema), connect);
        })
    })
}

/// A connection that listens, and what the server calls it.
struct Ear {
    conn: PgConnection,
    pid: i32,
}

fn hear(database: &Weak<Inner>, changes: &str, connect: impl Fn() -> Option<Ear>) {
    let (mut held, mut tried): (Option<Ear>, Option<Instant>) = (None, None);
    loop {
        let Some(inner) = database.upgrade() else { return };
        // Nothing is written any more; what was written last is still to be said.
        if inner.closed.load(SeqCst) {
            if let Some(ear) = &mut held {
                let _ = turn(&inner, ear, changes);
            }
            return;
        }
        let due = held.is_none() && tried.is_none_or(|tried| tried.elapsed() > CONNECT_AGAIN);
        if due {
            tried = Some(Instant::now());
            held = connect();
            // What was said meanwhile, nobody heard.
            inner.told.notify_one();
            if held.is_some() {
                inner.keeper.tell(News::Hears);
            }
        }
        if let Some(ear) = &mut held
            && turn(&inner, ear, changes).is_err()
        {
            held = None;
            inner.keeper.tell(News::Deaf);
        }
        drop(inner); // or nobody could close it
        std::thread::sleep(LOOK);
    }
}

/// Takes what others said, and says what changed here.
fn turn(inner: &Inner, Ear { conn, pid }: &mut Ear, changes: &str) -> QueryResult<()> {
    let said = conn.notifications_iter().collect::<QueryResult<Vec<_>>>()?;
    for one in &said {
        match one.channel == changes {
            true if one.process_id == *pid => (), // our own words
            true => inner.keeper.tell(News::Touched(&Touched::read(&one.payload))),
            false => inner.told.notify_one(),
        }
    }
    let unsaid = inner.keeper.unsaid();
    if !unsaid.is_empty() {
        let say = sql_query("SELECT pg_notify($1, $2)").bind::<Text, _>(changes);
        uncounted(|| say.bind::<Text, _>(unsaid.to_text()).execute(conn)).inspect_err(|_| {
            // Said once there is a connection again.
            inner.keeper.unsaid.lock().expect("never poisoned").join(&unsaid);
        })?;
    }
    Ok(())
}

pub(super) fn say(conn: &mut Conn) -> Result<()> {
    let schema = conn.on(
        |_| Ok(None),
        |pg| {
            #[derive(diesel::QueryableByName)]
            struct Schema {
                #[diesel(sql_type = Text)]
                name: String,
            }
            let schema: Schema = sql_query("SELECT current_schema()::text AS name").get_result(pg)?;
            Ok(Some(schema.name))
        },
    )?;
    let Some(schema) = schema else { return Ok(()) };
    let notify = format!("NOTIFY {}", quoted(&channel(&schema)));
    uncounted(|| conn.on(|_| Ok(()), |pg| pg.batch_execute(&notify)))?;
    Ok(())
}
