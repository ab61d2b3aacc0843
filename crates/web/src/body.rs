//! Bodies and ids, read strictly: what cannot be parsed is 400, what is not valid is 422 with the place.
use crate::{FieldError, Problem, reason};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, future::LocalBoxFuture};
use kernel::{Code, Id, Kind};
use serde::de::DeserializeOwned;
use std::{
    future::{Ready, ready},
    time::Duration,
};

/// The largest JSON body, in bytes.
pub const JSON_LIMIT: usize = 1 << 20;

/// How much of a body that is too large is read, and thrown away, before its sender hears so. Whoever is hung up on in
/// the middle may lose the answer, or send the next request where nobody listens any more; more so behind a gateway.
const HEARD: usize = 16 << 20;
/// And for how long.
const HEARING: Duration = Duration::from_secs(2);

/// How long a JSON body may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = read(request, payload);
        Box::pin(async move { parse(&read.await?).map(Self) })
    }
}

/// The bytes of a JSON body as they came: whoever checks a signature needs just these.
pub struct Raw(pub Bytes);

impl FromRequest for Raw {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = read(request, payload);
        Box::pin(async move { read.await.map(Self) })
    }
}

/// Throws the rest of a body away, within bounds.
async fn hear_out(payload: &mut Payload, mut read: usize) {
    let rest = async {
        while let Some(Ok(part)) = payload.next().await {
            read += part.len();
            if read > HEARD {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(HEARING, rest).await; // whoever is slower is hung up on
}

/// The bytes of a JSON body; none for a request without one.
pub(crate) fn read(request: &HttpRequest, payload: &mut Payload) -> LocalBoxFuture<'static, Result<Bytes, Problem>> {
    let (mut payload, media) = (payload.take(), request.content_type().to_owned());
    let announced = request.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    Box::pin(async move {
        if announced.is_some_and(|length| length > HEARD) {
            return Err(too_large());
        }
        let all = async {
            let mut bytes = BytesMut::new();
            while let Some(part) = payload.next().await {
                let part = part.map_err(|_| Problem::new(Code::MalformedRequest, "The body broke off."))?;
                if bytes.len() + part.len() > JSON_LIMIT {
                    let read = bytes.len() + part.len();
                    drop(bytes);
                    hear_out(&mut payload, read).await;
                    return Err(too_large());
                }
                bytes.extend_from_slice(&part);
            }
            Ok(bytes)
        };
        let slow = |_| Problem::new(Code::MalformedRequest, "The body did not come in time.");
        let bytes = tokio::time::timeout(BODY_TIME, all).await.map_err(slow)??;
        if !bytes.is_empty() && media != "application/json" {
            return Err(Problem::new(Code::UnsupportedMediaType, "Send the body as application/json."));
        }
        Ok(bytes.freeze())
    })
}

fn too_large() -> Problem {
    Problem::new(Code::BodyTooLarge, "A JSON body may have 1 MiB at most.")
}

fn malformed(why: &serde_json::Error) -> Problem {
    let (line, column) = (why.line(), why.column());
    Problem::new(Code::MalformedJson, format!("The body is not JSON: line {line}, column {column}."))
}

/// Characters of what is said of one value.
const LONGEST_COMPLAINT: usize = 300;

pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // serde would read a list as the members in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map_err(|why| malformed(&why))?;
        return Err(Problem::invalid(vec![FieldError::new("", reason::TYPE, "needs an object")]));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = error.path().iter().fold(crate::Pointer::root(), |at, part| match part {
            serde_path_to_error::Segment::Seq { index } => at.at(index),
            serde_path_to_error::Segment::Map { key } => at.at(key),
            serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => at,
        });
        let why = error.inner();
        if !why.is_data() {
            return malformed(why);
        }
        let said = why.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        let said: String = said.chars().take(LONGEST_COMPLAINT).collect(); // it quotes what was sent
        let said = said.replace("expected struct ", "expected an object: ");
        let said = said.as_str();
        // The member that is not there, or should not be, is the place.
        let named = said.strip_prefix("missing field `").or_else(|| said.strip_prefix("unknown field `"));
        let pointer = named.and_then(|rest| rest.split('`').next()).map_or(pointer.clone(), |name| pointer.at(name));
        let code = match said {
            said if said.starts_with("missing field") => reason::REQUIRED,
            said if said.starts_with("unknown field") => reason::UNKNOWN,
            said if said.starts_with("invalid type") => reason::TYPE,
            said if said.starts_with("the amount") => reason::RANGE,
            said if said.starts_with("invalid value: integer") => reason::RANGE,
            _ => reason::FORMAT,
        };
        Problem::invalid(vec![FieldError::new(pointer.to_string(), code, said)])
    })?;
    reader.end().map_err(|why| malformed(&why))?;
    Ok(value)
}

/// The one id in a path. A text that is no id of this kind names nothing: 404.
pub struct PathId<T>(pub Id<T>);

impl<T: Kind> FromRequest for PathId<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut ids = request.match_info().iter().filter_map(|(_, text)| text.parse().ok());
        ready(ids.next().map(Self).ok_or_else(Problem::not_found))
    }
}
