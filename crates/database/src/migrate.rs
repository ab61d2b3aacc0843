//! Makes a domain's tables what its code expects.
//!
//! Migrations are in the binary, the same versions for both databases, and only go forward. Each database (on
//! PostgreSQL: each schema) has its own history, so domains migrate apart. The tables that every domain has come first.
//! Two processes that migrate at once take turns: on SQLite by its writer's lock, on PostgreSQL by an advisory one.
use crate::{
    error::{Error, Result},
    executor::session,
    location::{Location, quoted},
};
use diesel::{
    PgConnection, RunQueryDsl, SqliteConnection,
    backend::Backend,
    connection::{Connection as _, SimpleConnection as _},
    migration::{Migration, MigrationSource},
    result::Error as Diesel,
    sql_query,
    sql_types::{Bool, Text},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::collections::BTreeSet;

/// A domain's own migrations: see [`migrations!`](crate::migrations).
pub struct Migrations {
    /// For SQLite.
    pub sqlite: EmbeddedMigrations,
    /// For PostgreSQL: the same versions.
    pub postgres: EmbeddedMigrations,
}

const COMMON: Migrations = Migrations {
    sqlite: embed_migrations!("../../migrations/common/sqlite"),
    postgres: embed_migrations!("../../migrations/common/postgres"),
};

/// Runs what is pending, the common migrations and the domain's; the names of those that ran. A domain's own URL needs
/// no provisioning when its user may create a schema in the database.
pub fn migrate(location: &Location, migrations: &Migrations) -> Result<Vec<String>> {
    match location {
        Location::Sqlite { file } => {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|e| Error::Unavailable(format!("{}: {e}", folder.display())))?;
            }
            let mut conn = crate::executor::sqlite_session(file)?;
            // or a migration that rebuilds a table could not drop the old one; checked before the commit
            conn.batch_execute("PRAGMA foreign_keys = OFF")?;
            conn.exclusive_transaction(|conn| {
                let ran = run(conn, &COMMON.sqlite, &migrations.sqlite)?;
                if ran.is_empty() {
                    return Ok(ran); // looking at every row takes long, and each start comes here
                }
                match sql_query("SELECT \"table\" AS name FROM pragma_foreign_key_check").load::<Named>(conn)?.first() {
                    Some(Named { name }) => Err(failed(format!("rows of {name} refer to rows that are gone"))),
                    None => Ok(ran),
                }
            })
        }
        Location::Postgres { url, schema, role } => {
            let mut conn = session(url, schema, role.as_deref())?;
            lock(&mut conn, &format!("cleave migrate {schema}"))?;
            if role.is_none() && !exists(&mut conn, "pg_namespace WHERE nspname", schema)? {
                conn.batch_execute(&format!("CREATE SCHEMA {}", quoted(schema)))?;
            }
            run(&mut conn, &COMMON.postgres, &migrations.postgres)
        }
    }
}

/// The names of what [`migrate`] would run. Changes nothing.
pub fn pending(location: &Location, migrations: &Migrations) -> Result<Vec<String>> {
    match location {
        Location::Sqlite { file } => {
            let made = file.exists(); // looking into a file that is not there would make it
            let conn = &mut if made { crate::executor::sqlite_session(file)? } else { in_memory()? };
            let history = sql_query("SELECT name FROM sqlite_schema WHERE name = $1").bind::<Text, _>(HISTORY);
            let history = !history.load::<Named>(conn)?.is_empty();
            names(conn, history, &COMMON.sqlite, &migrations.sqlite)
        }
        Location::Postgres { url, schema, role } => {
            let conn = &mut session(url, schema, role.as_deref())?;
            let history = exists(conn, "pg_tables WHERE schemaname = current_schema() AND tablename", HISTORY)?;
            names(conn, history, &COMMON.postgres, &migrations.postgres)
        }
    }
}

pub(crate) const HISTORY: &str = "__diesel_schema_migrations";

#[derive(diesel::QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}
#[derive(diesel::QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

/// Holds `what` for this session, against all who ask for the same in this database.
pub(crate) fn lock(conn: &mut PgConnection, what: &str) -> Result<()> {
    sql_query("SELECT pg_advisory_lock(hashtextextended($1, 0))").bind::<Text, _>(what).execute(conn)?;
    Ok(())
}

fn in_memory() -> Result<SqliteConnection> {
    SqliteConnection::establish(":memory:").map_err(|e| Error::Unavailable(e.to_string()))
}
fn failed(why: impl ToString) -> Error {
    Error::Query(Diesel::QueryBuilderError(why.to_string().into()))
}

/// `place` is a table and a column of this crate's own wording.
pub(crate) fn exists(conn: &mut PgConnection, place: &str, name: &str) -> Result<bool> {
    let query = sql_query(format!("SELECT EXISTS (SELECT 1 FROM {place} = $1) AS found")).bind::<Text, _>(name);
    Ok(query.get_result::<Found>(conn)?.found)
}

fn of<DB: Backend>(source: &EmbeddedMigrations) -> Result<Vec<Box<dyn Migration<DB>>>> {
    let mut all = MigrationSource::<DB>::migrations(source).map_err(failed)?;
    all.sort_unstable_by(|a, b| a.name().version().cmp(&b.name().version()));
    Ok(all)
}

/// All of both, in the order in which they run. One history holds both, so a version that both have would be skipped.
fn all<DB: Backend>(common: &EmbeddedMigrations, own: &EmbeddedMigrations) -> Result<Vec<Box<dyn Migration<DB>>>> {
    let mut all = of::<DB>(common)?;
    all.extend(of::<DB>(own)?);
    let mut versions = BTreeSet::new();
    match all.iter().find(|m| !versions.insert(m.name().version().to_string())) {
        Some(twice) => Err(failed(format!("two migrations have the version of {}", twice.name()))),
        None => Ok(all),
    }
}

fn names<DB, C>(
    conn: &mut C,
    history: bool,
    common: &EmbeddedMigrations,
    own: &EmbeddedMigrations,
) -> Result<Vec<String>>
where
    DB: Backend,
    C: MigrationHarness<DB>,
{
    let applied = if history { applied(conn)? } else { BTreeSet::new() };
    let left = all::<DB>(common, own)?.into_iter().filter(|m| !applied.contains(&m.name().version().to_string()));
    Ok(left.map(|m| m.name().to_string()).collect())
}

fn run<DB, C>(conn: &mut C, common: &EmbeddedMigrations, own: &EmbeddedMigrations) -> Result<Vec<String>>
where
    DB: Backend,
    C: MigrationHarness<DB>,
{
    let applied = applied(conn)?;
    let mut ran = Vec::new();
    for migration in all::<DB>(common, own)? {
        if !applied.contains(&migration.name().version().to_string()) {
            let name = migration.name().to_string();
            conn.run_migration(&*migration).map_err(|e| failed(format!("migration {name}: {e}")))?;
            ran.push(name);
        }
    }
    Ok(ran)
}

fn applied<DB: Backend, C: MigrationHarness<DB>>(conn: &mut C) -> Result<BTreeSet<String>> {
    Ok(conn.applied_migrations().map_err(failed)?.iter().map(ToString::to_string).collect())
}
