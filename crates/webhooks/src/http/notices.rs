use super::endpoints::Empty;
use crate::{domain::notice::Notice, service::Service};
use actix_web::{HttpResponse, web::Data};
use kernel::Time;
use serde::Serialize;
use serde_json::Value;
use web::{Caller, PathId, Post, Problem, Query, Reply, page};
use webhooks_api::NoticeId;

/// Something that staff should look at.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Notice)]
pub(crate) struct NoticeBody {
    #[schema(value_type = String)]
    id: NoticeId,
    /// The kind of event, such as `stock.low`.
    about: String,
    /// What it happened to.
    subject: String,
    /// What the event said, the latest where it happened again.
    #[schema(value_type = Object)]
    data: Value,
    /// How often it happened before anybody looked.
    times: i64,
    created_at: Time,
    updated_at: Time,
    acknowledged_at: Option<Time>,
}

impl From<&Notice> for NoticeBody {
    fn from(notice: &Notice) -> Self {
        Self {
            id: notice.id,
            about: notice.about.clone(),
            subject: notice.subject.clone(),
            data: notice.data.clone(),
            times: notice.times,
            created_at: notice.created_at,
            updated_at: notice.updated_at,
            acknowledged_at: notice.acknowledged.map(|one| one.at),
        }
    }
}

pub(crate) async fn list(service: Data<Service>, mut query: Query) -> Result<HttpResponse, Problem> {
    let (limit, cursor, open) = (query.limit()?, query.cursor()?, query.flag("open")?);
    query.end()?;
    let notices = service.notices(open, cursor, limit).await?;
    Ok(HttpResponse::Ok().json(page(notices, |notice| NoticeBody::from(&notice))))
}

pub(crate) async fn acknowledge(
    service: Data<Service>,
    caller: Caller,
    id: PathId<webhooks_api::Notice>,
    post: Post<Empty>,
) -> Result<HttpResponse, Problem> {
    let kept = post.once(|notice: &Notice| Reply::json(200, &NoticeBody::from(notice)));
    Ok(kept.answer(service.acknowledge(&caller.call, id.0, kept.handle()).await?))
}
