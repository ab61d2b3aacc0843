//! What happens to every request of a listener: an id, a trace, a span, a log line, a measure; and problems only as documents.
use crate::{Problem, ready::AtHand};
use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Version,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use kernel::{Code, Trace};
use metrics::Histogram;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What the edge knows of a request.
#[derive(Clone, Debug)]
pub struct Edge {
    pub request_id: String,
    pub trace: Trace,
    /// This process's part of the trace.
    span: u64,
}

impl Edge {
    /// The caller's own words where they are plain, or new ones: a new trace has its number from the request.
    fn of(request: &ServiceRequest) -> Self {
        let (request_id, trace, new) = (request_id(request), trace(request), Uuid::now_v7());
        let request_id = request_id.map_or_else(|| new.simple().to_string(), str::to_owned);
        Self { request_id, trace: Trace(trace.unwrap_or(new.as_u128())), span: new.as_u64_pair().1 }
    }

    /// What every answer says.
    fn sign(&self, headers: &mut HeaderMap) {
        const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
        const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        headers.insert(TRACEPARENT, traceparent(self.trace, self.span));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }

    fn span(&self) -> tracing::Span {
        tracing::info_span!("request", request_id = %self.request_id, trace = %format_args!("{:032x}", self.trace.0))
    }
}

tokio::task_local! { static CURRENT: String; }

/// The id of the request that this task answers; empty outside of one.
pub fn current_request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Does `work` as part of a request, on whatever thread.
pub(crate) fn within<T>(request_id: &str, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(request_id.to_owned(), work)
}

/// Wraps a whole application.
pub async fn edge(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let edge = Edge::of(&request);
    // What is kept ready is kept under targets that were read once: here they need no other look.
    if has_one_host(&request)
        && let Some(ready) = AtHand::find(request.request()).await
    {
        let mut answer = ready.respond(request.request());
        edge.sign(answer.headers_mut());
        let (status, time) = (answer.status().as_u16(), started.elapsed());
        edge.span().in_scope(|| log(request.request(), &ready.route.pattern, status, time));
        ready.route.took(status, time);
        return Ok(request.into_response(answer));
    }
    let span = edge.span();
    request.extensions_mut().insert(edge.clone());
    let work = async move {
        if !readable(&request) {
            let refused = Problem::from(Code::MalformedRequest).error_response();
            return Ok(request.into_response(refused));
        }
        let answer = next.call(request).await?;
        // What actix itself refuses (a path that is no UTF-8, say) is text: it becomes a document too.
        match answer.response().error().filter(|error| error.as_error::<Problem>().is_none()).map(shown) {
            Some(document) => Ok::<_, Error>(answer.into_response(document)),
            None => Ok(answer),
        }
    };
    let mut answer =
        CURRENT.scope(edge.request_id.clone(), tracing::Instrument::instrument(work, span.clone())).await?;
    edge.sign(answer.headers_mut());
    span.in_scope(|| observe(&answer, started));
    Ok(answer)
}

/// Whether its target and its host can be understood in one way only. Gateways refuse the same: what stands before a
/// process must not decide what is answered.
fn readable(request: &ServiceRequest) -> bool {
    let authorised_once = request.headers().get_all(header::AUTHORIZATION).nth(1).is_none();
    authorised_once && has_one_host(request) && plain_path(request.uri().path())
}

fn has_one_host(request: &ServiceRequest) -> bool {
    request.headers().get_all(header::HOST).nth(1).is_none() && has_host(request)
}

/// HTTP/1.1 asks for one; it may stand in the target instead.
fn has_host(request: &ServiceRequest) -> bool {
    let outside = |b: u8| b <= b' ' || b == b'/' || b == 0x7f;
    match request.headers().get(header::HOST) {
        Some(host) => !host.is_empty() && !host.as_bytes().iter().copied().any(outside),
        None => request.version() != Version::HTTP_11 || request.uri().host().is_some(),
    }
}

/// A path that begins at the root and stays below it, whose escapes are whole and hide no NUL.
fn plain_path(path: &str) -> bool {
    let Some(decoded) = decoded(path.as_bytes()).filter(|decoded| !decoded.contains(&0)) else { return false };
    let Some(below) = decoded.strip_prefix(b"/") else { return false };
    let mut depth = 0_usize;
    below.split(|b| *b == b'/').all(|part| match part {
        b"." => true,
        b".." => depth.checked_sub(1).map(|up| depth = up).is_some(),
        _ => {
            depth += 1;
            true
        }
    })
}

fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).map(|digit| digit as u8);
    let (mut all, mut rest) = (Vec::with_capacity(path.len()), path);
    while let [first, after @ ..] = rest {
        rest = after;
        all.push(match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                digit(high)? * 16 + digit(low)?
            }
            (b'%', _) => return None,
            (plain, _) => *plain,
        });
    }
    Some(all)
}

fn observe(answer: &ServiceResponse, started: Instant) {
    let (request, status, time) = (answer.request(), answer.status().as_u16(), started.elapsed());
    let route = request.match_pattern().unwrap_or_else(|| "none".into());
    log(request, &route, status, time);
    // Any word is a method on the wire; only these are measured by name.
    let method = request.method().as_str();
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].into_iter().find(|known| *known == method);
    seconds(known.unwrap_or("other"), route, status.to_string()).record(time);
}

fn log(request: &HttpRequest, route: &str, status: u16, time: Duration) {
    let (method, path, micros) = (request.method().as_str(), request.path(), time.as_micros());
    tracing::info!(target: "cleave::access", method, path, route, status, micros, "answered");
}

/// How long answers take.
pub(crate) fn seconds(method: &'static str, route: String, status: String) -> Histogram {
    metrics::histogram!("cleave_http_seconds", "method" => method, "route" => route, "status" => status)
}

/// An error of actix's own as a problem document.
fn shown(error: &Error) -> HttpResponse {
    let status = error.as_response_error().status_code();
    let code = match status.as_u16() {
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        413 => Code::BodyTooLarge,
        415 => Code::UnsupportedMediaType,
        400..=499 => Code::MalformedRequest,
        _ => return Problem::internal(error).error_response(),
    };
    Problem::from(code).error_response()
}

/// The caller's own id where it is a plain word.
fn request_id(request: &ServiceRequest) -> Option<&str> {
    let given = request.headers().get("x-request-id").and_then(|v| v.to_str().ok());
    let plain = |id: &&str| {
        (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    given.filter(plain)
}

/// W3C trace context: `00-<trace>-<span>-<flags>`. A header that is not understood names no trace.
fn trace(request: &ServiceRequest) -> Option<u128> {
    request.headers().get("traceparent").and_then(|v| v.to_str().ok()).and_then(|text| {
        let mut parts = text.split('-');
        let (version, trace) = (parts.next()?, parts.next()?);
        let fits = version.len() == 2 && version != "ff" && trace.len() == 32 && parts.next()?.len() == 16;
        fits.then(|| u128::from_str_radix(trace, 16).ok()).flatten().filter(|id| *id != 0)
    })
}

/// Every answer has one: written by hand, as the formatting machinery takes as long as finding a ready answer.
fn traceparent(trace: Trace, span: u64) -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
    let mut digits = [0; 32];
    Uuid::from_u128(trace.0).simple().encode_lower(&mut text[3..35]);
    Uuid::from_u64_pair(0, span).simple().encode_lower(&mut digits);
    text[36..52].copy_from_slice(&digits[16..]);
    HeaderValue::from_bytes(&text).expect("digits and dashes")
}

#[cfg(test)]
mod tests {
    use super::{plain_path, traceparent};
    use kernel::Trace;

    #[test]
    fn a_trace_is_named_in_w3c_s_way() {
        let named = traceparent(Trace(0x0a1b_2c3d), 0x0102_0304_0506_0708);
        assert_eq!(named, "00-0000000000000000000000000a1b2c3d-0102030405060708-01");
        assert_eq!(traceparent(Trace(u128::MAX), u64::MAX), format!("00-{}-{}-01", "f".repeat(32), "f".repeat(16)));
    }

    #[test]
    fn a_path_is_plain_when_it_can_be_read_in_one_way() {
        for plain in ["/", "/v1/products", "/v1//x", "/v1/products/../users", "/a%2Fb", "/%ff", "/v1/..", "/a/./.."] {
            assert!(plain_path(plain), "{plain}");
        }
        for strange in
            ["", "*", "x", "/..", "/v1/../..", "/%2e%2e", "/a/..%2f..", "/%00", "/a%", "/a%2", "/%zz", "/%+1"]
        {
            assert!(!plain_path(strange), "{strange}");
        }
    }
}
