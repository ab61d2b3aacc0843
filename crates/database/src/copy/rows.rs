//! Rows in the order of their primary key, a chunk at a time: memory stays small however long the table is.
use super::{
    CopyError, Result,
    catalogue::{Column, Table},
    value::{Digest, Value},
};
use crate::{backend::Db, conn::Conn, location::quoted};
use diesel::{
    QueryResult, RunQueryDsl,
    connection::LoadConnection,
    query_builder::BoxedSqlQuery,
    result::Error as Diesel,
    row::{Field, Row as _},
    sql_query,
    sql_types::BigInt,
};

pub(super) type Row = Vec<Value>;

/// Rows of a chunk, which is one transaction of the target.
const ROWS: usize = 1000;
/// What one statement that writes binds, about: SQLite takes many small ones better than a few large ones.
const BOUND: usize = 1000;

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Table {
    pub(super) fn key_of(&self, row: &[Value]) -> Row {
        self.key.iter().map(|n| row[*n].clone()).collect()
    }
    fn sorted_by(&self, db: Db) -> Vec<String> {
        let column = |n: &usize| &self.columns[*n];
        self.key.iter().map(column).map(|c| quoted(&c.name) + c.kind.sorted_as(db)).collect()
    }
    fn selected(&self) -> String {
        let columns = self.columns.iter().map(|column| quoted(&column.name) + column.kind.read_as());
        format!("SELECT {} FROM {}", columns.collect::<Vec<_>>().join(", "), quoted(&self.name))
    }

    pub(super) fn count(&self, conn: &mut Conn) -> Result<u64> {
        let count = sql_query(format!("SELECT count(*) AS count FROM {}", quoted(&self.name)));
        Ok(count.get_result::<Count>(conn)?.count.unsigned_abs())
    }

    /// The key of the last row.
    pub(super) fn last(&self, conn: &mut Conn) -> Result<Option<Row>> {
        let backwards: Vec<_> = self.sorted_by(conn.db()).into_iter().map(|column| column + " DESC").collect();
        let sql = format!("{} ORDER BY {} LIMIT 1", self.selected(), backwards.join(", "));
        let last = self.load(conn, sql_query(sql).into_boxed::<Db>())?.pop();
        Ok(last.map(|row| self.key_of(&row)))
    }

    /// The next rows behind the key `after`, up to and with the key `end`.
    pub(super) fn next(&self, conn: &mut Conn, after: Option<&Row>, end: Option<&Row>) -> Result<Vec<Row>> {
        let sorted = self.sorted_by(conn.db()).join(", ");
        let (mut bound, mut conditions) = (0, Vec::new());
        for (key, compared) in [(after, ">"), (end, "<=")] {
            if key.is_some() {
                let places: Vec<_> = self.key.iter().enumerate().map(|(n, _)| format!("${}", bound + n + 1)).collect();
                bound += self.key.len();
                conditions.push(format!("({sorted}) {compared} ({})", places.join(", ")));
            }
        }
        let conditions =
            if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        let sql = format!("{}{conditions} ORDER BY {sorted} LIMIT {ROWS}", self.selected());
        let mut query = sql_query(sql).into_boxed::<Db>();
        for key in [after, end].into_iter().flatten() {
            for (column, value) in self.key.iter().zip(key) {
                query = value.bind(self.columns[*column].kind, query).map_err(|why| self.unlike(why))?;
            }
        }
        self.load(conn, query)
    }

    fn load<Q>(&self, conn: &mut Conn, query: BoxedSqlQuery<'_, Db, Q>) -> Result<Vec<Row>>
    where
        Q: diesel::query_builder::QueryFragment<Db>,
    {
        let mut rows = Vec::new();
        for row in LoadConnection::load(conn, query)? {
            let row = row?;
            let value = |(n, column): (usize, &Column)| {
                let field = row.get(n).ok_or(Diesel::NotFound)?;
                Value::read(column.kind, field.value()).map_err(Diesel::DeserializationError)
            };
            rows.push(self.columns.iter().enumerate().map(value).collect::<QueryResult<Row>>()?);
        }
        Ok(rows)
    }

    /// What the rows up to the key `end` hold, each as `seen` shows it.
    pub(super) fn digest(&self, conn: &mut Conn, end: Option<&Row>, seen: impl Fn(Row) -> Row) -> Result<Digest> {
        let (mut digest, mut after) = (Digest::default(), None);
        loop {
            let rows = self.next(conn, after.as_ref(), end)?;
            let Some(last) = rows.last() else { return Ok(digest) };
            after = Some(self.key_of(last));
            rows.into_iter().for_each(|row| digest.row(&seen(row)));
        }
    }

    /// Writes `rows`; what is there already is an error.
    pub(super) fn insert(&self, conn: &mut Conn, rows: &[Row]) -> Result<()> {
        self.write(conn, rows, "")
    }
    /// Writes the columns that refer to this same table into rows that are there.
    pub(super) fn refer(&self, conn: &mut Conn, rows: &[Row]) -> Result<()> {
        let name = |n: &usize| quoted(&self.columns[*n].name);
        let key: Vec<_> = self.key.iter().map(name).collect();
        let set: Vec<_> = self.own.iter().map(name).map(|column| format!("{column} = excluded.{column}")).collect();
        self.write(conn, rows, &format!(" ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), set.join(", ")))
    }
    fn write(&self, conn: &mut Conn, rows: &[Row], otherwise: &str) -> Result<()> {
        rows.chunks((BOUND / self.columns.len()).max(1)).try_for_each(|rows| self.write_some(conn, rows, otherwise))
    }
    fn write_some(&self, conn: &mut Conn, rows: &[Row], otherwise: &str) -> Result<()> {
        let width = self.columns.len();
        let db = conn.db();
        let place = |row: usize| {
            let place = |(n, column): (usize, &Column)| match db {
                Db::Sqlite => "?".to_owned(), // it looks for each name among all of them
                Db::Postgres => format!("${}{}", row * width + n + 1, column.kind.written_as()),
            };
            format!("({})", self.columns.iter().enumerate().map(place).collect::<Vec<_>>().join(", "))
        };
        let names: Vec<_> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        let places: Vec<_> = (0..rows.len()).map(place).collect();
        let (table, names, places) = (quoted(&self.name), names.join(", "), places.join(", "));
        let sql = format!("INSERT INTO {table} ({names}) VALUES {places}{otherwise}");
        let mut query = sql_query(sql).into_boxed::<Db>();
        for row in rows {
            for (column, value) in self.columns.iter().zip(row) {
                query = value.bind(column.kind, query).map_err(|why| self.unlike(format!("{}: {why}", column.name)))?;
            }
        }
        query.execute(conn)?;
        Ok(())
    }

    /// Without what refers to rows of this table that may not be there yet.
    pub(super) fn unreferred(&self, mut row: Row) -> Row {
        self.own.iter().for_each(|n| row[*n] = Value::Null);
        row
    }

    fn unlike(&self, why: String) -> CopyError {
        CopyError::Unlike(format!("{}: {why}", self.name))
    }
}
