//! One diesel backend over two databases, so that a store function is plain diesel, written and compiled once.
//!
//! Its SQL is what both understand (`$1`, `"name"`, `ON CONFLICT`, `RETURNING`, many rows of `VALUES`); where they part
//! (`parts.rs`), the fragment asks `pass.backend()`. Diesel's own connections still prepare, cache and run every
//! statement (`rendered.rs`). What only one database has (`UNION`, `ILIKE`) does not compile.
//!
//! It stands on diesel's hidden hooks, outside semver: diesel is pinned, and an upgrade is work in this folder.
mod binds;
mod parts;
mod rendered;

pub(crate) use binds::{Bind, Bindable, Binds, BuiltIn, Raw, Text};
pub use binds::{not_kept, push_list};
pub(crate) use parts::{AnyOrIn, Select};
pub(crate) use rendered::Rendered;

use diesel::{
    backend::*,
    insertable::CanInsertInSingleQuery,
    internal::derives::multiconnection::{BatchInsert, DieselReserveSpecialization, TrustedBackend},
    pg::PgTypeMetadata,
    sql_types::TypeMetadata,
    sqlite::{Sqlite, SqliteType},
};

pub(crate) type SqliteBindCollector<'a> = <Sqlite as Backend>::BindCollector<'a>;

/// The backend every store function is written against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    Postgres,
}

impl Backend for Db {
    type QueryBuilder = Text;
    type RawValue<'a> = Raw<'a>;
    type BindCollector<'a> = Binds<'a>;
}
impl TypeMetadata for Db {
    type TypeMetadata = (PgTypeMetadata, SqliteType);
    type MetadataLookup = ();
}
impl TrustedBackend for Db {}
impl DieselReserveSpecialization for Db {}

impl SqlDialect for Db {
    type ReturningClause = sql_dialect::returning_clause::PgLikeReturningClause;
    type OnConflictClause = OnConflict;
    type InsertWithDefaultKeyword = NoDefault;
    type BatchInsertSupport = sql_dialect::batch_insert_support::PostgresLikeBatchInsertSupport;
    type ConcatClause = sql_dialect::concat_clause::ConcatWithPipesClause;
    type DefaultValueClauseForInsert = sql_dialect::default_value_clause::AnsiDefaultValueClause;
    type EmptyFromClauseSyntax = sql_dialect::from_clause_syntax::AnsiSqlFromClauseSyntax;
    type SelectStatementSyntax = Select;
    type ExistsSyntax = sql_dialect::exists_syntax::AnsiSqlExistsSyntax;
    type ArrayComparison = AnyOrIn;
    type AliasSyntax = sql_dialect::alias_syntax::AsAliasSyntax;
    type WindowFrameClauseGroupSupport = sql_dialect::window_frame_clause_group_support::IsoGroupWindowFrameUnit;
    type WindowFrameExclusionSupport = sql_dialect::window_frame_exclusion_support::FrameExclusionSupport;
    type AggregateFunctionExpressions =
        sql_dialect::aggregate_function_expressions::PostgresLikeAggregateFunctionExpressions;
    type BuiltInWindowFunctionRequireOrder = sql_dialect::built_in_window_function_require_order::NoOrderRequired;
}

/// `ON CONFLICT`, with a target and a condition, as both understand it.
pub struct OnConflict;
impl sql_dialect::on_conflict_clause::SupportsOnConflictClause for OnConflict {}
impl sql_dialect::on_conflict_clause::SupportsOnConflictClauseWhere for OnConflict {}
impl sql_dialect::on_conflict_clause::PgLikeOnConflictClause for OnConflict {}

/// SQLite has no `DEFAULT` in `VALUES`, so a row that would need it does not compile.
pub struct NoDefault;
impl sql_dialect::default_keyword_for_insert::SupportsDefaultKeyword for NoDefault {} // asked of every batch

impl<T> CanInsertInSingleQuery<Db> for Vec<T> {
    fn rows_to_insert(&self) -> Option<usize> {
        Some(self.len())
    }
}
impl<T> CanInsertInSingleQuery<Db> for [T] {
    fn rows_to_insert(&self) -> Option<usize> {
        Some(self.len())
    }
}
impl<T, const N: usize> CanInsertInSingleQuery<Db> for [T; N] {
    fn rows_to_insert(&self) -> Option<usize> {
        Some(N)
    }
}
impl<V, Tab, QId, const STABLE: bool> CanInsertInSingleQuery<Db> for BatchInsert<V, Tab, QId, STABLE>
where
    V: CanInsertInSingleQuery<Db>,
{
    fn rows_to_insert(&self) -> Option<usize> {
        self.values.rows_to_insert()
    }
}
