//! Products that are picked by what stands elsewhere: by a word, by a category.
//!
//! Such a condition is asked in one of two ways. All that it picks are listed, and the page is looked for among them: quick
//! where they are few. Or each product, in the order of the page, is asked whether it is picked: quick where they are many.
//! PostgreSQL chooses by what it knows of its tables. SQLite takes a condition as it is written, and would list an eighth
//! of a catalogue for a page of twenty; so it is counted before, as far as matters.
use super::sql::Sql;
use database::{Conn, Db, Result};
use diesel::{RunQueryDsl, sql_types::BigInt};

/// As many are many.
const MANY: usize = 512;

#[derive(Clone, Copy, Debug)]
pub(super) enum Pick<'a> {
    /// Products with a word that begins so; folded.
    Word(&'a str),
    /// Products of a category, by its slug, and of those directly below it.
    Category(&'a str),
}

/// How a condition is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Listed,
    Probed,
}

impl How {
    /// The better one for each. Several conditions are one statement.
    pub(super) fn of(conn: &mut Conn, picks: &[Pick<'_>]) -> Result<Vec<Self>> {
        if picks.is_empty() || conn.db() == Db::Postgres {
            return Ok(vec![Self::Listed; picks.len()]);
        }
        let counts = picks.iter().enumerate().fold(Sql::<(BigInt, BigInt)>::new(""), |sql, (n, pick)| {
            let sql = sql.text(if n > 0 { " UNION ALL SELECT " } else { "SELECT " }).int(n as i64);
            pick.products(sql.text(" AS pick, COUNT(*) FROM (")).limit(MANY).text(")")
        });
        let counts = if picks.len() < 3 { counts } else { counts.not_kept() };
        let counts: Vec<(i64, i64)> = counts.text(" ORDER BY pick").load(conn)?;
        let how = |(_, many): (i64, i64)| if many < MANY as i64 { Self::Listed } else { Self::Probed };
        Ok(counts.into_iter().map(how).collect())
    }
}

impl Pick<'_> {
    /// ` AND ..` of a product `p`.
    pub(super) fn condition<ST>(self, how: How, sql: Sql<ST>) -> Sql<ST> {
        match how {
            How::Listed => self.products(sql.text(" AND p.id IN (")).text(")"),
            How::Probed => self.products(sql.text(" AND EXISTS (")).text(" AND x.product_id = p.id)"),
        }
    }

    /// The ids of its products, one perhaps several times.
    fn products<ST>(self, sql: Sql<ST>) -> Sql<ST> {
        match self {
            Self::Word(word) => sql
                .text("SELECT x.product_id FROM words x WHERE x.word >= ")
                .str(word)
                .text(" AND x.word < ")
                .str(format!("{word}\u{10FFFF}")),
            Self::Category(slug) => sql
                .text(
                    "SELECT x.product_id FROM product_categories x WHERE x.category_id IN (SELECT k.id \
                     FROM categories k LEFT JOIN categories above ON above.id = k.parent_id WHERE k.slug = ",
                )
                .str(slug)
                .text(" OR above.slug = ")
                .str(slug)
                .text(")"),
        }
    }
}
