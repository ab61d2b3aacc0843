//! Which tables there are, by the database's own catalogue: a table that a migration adds cannot be forgotten.
use super::{CopyError, MARK, Result, value::Kind};
use crate::{backend::Db, conn::Conn, migrate::HISTORY};
use diesel::{
    QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Nullable, Text},
};
use std::collections::BTreeMap;

/// A table as it is copied.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    /// By name: migrations may have added them in another order.
    pub(super) columns: Vec<Column>,
    /// The primary key, as indexes of `columns`.
    pub(super) key: Vec<usize>,
    /// Columns that refer to rows of this same table.
    pub(super) own: Vec<usize>,
    parents: Vec<String>,
}
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A column that the database counts up by itself.
#[derive(Debug, Clone, QueryableByName)]
pub(super) struct Counter {
    #[diesel(sql_type = Text)]
    pub(super) table_name: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) column_name: Option<String>,
    /// The sequence.
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    /// What it gave last; nothing yet: NULL.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) last: Option<i64>,
}

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    type_name: String,
    /// Its place in the primary key, from 1; 0: none.
    #[diesel(sql_type = BigInt)]
    key_place: i64,
}
#[derive(QueryableByName)]
struct Reference {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    parent: String,
}

const SQLITE_COLUMNS: &str = "SELECT t.name AS table_name, c.name AS column_name, c.type AS type_name, c.pk AS key_place \
     FROM sqlite_schema t, pragma_table_info(t.name) c \
     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY t.name, c.name";
const POSTGRES_COLUMNS: &str = "SELECT t.relname::text AS table_name, a.attname::text AS column_name, \
     format_type(a.atttypid, a.atttypmod) AS type_name, \
     coalesce((SELECT k.place FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, place) WHERE k.attnum = a.attnum), 0) \
     AS key_place \
     FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = current_schema() \
     JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
     LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary \
     WHERE t.relkind IN ('r', 'p') ORDER BY t.relname::text COLLATE \"C\", a.attname::text COLLATE \"C\"";
const SQLITE_REFERENCES: &str = "SELECT t.name AS table_name, f.\"from\" AS column_name, f.\"table\" AS parent \
     FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'";
const POSTGRES_REFERENCES: &str = "SELECT t.relname::text AS table_name, a.attname::text AS column_name, \
     p.relname::text AS parent FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid \
     JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = current_schema() \
     JOIN pg_class p ON p.oid = c.confrelid \
     JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY (c.conkey) WHERE c.contype = 'f'";
const SQLITE_COUNTERS: &str = "SELECT name AS table_name, NULL AS column_name, name, seq AS last FROM sqlite_sequence";
const POSTGRES_COUNTERS: &str = "SELECT coalesce(t.relname::text, '') AS table_name, a.attname::text AS column_name, \
     s.relname::text AS name, pg_sequence_last_value(s.oid) AS last \
     FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace AND n.nspname = current_schema() \
     LEFT JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass \
     AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') \
     LEFT JOIN pg_class t ON t.oid = d.refobjid \
     LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid WHERE s.relkind = 'S'";

/// All tables but the migrations' own, parents before children.
pub(super) fn tables(conn: &mut Conn) -> Result<Vec<Table>> {
    let db = conn.db();
    let (columns, references) = match db {
        Db::Sqlite => (SQLITE_COLUMNS, SQLITE_REFERENCES),
        Db::Postgres => (POSTGRES_COLUMNS, POSTGRES_REFERENCES),
    };
    let mut tables = BTreeMap::<String, Vec<ColumnRow>>::new();
    for column in sql_query(columns).load::<ColumnRow>(conn)? {
        if ![HISTORY, MARK].contains(&column.table_name.as_str()) {
            tables.entry(column.table_name.clone()).or_default().push(column);
        }
    }
    let references: Vec<Reference> = sql_query(references).load(conn)?;
    let tables = tables.into_iter().map(|(name, columns)| table(db, name, columns, &references));
    parents_first(tables.collect::<Result<_>>()?)
}

/// The counters of this database. `outbox`, which every domain has, makes SQLite keep a table of them.
pub(super) fn counters(conn: &mut Conn) -> Result<Vec<Counter>> {
    if conn.db() == Db::Sqlite {
        return Ok(sql_query(SQLITE_COUNTERS).load(conn)?);
    }
    let counters: Vec<Counter> = sql_query(POSTGRES_COUNTERS).load(conn)?;
    match counters.iter().find(|counter| counter.column_name.is_none()) {
        Some(Counter { name, .. }) => Err(CopyError::Unlike(format!(
            "the sequence {name} belongs to no column, so nobody can tell where it must go on (ALTER SEQUENCE .. OWNED BY)"
        ))),
        None => Ok(counters),
    }
}

fn table(db: Db, name: String, columns: Vec<ColumnRow>, references: &[Reference]) -> Result<Table> {
    let mine = || references.iter().filter(|reference| reference.table_name == name);
    let own = |(_, column): &(usize, &ColumnRow)| {
        mine().any(|reference| reference.parent == name && reference.column_name == column.column_name)
    };
    let own = columns.iter().enumerate().filter(own).map(|(n, _)| n).collect();
    let mut key: Vec<usize> = (0..columns.len()).filter(|n| columns[*n].key_place > 0).collect();
    key.sort_by_key(|n| columns[*n].key_place);
    if key.is_empty() {
        return Err(CopyError::Unlike(format!("the table {name} has no primary key to be copied by")));
    }
    let parents = mine().map(|reference| reference.parent.clone()).filter(|parent| *parent != name).collect();
    let column = |row: ColumnRow| match Kind::named(db, &row.type_name) {
        Some(kind) => Ok(Column { name: row.column_name, kind }),
        None => Err(CopyError::Unlike(format!(
            "{}.{} is {}, which a copy cannot carry yet",
            row.table_name, row.column_name, row.type_name
        ))),
    };
    let columns = columns.into_iter().map(column).collect::<Result<_>>()?;
    Ok(Table { name, columns, key, own, parents })
}

fn parents_first(mut left: Vec<Table>) -> Result<Vec<Table>> {
    let mut ordered: Vec<Table> = Vec::new();
    while !left.is_empty() {
        let waits = |table: &Table| table.parents.iter().any(|parent| left.iter().any(|other| other.name == *parent));
        let Some(next) = left.iter().position(|table| !waits(table)) else {
            let names: Vec<_> = left.iter().map(|table| table.name.as_str()).collect();
            return Err(CopyError::Unlike(format!("{} refer to each other in a circle", names.join(", "))));
        };
        ordered.push(left.remove(next));
    }
    Ok(ordered)
}
