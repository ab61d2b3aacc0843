//! Compressed forms of an answer that is kept: each is made once, for the first who understands it.
use actix_web::http::header::{HeaderMap, HeaderValue};
use bytes::Bytes;
use std::{io::Write, sync::OnceLock};

/// How a body is sent, from the smallest form on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Brotli,
    Zstd,
    Gzip,
    Identity,
}

/// Shorter bodies fit into a packet or two anyway.
const SHORTEST: usize = 1024;
/// How hard it is tried: brotli's quality, the levels of zstd and gzip. They are made while somebody waits: a
/// millisecond or two. Higher ones save little more.
const LEVELS: (i32, i32, u32) = (5, 6, 6);
/// The same for bodies that would take much longer.
const QUICK: (i32, i32, u32) = (1, 1, 1);
const LONG: usize = 256 << 10;
const BROTLI_WINDOW: i32 = 22;

impl Encoding {
    pub(crate) const COMPRESSED: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// As it stands in `Accept-Encoding` and `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    /// The smallest form that the client understands. `*` and weights are not weighed up: only a weight of 0 refuses.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        if !headers.contains_key("accept-encoding") {
            return Self::Identity;
        }
        Self::COMPRESSED.into_iter().find(|encoding| encoding.is_accepted(headers)).unwrap_or(Self::Identity)
    }
    /// As it is, everybody understands it.
    pub(crate) fn is_accepted(self, headers: &HeaderMap) -> bool {
        let values = headers.get_all("accept-encoding").filter_map(|value| value.to_str().ok());
        let mut named = values.flat_map(|value| value.split(',')).filter_map(|one| {
            let (name, weight) = one.split_once(';').unwrap_or((one, ""));
            name.trim().eq_ignore_ascii_case(self.name()).then_some(weight)
        });
        self == Self::Identity || named.any(|weight| !is_zero(weight))
    }

    fn compress(self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let (brotli, zstd, gzip) = if body.len() < LONG { LEVELS } else { QUICK };
        match self {
            Self::Brotli => {
                let params = brotli::enc::BrotliEncoderParams {
                    quality: brotli,
                    lgwin: BROTLI_WINDOW,
                    size_hint: body.len(),
                    ..Default::default()
                };
                let mut compressed = Vec::with_capacity(body.len() / 4);
                brotli::BrotliCompress(&mut &*body, &mut compressed, &params)?;
                Ok(compressed)
            }
            Self::Zstd => zstd::bulk::compress(body, zstd),
            Self::Gzip => {
                let into = Vec::with_capacity(body.len() / 4);
                let mut encoder = flate2::write::GzEncoder::new(into, flate2::Compression::new(gzip));
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Identity => Ok(body.to_vec()),
        }
    }
}

/// `q=0`, `q=0.000`.
fn is_zero(weight: &str) -> bool {
    let value = weight.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    value
        .map(|(_, value)| value.trim())
        .is_some_and(|value| value.starts_with('0') && value.bytes().all(|byte| matches!(byte, b'0' | b'.')))
}

/// A body in one form, and the tag of that form.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) encoding: Encoding,
    pub(crate) body: Bytes,
    pub(crate) tag: HeaderValue,
}

/// A body in all its forms.
#[derive(Debug)]
pub(crate) struct Forms {
    plain: Form,
    /// In the order of [`Encoding::COMPRESSED`]; `None` where it would not be much smaller.
    compressed: [OnceLock<Option<Form>>; 3],
}

impl Forms {
    pub(crate) fn of(body: Bytes, tag: &str) -> Self {
        Self { plain: Form { encoding: Encoding::Identity, body, tag: value(tag) }, compressed: Default::default() }
    }
    #[cfg(test)]
    pub(crate) fn plain(&self) -> &Form {
        &self.plain
    }
    /// What all its forms take, about: those that are compressed are, together, as a rule no larger than the plain one, and
    /// at most twice as large.
    pub(crate) fn weight(&self) -> usize {
        let body = self.plain.body.len();
        if body < SHORTEST { body } else { body * 2 }
    }

    /// The form that is wanted; plain where compressing does not help.
    pub(crate) fn form(&self, wanted: Encoding) -> &Form {
        let Some(place) = Encoding::COMPRESSED.iter().position(|encoding| *encoding == wanted) else {
            return &self.plain;
        };
        let made = self.compressed[place].get_or_init(|| {
            let body = (self.plain.body.len() >= SHORTEST).then(|| wanted.compress(&self.plain.body).ok()).flatten();
            let body = body.filter(|body| body.len() / 2 < self.plain.body.len() / 3)?;
            // without the room that its buffer had beyond it
            let body = body.into_boxed_slice().into();
            Some(Form { encoding: wanted, body, tag: suffixed(&self.plain.tag, wanted) })
        });
        made.as_ref().unwrap_or(&self.plain)
    }
    /// The form that a tag names.
    pub(crate) fn tagged(&self, tag: &str) -> Option<(Encoding, HeaderValue)> {
        if self.plain.tag == tag {
            return Some((Encoding::Identity, self.plain.tag.clone()));
        }
        let suffix = tag.strip_prefix(self.plain.tag.to_str().ok()?.strip_suffix('"')?)?;
        let name = suffix.strip_prefix('-')?.strip_suffix('"')?;
        let form = Encoding::COMPRESSED.into_iter().find(|encoding| encoding.name() == name)?;
        Some((form, value(tag)))
    }
}

/// `"<tag>"` becomes `"<tag>-br"`: two forms are different bytes, so their tags differ.
fn suffixed(tag: &HeaderValue, encoding: Encoding) -> HeaderValue {
    let tag = tag.to_str().unwrap_or_default().trim_end_matches('"');
    value(&format!("{tag}-{}\"", encoding.name()))
}

fn value(tag: &str) -> HeaderValue {
    HeaderValue::from_str(tag).expect("a tag is digits and a form in quotes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::ACCEPT_ENCODING;
    use std::io::Read;

    #[test]
    fn the_smallest_form_that_is_understood_is_sent() {
        for (accepts, wanted) in [
            ("gzip, deflate, br, zstd", Encoding::Brotli),
            ("gzip;q=1.0, br;q=0", Encoding::Gzip),
            ("GZIP , zstd ;q=0.1", Encoding::Zstd),
            ("br;q=0.000, zstd;q=0., gzip; q=0", Encoding::Identity),
            ("br;Q=0, zstd; q = 0, gzip;q=0.001", Encoding::Gzip),
            ("deflate, *", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepts));
            assert_eq!(Encoding::wanted(&headers), wanted, "{accepts}");
        }
        assert_eq!(Encoding::wanted(&HeaderMap::new()), Encoding::Identity);
    }

    #[test]
    fn every_form_reads_the_same_and_has_a_tag_of_its_own() {
        let body = Bytes::from("A shirt of cotton. ".repeat(200));
        let forms = Forms::of(body.clone(), "\"7-abc\"");
        let read = |form: &Form| {
            let mut read = Vec::new();
            match form.encoding {
                Encoding::Brotli => drop(brotli::Decompressor::new(&*form.body, 4096).read_to_end(&mut read).unwrap()),
                Encoding::Zstd => read = zstd::bulk::decompress(&form.body, body.len()).unwrap(),
                Encoding::Gzip => drop(flate2::read::GzDecoder::new(&*form.body).read_to_end(&mut read).unwrap()),
                Encoding::Identity => read.extend(&form.body),
            }
            read
        };
        for encoding in Encoding::COMPRESSED {
            let form = forms.form(encoding);
            assert_eq!((form.encoding, read(form).as_slice()), (encoding, &*body));
            assert!(form.body.len() * 10 < body.len(), "{encoding:?}: {}", form.body.len());
            assert_eq!(form.tag, format!("\"7-abc-{}\"", encoding.name()));
            assert_eq!(forms.tagged(form.tag.to_str().unwrap()), Some((encoding, form.tag.clone())));
        }
        assert_eq!(forms.tagged("\"7-abc\"").unwrap().0, Encoding::Identity);
        for other in ["\"7-abc-deflate\"", "\"7-abc-identity\"", "\"7-abc-br", "\"7-abcd\"", "\"7-ab\"", "", "\""] {
            assert_eq!(forms.tagged(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_short_is_sent_as_it_is() {
        let forms = Forms::of(Bytes::from_static(b"{}"), "\"x\"");
        assert!(Encoding::COMPRESSED.into_iter().all(|encoding| forms.form(encoding).encoding == Encoding::Identity));
    }
}
