//! What a shop's databases hold, seen from outside.
use crate::{Backend, Shop};
use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query,
    sql_types::BigInt,
};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl Shop {
    /// What `sql` answers in the database of `domain`: one row with the column `number`.
    pub fn number(&self, domain: &str, sql: &str) -> i64 {
        let row: Number = match self.backend {
            Backend::Sqlite => {
                let file = self.data_dir().join(format!("{domain}.db")).display().to_string();
                let mut conn = SqliteConnection::establish(&file).expect("the domain has a file of its own");
                conn.batch_execute("PRAGMA busy_timeout = 5000").expect("SQLite answers");
                sql_query(sql).get_result(&mut conn).expect("a number")
            }
            Backend::Postgres => {
                let mut conn = self.superuser();
                conn.batch_execute(&format!("SET search_path TO {domain}")).expect("a schema");
                sql_query(sql).get_result(&mut conn).expect("a number")
            }
        };
        row.number
    }

    /// PostgreSQL: runs `sql` with the rights of `domain`.
    pub fn with_rights_of(&self, domain: &str, sql: &str) -> Result<(), String> {
        let mut conn = self.superuser();
        let database = self.database_url().and_then(|url| url.rsplit('/').next()).expect("a URL ends in a database");
        conn.batch_execute(&format!("SET ROLE \"{database}_{domain}\"")).expect("the domain has a role");
        conn.batch_execute(sql).map_err(|error| error.to_string())
    }

    pub(crate) fn superuser(&self) -> PgConnection {
        let url = self.database_url().expect("on PostgreSQL");
        PgConnection::establish(url).expect("the cluster made for tests answers")
    }
}
