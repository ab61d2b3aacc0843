use crate::{
    domain::account::{AddressId, Saved, SavedAddress},
    service::Service,
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use kernel::{Address, Time};
use serde::Serialize;
use web::{AddressBody, Body, Caller, Fields, Paged, PathId, Pointer, Post, Problem, Reply, Versioned};

/// One of a user's addresses.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SavedAddress)]
pub(crate) struct SavedBody {
    #[schema(value_type = String)]
    id: AddressId,
    // One by one: what is sent has more members than the shape that comes in, which takes no others.
    name: String,
    line1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line2: Option<String>,
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    country: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    version: i64,
    created_at: Time,
}

impl From<&SavedAddress> for SavedBody {
    fn from(saved: &SavedAddress) -> Self {
        let SavedAddress { id, address, version, created_at } = saved.clone();
        let Address { name, line1, line2, city, region, postal_code, country, phone } = address;
        Self { id, name, line1, line2, city, region, postal_code, country, phone, version, created_at }
    }
}

fn checked(body: &AddressBody) -> Result<Address, Problem> {
    let mut fields = Fields::new();
    let address = body.read(&mut fields, &Pointer::root());
    fields.done(address)
}

pub(crate) async fn list(service: Data<Service>, caller: Caller) -> Result<HttpResponse, Problem> {
    let items = service.addresses(&caller.call).await?.iter().map(SavedBody::from).collect();
    Ok(HttpResponse::Ok().json(Paged { items, next: None, count: None, count_capped: None }))
}

pub(crate) async fn add(
    service: Data<Service>,
    caller: Caller,
    post: Post<AddressBody>,
) -> Result<HttpResponse, Problem> {
    let address = checked(&post.body)?;
    let kept = post.once(|saved: &SavedAddress| {
        Reply::json(201, &SavedBody::from(saved))
            .location(format!("/v1/users/me/addresses/{}", saved.id))
            .etag(saved.version)
    });
    Ok(kept.answer(service.add_address(&caller.call, address, kept.handle()).await?))
}

pub(crate) async fn show(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<Saved>,
) -> Result<HttpResponse, Problem> {
    let saved = service.address(&caller.call, id.0).await?;
    Ok(Versioned::read(&request, saved.version, &SavedBody::from(&saved)))
}

pub(crate) async fn replace(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<Saved>,
    body: Body<AddressBody>,
) -> Result<HttpResponse, Problem> {
    let address = checked(&body.0)?;
    let saved = service.replace_address(&caller.call, id.0, Versioned::expected(&request)?, address).await?;
    Ok(Reply::json(200, &SavedBody::from(&saved)).etag(saved.version).into())
}

pub(crate) async fn remove(service: Data<Service>, caller: Caller, id: PathId<Saved>) -> Result<HttpResponse, Problem> {
    service.delete_address(&caller.call, id.0).await?;
    Ok(HttpResponse::NoContent().finish())
}
