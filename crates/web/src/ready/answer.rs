//! One answer, in all its forms.
use super::Fresh;
use crate::{
    answer::listed,
    edge,
    encoding::{Encoding, Forms},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
};
use metrics::Histogram;
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

/// What an answer costs beside its bytes and its key.
const OVERHEAD: usize = 256;

pub(crate) struct Answer {
    pub(super) forms: Forms,
    shows: usize,
    /// Before it was read.
    pub(super) begun: Instant,
    stale: AtomicBool,
    pub(crate) route: Arc<Route>,
}

/// Where an answer is given, and how long it takes: whole, and not modified.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) pattern: String,
    seconds: Option<[Histogram; 2]>,
}

impl Route {
    pub(super) fn of(request: &HttpRequest) -> Arc<Self> {
        let pattern = request.match_pattern().unwrap_or_default();
        let seconds = ["200", "304"].map(|status| edge::seconds("GET", pattern.clone(), status.to_owned()));
        Arc::new(Self { pattern, seconds: Some(seconds) })
    }
    pub(crate) fn took(&self, status: u16, time: Duration) {
        if let Some([whole, not_modified]) = &self.seconds {
            if status == 304 { not_modified } else { whole }.record(time);
        }
    }
}

impl Answer {
    pub(super) fn of(Fresh { reply, shows }: Fresh, begun: Instant, route: &Arc<Route>) -> (Arc<Self>, Vec<Uuid>) {
        let tag = reply.tag().unwrap_or_default().to_owned();
        let forms = Forms::of(reply.into_body(), &tag);
        let (stale, route) = (AtomicBool::new(false), Arc::clone(route));
        (Arc::new(Self { forms, shows: shows.len(), begun, stale, route }), shows)
    }
    pub(super) fn is_stale(&self) -> bool {
        self.stale.load(SeqCst)
    }
    pub(super) fn go(&self) {
        self.stale.store(true, SeqCst);
    }
    pub(super) fn weight(&self, key: &str) -> u32 {
        let bytes = self.forms.weight() + key.len() + self.shows * size_of::<(Uuid, Weak<Self>)>() + OVERHEAD;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
    /// The form that the client understands, or that it has one already.
    pub(crate) fn respond(&self, request: &HttpRequest) -> HttpResponse {
        self.respond_as(Encoding::wanted(request.headers()), request)
    }
    /// As it is: for whoever is the first to ask, who may be the last.
    pub(super) fn respond_plain(&self, request: &HttpRequest) -> HttpResponse {
        self.respond_as(Encoding::Identity, request)
    }
    fn respond_as(&self, wanted: Encoding, request: &HttpRequest) -> HttpResponse {
        let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(tag) = self.held(wanted, request) {
            return HttpResponse::NotModified().insert_header((header::ETAG, tag)).insert_header(vary).finish();
        }
        let form = self.forms.form(wanted);
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        response.insert_header((header::ETAG, form.tag.clone())).insert_header(vary);
        if form.encoding != Encoding::Identity {
            response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(form.encoding.name())));
        }
        response.body(form.body.clone())
    }
    /// The tag of the form that the client says it has. Not of one that it does not accept: a cache that asks for a
    /// client would give it that form.
    fn held(&self, wanted: Encoding, request: &HttpRequest) -> Option<HeaderValue> {
        let headers = request.headers();
        let mut tags = listed(headers, "if-none-match").map(|tag| tag.trim_start_matches("W/"));
        tags.find_map(|tag| match tag {
            "*" => Some(self.forms.form(wanted).tag.clone()),
            tag => self.forms.tagged(tag).filter(|(form, _)| form.is_accepted(headers)).map(|(_, tag)| tag),
        })
    }
}
