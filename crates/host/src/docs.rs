//! The API reference, from files in the binary: `/openapi.json`, `/docs`, and `/docs/errors` where problems point to.
use ::web::plain;
use actix_web::{HttpResponse, web};
use kernel::Code;
use utoipa_swagger_ui::{Config, SwaggerUi};

pub(crate) fn configure(document: web::Bytes, config: &mut web::ServiceConfig) {
    let openapi = move || {
        let document = document.clone();
        async move { HttpResponse::Ok().content_type("application/json").body(document) }
    };
    let docs = || async { HttpResponse::PermanentRedirect().insert_header(("location", "/docs/")).finish() };
    let errors = || async { HttpResponse::Ok().content_type("text/html; charset=utf-8").body(errors()) };
    config
        .service(plain("/openapi.json", openapi))
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
