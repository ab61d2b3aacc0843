//! Invariants recomputed from the tables. Each is one statement, so it sees one moment and never what is merely under
//! way; it may run beside traffic.
use crate::{backend::Db, conn::Conn, error::Result, outbox::OUTBOX};
use diesel::{
    dsl::sql,
    prelude::*,
    sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid},
};
use kernel::{Check, Finding, Id, Kind, Time};
use uuid::Uuid;

/// What must hold of a domain's tables.
pub struct Invariant {
    /// `<domain>.<invariant>`.
    pub name: &'static str,
    /// As a sentence.
    pub holds: &'static str,
    /// How the id of a subject is shown.
    pub shown: fn(Uuid) -> String,
    /// A query of what it looks at: rows `(subject, detail)`, an id and a text that is NULL where all is well. `:before`
    /// in it is the time it is asked for, `:minutes_ago` two minutes ago by the database's own clock, `:forgotten`
    /// when the last event happened of those that were [deleted](crate::outbox::forgotten_until): what happened later must be in
    /// the outbox.
    pub rows: &'static str,
}

/// [`Invariant::shown`] as `T`'s ids are.
pub fn shown<T: Kind>(id: Uuid) -> String {
    Id::<T>::from(id).to_string()
}

type Types = (BigInt, BigInt, Nullable<SqlUuid>, Nullable<Text>);

impl Invariant {
    pub fn check(&self, conn: &mut Conn, before: Time) -> Result<Check> {
        let micros = before.micros();
        let before = match conn.db() {
            Db::Sqlite => micros.to_string(),
            Db::Postgres => format!("(timestamptz 'epoch' + {micros} * interval '1 microsecond')"),
        };
        let minutes_ago = match conn.db() {
            Db::Sqlite => "(unixepoch() - 120) * 1000000",
            Db::Postgres => "(clock_timestamp() - interval '2 minutes')",
        };
        let never = match conn.db() {
            Db::Sqlite => "0",
            Db::Postgres => "timestamptz 'epoch'",
        };
        let forgotten = format!("COALESCE((SELECT until FROM forgotten WHERE name = '{OUTBOX}'), {never})");
        let looked = self.rows.replace(":before", &before).replace(":minutes_ago", minutes_ago);
        let looked = looked.replace(":forgotten", &forgotten);
        let text = format!(
            "WITH looked AS MATERIALIZED ({looked}) SELECT t.looked, t.wrong, f.subject, f.detail FROM \
             (SELECT COUNT(*) AS looked, COUNT(detail) AS wrong FROM looked) t LEFT JOIN \
             (SELECT subject, detail FROM looked WHERE detail IS NOT NULL ORDER BY subject LIMIT {}) f ON 1 = 1 \
             ORDER BY f.subject",
            Check::SHOWN
        );
        let rows: Vec<(i64, i64, Option<Uuid>, Option<String>)> = sql::<Types>(&text).load(conn)?;
        let mut check = Check::new(self.name, self.holds);
        for (looked_at, off, subject, detail) in rows {
            (check.looked_at, check.off) = (looked_at.unsigned_abs(), off.unsigned_abs());
            let finding = subject.zip(detail).map(|(id, detail)| Finding { subject: (self.shown)(id), detail });
            check.findings.extend(finding);
        }
        Ok(check)
    }
}
