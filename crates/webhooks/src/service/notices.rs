//! Notices, read and acknowledged.
use super::{Error, Service};
use crate::{domain::notice::Notice, store};
use database::{
    Conn,
    once::{Kept, Once},
    outbox,
};
use kernel::{Call, Page, Principal};
use uuid::Uuid;
use webhooks_api::{NoticeId, WebhookEvent};

impl Service {
    pub(crate) async fn notices(
        &self,
        open: bool,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<Page<Notice>, Error> {
        let after = cursor.map(|text| store::notices::Place::read(open, &text)).transpose()?;
        Ok(self.db.read(move |conn| store::notices::page(conn, open, after, limit)).await?)
    }

    /// Whoever was first stays.
    pub(crate) async fn acknowledge(
        &self,
        call: &Call,
        id: NoticeId,
        once: Once<Notice>,
    ) -> Result<Kept<Notice>, Error> {
        let moment = self.moment(call);
        let by = match &call.principal {
            Principal::User(user) => user.subject(),
            Principal::Anonymous | Principal::Guest(_) => Uuid::nil(),
        };
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                if store::notices::acknowledge(tx, id, by, moment.now)? {
                    outbox::publish(
                        tx,
                        &[WebhookEvent::NoticeAcknowledged { notice_id: id }],
                        moment.now,
                        moment.trace,
                    )?;
                }
                store::notices::one(tx, id)?.ok_or(Error::NotFound)
            })
        };
        self.db.write(unit).await
    }
}
