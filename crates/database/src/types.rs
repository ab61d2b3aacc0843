//! How kernel's words, and what else the domains keep, lie in columns: diesel's own column types, so one ordinary
//! `table!` serves both databases.
//!
//! Ids are `uuid` or a blob of 16 bytes, times microseconds, JSON `jsonb` or text. What comes back is checked: an amount
//! out of range or an unknown currency is an error of the row, never a silent value.
use crate::backend::{Bind, Bindable, BuiltIn, Db, Raw, SqliteBindCollector};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgTypeMetadata};
use diesel::prelude::QueryResult;
use diesel::query_builder::{BindCollector, bind_collector::RawBytesBindCollector};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{self, BigInt, Binary, HasSqlType, Jsonb, Text, Timestamptz, Uuid};
use diesel::sqlite::{Sqlite, SqliteType};
use kernel::{Currency, Id, Minor, Time};
use serde::de::DeserializeOwned;

macro_rules! column {
    ($sql:ty, sqlite $lite:ident) => {
        impl HasSqlType<$sql> for Db {
            fn metadata(_: &mut ()) -> (PgTypeMetadata, SqliteType) {
                (<Pg as HasSqlType<$sql>>::metadata(&mut BuiltIn), SqliteType::$lite)
            }
        }
    };
    ($sql:ty => $rust:ty $(, $t:ident)?; |$value:ident| postgres $pg_sql:ty = $pg:expr, sqlite $lite_sql:ty = $lite:expr) => {
        impl$(<$t: 'static>)? ToSql<$sql, Db> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
                out.set_value(Some(Bind::Value(self)));
                Ok(IsNull::No)
            }
        }
        impl$(<$t: 'static>)? Bindable for $rust {
            fn postgres(&self, into: &mut RawBytesBindCollector<Pg>) -> QueryResult<()> {
                let $value = self;
                into.push_bound_value::<$pg_sql, _>($pg, &mut BuiltIn)
            }
            fn sqlite<'a>(&'a self, into: &mut SqliteBindCollector<'a>) -> QueryResult<()> {
                let $value = self;
                into.push_bound_value::<$lite_sql, _>($lite, &mut ())
            }
        }
    };
}
fn lite<ST, T: FromSql<ST, Sqlite>>(raw: diesel::sqlite::SqliteValue<'_, '_, '_>) -> deserialize::Result<T> {
    T::from_sql(raw)
}
fn pg<ST, T: FromSql<ST, Pg>>(raw: diesel::pg::PgValue<'_>) -> deserialize::Result<T> {
    T::from_sql(raw)
}

column!(Uuid, sqlite Binary);
column!(Uuid => Id<T>, T; |id| postgres Uuid = id.uuid(), sqlite Binary = id.uuid().as_bytes().as_slice());
impl<T> FromSql<Uuid, Db> for Id<T> {
    fn from_sql(raw: Raw<'_>) -> deserialize::Result<Self> {
        <uuid::Uuid as FromSql<Uuid, Db>>::from_sql(raw).map(Self::from)
    }
}
column!(Uuid => uuid::Uuid; |id| postgres Uuid = id, sqlite Binary = id.as_bytes().as_slice());
impl FromSql<Uuid, Db> for uuid::Uuid {
    fn from_sql(raw: Raw<'_>) -> deserialize::Result<Self> {
        Ok(match raw {
            Raw::Postgres(v) => pg::<Uuid, Self>(v)?,
            Raw::Sqlite(mut v) => Self::from_slice(v.read_blob())?,
        })
    }
}

/// PostgreSQL counts its microseconds from the year 2000.
const EPOCH: i64 = 946_684_800_000_000;
column!(Timestamptz, sqlite Long);
column!(Timestamptz => Time; |at|
    postgres Timestamptz = &diesel::pg::data_types::PgTimestamp(*at.micros() - EPOCH),
    sqlite BigInt = at.micros());
impl FromSql<Timestamptz, Db> for Time {
    fn from_sql(raw: Raw<'_>) -> deserialize::Result<Self> {
        Ok(Time::from_micros(match raw {
            Raw::Postgres(v) => pg::<Timestamptz, diesel::pg::data_types::PgTimestamp>(v)?.0 + EPOCH,
            Raw::Sqlite(v) => lite::<BigInt, i64>(v)?,
        }))
    }
}

column!(Jsonb, sqlite Text);
column!(Jsonb => serde_json::Value; |json| postgres Jsonb = json, sqlite sql_types::Json = json);
impl FromSql<Jsonb, Db> for serde_json::Value {
    fn from_sql(raw: Raw<'_>) -> deserialize::Result<Self> {
        match raw {
            Raw::Postgres(v) => pg::<Jsonb, Self>(v),
            Raw::Sqlite(v) => lite::<sql_types::Json, Self>(v),
        }
    }
}

/// What a JSON column holds, read as what it is: [`serde_json::Value`] between them would be made and thrown away.
#[derive(Debug, FromSqlRow)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromSql<Jsonb, Db> for Json<T> {
    fn from_sql(raw: Raw<'_>) -> deserialize::Result<Self> {
        Ok(Self(match raw {
            Raw::Postgres(v) => match v.as_bytes() {
                [JSONB_VERSION, json @ ..] => serde_json::from_slice(json)?,
                _ => return Err("not version 1 of jsonb".into()),
            },
            Raw::Sqlite(mut v) => serde_json::from_str(v.read_text())?,
        }))
    }
}
/// PostgreSQL sends `jsonb` as its text behind this.
const JSONB_VERSION: u8 = 1;

column!(BigInt => Minor; |money| postgres BigInt = money.get(), sqlite BigInt = money.get());
impl FromSql<BigInt, Db> for Minor {
    fn from_sql(raw: Raw<'_>) -> deserialize::Result<Self> {
        Ok(Self::new(raw.read::<BigInt, i64>()?)?)
    }
}

impl ToSql<Text, Db> for Currency {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Db>) -> serialize::Result {
        out.set_value(Some(Bind::Str(self.code())));
        Ok(IsNull::No)
    }
}
impl FromSql<Text, Db> for Currency {
    fn from_sql(raw: Raw<'_>) -> deserialize::Result<Self> {
        let code = raw.read::<Text, String>()?;
        Ok(code.parse().map_err(|bad: kernel::BadCurrency| format!("{code}: {bad}"))?)
    }
}
