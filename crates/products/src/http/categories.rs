use super::bodies::slug;
use crate::{
    domain::{product::Category, text},
    service::{NewCategory, Service},
};
use actix_web::{HttpResponse, web::Data};
use products_api::CategoryId;
use serde::{Deserialize, Serialize};
use web::{Caller, Fields, Paged, Pointer, Post, Problem, Reply, reason};

/// A new category.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCategory)]
pub(crate) struct NewCategoryBody {
    /// Made of the name when not given.
    #[schema(max_length = 200, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
    slug: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The slug of the one above it.
    #[schema(max_length = 200)]
    parent: Option<String>,
}

impl NewCategoryBody {
    pub(crate) fn read(self) -> Result<NewCategory, Problem> {
        let (mut fields, at) = (Fields::new(), Pointer::root());
        let slug = slug(&mut fields, &at, self.slug.as_deref());
        let name = fields.text(&at.at("name"), &self.name, 1, 200);
        // what is no slug names no category
        let known = |parent: &String| text::slug(parent).map_err(|_| "no such category");
        let parent =
            self.parent.as_ref().map(|parent| fields.take_as(&at.at("parent"), reason::UNKNOWN, known(parent)));
        let whole =
            || Some(NewCategory { slug: slug?, name: name?, parent: parent.map_or(Some(None), |p| p.map(Some))? });
        fields.done(whole())
    }
}

/// What products are grouped by.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Category)]
pub(crate) struct CategoryBody {
    #[schema(value_type = String)]
    id: CategoryId,
    slug: String,
    name: String,
    /// The slug of the one above it.
    parent: Option<String>,
}

impl From<&Category> for CategoryBody {
    fn from(category: &Category) -> Self {
        let Category { id, slug, name, parent } = category.clone();
        Self { id, slug, name, parent }
    }
}

pub(crate) async fn list(service: Data<Service>) -> Result<HttpResponse, Problem> {
    let items = service.categories().await?.iter().map(CategoryBody::from).collect();
    Ok(HttpResponse::Ok().json(Paged { items, next: None, count: None, count_capped: None }))
}

pub(crate) async fn create(
    service: Data<Service>,
    caller: Caller,
    post: Post<NewCategoryBody>,
) -> Result<HttpResponse, Problem> {
    let kept = post.once(|category: &Category| {
        Reply::json(201, &CategoryBody::from(category)).location(format!("/v1/products?category={}", category.slug))
    });
    let new = post.body.read()?;
    Ok(kept.answer(service.create_category(&caller.call, new, kept.handle()).await?))
}
