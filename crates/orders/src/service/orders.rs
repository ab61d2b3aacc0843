//! Orders, read.
use super::{Error, Service};
use crate::{
    domain::{
        cart::Holder,
        order::{FullOrder, Status},
    },
    store::{self, orders::Filter},
};
use kernel::{BadCursor, Cursor, Page};
use orders_api::OrderId;
use users_api::UserId;

/// Which orders are asked for, and where the list goes on.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub user: Option<UserId>,
    pub status: Option<Status>,
    pub cursor: Option<String>,
    pub limit: usize,
    pub count: bool,
}

impl Service {
    pub(crate) async fn order(&self, id: OrderId, holder: Holder) -> Result<FullOrder, Error> {
        self.db.read(move |conn| store::orders::full(conn, id, holder)).await?.ok_or(Error::NotFound)
    }

    /// Staff sees all, or one user's; everybody else their own.
    pub(crate) async fn orders(&self, holder: Holder, list: List) -> Result<Result<Page<FullOrder>, BadCursor>, Error> {
        let user = if holder.staff { list.user } else { Some(holder.user.ok_or(Error::NotFound)?) };
        let filter = Filter { user, status: list.status };
        let before = list.cursor.map(|text| Cursor::read::<uuid::Uuid>(&text, &filter.binding())).transpose();
        let before = match before {
            Ok(before) => before.map(OrderId::from),
            Err(bad) => return Ok(Err(bad)),
        };
        let page = self.db.read(move |conn| store::orders::page(conn, &filter, before, list.limit, list.count)).await?;
        Ok(Ok(page))
    }
}
