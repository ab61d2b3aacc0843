use super::{bodies::bad_query, products::ProductPath};
use crate::{
    domain::{
        review::{MAX_AUTHOR, MAX_REASON, MAX_TEXT, MAX_TITLE, Mark, Opinion, Rating, Review, Rewrite, Standing},
        text,
    },
    service::{Service, Verdict},
    store::reviews::{Filter, Sort},
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use kernel::Time;
use products_api::{ProductId, Review as ReviewKind, ReviewId};
use serde::{Deserialize, Serialize};
use web::{Body, Caller, Fields, PathId, Pointer, Post, Problem, Query, Reply, Versioned, page, reason};

/// What somebody thinks of a product.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Review)]
pub(crate) struct ReviewBody {
    #[schema(value_type = String)]
    id: ReviewId,
    #[schema(value_type = String)]
    product_id: ProductId,
    /// What the author wants to be called; null where they did not say, and once their account is gone.
    author: Option<String>,
    title: Option<String>,
    /// Sanitised HTML.
    text: Option<String>,
    /// 1 is the worst, 5 the best.
    mark: i64,
    /// The author bought the product here.
    verified: bool,
    /// `pending`, `published` or `rejected`.
    status: &'static str,
    /// Why it was rejected.
    reason: Option<String>,
    version: i64,
    created_at: Time,
    updated_at: Time,
}

impl From<&Review> for ReviewBody {
    fn from(review: &Review) -> Self {
        let Opinion { mark, title, text, author } = review.opinion.clone();
        Self {
            id: review.id,
            product_id: review.product,
            author,
            title,
            text,
            mark: mark.get(),
            verified: review.verified,
            status: review.standing.as_str(),
            reason: review.reason.clone(),
            version: review.version,
            created_at: review.created_at,
            updated_at: review.updated_at,
        }
    }
}

/// What reviewers think of a product, on the whole.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Rating)]
pub(super) struct RatingBody {
    /// Published reviews.
    count: i64,
    /// The exact average of their marks, with two decimals, half up: `4.33`.
    average: String,
}

impl RatingBody {
    pub(super) fn of(rating: Rating) -> Option<Self> {
        rating.average().map(|average| Self { count: rating.count, average })
    }
}

/// A new review.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewReview)]
pub(crate) struct NewReviewBody {
    #[schema(minimum = 1, maximum = 5)]
    mark: i64,
    #[schema(max_length = 200)]
    title: Option<String>,
    /// HTML; what could run is dropped.
    #[schema(max_length = 10000)]
    text: Option<String>,
    /// What you want to be called.
    #[schema(max_length = 100)]
    author: Option<String>,
}

/// What changes of a review; what is not given stays, an empty text is none.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeReview {
    #[schema(minimum = 1, maximum = 5)]
    mark: Option<i64>,
    #[schema(max_length = 200)]
    title: Option<String>,
    /// HTML; what could run is dropped.
    #[schema(max_length = 10000)]
    text: Option<String>,
    /// What you want to be called.
    #[schema(max_length = 100)]
    author: Option<String>,
}

impl ChangeReview {
    fn read(self, fields: &mut Fields) -> Rewrite {
        let at = Pointer::root();
        Rewrite {
            mark: self.mark.and_then(|given| mark(fields, &at, given)),
            title: self.title.and_then(|given| fields.text(&at.at("title"), &given, 0, MAX_TITLE)),
            text: self.text.and_then(|given| html(fields, &at, &given)),
            author: self.author.and_then(|given| fields.text(&at.at("author"), &given, 0, MAX_AUTHOR)),
        }
    }
}

impl NewReviewBody {
    fn read(self) -> Result<Opinion, Problem> {
        let (mut fields, Self { mark: given, title, text, author }) = (Fields::new(), self);
        let mark = mark(&mut fields, &Pointer::root(), given);
        let words = ChangeReview { mark: None, title, text, author }.read(&mut fields);
        let opinion = |mark| Opinion { mark, title: None, text: None, author: None }.rewritten(words);
        fields.done(mark.map(opinion))
    }
}

fn mark(fields: &mut Fields, at: &Pointer, mark: i64) -> Option<Mark> {
    fields.take_as(&at.at("mark"), reason::RANGE, Mark::try_from(mark))
}

fn html(fields: &mut Fields, at: &Pointer, html: &str) -> Option<String> {
    if html.len() > MAX_TEXT {
        fields.refuse(&at.at("text"), reason::TOO_LONG, format!("at most {MAX_TEXT} bytes"));
        return None;
    }
    Some(text::sanitised(html).trim().to_owned())
}

/// What staff says of a review.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Moderation)]
pub(crate) struct ModerationBody {
    /// `published` or `rejected`.
    status: String,
    /// Why it is rejected; its author reads it.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

impl ModerationBody {
    fn read(&self) -> Result<Verdict, Problem> {
        let (mut fields, at) = (Fields::new(), Pointer::root());
        let verdict = |standing: &Standing| *standing != Standing::Pending;
        let standing = self.status.parse().ok().filter(verdict).ok_or("published or rejected");
        let standing = fields.take(&at.at("status"), standing);
        let why = self.reason.as_ref().and_then(|text| fields.text(&at.at("reason"), text, 0, MAX_REASON));
        let why = why.filter(|text| !text.is_empty());
        if why.is_some() && standing == Some(Standing::Published) {
            fields.refuse(&at.at("reason"), reason::NOT_USABLE, "is for what is rejected");
        }
        fields.done(standing.map(|standing| Verdict { standing, reason: why }))
    }
}

pub(crate) async fn submit(
    service: Data<Service>,
    caller: Caller,
    path: ProductPath,
    post: Post<NewReviewBody>,
) -> Result<HttpResponse, Problem> {
    let kept = post.once(|review: &Review| {
        Reply::json(201, &ReviewBody::from(review)).location(format!("/v1/reviews/{}", review.id)).etag(review.version)
    });
    let opinion = post.body.read()?;
    Ok(kept.answer(service.submit_review(service.asker(&caller.call), path.0, opinion, kept.handle()).await?))
}

pub(crate) async fn list(
    service: Data<Service>,
    caller: Caller,
    path: ProductPath,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (limit, cursor, count) = (query.limit()?, query.cursor()?, query.flag("count")?);
    let sort = match query.text("sort")?.as_deref() {
        None | Some("newest") => Sort::Newest,
        Some("mark") => Sort::Mark,
        Some("-mark") => Sort::MarkDown,
        Some(_) => return Err(bad_query("sort", "newest, mark or -mark")),
    };
    let verified = query.parse("verified")?;
    let standing = match service.asker(&caller.call).moderates {
        true => query.parse("status")?,
        false => Some(Standing::Published),
    };
    query.end()?;
    let product = service.reviewed(service.viewer(&caller.call), path.0).await?;
    let filter = Filter { product: *product.uuid(), standing: standing.map(Standing::as_str), verified, sort };
    let after = cursor.map(|cursor| filter.after(&cursor)).transpose()?;
    let reviews = service.reviews(filter, after, limit, count).await?;
    Ok(HttpResponse::Ok().json(page(reviews, |review| ReviewBody::from(&review))))
}

pub(crate) async fn show(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<ReviewKind>,
) -> Result<HttpResponse, Problem> {
    let review = service.review(service.asker(&caller.call), id.0).await?;
    Ok(Versioned::read(&request, review.version, &ReviewBody::from(&review)))
}

pub(crate) async fn change(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<ReviewKind>,
    body: Body<ChangeReview>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::new();
    let rewrite = body.0.read(&mut fields);
    let rewrite = fields.done(Some(rewrite))?; // what was refused is `None` in it, and refuses the whole
    let review =
        service.rewrite_review(service.asker(&caller.call), id.0, Versioned::expected(&request)?, rewrite).await?;
    Ok(Reply::json(200, &ReviewBody::from(&review)).etag(review.version).into())
}

pub(crate) async fn delete(
    service: Data<Service>,
    caller: Caller,
    id: PathId<ReviewKind>,
) -> Result<HttpResponse, Problem> {
    service.delete_review(service.asker(&caller.call), id.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn moderate(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<ReviewKind>,
    post: Post<ModerationBody>,
) -> Result<HttpResponse, Problem> {
    let kept = post.once(|review: &Review| Reply::json(200, &ReviewBody::from(review)).etag(review.version));
    let verdict = post.body.read()?;
    let expected = Versioned::expected(&request)?;
    Ok(kept.answer(service.moderate_review(service.asker(&caller.call), id.0, expected, verdict, kept.handle()).await?))
}
