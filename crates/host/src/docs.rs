//! The API reference, from files in the binary: `/openapi.json`, `/asyncapi.json`, `/docs`, and `/docs/errors` where problems point to.
use ::web::plain;
use actix_web::{HttpResponse, web};
use kernel::Code;
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// What machines read: made for the first who asks.
pub(crate) struct Documents {
    openapi: LazyLock<web::Bytes, Make>,
    asyncapi: LazyLock<web::Bytes, Make>,
}

type Make = Box<dyn FnOnce() -> web::Bytes + Send>;

impl Documents {
    pub(crate) fn new(openapi: fn() -> String, asyncapi: fn() -> String) -> Arc<Self> {
        let made = |make: fn() -> String| LazyLock::new(Box::new(move || make().into()) as Make);
        Arc::new(Self { openapi: made(openapi), asyncapi: made(asyncapi) })
    }
}

pub(crate) fn configure(documents: &Arc<Documents>, config: &mut web::ServiceConfig) {
    let json = |which: fn(&Documents) -> &web::Bytes| {
        let documents = Arc::clone(documents);
        move || {
            let document = which(&documents).clone();
            async move { HttpResponse::Ok().content_type("application/json").body(document) }
        }
    };
    let docs = || async { HttpResponse::PermanentRedirect().insert_header(("location", "/docs/")).finish() };
    let errors = || async { HttpResponse::Ok().content_type("text/html; charset=utf-8").body(errors()) };
    config
        .service(plain("/openapi.json", json(|documents| &documents.openapi)))
        .service(plain("/asyncapi.json", json(|documents| &documents.asyncapi)))
        .service(plain("/docs", docs))
        .service(plain("/docs/errors", errors))
        .service(SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json")));
}

fn errors() -> String {
    let row = |code: &Code| {
        let (code, status, title) = (code.as_str(), code.status(), code.title());
        format!("<tr id=\"{code}\"><td>{status}</td><td><code>{code}</code></td><td>{title}</td></tr>")
    };
    let rows: String = Code::ALL.iter().map(row).collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Error codes</title>\
         <style>body{{font:16px/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}}td{{padding:.2rem .8rem .2rem 0}}:target{{background:#ffd}}</style>\
         <h1>Error codes</h1><p>Every failure is a problem document (RFC 9457); its <code>code</code> is one of these.</p><table>{rows}</table></html>"
    )
}
