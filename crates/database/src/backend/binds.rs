//! Text and values on their way in, values on their way out.
//!
//! A value goes to the bind collector of the connection that will run the statement, so each database gets it in its
//! own form: PostgreSQL its binary format, SQLite a borrowed pointer where it can be one. Nothing but built-in types is
//! bound, so no type is ever looked up in the database.
use super::{Db, SqliteBindCollector};
use diesel::{
    deserialize::{self, FromSql},
    pg::{Pg, PgMetadataLookup, PgTypeMetadata, PgValue},
    prelude::QueryResult,
    query_builder::{AstPass, BindCollector, QueryBuilder, bind_collector::RawBytesBindCollector},
    serialize::{self, IsNull, Output, ToSql},
    sql_types::HasSqlType,
    sqlite::{Sqlite, SqliteType, SqliteValue},
};
use std::fmt::Write as _;

/// SQL as both databases read it.
#[derive(Default)]
pub struct Text {
    sql: String,
    binds: u32,
    varies: bool,
}
/// Pushed as SQL, and never part of it: [`Text::is_kept`] is false then.
const VARIES: &str = "\u{0}";
/// An `INSERT` with more binds has many rows, and their number is seldom the same again.
const BINDS: u32 = 64;
/// Longer lists are seldom as long again.
const LIST: usize = 128;

impl Text {
    /// Whether its statement is worth keeping prepared: parsing and planning it takes longer than running it, as a rule.
    pub(crate) fn is_kept(&self) -> bool {
        !self.varies && (self.binds <= BINDS || !self.sql.starts_with("INSERT"))
    }
}

/// A query whose text hardly comes again: it is prepared for this once. All others are prepared once a connection.
pub fn not_kept(out: &mut AstPass<'_, '_, Db>) {
    out.unsafe_to_cache_prepared(); // where it would be found by its type
    out.push_sql(VARIES);
}

/// What stands between the parentheses of SQLite's `IN (..)`. The last value fills it up to a power of two: lists of a
/// hundred lengths are eight texts.
pub fn push_list<'b, ST, T>(out: &mut AstPass<'_, 'b, Db>, values: &'b [T]) -> QueryResult<()>
where
    Db: HasSqlType<ST>,
    T: ToSql<ST, Db>,
{
    out.unsafe_to_cache_prepared(); // by its type: it has a text for each length
    let length = if values.len() <= LIST { values.len().next_power_of_two() } else { values.len() };
    if values.len() > LIST {
        not_kept(out);
    }
    let filling = values.last().into_iter().cycle().take(length.saturating_sub(values.len()));
    for (n, value) in values.iter().chain(filling).enumerate() {
        out.push_sql(if n > 0 { ", " } else { "" });
        out.push_bind_param::<ST, T>(value)?;
    }
    Ok(())
}

impl QueryBuilder<Db> for Text {
    fn push_sql(&mut self, sql: &str) {
        if sql == VARIES {
            self.varies = true;
        } else {
            self.sql.push_str(sql);
        }
    }
    fn push_identifier(&mut self, identifier: &str) -> QueryResult<()> {
        self.sql.push('"');
        for (n, part) in identifier.split('"').enumerate() {
            if n > 0 {
                self.sql.push_str("\"\"");
            }
            self.sql.push_str(part);
        }
        self.sql.push('"');
        Ok(())
    }
    fn push_bind_param(&mut self) {
        self.binds += 1;
        let _ = write!(self.sql, "${}", self.binds);
    }
    fn push_bind_param_value_only(&mut self) {
        self.binds += 1;
    }
    fn finish(self) -> String {
        self.sql
    }
}

// ---- values in

/// A value that both databases can bind.
pub trait Bindable {
    fn postgres(&self, into: &mut RawBytesBindCollector<Pg>) -> QueryResult<()>;
    fn sqlite<'a>(&'a self, into: &mut SqliteBindCollector<'a>) -> QueryResult<()>;
}
/// A value on its way to [`Binds`].
pub enum Bind<'a> {
    Value(&'a dyn Bindable),
    Str(&'a str),
    Bytes(&'a [u8]),
    /// In PostgreSQL's own format.
    Array(PgTypeMetadata, Vec<u8>),
}
/// The values of one statement, as the connection at hand takes them.
pub enum Binds<'a> {
    Sqlite(SqliteBindCollector<'a>),
    Postgres(RawBytesBindCollector<Pg>),
}
impl<'a> BindCollector<'a, Db> for Binds<'a> {
    type Buffer = Option<Bind<'a>>;

    fn push_bound_value<T, U>(&mut self, bind: &'a U, lookup: &mut ()) -> QueryResult<()>
    where
        Db: HasSqlType<T>,
        U: ToSql<T, Db> + ?Sized + 'a,
    {
        let mut out = Output::new(None, lookup);
        let null = bind.to_sql(&mut out).map_err(diesel::result::Error::SerializationError)?;
        let value = out.into_inner();
        if let IsNull::Yes = null {
            return self.push_null_value(<Db as HasSqlType<T>>::metadata(&mut ()));
        }
        match (self, value.expect("ToSql sets a value or says NULL")) {
            (Self::Sqlite(c), Bind::Value(v)) => v.sqlite(c),
            (Self::Sqlite(c), Bind::Str(v)) => c.push_bound_value::<diesel::sql_types::Text, str>(v, &mut ()),
            (Self::Sqlite(c), Bind::Bytes(v)) => c.push_bound_value::<diesel::sql_types::Binary, [u8]>(v, &mut ()),
            (Self::Sqlite(_), Bind::Array(..)) => unreachable!("arrays are PostgreSQL's"),
            (Self::Postgres(c), Bind::Value(v)) => v.postgres(c),
            (Self::Postgres(c), Bind::Str(v)) => c.push_bound_value::<diesel::sql_types::Text, str>(v, &mut BuiltIn),
            (Self::Postgres(c), Bind::Bytes(v)) => {
                c.push_bound_value::<diesel::sql_types::Binary, [u8]>(v, &mut BuiltIn)
            }
            (Self::Postgres(c), Bind::Array(meta, bytes)) => {
                c.metadata.push(meta);
                c.binds.push(Some(bytes));
                Ok(())
            }
        }
    }
    fn push_null_value(&mut self, (pg, lite): (PgTypeMetadata, SqliteType)) -> QueryResult<()> {
        match self {
            Self::Sqlite(c) => c.push_null_value(lite),
            Self::Postgres(c) => c.push_null_value(pg),
        }
    }
}

/// Only built-in types are bound, so nothing is ever looked up.
pub(crate) struct BuiltIn;
impl PgMetadataLookup for BuiltIn {
    fn lookup_type(&mut self, name: &str, _: Option<&str>) -> PgTypeMetadata {
        unreachable!("{name}: only built-in types are bound")
    }
    fn as_any<'a>(&mut self) -> &mut (dyn std::any::Any + 'a)
    where
        Self: 'a,
    {
        self
    }
}

// ---- values out

/// A column of a row.
pub enum Raw<'a> {
    Sqlite(SqliteValue<'a, 'a, 'a>),
    Postgres(PgValue<'a>),
}
impl Raw<'_> {
    /// As a type that diesel reads from both.
    pub fn read<ST, T>(self) -> deserialize::Result<T>
    where
        T: FromSql<ST, Sqlite> + FromSql<ST, Pg>,
    {
        match self {
            Self::Sqlite(v) => <T as FromSql<ST, Sqlite>>::from_sql(v),
            Self::Postgres(v) => <T as FromSql<ST, Pg>>::from_sql(v),
        }
    }
}

macro_rules! known {
    ($($sql:ty),*) => {$(
        impl HasSqlType<$sql> for Db {
            fn metadata(_: &mut ()) -> (PgTypeMetadata, SqliteType) {
                (<Pg as HasSqlType<$sql>>::metadata(&mut BuiltIn), <Sqlite as HasSqlType<$sql>>::metadata(&mut ()))
            }
        }
    )*};
}

/// A Rust type that diesel maps on both databases already.
macro_rules! both {
    ($($sql:ty => $rust:ty),* $(,)?) => {$(
        impl HasSqlType<$sql> for Db {
            fn metadata(_: &mut ()) -> (PgTypeMetadata, SqliteType) {
                (<Pg as HasSqlType<$sql>>::metadata(&mut BuiltIn), <Sqlite as HasSqlType<$sql>>::metadata(&mut ()))
            }
        }
        both!(value $sql => $rust);
    )*};
    (value $sql:ty => $rust:ty $(, $t:ident)?) => {
        impl$(<$t: 'static>)? ToSql<$sql, Db> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
                out.set_value(Some(Bind::Value(self)));
                Ok(IsNull::No)
            }
        }
        impl$(<$t: 'static>)? Bindable for $rust {
            fn postgres(&self, into: &mut RawBytesBindCollector<Pg>) -> QueryResult<()> {
                into.push_bound_value::<$sql, Self>(self, &mut BuiltIn)
            }
            fn sqlite<'a>(&'a self, into: &mut SqliteBindCollector<'a>) -> QueryResult<()> {
                into.push_bound_value::<$sql, Self>(self, &mut ())
            }
        }
        impl$(<$t: 'static>)? FromSql<$sql, Db> for $rust {
            fn from_sql(raw: Raw<'_>) -> deserialize::Result<Self> {
                raw.read::<$sql, Self>()
            }
        }
    };
}
both! {
    diesel::sql_types::Bool => bool,
    diesel::sql_types::Integer => i32,
    diesel::sql_types::BigInt => i64,
    diesel::sql_types::Double => f64,
}
// `Backend` demands these; nothing is bound as them.
known!(
    diesel::sql_types::SmallInt,
    diesel::sql_types::Float,
    diesel::sql_types::Date,
    diesel::sql_types::Time,
    diesel::sql_types::Timestamp
);
macro_rules! unsized_both {
    ($($sql:ty, $borrowed:ty, $owned:ty, $bind:ident);*) => {$(
        impl HasSqlType<$sql> for Db {
            fn metadata(_: &mut ()) -> (PgTypeMetadata, SqliteType) {
                (<Pg as HasSqlType<$sql>>::metadata(&mut BuiltIn), <Sqlite as HasSqlType<$sql>>::metadata(&mut ()))
            }
        }
        impl ToSql<$sql, Db> for $borrowed {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
                out.set_value(Some(Bind::$bind(self)));
                Ok(IsNull::No)
            }
        }
        impl FromSql<$sql, Db> for $owned {
            fn from_sql(raw: Raw<'_>) -> deserialize::Result<Self> {
                raw.read::<$sql, Self>()
            }
        }
    )*};
}
unsized_both! {
    diesel::sql_types::Text, str, String, Str;
    diesel::sql_types::Binary, [u8], Vec<u8>, Bytes
}
