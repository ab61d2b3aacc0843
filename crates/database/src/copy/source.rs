//! Where rows come from: held against writers for a copy, a snapshot for a backup.
use super::{
    CopyError, Result,
    catalogue::{self, Counter, Table},
};
use crate::{
    Location, Migrations,
    backend::Db,
    conn::Conn,
    executor::{session, sqlite_session},
    location::quoted,
};
use diesel::{
    QueryableByName, RunQueryDsl,
    connection::SimpleConnection as _,
    sql_query,
    sql_types::{BigInt, Text},
};
use std::time::{Duration, Instant};

/// How long a session that just ended may take to be gone, and how long writers may take to end their transactions.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Source {
    location: Location,
    pub(super) conn: Conn,
}

#[derive(QueryableByName)]
struct Sessions {
    #[diesel(sql_type = BigInt)]
    count: i64,
}
#[derive(QueryableByName)]
struct Exported {
    #[diesel(sql_type = Text)]
    snapshot: String,
}

/// A connection to what is there, or will be.
pub(super) fn connect(location: &Location) -> Result<Conn> {
    Ok(match location {
        Location::Sqlite { file } => Conn::sqlite(sqlite_session(file)?)?,
        Location::Postgres { url, schema, role } => Conn::postgres(session(url, schema, role.as_deref())?),
    })
}

impl Source {
    /// Only what is up to date: the target is made by all migrations.
    pub(super) fn open(location: &Location, migrations: &Migrations) -> Result<Self> {
        if matches!(location, Location::Sqlite { file } if !file.exists()) {
            return Err(CopyError::Missing(location.clone()));
        }
        let pending = crate::pending(location, migrations)?;
        if !pending.is_empty() {
            return Err(CopyError::Pending(pending));
        }
        let mut conn = connect(location)?;
        super::refuse_half(&mut conn)?;
        Ok(Self { location: location.clone(), conn })
    }

    /// Nobody writes from here on, until this ends.
    pub(super) fn hold(&mut self) -> Result<()> {
        self.refuse_others()?;
        let held = match self.conn.db() {
            Db::Sqlite => self.conn.batch_execute("BEGIN IMMEDIATE"),
            Db::Postgres => {
                let tables: Vec<_> = self.tables()?.iter().map(|table| quoted(&table.name)).collect();
                // the locks come before the snapshot, which begins with the first SELECT
                self.conn.batch_execute(&format!(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = '{}ms'; \
                     LOCK TABLE {} IN SHARE MODE",
                    PATIENCE.as_millis(),
                    tables.join(", ")
                ))
            }
        };
        match held {
            Err(error) if blocked(&error) => Err(CopyError::InUse(self.location.clone())),
            held => Ok(held?),
        }
    }

    /// PostgreSQL: fails while another session of this domain is there. SQLite's lock needs no such help.
    pub(super) fn refuse_others(&mut self) -> Result<()> {
        let Location::Postgres { schema, .. } = &self.location else { return Ok(()) };
        let until = Instant::now() + PATIENCE;
        loop {
            // or the view would not change any more in this transaction
            self.conn.batch_execute("SELECT pg_stat_clear_snapshot()")?;
            let others = sql_query(
                "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = left($1, 63) AND pid <> pg_backend_pid()",
            );
            let others: Sessions = others.bind::<Text, _>(format!("cleave-{schema}")).get_result(&mut self.conn)?;
            match others.count {
                0 => return Ok(()),
                _ if Instant::now() > until => return Err(CopyError::InUse(self.location.clone())),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// What is committed now, whatever is written from here on. `shared` is the snapshot of another session in the same
    /// PostgreSQL database; the answer is this one's.
    pub(super) fn snapshot(&mut self, shared: Option<&str>) -> Result<Option<String>> {
        if self.conn.db() == Db::Sqlite {
            self.conn.batch_execute("BEGIN; SELECT count(*) FROM sqlite_schema")?;
            return Ok(None);
        }
        self.conn.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        if let Some(snapshot) = shared {
            let snapshot = snapshot.replace('\'', "");
            self.conn.batch_execute(&format!("SET TRANSACTION SNAPSHOT '{snapshot}'"))?;
            return Ok(None);
        }
        let exported = sql_query("SELECT pg_export_snapshot() AS snapshot").get_result::<Exported>(&mut self.conn)?;
        Ok(Some(exported.snapshot))
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }
    pub(super) fn tables(&mut self) -> Result<Vec<Table>> {
        catalogue::tables(&mut self.conn)
    }
    pub(super) fn counters(&mut self) -> Result<Vec<Counter>> {
        catalogue::counters(&mut self.conn)
    }
}

/// SQLite: nobody else writes while this is there. Their units wait for a moment, as they do for each other.
pub(super) struct Gate {
    _held: Conn,
}
impl Gate {
    pub(super) fn shut(location: &Location) -> Result<Option<Self>> {
        if !matches!(location, Location::Sqlite { .. }) {
            return Ok(None);
        }
        let mut held = connect(location)?;
        match held.batch_execute("BEGIN IMMEDIATE") {
            Err(error) if blocked(&error) => Err(CopyError::InUse(location.clone())),
            shut => {
                shut?;
                Ok(Some(Self { _held: held }))
            }
        }
    }
}

/// Somebody else held it for longer than we wait.
fn blocked(error: &diesel::result::Error) -> bool {
    let text = error.to_string();
    text.contains("locked") || text.contains("lock timeout")
}
