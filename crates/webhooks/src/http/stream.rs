//! Server-sent events. An answer that does not end: it is made as it is read, a few events at a time, and ends with the
//! process, with its reader's token, or with its reader.
use crate::{
    domain::pattern::Pattern,
    service::{Service, Stream, Told},
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Bytes, Data},
};
use futures_util::{
    StreamExt,
    stream::{once, unfold},
};
use kernel::{Code, Principal};
use std::convert::Infallible;
use web::{Caller, Problem, Query, Stopping};

/// How long a client waits before it comes again, in milliseconds.
const BEGIN: &str = "retry: 2000\n\n";
const MAX_TYPES: usize = 50;

pub(crate) async fn stream(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (after, types) = (query.text("after")?, query.text("types")?);
    query.end()?;
    let after = position(&request, after)?;
    let kinds = types.map(|types| kinds(&service, &types)).transpose()?;
    let stopping = request.app_data::<Stopping>().cloned();
    let stopping = stopping.ok_or_else(|| Problem::internal("nobody says when the process stops"))?;
    let reader = match caller.call.principal {
        Principal::User(user) => Some(user),
        Principal::Anonymous | Principal::Guest(_) => None,
    };
    let stream = service.into_inner().stream(reader, kinds, after).await?;
    let events = unfold(stream, |mut stream: Stream| async move { Some((shown(&stream.next().await?), stream)) });
    let first = once(async { Bytes::from_static(BEGIN.as_bytes()) });
    let body = first.chain(events).take_until(Box::pin(stopping.told())).map(Ok::<_, Infallible>);
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        // or a gateway would keep events back until it has enough of them
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(body)))
}

/// What the client has; browsers say it with a header when they come again.
fn position(request: &HttpRequest, after: Option<String>) -> Result<Option<i64>, Problem> {
    let read = |text: &str| text.parse::<i64>().ok().filter(|position| *position >= 0);
    if let Some(header) = request.headers().get("last-event-id") {
        let position = header.to_str().ok().and_then(read);
        let bad = || Problem::new(Code::InvalidHeader, "Last-Event-ID is the `id` of an event of this stream.");
        return position.map(Some).ok_or_else(bad);
    }
    let bad = || Problem::new(Code::InvalidQuery, "after: the `id` of an event of this stream.");
    after.map(|text| read(&text).ok_or_else(bad)).transpose()
}

/// The kinds that patterns match.
fn kinds(service: &Service, types: &str) -> Result<Vec<String>, Problem> {
    let bad = |text: &str, why: String| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
        Problem::new(Code::InvalidQuery, format!("types: `{shown}` {why}."))
    };
    if types.split(',').count() > MAX_TYPES {
        return Err(Problem::new(Code::InvalidQuery, format!("types: at most {MAX_TYPES}.")));
    }
    let parse = |text| Pattern::parse(text, &service.kinds).map_err(|why| bad(text, why.to_string()));
    let patterns = types.split(',').map(str::trim).map(parse).collect::<Result<Vec<_>, _>>()?;
    let names = service.kinds.iter().map(|kind| kind.name);
    Ok(names.filter(|name| patterns.iter().any(|pattern| pattern.matches(name))).map(str::to_owned).collect())
}

fn shown(told: &Told) -> Bytes {
    let text = match told {
        // An envelope is JSON on one line.
        Told::Event(event) => format!("id: {}\nevent: {}\ndata: {}\n\n", event.position, event.kind, event.envelope),
        Told::Reset(position) => format!("id: {position}\nevent: reset\ndata: {{\"after\":{position}}}\n\n"),
        Told::Nothing => ":\n\n".to_owned(),
    };
    text.into()
}
