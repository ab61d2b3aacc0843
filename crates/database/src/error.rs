//! What can go wrong, said the same by both databases.
//!
//! PostgreSQL names the constraint that refused, SQLite the columns: [`Names`] is the dictionary, so a store function
//! maps one name to one meaning. A foreign key has no name on SQLite; match on the error's kind there.
//!
//! An error says what is known of the effect: `Busy` and `Unavailable` have none, `Unknown` may have one.
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind as Kind, Error as Diesel};
use diesel::{QueryResult, RunQueryDsl, SqliteConnection, sql_query, sql_types::Text};
use std::collections::HashMap;

/// Why a unit of work has no answer of its own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue is full, or others were in the way time and again. Nothing was done.
    #[error("the database is busy")]
    Busy,
    /// Nothing was done.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection was lost while it committed.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// The unit panicked; nothing of it was kept.
    #[error("a unit of work panicked")]
    Panicked,
    /// The database refused; nothing of the unit was kept.
    #[error(transparent)]
    Query(#[from] Diesel),
}
/// With this crate's error unless told otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Gives a constraint its meaning: `.violates("orders_cart_open", PlaceError::AlreadyPlaced)`
pub trait Violates<T> {
    /// `error` if `constraint` refused, any other error as it is.
    fn violates<E: From<Error>>(self, constraint: &str, error: E) -> Result<T, E>;
}
impl<T> Violates<T> for QueryResult<T> {
    fn violates<E: From<Error>>(self, constraint: &str, error: E) -> Result<T, E> {
        self.map_err(|e| if violated(&e) == Some(constraint) { error } else { Error::from(e).into() })
    }
}
/// The constraint that refused, by the same name on both databases.
pub fn violated(error: &Diesel) -> Option<&str> {
    match error {
        Diesel::DatabaseError(_, info) => info.constraint_name(),
        _ => None,
    }
}

/// What an executor must do about an error, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// A deadlock or a serialisation failure: the unit may run again.
    Retry,
    /// Not a refusal of one statement: whatever else is in this transaction is in doubt.
    Batch,
    /// SQLite: the disk is full, or the file as large as it may become.
    Full,
    /// PostgreSQL: what a statement answers has changed since it was prepared. The unit may run again, over another
    /// connection.
    Changed,
    /// The connection is gone.
    Lost,
}

/// SQLite says "UNIQUE constraint failed: orders.cart_id"; PostgreSQL names the index. This is the dictionary.
#[derive(Default)]
pub(crate) struct Names(HashMap<String, String>);

impl Names {
    pub(crate) fn of_sqlite(conn: &mut SqliteConnection) -> QueryResult<Self> {
        #[derive(diesel::QueryableByName)]
        struct Index {
            #[diesel(sql_type = Text)]
            columns: String,
            #[diesel(sql_type = Text)]
            name: String,
        }
        let indexes: Vec<Index> = sql_query(
            "SELECT group_concat(t.name || '.' || c.name, ', ') AS columns, \
                    CASE i.origin WHEN 'pk' THEN t.name || '_pkey' ELSE i.name END AS name \
             FROM sqlite_schema t, pragma_index_list(t.name) i, pragma_index_info(i.name) c \
             WHERE t.type = 'table' AND i.\"unique\" GROUP BY t.name, i.name \
             HAVING min(c.cid) >= 0 ORDER BY i.name",
        )
        .load(conn)?;
        let mut names = HashMap::new();
        for Index { columns, name } in indexes {
            if let Some(other) = names.insert(columns.clone(), name.clone()) {
                return Err(Diesel::QueryBuilderError(
                    format!("SQLite cannot tell {name} from {other}: both are unique over {columns}").into(),
                ));
            }
        }
        Ok(Self(names))
    }

    /// The error under the constraint's own name, and what an executor must do about it.
    pub(crate) fn name(&self, error: Diesel) -> (Diesel, Option<Trouble>) {
        let Diesel::DatabaseError(kind, info) = error else {
            let harmless = matches!(error, Diesel::NotFound | Diesel::RollbackTransaction);
            return (error, (!harmless).then_some(Trouble::Batch));
        };
        let trouble = match kind {
            Kind::UniqueViolation | Kind::ForeignKeyViolation | Kind::CheckViolation | Kind::NotNullViolation => None,
            Kind::SerializationFailure => Some(Trouble::Retry),
            Kind::ClosedConnection | Kind::UnableToSendCommand => Some(Trouble::Lost),
            // diesel keeps no SQLSTATE, and 40P01 has no kind of its own; sessions ask for English (postgres.rs)
            _ if info.message() == "deadlock detected" => Some(Trouble::Retry),
            // nor has this one
            _ if info.message() == "cached plan must not change result type" => Some(Trouble::Changed),
            // nor has SQLITE_FULL, and its words are SQLite's own
            _ if info.message() == "database or disk is full" => Some(Trouble::Full),
            _ => Some(Trouble::Batch),
        };
        let name = match info.constraint_name() {
            Some(name) => Some(name.to_owned()),
            None => info.message().split_once(" constraint failed: ").map(|(_, what)| match self.0.get(what) {
                Some(name) => name.clone(),
                None => what.strip_prefix("index '").map_or(what, |w| w.trim_end_matches('\'')).to_owned(),
            }),
        };
        (Diesel::DatabaseError(kind, Box::new(Named { info, name })), trouble)
    }
}

pub(crate) struct Named {
    info: Box<dyn DatabaseErrorInformation + Send + Sync>,
    name: Option<String>,
}
impl DatabaseErrorInformation for Named {
    fn message(&self) -> &str {
        self.info.message()
    }
    fn details(&self) -> Option<&str> {
        self.info.details()
    }
    fn hint(&self) -> Option<&str> {
        self.info.hint()
    }
    fn table_name(&self) -> Option<&str> {
        self.info.table_name()
    }
    fn column_name(&self) -> Option<&str> {
        self.info.column_name()
    }
    fn constraint_name(&self) -> Option<&str> {
        self.name.as_deref()
    }
    fn statement_position(&self) -> Option<i32> {
        self.info.statement_position()
    }
}

/// What a failed transaction means to whoever called the domain: a rollback had surely no effect.
impl From<Error> for kernel::Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => Self::Unavailable { retry_after: Some(std::time::Duration::from_secs(1)) },
            Error::Unknown(cause) => {
                tracing::error!(%cause, "the outcome of a transaction is unknown");
                Self::Unknown
            }
            Error::Unavailable(_) | Error::Panicked | Error::Query(_) => {
                tracing::error!(%error, "a transaction failed");
                Self::UNAVAILABLE
            }
        }
    }
}
