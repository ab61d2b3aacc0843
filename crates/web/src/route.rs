//! The table of routes: method, path, what a caller needs, the handler, and what the documentation says of it.
use crate::{Problem, admission, openapi::Schema};
use actix_web::{
    Handler, HttpResponse, Responder,
    dev::ServiceRequest,
    guard,
    http::Method,
    middleware::{Next, from_fn},
    web,
};
use kernel::{Code, Needs};
use std::{collections::BTreeMap, sync::Arc};

type Make = Arc<dyn Fn(bool) -> actix_web::Route + Send + Sync>;

/// One row of a domain's table.
#[derive(Clone)]
pub struct Route {
    pub method: Method,
    /// With `{names}` in braces.
    pub path: &'static str,
    pub needs: Needs,
    pub summary: &'static str,
    pub(crate) takes: Option<Takes>,
    pub(crate) gives: Vec<(u16, &'static str, Gives)>,
    pub(crate) fails: Vec<Code>,
    pub(crate) query: Vec<(&'static str, &'static str)>,
    pub(crate) keyed: bool,
    /// Each request is a try of credentials.
    tries: bool,
    make: Make,
}

/// What a route takes as its body.
#[derive(Clone)]
pub enum Takes {
    Json(Schema),
    /// JSON in somebody else's form, kept as the bytes that came.
    Foreign(Schema),
    /// A body of this media type, streamed.
    Stream(&'static str),
}

/// What an answer carries.
#[derive(Clone)]
pub(crate) enum Gives {
    Nothing,
    Json(Schema),
    /// A body of this media type.
    Stream(&'static str),
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {$(
        pub fn $name<F, Args>(path: &'static str, needs: Needs, handler: F) -> Route
        where
            F: Handler<Args> + Send + Sync,
            Args: actix_web::FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            Route::new(Method::$method, path, needs, handler)
        }
    )*};
}
methods! { get GET; post POST; put PUT; patch PATCH; delete DELETE; }

impl Route {
    fn new<F, Args>(method: Method, path: &'static str, needs: Needs, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        Args: actix_web::FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let of = method.clone();
        let make: Make = Arc::new(move |tries| {
            let admit =
                from_fn(move |request: ServiceRequest, next: Next<_>| admission::admit(needs, tries, request, next));
            answering(&of).to(handler.clone()).wrap(admit)
        });
        let (gives, fails, query) = (Vec::new(), Vec::new(), Vec::new());
        Self { method, path, needs, summary: "", takes: None, gives, fails, query, keyed: false, tries: false, make }
    }
    /// One line for the documentation.
    #[must_use]
    pub fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }
    #[must_use]
    pub fn takes<T: utoipa::ToSchema>(mut self) -> Self {
        self.takes = Some(Takes::Json(Schema::of::<T>()));
        self
    }
    /// A body in somebody else's form, which the handler takes as [`crate::Raw`]: it says itself what cannot be read.
    #[must_use]
    pub fn takes_foreign<T: utoipa::ToSchema>(mut self) -> Self {
        self.takes = Some(Takes::Foreign(Schema::of::<T>()));
        self
    }
    #[must_use]
    pub fn streams(mut self, media: &'static str) -> Self {
        self.takes = Some(Takes::Stream(media));
        self
    }
    #[must_use]
    pub fn gives<T: utoipa::ToSchema>(mut self, status: u16, what: &'static str) -> Self {
        self.gives.push((status, what, Gives::Json(Schema::of::<T>())));
        self
    }
    #[must_use]
    pub fn gives_nothing(mut self, status: u16, what: &'static str) -> Self {
        self.gives.push((status, what, Gives::Nothing));
        self
    }
    #[must_use]
    pub fn gives_stream(mut self, status: u16, media: &'static str, what: &'static str) -> Self {
        self.gives.push((status, what, Gives::Stream(media)));
        self
    }
    /// Codes of its own; those that follow from its needs, body and id are added by themselves.
    #[must_use]
    pub fn fails(mut self, codes: &[Code]) -> Self {
        self.fails.extend(codes);
        self
    }
    #[must_use]
    pub fn query(mut self, name: &'static str, what: &'static str) -> Self {
        self.query.push((name, what));
        self
    }
    /// A list: limit, cursor.
    #[must_use]
    pub fn paged(self) -> Self {
        self.query("limit", "1 to 100; 20 when not given")
            .query("cursor", "`next` of the page before")
            .fails(&[Code::InvalidQuery, Code::InvalidCursor])
    }
    /// Honours `Idempotency-Key`.
    #[must_use]
    pub fn keyed(mut self) -> Self {
        self.keyed = true;
        // Without a body no key can come with another one.
        let reused = self.takes.is_some().then_some(Code::IdempotencyKeyReused);
        self.fails(&[Code::InvalidHeader]).fails(reused.as_slice())
    }
    /// Limited to so many a minute and client: whoever asks tries credentials.
    #[must_use]
    pub fn limited(mut self) -> Self {
        self.tries = true;
        self.fails(&[Code::TooManyRequests])
    }
    /// Honours `If-Match`.
    #[must_use]
    pub fn conditional(self) -> Self {
        self.fails(&[Code::InvalidHeader, Code::VersionMismatch])
    }
}

/// Where GET is answered, HEAD is: the same answer, without its body.
fn answering(method: &Method) -> actix_web::Route {
    match *method {
        Method::GET => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
        _ => web::method(method.clone()),
    }
}

/// A resource beside the tables, such as health: no admission, GET and HEAD, 405 for the rest.
pub fn plain<F, Args>(path: &'static str, handler: F) -> actix_web::Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = answering(&Method::GET).to(handler);
    web::resource(path).route(route).default_service(web::to(|| refuse("GET, HEAD".into())))
}

async fn refuse(allowed: String) -> HttpResponse {
    let problem = Problem::new(Code::MethodNotAllowed, format!("This path knows {allowed}."));
    let mut answer = actix_web::ResponseError::error_response(&problem);
    if let Ok(allowed) = actix_web::http::header::HeaderValue::from_str(&allowed) {
        answer.headers_mut().insert(actix_web::http::header::ALLOW, allowed);
    }
    answer
}

/// The path's shape without the names in braces: two routes of one shape are one resource.
fn head_of(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

/// Puts the routes into an application: a resource a path, 405 for its other methods.
pub fn register(routes: &[Route], config: &mut web::ServiceConfig) {
    let mut paths: BTreeMap<&'static str, Vec<&Route>> = BTreeMap::new();
    for route in routes {
        paths.entry(route.path).or_default().push(route);
    }
    // Literal segments before names: `/v1/users/me` is not a user called "me".
    let mut paths: Vec<_> = paths.into_iter().collect();
    paths.sort_by_key(|(path, _)| head_of(path).replace("{}", "\u{10FFFF}"));
    for (path, routes) in paths {
        let allowed = routes.iter().map(|route| route.method.as_str()).collect::<Vec<_>>().join(", ");
        let allowed = allowed.replace("GET", "GET, HEAD");
        let refuse = move || refuse(allowed.clone());
        let resource =
            routes.iter().fold(web::resource(path), |resource, route| resource.route((route.make)(route.tries)));
        config.service(resource.default_service(web::to(refuse)));
    }
}
