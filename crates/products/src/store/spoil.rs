//! For tests: statements that nobody else may say.
use database::{Conn, Result};
use diesel::{QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::BigInt};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Makes something wrong, in each database's own words.
pub(crate) fn spoil(tx: &mut Conn, sqlite: &str, postgres: &str) -> Result<()> {
    Ok(tx.on(|conn| conn.batch_execute(sqlite), |conn| conn.batch_execute(postgres))?)
}

/// What a `SELECT` of one number finds.
pub(crate) fn number(conn: &mut Conn, select: &str) -> Result<i64> {
    let select = format!("SELECT CAST(({select}) AS bigint) AS n");
    let found: Vec<Number> = conn.on(|conn| sql_query(&select).load(conn), |conn| sql_query(&select).load(conn))?;
    Ok(found[0].n)
}
