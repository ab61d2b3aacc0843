//! The database's own clock, for leases: processes that share a database share it, whatever their machines say.
//!
//! Business time comes from an injected `kernel::Clock` and is passed into statements; this is not for it.
use crate::backend::Db;
use diesel::{
    AppearsOnTable, Expression, QueryResult, SelectableExpression,
    expression::{AsExpression, ValidGrouping, is_aggregate},
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{BigInt, Nullable, Timestamptz},
};
use std::time::Duration;

/// The present by the database's clock, when the statement runs (on PostgreSQL: not when its transaction began).
/// For columns that may be NULL as well: `.eq(Now)`, `.lt(Now)`, `.set(lease.eq(Now.plus(span)))`.
#[derive(Debug, Clone, Copy, QueryId)]
pub struct Now;

/// [`Now`], moved.
#[derive(Debug, Clone, Copy, QueryId)]
pub struct Moved {
    micros: i64,
}

impl Now {
    /// `span` from now.
    pub fn plus(self, span: Duration) -> Moved {
        Moved { micros: micros(span) }
    }
    /// `span` ago.
    pub fn minus(self, span: Duration) -> Moved {
        Moved { micros: -micros(span) }
    }
}
fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

impl QueryFragment<Db> for Now {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.push_sql(match out.backend() {
            Db::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
            Db::Postgres => "clock_timestamp()",
        });
        Ok(())
    }
}
impl QueryFragment<Db> for Moved {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        let (open, close) = match out.backend() {
            Db::Sqlite => ("(CAST(unixepoch('subsec') * 1000000 AS INTEGER) + ", ")"),
            Db::Postgres => ("(clock_timestamp() + ", " * interval '1 microsecond')"),
        };
        out.push_sql(open);
        out.push_bind_param::<BigInt, i64>(&self.micros)?;
        out.push_sql(close);
        Ok(())
    }
}

macro_rules! clock {
    ($($clock:ty),*) => {$(
        impl Expression for $clock {
            type SqlType = Timestamptz;
        }
        impl<G> ValidGrouping<G> for $clock {
            type IsAggregate = is_aggregate::Never;
        }
        impl<From> AppearsOnTable<From> for $clock {}
        impl<From> SelectableExpression<From> for $clock {}
        impl AsExpression<Nullable<Timestamptz>> for $clock {
            type Expression = diesel::dsl::Nullable<$clock>;
            fn as_expression(self) -> Self::Expression {
                diesel::NullableExpressionMethods::nullable(self)
            }
        }
    )*};
}
clock!(Now, Moved);
