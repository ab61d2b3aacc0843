//! The connection every store function takes.
//!
//! Every statement passes through it, so three rules live in one place: an error of the database gets its constraint's
//! name; a failed statement marks the unit as one that may not commit, even if the code swallows the error; and nothing
//! runs after a failed statement of a transaction. PostgreSQL imposes the last by itself, SQLite would go on: imposed on
//! both, a bug shows in the quick tests.
use crate::{
    backend::{Db, Rendered},
    error::{Names, Trouble},
    meter::uncounted,
    rows::{AnyRow, Cursor, Notes, Rows},
    touched::Touched,
};
use diesel::{
    ConnectionResult, QueryResult,
    connection::*,
    expression::QueryMetadata,
    pg::PgConnection,
    query_builder::{Query, QueryFragment, QueryId},
    result::Error as Diesel,
    sqlite::SqliteConnection,
};
use std::sync::Arc;

/// A connection to either database. Diesel's query language works on it as a whole;
/// a statement that only one database has goes through [`Conn::on`].
pub struct Conn {
    native: Native,
    names: Arc<Names>,
    /// The worst error since [`fresh`](Self::fresh).
    pub(crate) trouble: Option<Trouble>,
    /// A statement of this transaction failed: PostgreSQL refuses the next one, so SQLite does too.
    failed: bool,
    /// Events were written since [`fresh`](Self::fresh): after the commit somebody may want to tell them.
    pub(crate) told: bool,
    /// What changed since [`fresh`](Self::fresh).
    pub(crate) touched: Touched,
}
enum Native {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}
use Native::{Postgres as P, Sqlite as S};

impl Conn {
    pub(crate) fn sqlite(mut conn: SqliteConnection) -> QueryResult<Self> {
        let names = Arc::new(Names::of_sqlite(&mut conn)?);
        Ok(Self { native: S(conn), names, trouble: None, failed: false, told: false, touched: Touched::default() })
    }
    pub(crate) fn postgres(conn: PgConnection) -> Self {
        Self {
            native: P(conn),
            names: Arc::default(),
            trouble: None,
            failed: false,
            told: false,
            touched: Touched::default(),
        }
    }
    /// For what only one of them can say: the half of the database at hand runs, under the same rules as any statement.
    /// It neither begins nor ends a transaction.
    pub fn on<T>(
        &mut self,
        sqlite: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
        postgres: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> QueryResult<T> {
        self.usable()?;
        let done = match &mut self.native {
            S(c) => sqlite(c),
            P(c) => postgres(c),
        };
        self.note(done)
    }
    /// Which database this is: for a statement whose text differs in a word. Where more differs, use [`on`](Self::on).
    pub fn db(&self) -> Db {
        match self.native {
            S(_) => Db::Sqlite,
            P(_) => Db::Postgres,
        }
    }
    fn usable(&self) -> QueryResult<()> {
        if self.failed {
            Err(Diesel::QueryBuilderError("a statement of this transaction has failed".into()))
        } else {
            Ok(())
        }
    }
    /// The one place where an error of the database gets its name.
    fn note<T>(&mut self, result: QueryResult<T>) -> QueryResult<T> {
        result.map_err(|error| {
            let (error, trouble) = self.names.name(error);
            if !matches!(error, Diesel::NotFound) {
                self.failed = matches!(self.depth(), Some(1..));
                self.trouble = self.trouble.take().max(trouble);
            }
            error
        })
    }
    /// How deep in transactions; `None` outside of one.
    pub(crate) fn depth(&mut self) -> Option<u32> {
        <Self as TransactionManager<Self>>::transaction_manager_status_mut(self)
            .transaction_depth()
            .ok()
            .flatten()
            .map(|d| d.get())
    }
    /// A transaction that writes. On SQLite it waits for its turn here, not at its first change; on PostgreSQL it is the
    /// exception to the session's default.
    pub(crate) fn begin(&mut self) -> QueryResult<()> {
        match &mut self.native {
            S(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE"),
            P(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN READ WRITE"),
        }
    }
    /// Leaves whatever state the connection was in. `false`: the connection itself is gone.
    pub(crate) fn abandon(&mut self) -> bool {
        let alive = match &mut self.native {
            S(c) => {
                let _ = uncounted(|| c.batch_execute("ROLLBACK")); // SQLite may have rolled back by itself
                true
            }
            P(c) => uncounted(|| c.batch_execute("ROLLBACK")).is_ok(),
        };
        *<Self as TransactionManager<Self>>::transaction_manager_status_mut(self) = Default::default();
        self.fresh();
        alive
    }
    /// Asks nothing of the server but to answer.
    pub(crate) fn alive(&mut self) -> bool {
        match &mut self.native {
            S(_) => true,
            P(c) => uncounted(|| c.batch_execute("SELECT")).is_ok(), // diesel takes an empty answer for an error
        }
    }
    /// Forgets what went wrong: the next unit's turn.
    pub(crate) fn fresh(&mut self) {
        self.failed = false;
        self.trouble = None;
        self.told = false;
        self.touched = Touched::default();
    }
    /// This thing is shown differently once the unit is kept: ready answers with it in them are let go.
    pub fn touches(&mut self, thing: &uuid::Uuid) {
        self.touched.add(*thing);
    }
}

impl SimpleConnection for Conn {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.usable()?;
        let done = match &mut self.native {
            S(c) => c.batch_execute(query),
            P(c) => c.batch_execute(query),
        };
        self.note(done)
    }
}
impl ConnectionSealed for Conn {}
impl Connection for Conn {
    type Backend = Db;
    type TransactionManager = Self;

    fn establish(_: &str) -> ConnectionResult<Self> {
        Err(diesel::ConnectionError::BadConnection("opened by the executor".into()))
    }
    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Db> + QueryId,
    {
        self.usable()?;
        let query = Rendered::new(source, self.db());
        let done = match &mut self.native {
            S(c) => c.execute_returning_count(&query),
            P(c) => c.execute_returning_count(&query),
        };
        self.note(done)
    }
    fn transaction_state(&mut self) -> &mut Self {
        self
    }
    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        match &mut self.native {
            S(c) => c.instrumentation(),
            P(c) => c.instrumentation(),
        }
    }
    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        match &mut self.native {
            S(c) => c.set_instrumentation(instrumentation),
            P(c) => c.set_instrumentation(instrumentation),
        }
    }
    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        match &mut self.native {
            S(c) => c.set_prepared_statement_cache_size(size),
            P(c) => c.set_prepared_statement_cache_size(size),
        }
    }
}

impl LoadConnection for Conn {
    type Cursor<'conn, 'query> = Cursor<'conn, 'query>;
    type Row<'conn, 'query> = AnyRow<'conn, 'query>;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<Cursor<'conn, 'query>>
    where
        T: Query + QueryFragment<Db> + QueryId + 'query,
        Db: QueryMetadata<T::SqlType>,
    {
        self.usable()?;
        let query = Rendered::new(source, self.db());
        let Self { native, names, trouble, failed, .. } = self;
        let rows = match native {
            S(c) => LoadConnection::load(c, query).map(Rows::Sqlite),
            P(c) => LoadConnection::<DefaultLoadingMode>::load(c, query).map(Rows::Postgres),
        };
        let mut notes = Notes { names, trouble, failed };
        match rows {
            Ok(rows) => Ok(Cursor { rows, notes }),
            Err(error) => Err(notes.take(error)),
        }
    }
}

impl TransactionManager<Self> for Conn {
    type TransactionStateData = Self;

    fn begin_transaction(conn: &mut Self) -> QueryResult<()> {
        conn.usable()?;
        let done = match &mut conn.native {
            S(c) => AnsiTransactionManager::begin_transaction(c),
            P(c) => AnsiTransactionManager::begin_transaction(c),
        };
        conn.note(done)
    }
    fn rollback_transaction(conn: &mut Self) -> QueryResult<()> {
        conn.failed = false;
        let done = match &mut conn.native {
            S(c) => AnsiTransactionManager::rollback_transaction(c),
            P(c) => AnsiTransactionManager::rollback_transaction(c),
        };
        conn.note(done)
    }
    fn commit_transaction(conn: &mut Self) -> QueryResult<()> {
        conn.usable()?;
        let done = match &mut conn.native {
            S(c) => AnsiTransactionManager::commit_transaction(c),
            P(c) => AnsiTransactionManager::commit_transaction(c),
        };
        conn.note(done)
    }
    fn transaction_manager_status_mut(conn: &mut Self) -> &mut TransactionManagerStatus {
        match &mut conn.native {
            S(c) => AnsiTransactionManager::transaction_manager_status_mut(c),
            P(c) => AnsiTransactionManager::transaction_manager_status_mut(c),
        }
    }
}
