//! Categories.
use super::{CATALOGUE, schema::categories};
use crate::domain::product::Category;
use database::{Conn, Result};
use diesel::prelude::*;
use products_api::CategoryId;
use std::collections::HashMap;

#[derive(Queryable, Selectable)]
#[diesel(table_name = categories)]
struct Row {
    id: CategoryId,
    slug: String,
    name: String,
    parent_id: Option<CategoryId>,
}

/// All of them, by slug.
pub(crate) fn all(conn: &mut Conn) -> Result<Vec<Category>> {
    let rows: Vec<Row> = categories::table.order(categories::slug).select(Row::as_select()).load(conn)?;
    let slugs: HashMap<CategoryId, String> = rows.iter().map(|row| (row.id, row.slug.clone())).collect();
    let category = |Row { id, slug, name, parent_id }: Row| Category {
        id,
        slug,
        name,
        parent: parent_id.and_then(|parent| slugs.get(&parent).cloned()),
    };
    Ok(rows.into_iter().map(category).collect())
}

/// Id and name of those that exist, by slug.
pub(crate) fn by_slugs(conn: &mut Conn, slugs: &[String]) -> Result<HashMap<String, (CategoryId, String)>> {
    if slugs.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(String, CategoryId, String)> = categories::table
        .filter(categories::slug.eq_any(slugs))
        .select((categories::slug, categories::id, categories::name))
        .load(conn)?;
    Ok(found.into_iter().map(|(slug, id, name)| (slug, (id, name))).collect())
}

/// `false` when the slug is taken.
pub(crate) fn insert(
    tx: &mut Conn,
    id: CategoryId,
    slug: &str,
    name: &str,
    parent: Option<CategoryId>,
) -> Result<bool> {
    let row =
        (categories::id.eq(id), categories::slug.eq(slug), categories::name.eq(name), categories::parent_id.eq(parent));
    tx.touches(&CATALOGUE);
    let new = diesel::insert_into(categories::table).values(row).on_conflict(categories::slug).do_nothing();
    Ok(new.execute(tx)? == 1)
}
