//! Where rows go: empty, or marked as holding a part of this same copy.
use super::{
    CopyError, MARK, Pair, Result,
    catalogue::{self, Counter, Table},
    source::connect,
};
use crate::{
    Error, Location, Migrations,
    backend::Db,
    conn::Conn,
    executor::{commit, roll_back},
    location::quoted,
    meter::uncounted,
};
use diesel::{
    QueryableByName, RunQueryDsl, connection::SimpleConnection as _, sql_query, sql_types::BigInt, sql_types::Text,
};

pub(super) struct Target {
    pub(super) conn: Conn,
    /// An earlier copy of this source was here and did not end.
    pub(super) begun: bool,
}

#[derive(QueryableByName)]
struct Origin {
    #[diesel(sql_type = Text)]
    source: String,
}
#[derive(QueryableByName)]
struct Last {
    #[diesel(sql_type = BigInt)]
    last: i64,
}

/// Fails when a copy into this database was not finished: what it lacks would be taken for absent.
pub(crate) fn refuse_half(conn: &mut Conn) -> Result<(), Error> {
    match uncounted(|| origin(conn))? {
        Some(source) => Err(Error::Unavailable(format!(
            "the copy of {source} into this database was not finished: run the same `cleave copy` again"
        ))),
        None => Ok(()),
    }
}

/// What the copy that is not finished copies.
fn origin(conn: &mut Conn) -> Result<Option<String>, Error> {
    let marks = match conn.db() {
        Db::Sqlite => "SELECT name AS source FROM sqlite_schema WHERE name = $1",
        Db::Postgres => {
            "SELECT tablename::text AS source FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1"
        }
    };
    if sql_query(marks).bind::<Text, _>(MARK).load::<Origin>(conn)?.is_empty() {
        return Ok(None);
    }
    let origin = sql_query(format!("SELECT source FROM {MARK}")).get_result::<Origin>(conn)?;
    Ok(Some(origin.source))
}

impl Target {
    /// Makes what is not there, with the same migrations as the source's.
    pub(super) fn open(location: &Location, source: &Location, migrations: &Migrations) -> Result<Self> {
        let source = source.to_string();
        let there = !matches!(location, Location::Sqlite { file } if !file.exists());
        let origin = if there { looked_at(location)? } else { None };
        if let Some(other) = origin.as_ref().filter(|other| **other != source) {
            return Err(CopyError::Half(other.clone()));
        }
        crate::migrate(location, migrations)?;
        let mut target = Self { conn: connect(location)?, begun: origin.is_some() };
        if !target.begun {
            target.keep(|conn| {
                conn.batch_execute(&format!("CREATE TABLE {MARK} (source text NOT NULL)"))?;
                sql_query(format!("INSERT INTO {MARK} VALUES ($1)")).bind::<Text, _>(source.as_str()).execute(conn)?;
                Ok(())
            })?;
        }
        Ok(target)
    }

    pub(super) fn tables(&mut self) -> Result<Vec<Table>> {
        catalogue::tables(&mut self.conn)
    }

    /// Runs `change` in a transaction of its own.
    pub(super) fn keep(&mut self, change: impl FnOnce(&mut Conn) -> Result<()>) -> Result<()> {
        self.conn.begin()?;
        let done = change(&mut self.conn).and_then(|()| Ok(commit(&mut self.conn)?));
        if done.is_err() {
            let _ = roll_back(&mut self.conn); // the first error says more than what this one says
        }
        done
    }

    /// Children before parents.
    pub(super) fn empty(&mut self, pairs: &[Pair]) -> Result<()> {
        self.keep(|conn| {
            for (_, table) in pairs.iter().rev() {
                conn.batch_execute(&format!("DELETE FROM {}", quoted(&table.name)))?;
            }
            Ok(())
        })
    }

    /// Goes on counting where the source stopped, and takes the mark away.
    pub(super) fn finish(mut self, sources: &[Counter]) -> Result<()> {
        let (tables, counters, db) = (self.tables()?, catalogue::counters(&mut self.conn)?, self.conn.db());
        self.keep(|conn| {
            match db {
                Db::Sqlite => sources.iter().try_for_each(|counter| count_on_sqlite(conn, counter))?,
                Db::Postgres => counters.iter().try_for_each(|counter| count_on_postgres(conn, counter, sources))?,
            }
            Ok(conn.batch_execute(&format!("DROP TABLE {MARK}"))?)
        })?;
        match db {
            // all in one file
            Db::Sqlite => self.conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?,
            // its planner knows nothing of the rows yet
            Db::Postgres => {
                let tables: Vec<_> = tables.iter().map(|table| quoted(&table.name)).collect();
                self.conn.batch_execute(&format!("ANALYZE {}", tables.join(", ")))?;
            }
        }
        Ok(())
    }
}

/// Changes nothing, and finds no rows of anybody else. What a copy not finished copies.
fn looked_at(location: &Location) -> Result<Option<String>> {
    let mut conn = connect(location)?;
    let origin = origin(&mut conn)?;
    if origin.is_none() {
        for table in catalogue::tables(&mut conn)? {
            if table.count(&mut conn)? > 0 {
                return Err(CopyError::NotEmpty(table.name));
            }
        }
    }
    Ok(origin)
}

/// Only tables that ask for it are counted by SQLite itself; the others go on behind their largest.
fn count_on_sqlite(conn: &mut Conn, counter: &Counter) -> Result<()> {
    let (table, Some(last)) = (&counter.table_name, counter.last) else { return Ok(()) };
    let ahead = "DELETE FROM sqlite_sequence WHERE name = $1 AND seq < $2";
    sql_query(ahead).bind::<Text, _>(table).bind::<BigInt, _>(last).execute(conn)?;
    // SQLite numbers what is bound by where it stands first
    let set = "INSERT INTO sqlite_sequence (name, seq) SELECT name, $1 FROM sqlite_schema \
               WHERE name = $2 AND sql LIKE '% AUTOINCREMENT%' \
               AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = $2)";
    sql_query(set).bind::<BigInt, _>(last).bind::<Text, _>(table).execute(conn)?;
    Ok(())
}

/// Behind the largest that is there and behind the last that the source gave, whose row may be gone.
fn count_on_postgres(conn: &mut Conn, counter: &Counter, sources: &[Counter]) -> Result<()> {
    let Some(column) = &counter.column_name else { return Ok(()) };
    let same = |other: &&Counter| {
        other.table_name == counter.table_name && other.column_name.as_ref().is_none_or(|other| other == column)
    };
    let given = sources.iter().find(same).and_then(|counter| counter.last).unwrap_or(0);
    let largest =
        format!("SELECT coalesce(max({}), 0)::bigint AS last FROM {}", quoted(column), quoted(&counter.table_name));
    let last = sql_query(largest).get_result::<Last>(conn)?.last.max(given);
    if last > 0 {
        sql_query("SELECT setval($1::regclass, $2) AS last")
            .bind::<Text, _>(quoted(&counter.name))
            .bind::<BigInt, _>(last)
            .get_result::<Last>(conn)?;
    }
    Ok(())
}
