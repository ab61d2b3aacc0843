//! PostgreSQL: what other processes say to whoever tells a domain's events. A thread with a connection of its own.
//!
//! libpq hands over notifications as its socket brings them, and diesel shows no socket to wait for: so the thread looks
//! at it every few milliseconds. That is a read of a socket, not a question to the server.
use super::{Inner, postgres::session};
use crate::{conn::Conn, error::Result, location::quoted, meter::uncounted};
use diesel::{PgConnection, RunQueryDsl as _, connection::SimpleConnection as _, sql_query, sql_types::Text};
use std::{
    sync::Weak,
    thread::JoinHandle,
    time::{Duration, Instant},
};

const LOOK: Duration = Duration::from_millis(25);
const CONNECT_AGAIN: Duration = Duration::from_secs(2);

/// A channel is the whole database's; its schema's name is what a domain is.
fn channel(schema: &str) -> String {
    format!("cleave_told_{schema}")
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
            let listen = format!("LISTEN {}", quoted(&channel(&schema)));
            let connect = || {
                let mut conn = session(&url, &schema, role.as_deref()).ok()?;
                conn.batch_execute(&listen).ok().map(|()| conn)
            };
            hear(&database, connect);
        })
    })
}

fn hear(database: &Weak<Inner>, connect: impl Fn() -> Option<PgConnection>) {
    let (mut held, mut tried): (Option<PgConnection>, Option<Instant>) = (None, None);
    loop {
        // Until the database is closed.
        let Some(inner) = database.upgrade() else { return };
        if inner.lanes.read().expect("never poisoned").is_none() {
            return;
        }
        let due = held.is_none() && tried.is_none_or(|tried| tried.elapsed() > CONNECT_AGAIN);
        if due {
            tried = Some(Instant::now());
            held = connect();
            // What was said meanwhile, nobody heard.
            inner.told.notify_one();
        }
        if let Some(conn) = &mut held {
            let said: Vec<_> = conn.notifications_iter().collect();
            if said.iter().any(Result::is_ok) {
                inner.told.notify_one();
            }
            if said.iter().any(Result::is_err) {
                held = None;
            }
        }
        drop(inner); // or nobody could close it
        std::thread::sleep(LOOK);
    }
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
