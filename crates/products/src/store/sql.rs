//! Statements that diesel's language cannot say (`UPDATE .. FROM`, a lock on one table of a join, a `LIMIT` that is part
//! of the text because PostgreSQL plans a bound one anew each time), put together from fixed pieces of text and binds.
//!
//! Unlike `sql_query` they are prepared once and kept, as any other statement: their texts are few.
use database::{Conn, Db, not_kept, push_list};
use diesel::{
    QueryResult, RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Text, Timestamptz, Untyped, Uuid as SqlUuid},
};
use kernel::{Id, Time};
use std::{borrow::Cow, marker::PhantomData};
use uuid::Uuid;

/// `ST` is the type of its rows.
pub(crate) struct Sql<ST = Untyped> {
    pieces: Vec<Piece>,
    kept: bool,
    rows: PhantomData<fn() -> ST>,
}

enum Piece {
    Text(Cow<'static, str>),
    Id(Uuid),
    Ids(Vec<Uuid>),
    Int(i64),
    Str(String),
    At(Time),
    Lock(&'static str),
}

impl<ST> Sql<ST> {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { pieces: vec![Piece::Text(text.into())], kept: true, rows: PhantomData }
    }
    fn with(mut self, piece: Piece) -> Self {
        self.pieces.push(piece);
        self
    }
    pub(crate) fn text(self, text: &'static str) -> Self {
        self.with(Piece::Text(text.into()))
    }
    pub(crate) fn id<T>(self, id: Id<T>) -> Self {
        self.with(Piece::Id(*id.uuid()))
    }
    /// `= ANY($1)`, or `IN (..)` on SQLite.
    pub(crate) fn among<T>(self, ids: impl IntoIterator<Item = Id<T>>) -> Self {
        self.with(Piece::Ids(ids.into_iter().map(|id| *id.uuid()).collect()))
    }
    pub(crate) fn int(self, value: i64) -> Self {
        self.with(Piece::Int(value))
    }
    pub(crate) fn str(self, value: impl Into<String>) -> Self {
        self.with(Piece::Str(value.into()))
    }
    pub(crate) fn at(self, time: Time) -> Self {
        self.with(Piece::At(time))
    }
    /// `LIMIT` as text.
    pub(crate) fn limit(self, rows: usize) -> Self {
        self.with(Piece::Text(format!(" LIMIT {rows}").into()))
    }
    /// `OFFSET` as text: within bounds, it is never a page.
    pub(crate) fn offset(self, rows: usize) -> Self {
        self.with(Piece::Text(format!(" OFFSET {rows}").into()))
    }
    /// A row lock, which SQLite with its one writer does without.
    pub(crate) fn lock(self, how: &'static str) -> Self {
        self.with(Piece::Lock(how))
    }
    /// For a text that hardly comes again: prepared for this once.
    pub(crate) fn not_kept(self) -> Self {
        Self { kept: false, ..self }
    }
}

impl<ST> QueryFragment<Db> for Sql<ST> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        if !self.kept {
            not_kept(&mut out);
        }
        self.pieces.iter().try_for_each(|piece| piece.walk(out.reborrow()))
    }
}

impl Piece {
    fn walk<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
        match self {
            Self::Text(text) => out.push_sql(text),
            Self::Id(id) => out.push_bind_param::<SqlUuid, Uuid>(id)?,
            Self::Ids(ids) => return among(ids, out),
            Self::Int(value) => out.push_bind_param::<BigInt, i64>(value)?,
            Self::Str(value) => out.push_bind_param::<Text, String>(value)?,
            Self::At(time) => out.push_bind_param::<Timestamptz, Time>(time)?,
            Self::Lock(how) if *out.backend() == Db::Postgres => out.push_sql(how),
            Self::Lock(_) => (),
        }
        Ok(())
    }
}

fn among<'b>(ids: &'b Vec<Uuid>, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
    if *out.backend() == Db::Postgres {
        out.push_sql(" = ANY(");
        out.push_bind_param::<Array<SqlUuid>, Vec<Uuid>>(ids)?;
    } else {
        out.push_sql(" IN (");
        push_list::<SqlUuid, Uuid>(&mut out, ids)?;
    }
    out.push_sql(")");
    Ok(())
}

impl<ST> Query for Sql<ST> {
    type SqlType = ST;
}
impl<ST> QueryId for Sql<ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}
impl<ST> RunQueryDsl<Conn> for Sql<ST> {}
