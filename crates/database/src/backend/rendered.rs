//! A query of ours, as either database's own connection takes it.
//!
//! Diesel keeps no `UPDATE`, no upsert and no `INSERT` of rows in a slice prepared, since their texts may vary: it would
//! keep them by their types. Ours are kept by their texts, but for those that say that they vary ([`Text::is_kept`]).
use super::{Binds, Db, Text};
use diesel::{
    internal::derives::multiconnection::AstPassHelper,
    pg::Pg,
    prelude::QueryResult,
    query_builder::{AstPass, Query, QueryBuilder, QueryFragment, QueryId},
    sql_types::Untyped,
    sqlite::Sqlite,
};
use std::cell::{Cell, OnceCell};

/// A query of [`Db`], for the native connection that runs it.
pub(crate) struct Rendered<Q> {
    query: Q,
    db: Db,
    text: OnceCell<(String, bool)>,
}
impl<Q> Rendered<Q> {
    pub(crate) fn new(query: Q, db: Db) -> Self {
        Self { query, db, text: OnceCell::new() }
    }
}
impl<Q: QueryId> QueryId for Rendered<Q> {
    type QueryId = Q::QueryId;
    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}
impl<Q> Query for Rendered<Q> {
    type SqlType = Untyped;
}
impl<Q: QueryFragment<Db>> Rendered<Q> {
    /// Diesel walks a query up to three times; its text is made once, or never when its statement is found by its type.
    fn text(&self) -> QueryResult<&(String, bool)> {
        if self.text.get().is_none() {
            let mut text = Text::default();
            self.query.to_sql(&mut text, &self.db)?;
            let is_kept = text.is_kept();
            let _ = self.text.set((text.finish(), is_kept));
        }
        Ok(self.text.get().expect("set above"))
    }
    fn is_kept(&self) -> QueryResult<bool>
    where
        Q: QueryId,
    {
        if Q::HAS_STATIC_QUERY_ID { self.query.is_safe_to_cache_prepared(&self.db) } else { Ok(self.text()?.1) }
    }
}
macro_rules! rendered {
    ($native:ty, $variant:ident) => {
        impl<Q: QueryFragment<Db> + QueryId> QueryFragment<$native> for Rendered<Q> {
            fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, $native>) -> QueryResult<()> {
                if let Some((collector, _)) = pass.bind_collector() {
                    let mut binds = Binds::$variant(std::mem::take(collector));
                    self.query.collect_binds(&mut binds, &mut (), &self.db)?;
                    if let Binds::$variant(binds) = binds {
                        *collector = binds;
                    }
                    return Ok(());
                }
                if let Some((list, _)) = pass.debug_binds() {
                    let pass = AstPass::<Db>::collect_debug_binds_pass(list, &self.db);
                    return self.query.walk_ast(pass);
                }
                if !self.is_kept()? {
                    pass.unsafe_to_cache_prepared();
                }
                // The only way to be told which walk this is: others would have the text made for nothing.
                let wants_text = Cell::new(false);
                let mut pass = pass.cast_database::<$native>(
                    |binds| binds,
                    |text| {
                        wants_text.set(true);
                        text
                    },
                    |db| db,
                    |lookup| lookup,
                );
                if wants_text.get() {
                    pass.push_sql(&self.text()?.0);
                }
                Ok(())
            }
        }
    };
}
rendered!(Pg, Postgres);
rendered!(Sqlite, Sqlite);
