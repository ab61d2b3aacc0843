//! What a shop's databases hold, seen from outside.
use crate::{Backend, Shop};
use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    pg::Pg,
    sql_query,
    sql_types::{BigInt, Text},
    sqlite::Sqlite,
};
use std::{cell::RefCell, collections::HashMap};

thread_local! {
    /// A connection a database, for who looks many times a second: to open one is a process of the server.
    static LOOKERS: RefCell<HashMap<String, PgConnection>> = RefCell::default();
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

impl Shop {
    /// Changes what lies in the database of `domain` as nobody may: foreign keys are not looked at.
    pub fn corrupt(&self, domain: &str, sql: &str) {
        match self.backend {
            Backend::Sqlite => {
                let file = self.data_dir_of(domain).join(format!("{domain}.db")).display().to_string();
                let mut conn = SqliteConnection::establish(&file).expect("the domain has a file of its own");
                let unchecked = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = OFF";
                conn.batch_execute(unchecked).expect("SQLite answers");
                conn.batch_execute(sql).expect("it is changed");
            }
            Backend::Postgres => {
                let mut conn = self.superuser(domain);
                let unchecked = format!("SET search_path TO {domain}; SET session_replication_role = replica");
                conn.batch_execute(&unchecked).expect("a superuser may");
                conn.batch_execute(sql).expect("it is changed");
            }
        }
    }

    /// What `sql` answers in the database of `domain`: one row with the column `number`.
    pub fn number(&self, domain: &str, sql: &str) -> i64 {
        self.rows::<Number>(domain, sql).first().expect("a row").number
    }

    /// What `sql` answers in the database of `domain`: the column `name`, a text, of each row.
    pub fn texts(&self, domain: &str, sql: &str) -> Vec<String> {
        self.rows(domain, sql).into_iter().map(|Name { name }| name).collect()
    }

    fn rows<R: QueryableByName<Sqlite> + QueryableByName<Pg> + 'static>(&self, domain: &str, sql: &str) -> Vec<R> {
        match self.backend {
            Backend::Sqlite => {
                let file = self.data_dir_of(domain).join(format!("{domain}.db")).display().to_string();
                let mut conn = SqliteConnection::establish(&file).expect("the domain has a file of its own");
                conn.batch_execute("PRAGMA busy_timeout = 5000").expect("SQLite answers");
                sql_query(sql).load(&mut conn).expect("its rows")
            }
            Backend::Postgres => {
                let url = self.database_of(domain).expect("on PostgreSQL");
                let ask = |conn: &mut PgConnection| {
                    conn.batch_execute(&format!("SET search_path TO {domain}"))?;
                    sql_query(sql).load(conn)
                };
                let kept = LOOKERS.with_borrow_mut(|all| all.remove(url));
                // The server may have been torn down since.
                let answered = kept.and_then(|mut conn| ask(&mut conn).ok().map(|rows| (conn, rows)));
                let (conn, rows) = answered.unwrap_or_else(|| {
                    let mut conn = self.superuser(domain);
                    let rows = ask(&mut conn).expect("its rows");
                    (conn, rows)
                });
                LOOKERS.with_borrow_mut(|all| all.insert(url.to_owned(), conn));
                rows
            }
        }
    }

    /// PostgreSQL, where the shop has one database: runs `sql` with the rights of `domain`.
    pub fn with_rights_of(&self, domain: &str, sql: &str) -> Result<(), String> {
        let mut conn = self.superuser(domain);
        let database = self.database_url().and_then(|url| url.rsplit('/').next()).expect("a URL ends in a database");
        conn.batch_execute(&format!("SET ROLE \"{database}_{domain}\"")).expect("the domain has a role");
        conn.batch_execute(sql).map_err(|error| error.to_string())
    }

    /// Whether `text` stands in the clear anywhere in the database of `domain`, also as bytes.
    pub fn holds(&self, domain: &str, text: &str) -> bool {
        match self.backend {
            Backend::Sqlite => ["db", "db-wal"].iter().any(|ending| {
                // The second file is there only while somebody writes.
                let bytes =
                    std::fs::read(self.data_dir_of(domain).join(format!("{domain}.{ending}"))).unwrap_or_default();
                bytes.windows(text.len()).any(|window| window == text.as_bytes())
            }),
            Backend::Postgres => {
                let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                let mut conn = self.superuser(domain);
                let tables =
                    sql_query(format!("SELECT tablename::text AS name FROM pg_tables WHERE schemaname = '{domain}'"));
                let tables: Vec<Name> = tables.load(&mut conn).expect("its tables");
                assert!(!tables.is_empty(), "{domain} has tables");
                tables.iter().any(|Name { name }| {
                    let found = format!(
                        "SELECT count(*) AS number FROM {domain}.{name} t WHERE t::text LIKE '%{text}%' OR t::text LIKE '%{hex}%'"
                    );
                    sql_query(found).get_result::<Number>(&mut conn).expect("a number").number > 0
                })
            }
        }
    }

    pub(crate) fn superuser(&self, domain: &str) -> PgConnection {
        let url = self.database_of(domain).expect("on PostgreSQL");
        PgConnection::establish(url).expect("the cluster made for tests answers")
    }
}
