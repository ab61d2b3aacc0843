//! Where the two databases part: lists, row locks, and the clauses each backend must say for itself.
//!
//! `= ANY($1)` is planned once on PostgreSQL, SQLite has only `IN (..)`. `FOR UPDATE SKIP LOCKED` says nothing on SQLite,
//! which has one writer.
use super::{Bind, Binds, BuiltIn, Db, push_list};
use diesel::{
    internal::derives::multiconnection::{
        BoxedLimitOffsetClause, BoxedQueryHelper, BoxedSelectStatement, LimitClause, LimitOffsetClause, NoLimitClause,
        NoOffsetClause, OffsetClause, SelectStatement, SelectStatementAccessor,
        array_comparison::{In, InExpression, Many, NotIn},
    },
    pg::{Pg, PgQueryBuilder, PgTypeMetadata},
    prelude::QueryResult,
    query_builder::{
        AstPass, BindCollector, IntoBoxedClause, QueryBuilder, QueryFragment, bind_collector::RawBytesBindCollector,
    },
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{Array, HasSqlType, SingleValue},
    sqlite::SqliteType,
};

/// Lists: one array bind, or as many binds as values.
pub struct AnyOrIn;

impl<ST> HasSqlType<Array<ST>> for Db
where
    Pg: HasSqlType<Array<ST>>,
{
    fn metadata(_: &mut ()) -> (PgTypeMetadata, SqliteType) {
        (<Pg as HasSqlType<Array<ST>>>::metadata(&mut BuiltIn), SqliteType::Binary)
    }
}
/// PostgreSQL's array format, its elements as this backend binds them.
impl<ST, T> ToSql<Array<ST>, Db> for Vec<T>
where
    T: ToSql<ST, Db>,
    Db: HasSqlType<ST>,
    Pg: HasSqlType<ST> + HasSqlType<Array<ST>>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
        let mut items = Binds::Postgres(RawBytesBindCollector::new());
        for item in self {
            items.push_bound_value::<ST, T>(item, &mut ())?;
        }
        let Binds::Postgres(items) = items else { unreachable!() };
        let element = <Pg as HasSqlType<ST>>::metadata(&mut BuiltIn);
        let mut bytes = Vec::with_capacity(20 + 20 * self.len());
        let dimensions = i32::from(!self.is_empty());
        bytes.extend(dimensions.to_be_bytes());
        bytes.extend(0_i32.to_be_bytes()); // no NULL among them
        bytes.extend(element.oid()?.to_be_bytes());
        if dimensions == 1 {
            bytes.extend(i32::try_from(self.len())?.to_be_bytes());
            bytes.extend(1_i32.to_be_bytes());
        }
        for item in items.binds {
            let item = item.ok_or("NULL in a list of values")?;
            bytes.extend(i32::try_from(item.len())?.to_be_bytes());
            bytes.extend(item);
        }
        out.set_value(Some(Bind::Array(<Pg as HasSqlType<Array<ST>>>::metadata(&mut BuiltIn), bytes)));
        Ok(IsNull::No)
    }
}
macro_rules! membership {
    ($node:ident, $empty:literal, $any:literal, $list:literal) => {
        impl<T, U> QueryFragment<Db, AnyOrIn> for $node<T, U>
        where
            T: QueryFragment<Db>,
            U: QueryFragment<Db> + InExpression,
        {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
                if *out.backend() == Db::Postgres {
                    self.left.walk_ast(out.reborrow())?;
                    out.push_sql($any);
                } else if self.values.is_empty() {
                    out.push_sql($empty);
                    return Ok(());
                } else {
                    self.left.walk_ast(out.reborrow())?;
                    out.push_sql($list);
                }
                self.values.walk_ast(out.reborrow())?;
                out.push_sql(")");
                Ok(())
            }
        }
    };
}
membership!(In, "1=0", " = ANY(", " IN (");
membership!(NotIn, "1=1", " != ALL(", " NOT IN (");

impl<ST, I> QueryFragment<Db, AnyOrIn> for Many<ST, I>
where
    ST: SingleValue,
    Db: HasSqlType<ST> + HasSqlType<Array<ST>>,
    I: ToSql<ST, Db>,
    Vec<I>: ToSql<Array<ST>, Db>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        if *out.backend() == Db::Postgres {
            return out.push_bind_param::<Array<ST>, Vec<I>>(&self.values);
        }
        push_list::<ST, I>(&mut out, &self.values)
    }
}

/// A select whose row lock is printed on PostgreSQL only.
pub struct Select;

impl<F, S, D, W, O, LOf, G, H, LC> QueryFragment<Db, Select> for SelectStatement<F, S, D, W, O, LOf, G, H, LC>
where
    S: QueryFragment<Db>,
    F: QueryFragment<Db>,
    D: QueryFragment<Db>,
    W: QueryFragment<Db>,
    O: QueryFragment<Db>,
    LOf: QueryFragment<Db>,
    G: QueryFragment<Db>,
    H: QueryFragment<Db>,
    LC: QueryFragment<Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        self.distinct_clause().walk_ast(out.reborrow())?;
        self.select_clause().walk_ast(out.reborrow())?;
        self.from_clause().walk_ast(out.reborrow())?;
        self.where_clause().walk_ast(out.reborrow())?;
        self.group_by_clause().walk_ast(out.reborrow())?;
        self.having_clause().walk_ast(out.reborrow())?;
        self.order_clause().walk_ast(out.reborrow())?;
        self.limit_offset_clause().walk_ast(out.reborrow())?;
        if *out.backend() == Db::Postgres {
            let mut lock = PgQueryBuilder::default();
            self.locking_clause().to_sql(&mut lock, &Pg)?;
            out.push_sql(&lock.finish());
        }
        Ok(())
    }
}
impl<'a, ST, QS, GB> QueryFragment<Db, Select> for BoxedSelectStatement<'a, ST, QS, Db, GB>
where
    QS: QueryFragment<Db>,
{
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        self.build_query(pass, |where_clause, pass| where_clause.walk_ast(pass))
    }
}

// ---- LIMIT and OFFSET, as each backend must say for itself

impl<L, O> QueryFragment<Db> for LimitOffsetClause<L, O>
where
    L: QueryFragment<Db>,
    O: QueryFragment<Db>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        self.limit_clause.walk_ast(out.reborrow())?;
        self.offset_clause.walk_ast(out.reborrow())
    }
}
impl QueryFragment<Db> for BoxedLimitOffsetClause<'_, Db> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        if let Some(limit) = &self.limit {
            limit.walk_ast(out.reborrow())?;
        }
        if let Some(offset) = &self.offset {
            offset.walk_ast(out.reborrow())?;
        }
        Ok(())
    }
}
impl<'a> IntoBoxedClause<'a, Db> for LimitOffsetClause<NoLimitClause, NoOffsetClause> {
    type BoxedClause = BoxedLimitOffsetClause<'a, Db>;
    fn into_boxed(self) -> Self::BoxedClause {
        BoxedLimitOffsetClause { limit: None, offset: None }
    }
}
impl<'a, L> IntoBoxedClause<'a, Db> for LimitOffsetClause<LimitClause<L>, NoOffsetClause>
where
    LimitClause<L>: QueryFragment<Db> + Send + 'static,
{
    type BoxedClause = BoxedLimitOffsetClause<'a, Db>;
    fn into_boxed(self) -> Self::BoxedClause {
        BoxedLimitOffsetClause { limit: Some(Box::new(self.limit_clause)), offset: None }
    }
}
impl<'a, L, O> IntoBoxedClause<'a, Db> for LimitOffsetClause<LimitClause<L>, OffsetClause<O>>
where
    LimitClause<L>: QueryFragment<Db> + Send + 'static,
    OffsetClause<O>: QueryFragment<Db> + Send + 'static,
{
    type BoxedClause = BoxedLimitOffsetClause<'a, Db>;
    fn into_boxed(self) -> Self::BoxedClause {
        BoxedLimitOffsetClause { limit: Some(Box::new(self.limit_clause)), offset: Some(Box::new(self.offset_clause)) }
    }
}
