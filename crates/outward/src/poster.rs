//! Posts to addresses that somebody typed in.
use crate::{Networks, client};
use bytes::Bytes;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// How far a post goes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For all of it, until the answer's head is there.
    pub time: Duration,
    /// Of it, for the connection.
    pub connect: Duration,
    /// Connections to one host that are kept open while nobody uses them.
    pub idle: usize,
    /// `http://` too.
    pub plaintext: bool,
    pub networks: Networks,
}

/// Bytes of an answer's body that are read, and for how long they are waited for.
const BODY: usize = 4096;
const BODY_TIME: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(30);
const LONGEST: usize = 2048;

pub struct Poster {
    /// Made for the first post: whom the machine trusts are some hundred files, and most shops post nothing.
    http: OnceLock<Option<reqwest::Client>>,
    limits: Limits,
}

/// A URL that may be posted to, as far as its text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Why nothing is posted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("not a URL such as https://example.com/hooks, of {LONGEST} characters at most")]
    NoUrl,
    #[error("only https:// is taken here")]
    Scheme,
    #[error("has a user name or a password, which would not be sent")]
    User,
    #[error("has a fragment, which would not be sent")]
    Fragment,
    #[error("its address is not a public one")]
    Address,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The header, as it came.
    pub retry_after: Option<String>,
    /// The first [`BODY`] bytes of the body at most.
    pub body: Bytes,
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    #[error("the name stands for no public address")]
    Refused,
    #[error("no connection")]
    NoConnection,
    #[error("no answer in time")]
    TooSlow,
    #[error("the answer is not HTTP, or broke off")]
    Broken,
}

impl Poster {
    pub fn new(limits: Limits) -> Self {
        Self { http: OnceLock::new(), limits }
    }

    fn http(&self) -> Result<&reqwest::Client, Unsent> {
        let made = || -> Result<_, String> {
            let client = client()?
                .dns_resolver(Checked(self.limits.networks.clone()))
                .connect_timeout(self.limits.connect)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(self.limits.idle)
                .user_agent(concat!("Cleave-Webhooks/", env!("CARGO_PKG_VERSION")))
                .build();
            client.map_err(|error| error.to_string())
        };
        let told = |error: &String| tracing::error!(error, "nothing can be posted until this process starts again");
        self.http.get_or_init(|| made().inspect_err(told).ok()).as_ref().ok_or(Unsent::NoConnection)
    }

    /// A name is looked up when it is connected to, and every address behind it is checked then.
    pub fn target(&self, text: &str) -> Result<Target, BadTarget> {
        let url = Url::parse(text.trim()).ok().filter(|url| url.has_host() && url.as_str().len() <= LONGEST);
        let url = url.ok_or(BadTarget::NoUrl)?;
        match url.scheme() {
            "https" => (),
            "http" if self.limits.plaintext => (),
            _ => return Err(BadTarget::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadTarget::User);
        }
        if url.fragment().is_some() {
            return Err(BadTarget::Fragment);
        }
        match literal(&url) {
            Some(address) if !self.limits.networks.let_through(address) => Err(BadTarget::Address),
            _ => Ok(Target(url)),
        }
    }

    /// Once. What it took is for the caller to say: time is measured from the moment that this is polled.
    pub async fn post(
        &self,
        target: &Target,
        headers: impl IntoIterator<Item = (&'static str, String)>,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Unsent> {
        let begun = Instant::now();
        let request = self.http()?.post(target.0.clone()).body(body.into());
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let sent = tokio::time::timeout(self.limits.time, request.send()).await;
        let mut answer = sent.map_err(|_| Unsent::TooSlow)?.map_err(|error| unsent(&error))?;
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let left = self.limits.time.saturating_sub(begun.elapsed()).min(BODY_TIME);
        let mut body = Vec::new();
        // What is cut off, slow or endless does not change what its head said.
        let _ = tokio::time::timeout(left, async {
            while let Ok(Some(part)) = answer.chunk().await {
                body.extend_from_slice(&part[..part.len().min(BODY - body.len())]);
                if body.len() == BODY {
                    return;
                }
            }
        })
        .await;
        Ok(Answer { status: answer.status().as_u16(), retry_after, body: body.into() })
    }
}

/// The address that stands in a URL in place of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn unsent(error: &reqwest::Error) -> Unsent {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if one.is::<Unsent>() {
            return Unsent::Refused;
        }
        cause = one.source();
    }
    match error {
        error if error.is_timeout() => Unsent::TooSlow,
        error if error.is_connect() => Unsent::NoConnection,
        _ => Unsent::Broken,
    }
}

/// Names as they may be connected to: whoever connects gets checked addresses and asks nobody again, so a name that
/// stands for another address a moment later changes nothing.
struct Checked(Networks);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let good: Vec<SocketAddr> = found.filter(|address| networks.let_through(address.ip())).collect();
            if good.is_empty() {
                return Err(Unsent::Refused.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poster(networks: &[&str], plaintext: bool) -> Poster {
        let networks = Networks(networks.iter().map(|text| text.parse().unwrap()).collect());
        let (time, connect) = (Duration::from_secs(5), Duration::from_secs(2));
        Poster::new(Limits { time, connect, idle: 1, plaintext, networks })
    }

    #[test]
    fn what_may_not_be_posted_to_is_told_before_anything_is_sent() {
        let poster = poster(&[], false);
        for (url, why) in [
            ("", BadTarget::NoUrl),
            ("hooks", BadTarget::NoUrl),
            ("mailto:a@example.com", BadTarget::NoUrl),
            ("http://example.com", BadTarget::Scheme),
            ("ftp://example.com", BadTarget::Scheme),
            ("file://host/etc/passwd", BadTarget::Scheme),
            ("https://me:secret@example.com", BadTarget::User),
            ("https://me@example.com", BadTarget::User),
            ("https://example.com/#x", BadTarget::Fragment),
            ("https://127.0.0.1", BadTarget::Address),
            ("https://2130706433", BadTarget::Address),
            ("https://0x7f.1", BadTarget::Address),
            ("https://0177.0.0.1", BadTarget::Address),
            ("https://127.1", BadTarget::Address),
            ("https://[::1]", BadTarget::Address),
            ("https://[::ffff:10.0.0.1]", BadTarget::Address),
            ("https://169.254.169.254/latest/meta-data", BadTarget::Address),
        ] {
            assert_eq!(poster.target(url), Err(why), "{url}");
        }
        assert_eq!(poster.target(&format!("https://example.com/{}", "x".repeat(LONGEST))), Err(BadTarget::NoUrl));
        for url in ["https://example.com/hooks?a=b", "https://8.8.8.8", "https://[2001:4860:4860::8888]:8443/x"] {
            assert!(poster.target(url).is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_stands_for_this_machine_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let strict = poster(&[], true);
        let target = strict.target(&url).unwrap();
        assert_eq!(strict.post(&target, [], "x").await, Err(Unsent::Refused));
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody came");
    }
}
