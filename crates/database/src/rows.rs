//! Rows of either database, one at a time.
//!
//! An error may come with any row, not only with the statement, so the cursor carries what [`Conn`](crate::Conn) needs to
//! note it.
use crate::{
    backend::{Db, Raw},
    error::{Names, Trouble},
};
use diesel::{
    QueryResult,
    connection::LoadConnection,
    internal::derives::multiconnection::{PartialRow, RowSealed},
    pg::{Pg, PgConnection},
    result::Error as Diesel,
    row::{Field, Row, RowIndex},
    sqlite::{Sqlite, SqliteConnection},
};

/// Where an error of the database is noted.
pub(crate) struct Notes<'conn> {
    pub(crate) names: &'conn Names,
    pub(crate) trouble: &'conn mut Option<Trouble>,
    pub(crate) failed: &'conn mut bool,
}
impl Notes<'_> {
    pub(crate) fn take(&mut self, error: Diesel) -> Diesel {
        let (error, trouble) = self.names.name(error);
        *self.failed = true;
        *self.trouble = self.trouble.take().max(trouble);
        error
    }
}
/// The rows of one statement.
pub struct Cursor<'conn, 'query> {
    pub(crate) rows: Rows<'conn, 'query>,
    pub(crate) notes: Notes<'conn>,
}
pub(crate) enum Rows<'conn, 'query> {
    Sqlite(<SqliteConnection as LoadConnection>::Cursor<'conn, 'query>),
    Postgres(<PgConnection as LoadConnection>::Cursor<'conn, 'query>),
}
impl<'conn, 'query> Iterator for Cursor<'conn, 'query> {
    type Item = QueryResult<AnyRow<'conn, 'query>>;
    fn next(&mut self) -> Option<Self::Item> {
        let row = match &mut self.rows {
            Rows::Sqlite(r) => r.next()?.map(AnyRow::Sqlite),
            Rows::Postgres(r) => r.next()?.map(AnyRow::Postgres),
        };
        Some(row.map_err(|e| self.notes.take(e)))
    }
}
/// A row of either database.
pub enum AnyRow<'conn, 'query> {
    Sqlite(<SqliteConnection as LoadConnection>::Row<'conn, 'query>),
    Postgres(<PgConnection as LoadConnection>::Row<'conn, 'query>),
}
/// A field of either database.
pub enum AnyField<'conn: 'query, 'query> {
    Sqlite(<<SqliteConnection as LoadConnection>::Row<'conn, 'query> as Row<'conn, Sqlite>>::Field<'query>),
    Postgres(<<PgConnection as LoadConnection>::Row<'conn, 'query> as Row<'conn, Pg>>::Field<'query>),
}
impl<'conn> Field<'conn, Db> for AnyField<'conn, '_> {
    fn field_name(&self) -> Option<&str> {
        match self {
            Self::Sqlite(f) => f.field_name(),
            Self::Postgres(f) => f.field_name(),
        }
    }
    fn value(&self) -> Option<Raw<'_>> {
        match self {
            Self::Sqlite(f) => f.value().map(Raw::Sqlite),
            Self::Postgres(f) => f.value().map(Raw::Postgres),
        }
    }
}
impl RowSealed for AnyRow<'_, '_> {}
impl<'c> RowIndex<&'c str> for AnyRow<'_, '_> {
    fn idx(&self, idx: &'c str) -> Option<usize> {
        match self {
            Self::Sqlite(r) => r.idx(idx),
            Self::Postgres(r) => r.idx(idx),
        }
    }
}
impl RowIndex<usize> for AnyRow<'_, '_> {
    fn idx(&self, idx: usize) -> Option<usize> {
        match self {
            Self::Sqlite(r) => r.idx(idx),
            Self::Postgres(r) => r.idx(idx),
        }
    }
}
impl<'conn, 'query> Row<'conn, Db> for AnyRow<'conn, 'query> {
    type Field<'a>
        = AnyField<'a, 'a>
    where
        'conn: 'a,
        Self: 'a;
    type InnerPartialRow = Self;
    fn field_count(&self) -> usize {
        match self {
            Self::Sqlite(r) => r.field_count(),
            Self::Postgres(r) => r.field_count(),
        }
    }
    fn get<'b, I>(&'b self, idx: I) -> Option<Self::Field<'b>>
    where
        'conn: 'b,
        Self: RowIndex<I>,
    {
        let idx = self.idx(idx)?;
        match self {
            Self::Sqlite(r) => r.get(idx).map(AnyField::Sqlite),
            Self::Postgres(r) => r.get(idx).map(AnyField::Postgres),
        }
    }
    fn partial_row(&self, range: std::ops::Range<usize>) -> PartialRow<'_, Self> {
        PartialRow::new(self, range)
    }
}
