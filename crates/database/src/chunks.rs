//! How many rows one statement takes.

/// Binds in one statement: SQLite takes 32,766, PostgreSQL 65,535.
const BINDS: usize = 32_766;

/// `rows` in pieces that one `INSERT` of `columns` columns takes on both databases. Nothing chunks by itself: a
/// statement with too many binds is refused, so whoever writes lists without a bound writes them with this.
///
/// The same holds for `eq_any` on SQLite, with one column.
pub fn chunks<T>(rows: &[T], columns: usize) -> impl Iterator<Item = &[T]> {
    rows.chunks((BINDS / columns.max(1)).max(1))
}
