//! A column's value, whichever database it lies in.
//!
//! SQLite's storage classes are the common form: what PostgreSQL has more types for (`uuid`, `timestamptz`, `boolean`,
//! `jsonb`) is read into them and written from them, as the domains' own code does.
use crate::backend::{Db, Raw};
use diesel::{
    deserialize::{self, FromSql},
    query_builder::BoxedSqlQuery,
    sql_types::{BigInt, Binary, Bool, Double, Integer, Nullable, Text, Timestamptz, Uuid},
};
use kernel::Time;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    ShortInt,
    Real,
    Text,
    Bytes,
    Bool,
    Time,
    Uuid,
    Json,
}

impl Kind {
    /// By the type's name in the catalogue.
    pub(super) fn named(db: Db, name: &str) -> Option<Self> {
        Some(match (db, name) {
            (Db::Sqlite, "INTEGER") | (Db::Postgres, "bigint") => Self::Int,
            (Db::Sqlite, "REAL") | (Db::Postgres, "double precision") => Self::Real,
            (Db::Sqlite, "TEXT") | (Db::Postgres, "text") => Self::Text,
            (Db::Sqlite, "BLOB") | (Db::Postgres, "bytea") => Self::Bytes,
            (Db::Postgres, "integer") => Self::ShortInt,
            (Db::Postgres, "boolean") => Self::Bool,
            (Db::Postgres, "timestamp with time zone") => Self::Time,
            (Db::Postgres, "uuid") => Self::Uuid,
            (Db::Postgres, "jsonb") => Self::Json,
            _ => return None,
        })
    }
    /// `jsonb` goes through text, as it was written: a parser in between might round its numbers.
    pub(super) fn read_as(self) -> &'static str {
        if self == Self::Json { "::text" } else { "" }
    }
    pub(super) fn written_as(self) -> &'static str {
        if self == Self::Json { "::jsonb" } else { "" }
    }
    /// Sorted bytewise, as SQLite does.
    pub(super) fn sorted_as(self, db: Db) -> &'static str {
        if self == Self::Text && db == Db::Postgres { " COLLATE \"C\"" } else { "" }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    pub(super) fn read(kind: Kind, raw: Option<Raw<'_>>) -> deserialize::Result<Self> {
        let Some(raw) = raw else { return Ok(Self::Null) };
        Ok(match kind {
            Kind::Int => Self::Int(raw.read::<BigInt, i64>()?),
            Kind::ShortInt => Self::Int(raw.read::<Integer, i32>()?.into()),
            Kind::Bool => Self::Int(raw.read::<Bool, bool>()?.into()),
            Kind::Time => Self::Int(*<Time as FromSql<Timestamptz, Db>>::from_sql(raw)?.micros()),
            Kind::Real => Self::Real(raw.read::<Double, f64>()?),
            Kind::Text | Kind::Json => Self::Text(raw.read::<Text, String>()?),
            Kind::Bytes => Self::Bytes(raw.read::<Binary, Vec<u8>>()?),
            Kind::Uuid => Self::Bytes(<uuid::Uuid as FromSql<Uuid, Db>>::from_sql(raw)?.as_bytes().to_vec()),
        })
    }

    /// As the next value of `query`, for a column of `kind`. What does not fit is said, never bent.
    pub(super) fn bind<'q, Q>(
        &'q self,
        kind: Kind,
        query: BoxedSqlQuery<'q, Db, Q>,
    ) -> Result<BoxedSqlQuery<'q, Db, Q>, String> {
        let misfit = || format!("a value of {} does not fit {kind:?}", self.class());
        Ok(match kind {
            Kind::Int => query.bind::<Nullable<BigInt>, _>(self.int().ok_or_else(misfit)?),
            Kind::ShortInt => {
                let short = self.int().ok_or_else(misfit)?.map(i32::try_from).transpose().map_err(|_| misfit())?;
                query.bind::<Nullable<Integer>, _>(short)
            }
            Kind::Bool => {
                let truth = match self {
                    Self::Null => None,
                    Self::Int(n @ (0 | 1)) => Some(*n == 1),
                    _ => return Err(misfit()),
                };
                query.bind::<Nullable<Bool>, _>(truth)
            }
            Kind::Time => query.bind::<Nullable<Timestamptz>, _>(self.int().ok_or_else(misfit)?.map(Time::from_micros)),
            Kind::Real => match self {
                Self::Null => query.bind::<Nullable<Double>, _>(None::<f64>),
                Self::Real(x) => query.bind::<Nullable<Double>, _>(Some(*x)),
                _ => return Err(misfit()),
            },
            Kind::Text | Kind::Json => match self {
                Self::Null => query.bind::<Nullable<Text>, _>(None::<&str>),
                Self::Text(text) => query.bind::<Nullable<Text>, _>(Some(text.as_str())),
                _ => return Err(misfit()),
            },
            Kind::Bytes => query.bind::<Nullable<Binary>, _>(self.bytes().ok_or_else(misfit)?),
            Kind::Uuid => {
                let bytes = self.bytes().ok_or_else(misfit)?;
                let id = bytes.map(uuid::Uuid::from_slice).transpose().map_err(|_| misfit())?;
                query.bind::<Nullable<Uuid>, _>(id)
            }
        })
    }

    fn int(&self) -> Option<Option<i64>> {
        match self {
            Self::Null => Some(None),
            Self::Int(n) => Some(Some(*n)),
            _ => None,
        }
    }
    fn bytes(&self) -> Option<Option<&[u8]>> {
        match self {
            Self::Null => Some(None),
            Self::Bytes(bytes) => Some(Some(bytes)),
            _ => None,
        }
    }
    fn class(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "INTEGER",
            Self::Real(_) => "REAL",
            Self::Text(_) => "TEXT",
            Self::Bytes(_) => "BLOB",
        }
    }
}

/// What rows hold, in one number: the same for the same rows in the same order, in either database.
#[derive(Clone, Default)]
pub(super) struct Digest {
    pub(super) rows: u64,
    hash: Sha256,
}

impl Digest {
    pub(super) fn row(&mut self, values: &[Value]) {
        self.rows += 1;
        self.hash.update([b'R']);
        for value in values {
            match value {
                Value::Null => self.hash.update([b'N']),
                Value::Int(n) => self.part(b'I', &n.to_be_bytes()),
                Value::Real(x) => self.part(b'F', &x.to_bits().to_be_bytes()),
                Value::Bytes(bytes) => self.part(b'B', bytes),
                Value::Text(text) => match canonical(text) {
                    Some(json) => self.part(b'T', json.as_bytes()),
                    None => self.part(b'T', text.as_bytes()),
                },
            }
        }
    }
    fn part(&mut self, tag: u8, bytes: &[u8]) {
        self.hash.update([tag]);
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }
    /// Of all rows so far, in hexadecimal; half of it is enough to tell tables apart.
    pub(super) fn hash(&self) -> String {
        self.hash.clone().finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, hash {}", self.rows, self.hash())
    }
}

/// A JSON object or list in one form: PostgreSQL orders members and writes numbers in its own way. SQLite does not say
/// which texts are JSON, so whatever reads as such is taken for it, on both. (No column holds a number alone.)
fn canonical(text: &str) -> Option<String> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let mut out = String::with_capacity(text.len());
    write(&json, &mut out);
    Some(out)
}

fn write(json: &serde_json::Value, out: &mut String) {
    use serde_json::Value as J;
    match json {
        J::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in members {
                *out += &J::from(name.as_str()).to_string();
                out.push(':');
                write(value, out);
                out.push(',');
            }
            out.push('}');
        }
        J::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        J::Number(number) => *out += &whole(number).unwrap_or_else(|| number.to_string()),
        J::Null | J::Bool(_) | J::String(_) => *out += &json.to_string(),
    }
}

/// 1e16 and 10000000000000000 are one number; so are 2.0 and 2.
fn whole(number: &serde_json::Number) -> Option<String> {
    let x = number.as_f64().filter(|x| number.is_f64() && x.fract() == 0.0 && x.abs() < 1e19)?;
    Some(format!("{:.0}", if x == 0.0 { 0.0 } else { x }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(value: Value) -> String {
        let mut digest = Digest::default();
        digest.row(&[value]);
        digest.hash()
    }
    fn text(text: &str) -> String {
        hash(Value::Text(text.into()))
    }

    #[test]
    fn json_counts_by_its_meaning_and_text_by_its_letters() {
        assert_eq!(text(r#"{"b":[1,2.50],"a":null}"#), text(r#"{"a": null, "b": [1, 2.5]}"#));
        assert_eq!(text("[1e16,-0.0,3.0]"), text("[10000000000000000, 0.0, 3]"));
        assert_ne!(text(r#"{"a":1}"#), text(r#"{"a":"1"}"#));
        assert_ne!(text(r#"["a","b"]"#), text(r#"["b","a"]"#));
        assert_ne!(text("a b"), text("a  b"));
        assert_ne!(text("{no json}"), text("{ no json}"));
    }

    #[test]
    fn what_differs_has_another_hash() {
        let all = [
            hash(Value::Null),
            hash(Value::Int(0)),
            hash(Value::Text(String::new())),
            hash(Value::Bytes(Vec::new())),
            text("0"),
            hash(Value::Bytes(b"0".to_vec())),
            Digest::default().hash(),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
