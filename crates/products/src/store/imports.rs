//! Imports: how far they are. A lease says that somebody still reads.
use super::{schema::imports, to_json};
use crate::domain::{
    import::{Import, ImportId, Progress},
    shopify::RowError,
};
use database::{Conn, Error, Json, Now, Result};
use diesel::{prelude::*, result::Error as Diesel};
use kernel::{Currency, Time};
use serde_json::Value;
use std::time::Duration;

/// How long an import may be silent; it speaks after every batch.
const LEASE: Duration = Duration::from_secs(60);
const OPEN: [&str; 2] = ["pending", "running"];

#[derive(Queryable, Selectable)]
#[diesel(table_name = imports)]
struct Row {
    id: ImportId,
    status: String,
    format: String,
    currency: Currency,
    dry_run: bool,
    rows: i64,
    created: i64,
    updated: i64,
    unchanged: i64,
    errors: Json<Vec<RowError>>,
    error_count: i64,
    created_at: Time,
    updated_at: Time,
}

impl Row {
    fn import(self) -> Result<Import> {
        let status = self.status.parse();
        Ok(Import {
            id: self.id,
            status: status.map_err(|why: &str| Error::Query(Diesel::DeserializationError(why.into())))?,
            format: self.format,
            currency: self.currency,
            dry_run: self.dry_run,
            progress: Progress {
                rows: self.rows.unsigned_abs(),
                created: self.created.unsigned_abs(),
                updated: self.updated.unsigned_abs(),
                unchanged: self.unchanged.unsigned_abs(),
                errors: self.errors.0,
                error_count: self.error_count.unsigned_abs(),
            },
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

pub(crate) fn insert(tx: &mut Conn, import: &Import) -> Result<()> {
    let Import { id, status, format, currency, dry_run, progress: _, created_at, updated_at } = import;
    diesel::insert_into(imports::table)
        .values((
            (imports::id.eq(*id), imports::status.eq(status.as_str()), imports::format.eq(format)),
            (imports::currency.eq(*currency), imports::dry_run.eq(*dry_run), imports::rows.eq(0_i64)),
            (imports::created.eq(0_i64), imports::updated.eq(0_i64), imports::unchanged.eq(0_i64)),
            (imports::errors.eq(Value::Array(Vec::new())), imports::error_count.eq(0_i64)),
            (imports::lease_until.eq(Now.plus(LEASE)), imports::created_at.eq(*created_at)),
            imports::updated_at.eq(*updated_at),
        ))
        .execute(tx)?;
    Ok(())
}

pub(crate) fn one(conn: &mut Conn, id: ImportId) -> Result<Option<Import>> {
    imports::table.find(id).select(Row::as_select()).first(conn).optional()?.map(Row::import).transpose()
}

/// `false` when it was given up in the meantime: whoever imports must stop.
pub(crate) fn save(tx: &mut Conn, id: ImportId, status: &str, progress: &Progress, at: Time) -> Result<bool> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let open = diesel::update(imports::table.find(id)).filter(imports::status.eq_any(OPEN));
    let saved = open.set((
        imports::status.eq(status),
        imports::rows.eq(number(progress.rows)),
        imports::created.eq(number(progress.created)),
        imports::updated.eq(number(progress.updated)),
        imports::unchanged.eq(number(progress.unchanged)),
        imports::errors.eq(to_json(&progress.errors)),
        imports::error_count.eq(number(progress.error_count)),
        imports::lease_until.eq(Now.plus(LEASE)),
        imports::updated_at.eq(at),
    ));
    Ok(saved.execute(tx)? == 1)
}

/// Those whose process has died: they have failed.
pub(crate) fn abandoned(tx: &mut Conn) -> Result<Vec<Import>> {
    let open = imports::table.filter(imports::status.eq_any(OPEN)).filter(imports::lease_until.lt(Now));
    let rows: Vec<Row> = open.order(imports::id).select(Row::as_select()).for_update().skip_locked().load(tx)?;
    rows.into_iter().map(Row::import).collect()
}

/// Tells PostgreSQL how much there is now: until it finds out by itself, it plans as if the tables were empty.
pub(crate) fn analyse(tx: &mut Conn) -> Result<()> {
    const TABLES: &str =
        "ANALYZE products, variants, prices, product_prices, words, stock, product_categories, categories";
    Ok(tx.on(|_| Ok(()), |conn| diesel::sql_query(TABLES).execute(conn).map(drop))?)
}
