//! Reviews, and what of them is kept on their product.
use super::{
    schema::{products, reviews},
    sql::Sql,
};
use crate::domain::review::{Opinion, Rating, Review};
use database::{Conn, Error, Result, Violates};
use diesel::{
    prelude::*,
    result::Error as Diesel,
    sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use kernel::{BadCursor, Cursor, Page, Time};
use products_api::{ProductId, ReviewId};
use serde::Serialize;
use users_api::UserId;
use uuid::Uuid;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = reviews, treat_none_as_default_value = false)]
struct Row {
    id: ReviewId,
    product_id: ProductId,
    user_id: Option<UserId>,
    author: Option<String>,
    title: Option<String>,
    body: Option<String>,
    mark: i64,
    status: String,
    reason: Option<String>,
    verified: bool,
    version: i64,
    created_at: Time,
    updated_at: Time,
}

impl Row {
    fn read(self) -> Result<Review> {
        let wrong = |why: &'static str| Error::Query(Diesel::DeserializationError(why.into()));
        let mark = self.mark.try_into().map_err(wrong)?;
        Ok(Review {
            id: self.id,
            product: self.product_id,
            user: self.user_id,
            opinion: Opinion { mark, title: self.title, text: self.body, author: self.author },
            standing: self.status.parse().map_err(wrong)?,
            reason: self.reason,
            verified: self.verified,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

impl From<&Review> for Row {
    fn from(review: &Review) -> Self {
        let Opinion { mark, title, text, author } = review.opinion.clone();
        Self {
            id: review.id,
            product_id: review.product,
            user_id: review.user,
            author,
            title,
            body: text,
            mark: mark.get(),
            status: review.standing.as_str().to_owned(),
            reason: review.reason.clone(),
            verified: review.verified,
            version: review.version,
            created_at: review.created_at,
            updated_at: review.updated_at,
        }
    }
}

pub(crate) fn one(conn: &mut Conn, id: ReviewId) -> Result<Option<Review>> {
    reviews::table.find(id).select(Row::as_select()).first(conn).optional()?.map(Row::read).transpose()
}

/// The same, and nobody else changes it until the transaction ends.
pub(crate) fn locked(tx: &mut Conn, id: ReviewId) -> Result<Option<Review>> {
    let row = reviews::table.find(id).select(Row::as_select()).for_update();
    row.first(tx).optional()?.map(Row::read).transpose()
}

/// `taken` when its author has reviewed the product before.
pub(crate) fn insert<E: From<Error>>(tx: &mut Conn, review: &Review, taken: E) -> Result<(), E> {
    diesel::insert_into(reviews::table).values(Row::from(review)).execute(tx).violates("reviews_author", taken)?;
    Ok(())
}

/// The row, which is locked, in its next version.
pub(crate) fn update(tx: &mut Conn, review: &Review) -> Result<()> {
    let Row { author, title, body, mark, status, reason, verified, version, updated_at, .. } = Row::from(review);
    diesel::update(reviews::table.find(review.id))
        .set((
            reviews::author.eq(author),
            reviews::title.eq(title),
            reviews::body.eq(body),
            reviews::mark.eq(mark),
            reviews::status.eq(status),
            reviews::reason.eq(reason),
            reviews::verified.eq(verified),
            reviews::version.eq(version),
            reviews::updated_at.eq(updated_at),
        ))
        .execute(tx)?;
    Ok(())
}

pub(crate) fn delete(tx: &mut Conn, id: ReviewId) -> Result<()> {
    diesel::delete(reviews::table.find(id)).execute(tx)?;
    Ok(())
}

/// Adds to what is kept of a product's rating. Whoever takes away more than there is meets `products_rating`.
pub(crate) fn rate(tx: &mut Conn, product: ProductId, by: Rating) -> Result<()> {
    if by == Rating::NONE {
        return Ok(());
    }
    let rating = (
        products::review_count.eq(products::review_count + by.count),
        products::mark_sum.eq(products::mark_sum + by.sum),
    );
    tx.touches(product.uuid());
    diesel::update(products::table.find(product)).set(rating).execute(tx)?;
    Ok(())
}

/// Which reviews, and in what order. As a whole it binds a cursor.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Filter {
    pub product: Uuid,
    /// `None`: wherever they stand.
    pub standing: Option<&'static str>,
    pub verified: Option<bool>,
    pub sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Sort {
    Newest,
    /// The worst first, and the oldest of a mark.
    Mark,
    MarkDown,
}

/// Where a list stopped: the mark, which [`Sort::Newest`] does not look at, and the id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct After(i64, Uuid);

/// The columns of [`Row`].
type Types = (
    SqlUuid,
    SqlUuid,
    Nullable<SqlUuid>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    BigInt,
    Text,
    Nullable<Text>,
    Bool,
    BigInt,
    Timestamptz,
    Timestamptz,
);

impl Filter {
    pub(crate) fn after(&self, cursor: &str) -> Result<After, BadCursor> {
        Cursor::read(cursor, &("reviews", self)).map(|(mark, id)| After(mark, id))
    }
    fn conditions<ST>(&self, sql: Sql<ST>) -> Sql<ST> {
        let sql = sql.text(" FROM reviews r WHERE r.product_id = ").id(ProductId::from(self.product));
        let sql = match self.standing {
            Some(standing) => sql.text(" AND r.status = ").str(standing),
            None => sql,
        };
        match self.verified {
            Some(true) => sql.text(" AND r.verified"),
            Some(false) => sql.text(" AND NOT r.verified"),
            None => sql,
        }
    }
    fn onward<ST>(&self, sql: Sql<ST>, after: Option<After>) -> Sql<ST> {
        let id = |sql: Sql<ST>, id: Uuid| sql.id(ReviewId::from(id));
        let sql = match (after, self.sort) {
            (None, _) => sql,
            (Some(After(_, last)), Sort::Newest) => id(sql.text(" AND r.id < "), last),
            (Some(After(mark, last)), Sort::Mark) => {
                id(sql.text(" AND (r.mark, r.id) > (").int(mark).text(", "), last).text(")")
            }
            (Some(After(mark, last)), Sort::MarkDown) => {
                id(sql.text(" AND (r.mark, r.id) < (").int(mark).text(", "), last).text(")")
            }
        };
        sql.text(match self.sort {
            Sort::Newest => " ORDER BY r.id DESC",
            Sort::Mark => " ORDER BY r.mark, r.id",
            Sort::MarkDown => " ORDER BY r.mark DESC, r.id DESC",
        })
    }
}

/// One statement, and one that counts where that was asked.
pub(crate) fn page(
    conn: &mut Conn,
    filter: &Filter,
    after: Option<After>,
    limit: usize,
    count: bool,
) -> Result<Page<Review>> {
    let sql = Sql::<Types>::new(
        "SELECT r.id, r.product_id, r.user_id, r.author, r.title, r.body, r.mark, r.status, r.reason, r.verified, \
         r.version, r.created_at, r.updated_at",
    );
    let sql = filter.onward(filter.conditions(sql), after).limit(limit + 1);
    let rows: Vec<Row> = sql.not_kept().load(conn)?;
    let found = rows.into_iter().map(Row::read).collect::<Result<Vec<_>>>()?;
    let cursor = |last: &Review| Cursor::new(&("reviews", filter), &(last.opinion.mark.get(), last.id.uuid()));
    let page = Page::of(found, limit, cursor);
    let count = if count { Some(counted(conn, filter)?) } else { None };
    Ok(Page { count, ..page })
}

/// One too many says that there are more than are counted.
fn counted(conn: &mut Conn, filter: &Filter) -> Result<u64> {
    let cap = usize::try_from(Page::<Review>::COUNT_CAP).unwrap_or(usize::MAX);
    let sql = filter.conditions(Sql::<BigInt>::new("SELECT COUNT(*) FROM (SELECT 1 AS one"));
    let count: i64 = sql.limit(cap + 1).text(") counted").not_kept().get_result(conn)?;
    Ok(count.unsigned_abs())
}
