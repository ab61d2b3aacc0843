//! Answers: plain JSON, pages, and things with a version.
use crate::Problem;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderMap},
};
use bytes::Bytes;
use kernel::{Code, Page};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, cell::RefCell};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, Ref, RefOr,
        schema::{Schema, SchemaType, Type},
    },
};

/// An answer as data: it can be sent, or kept with an Idempotency-Key and sent again byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    head: Head,
    body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

thread_local! { static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) } }
/// A thread keeps no more for its next answer.
const KEPT: usize = 64 << 10;

/// In a buffer that a thread writes all its answers into: one that grows is copied each time.
fn written(body: &impl Serialize) -> Vec<u8> {
    let mut scratch = SCRATCH.take();
    serde_json::to_writer(&mut scratch, body).expect("a DTO is plain data");
    if scratch.capacity() > KEPT {
        return scratch;
    }
    let bytes = scratch.clone();
    scratch.clear();
    SCRATCH.set(scratch);
    bytes
}

impl Reply {
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self::of(status, "application/json", written(body))
    }
    pub(crate) fn problem(status: u16, body: Vec<u8>) -> Self {
        Self::of(status, "application/problem+json", body)
    }
    fn of(status: u16, media: &str, body: Vec<u8>) -> Self {
        Self { head: Head { status, headers: vec![("content-type".into(), media.into())] }, body }
    }
    /// Nothing to say: 204.
    pub fn empty() -> Self {
        Self { head: Head { status: 204, headers: Vec::new() }, body: Vec::new() }
    }
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.head.headers.push((name.into(), value.into()));
        self
    }
    #[must_use]
    pub fn location(self, path: impl Into<String>) -> Self {
        self.header("location", path)
    }
    /// The tag of a thing with a version: `"<version>-<hash>"`.
    #[must_use]
    pub fn etag(self, version: i64) -> Self {
        let tag = tag(version, &self.body);
        self.header("etag", tag)
    }
    /// The tag of what has no version of its own: `"<hash>"`.
    #[must_use]
    pub fn hashed(self) -> Self {
        let tag = format!("\"{}\"", hash(&self.body));
        self.header("etag", tag)
    }
    /// The tag that [`etag`](Self::etag) or [`hashed`](Self::hashed) gave it.
    pub fn tag(&self) -> Option<&str> {
        self.head.headers.iter().find(|(name, _)| name == "etag").map(|(_, tag)| tag.as_str())
    }
    pub fn body(&self) -> &[u8] {
        &self.body
    }
    pub(crate) fn into_body(self) -> Bytes {
        self.body.into_boxed_slice().into() // it may be kept: without its buffer's room
    }

    /// How it is kept: the head's length, the head, the body.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = serde_json::to_vec(&self.head).expect("a head is plain data");
        let mut bytes = u32::try_from(head.len()).expect("a head is small").to_be_bytes().to_vec();
        bytes.extend(head);
        bytes.extend(&self.body);
        bytes
    }
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (head, body) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        Some(Self { head: serde_json::from_slice(head).ok()?, body: body.to_vec() })
    }
}

impl From<Reply> for HttpResponse {
    fn from(reply: Reply) -> Self {
        let status = StatusCode::from_u16(reply.head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Self::build(status);
        for (name, value) in reply.head.headers {
            answer.insert_header((name, value));
        }
        answer.body(reply.body)
    }
}

fn tag(version: i64, body: &[u8]) -> String {
    format!("\"{version}-{}\"", hash(body))
}
fn hash(body: &[u8]) -> String {
    Sha256::digest(body)[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// A thing with a version, as it is read and conditionally changed.
pub struct Versioned;

impl Versioned {
    /// 200 with its tag, or 304 when the client has just this.
    pub fn read(request: &HttpRequest, version: i64, body: &impl Serialize) -> HttpResponse {
        let body = written(body);
        let tag = tag(version, &body);
        if Self::is_held(request, &tag) {
            return HttpResponse::NotModified().insert_header(("etag", tag)).finish();
        }
        HttpResponse::Ok().content_type("application/json").insert_header(("etag", tag)).body(body)
    }
    /// Whether the client says that it has just this.
    fn is_held(request: &HttpRequest, tag: &str) -> bool {
        listed(request.headers(), "if-none-match").any(|held| held == "*" || held.trim_start_matches("W/") == tag)
    }
    /// The version that `If-Match` asks for. `*` and no header ask for none.
    pub fn expected(request: &HttpRequest) -> Result<Option<i64>, Problem> {
        let mut tags = listed(request.headers(), "if-match");
        let Some(first) = tags.next() else { return Ok(None) };
        if first == "*" {
            return Ok(None);
        }
        let version = first.strip_prefix('"').and_then(|tag| tag.split(['-', '"']).next()?.parse().ok());
        match (version, tags.next()) {
            (Some(version), None) => Ok(Some(version)),
            _ => Err(Problem::new(Code::InvalidHeader, "If-Match takes one ETag as it was given, or *.")),
        }
    }
}

/// What is no text is listed too, as something that no tag equals: a condition must not get lost.
pub(crate) fn listed<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).flat_map(|value| value.to_str().unwrap_or("\u{fffd}").split(',').map(str::trim))
}

/// One page of a list, as it is sent.
#[derive(Serialize)]
pub struct Paged<T> {
    pub items: Vec<T>,
    /// Goes on after the last item; null at the end.
    pub next: Option<String>,
    /// With `?count=true`: how many there are, up to 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// There are more than were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_capped: Option<bool>,
}

/// Named after its items: lists of different things are different schemas.
impl<T: ToSchema> ToSchema for Paged<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}
impl<T: ToSchema> PartialSchema for Paged<T> {
    fn schema() -> RefOr<Schema> {
        let or_null = |kind| SchemaType::from_iter([kind, Type::Null]);
        let optional = |kind, says| ObjectBuilder::new().schema_type(or_null(kind)).description(Some(says));
        ObjectBuilder::new()
            .description(Some("One page of a list."))
            .property("items", ArrayBuilder::new().items(Ref::from_schema_name(T::name())))
            .required("items")
            .property("next", optional(Type::String, "Goes on after the last item; null at the end."))
            .property("count", optional(Type::Integer, "With `?count=true`: how many there are, up to 10,000."))
            .property("count_capped", optional(Type::Boolean, "There are more than were counted."))
            .into()
    }
}

/// A page of domain things as a page of DTOs.
pub fn page<T, D>(page: Page<T>, dto: impl FnMut(T) -> D) -> Paged<D> {
    let capped = page.count.map(|count| count > Page::<T>::COUNT_CAP);
    let count = page.count.map(|count| count.min(Page::<T>::COUNT_CAP));
    Paged {
        items: page.items.into_iter().map(dto).collect(),
        next: page.next.map(|cursor| cursor.as_str().to_owned()),
        count,
        count_capped: capped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_reply_comes_back_byte_for_byte() {
        let reply = Reply::json(201, &["ä", "\u{0}"]).location("/v1/things/1").etag(3);
        assert_eq!(Reply::from_bytes(&reply.to_bytes()), Some(reply));
        assert_eq!(Reply::from_bytes(b"\0\0\0\x09{}"), None);
        assert_eq!(Reply::from_bytes(b"x"), None);
    }
}
