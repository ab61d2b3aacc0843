use crate::{
    domain::{
        account::User,
        roles::{Role, Roles},
    },
    service::{NewAccount, OwnChanges, Service},
};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use kernel::Time;
use serde::{Deserialize, Serialize};
use users_api::UserId;
use web::{Body, Caller, Fields, PathId, Pointer, Post, Problem, Query, Reply, Versioned, page};

/// A new account.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    #[schema(format = "email", max_length = 254)]
    email: String,
    #[schema(min_length = 8, max_length = 256)]
    password: String,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// What changes of one's own account. A new address or password asks for the current password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeMe {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(format = "email", max_length = 254)]
    email: Option<String>,
    #[schema(min_length = 8, max_length = 256)]
    password: Option<String>,
    #[schema(max_length = 256)]
    current_password: Option<String>,
}

/// What an administrator changes of an account.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeUser {
    /// Of `customer`, `staff`, `admin`; everybody is a customer.
    #[schema(max_items = 3)]
    roles: Vec<String>,
}

/// An account.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = User)]
pub(crate) struct UserBody {
    #[schema(value_type = String)]
    id: UserId,
    email: String,
    name: String,
    roles: Vec<String>,
    version: i64,
    created_at: Time,
}

impl From<&User> for UserBody {
    fn from(user: &User) -> Self {
        let User { id, email, name, roles, version, created_at } = user;
        Self {
            id: *id,
            email: email.as_str().to_owned(),
            name: name.clone(),
            roles: roles.names(),
            version: *version,
            created_at: *created_at,
        }
    }
}

pub(crate) async fn register(
    service: Data<Service>,
    caller: Caller,
    post: Post<Registration>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, at) = (Fields::new(), Pointer::root());
    let email = fields.take(&at.at("email"), post.body.email.parse());
    let password = fields.take(&at.at("password"), post.body.password.parse());
    let name = fields.text(&at.at("name"), &post.body.name, 1, 200);
    let account = fields.done((|| Some(NewAccount { email: email?, password: password?, name: name? }))())?;
    let kept =
        post.once(|user: &User| Reply::json(201, &UserBody::from(user)).location("/v1/users/me").etag(user.version));
    Ok(kept.answer(service.register(&caller.call, account, kept.handle()).await?))
}

pub(crate) async fn list(service: Data<Service>, mut query: Query) -> Result<HttpResponse, Problem> {
    let (limit, cursor, email) = (query.limit()?, query.cursor()?, query.parse("email")?);
    query.end()?;
    let users = service.page(email, cursor, limit).await?;
    Ok(HttpResponse::Ok().json(page(users, |user| UserBody::from(&user))))
}

pub(crate) async fn show(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let user = service.myself(&caller.call).await?;
    Ok(Versioned::read(&request, user.version, &UserBody::from(&user)))
}

pub(crate) async fn change(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    body: Body<ChangeMe>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, at) = (Fields::new(), Pointer::root());
    let ChangeMe { name, email, password, current_password } = body.0;
    let name = name.map(|name| fields.text(&at.at("name"), &name, 1, 200)).unwrap_or_default();
    let email = email.and_then(|email| fields.take(&at.at("email"), email.parse()));
    let password = password.and_then(|password| fields.take(&at.at("password"), password.parse()));
    if (email.is_some() || password.is_some()) && current_password.is_none() {
        fields.refuse(
            &at.at("current_password"),
            web::reason::REQUIRED,
            "a new address or password asks for the current password",
        );
    }
    let current_password = current_password.map(|typed| crate::domain::account::Password::typed(&typed));
    fields.check()?;
    let changes = OwnChanges { name, email, password, current_password };
    let user = service.change_myself(&caller.call, Versioned::expected(&request)?, changes).await?;
    Ok(Reply::json(200, &UserBody::from(&user)).etag(user.version).into())
}

pub(crate) async fn remove(service: Data<Service>, caller: Caller) -> Result<HttpResponse, Problem> {
    service.delete_myself(&caller.call).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn change_roles(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    id: PathId<users_api::User>,
    body: Body<ChangeUser>,
) -> Result<HttpResponse, Problem> {
    let (mut fields, at) = (Fields::new(), Pointer::root().at("roles"));
    let named = body.0.roles.iter().enumerate().map(|(n, role)| fields.take(&at.at(n), role.parse::<Role>()));
    let roles: Option<Vec<_>> = named.collect();
    let roles = fields.done(roles)?;
    let user = service.set_roles(&caller.call, id.0, Versioned::expected(&request)?, Roles::new(roles)).await?;
    Ok(Reply::json(200, &UserBody::from(&user)).etag(user.version).into())
}
