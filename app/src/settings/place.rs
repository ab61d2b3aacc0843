//! Where a domain runs, and where its HTTP routes are found: addresses, parsed once.
use serde::{Serialize, Serializer};
use std::{fmt, net::IpAddr, str::FromStr};

/// Where a domain is asked by its neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the process that serves the others.
    Local,
    /// In a process of its own.
    At(Remote),
}

/// How a domain that is elsewhere is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub reach: Reach,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// `https://`: mutual TLS with one endpoint, at whichever of its addresses answers.
    Https,
    /// `http://`: the same without TLS, on this machine.
    Http,
    /// `dns:`: every address behind every name takes its turn; TLS unless `grpc.plaintext`.
    Dns,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    /// A name or an address; version 6 without brackets.
    pub host: String,
    pub port: u16,
}

const PLACES: &str = "a place is \"local\", \"https://host:port\", \"dns:host:port\" or \"dns:host:port,host:port\", \
    or \"http://127.0.0.1:port\" with grpc.plaintext";

impl FromStr for Place {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "local" {
            return Ok(Self::Local);
        }
        let reaches = [("https://", Reach::Https), ("http://", Reach::Http), ("dns:", Reach::Dns)];
        let reach = reaches.into_iter().find_map(|(form, reach)| Some((reach, text.strip_prefix(form)?)));
        let parsed = reach.and_then(|(reach, rest)| {
            let each: Vec<&str> = if reach == Reach::Dns { rest.split(',').collect() } else { vec![rest] };
            let endpoints = each.into_iter().map(|one| Endpoint::parse(one.trim(), None)).collect::<Option<_>>()?;
            Some(Self::At(Remote { reach, endpoints }))
        });
        parsed.ok_or_else(|| format!("`{text}` is none; {PLACES}"))
    }
}

impl Place {
    /// What cannot be, apart from how it is written.
    pub(crate) fn problem(&self, plaintext: bool) -> Option<String> {
        let Self::At(remote) = self else { return None };
        if remote.reach == Reach::Http && !plaintext {
            return Some("http:// has no TLS: use https://, or set grpc.plaintext for processes of one machine".into());
        }
        let far = remote.endpoints.iter().find(|endpoint| !endpoint.is_loopback())?;
        remote.plaintext(plaintext).then(|| {
            format!("{far} is on another machine, and grpc.plaintext is for processes of one: use https:// without it")
        })
    }
}

impl Remote {
    /// Whether bytes go there without TLS; `plaintext` is what `grpc.plaintext` says.
    pub(crate) fn plaintext(&self, plaintext: bool) -> bool {
        self.reach == Reach::Http || (self.reach == Reach::Dns && plaintext)
    }
}

impl Endpoint {
    /// `host:port`; without a port when there is a usual one.
    fn parse(text: &str, usual: Option<u16>) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok()).flatten();
        let port = port.map_or(usual, digits).filter(|port| *port != 0)?;
        (host.contains(':') || is_name(host)).then(|| Self { host: host.to_ascii_lowercase(), port })
    }
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// A host name, or an address of version 4: labels of letters, digits, dashes and underscores.
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

/// Where a gateway finds a module's HTTP routes, such as `http://users.internal:8080`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HttpAddress {
    pub tls: bool,
    pub endpoint: Endpoint,
}

impl HttpAddress {
    /// Where a listener of this machine is found.
    pub(crate) fn of_listener(listen: &str) -> Option<Self> {
        let Endpoint { host, port } = Endpoint::parse(listen, None)?;
        let host = match host.as_str() {
            "0.0.0.0" => "127.0.0.1".into(),
            "::" => "::1".into(),
            _ => host,
        };
        Some(Self { tls: false, endpoint: Endpoint { host, port } })
    }
}

impl FromStr for HttpAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let forms = [("http://", false, 80), ("https://", true, 443)];
        let found = forms.into_iter().find_map(|(form, tls, port)| Some((text.strip_prefix(form)?, tls, port)));
        let parsed = found.and_then(|(rest, tls, port)| {
            let endpoint = Endpoint::parse(rest.strip_suffix('/').unwrap_or(rest), Some(port))?;
            Some(Self { tls, endpoint })
        });
        parsed.ok_or_else(|| format!("`{text}` is no address such as http://users.internal:8080 (and without a path)"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::At(remote) => remote.fmt(f),
        }
    }
}
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reach {
            Reach::Https => "https://",
            Reach::Http => "http://",
            Reach::Dns => "dns:",
        })?;
        let all: Vec<String> = self.endpoints.iter().map(Endpoint::to_string).collect();
        f.write_str(&all.join(","))
    }
}
impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.endpoint)
    }
}
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl Serialize for HttpAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        text.parse().expect(text)
    }

    #[test]
    fn places_are_shown_as_they_are_written() {
        for text in [
            "local",
            "https://users.internal:7400",
            "http://127.0.0.1:7400",
            "http://[::1]:7400",
            "dns:users:7400",
            "dns:a.internal:7400,b.internal:7401",
        ] {
            assert_eq!(place(text).to_string(), text);
        }
        let Place::At(two) = place("dns:a:1, b:2") else { panic!("two endpoints") };
        assert_eq!((two.reach, two.endpoints.len(), two.endpoints[1].port), (Reach::Dns, 2, 2));
    }

    #[test]
    fn what_is_no_place_is_told_with_those_there_are() {
        for text in [
            "",
            "Local",
            "users:7400",
            "https://users",
            "https://users:7400/",
            "https://users:7400/path",
            "https://user@users:7400",
            "https://users:0",
            "https://users:+1",
            "https://users:70000",
            "https://:7400",
            "https://-users:7400",
            "https://a:1,b:2",
            "https://::1:7400",
            "https://[users]:7400",
            "dns:",
            "dns:a:1,",
            "dns://a:1",
            "consul:users",
        ] {
            let told = text.parse::<Place>().expect_err(text);
            assert!(told.contains(&format!("`{text}`")) && told.contains("dns:host:port"), "{told}");
        }
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        let near = ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "dns:localhost:1,127.0.0.2:1"];
        assert!(near.into_iter().all(|text| place(text).problem(true).is_none()));
        for far in ["http://users:1", "http://10.0.0.1:1", "dns:localhost:1,users:1"] {
            assert!(place(far).problem(true).is_some_and(|told| told.contains("another machine")), "{far}");
        }
        assert!(place("http://127.0.0.1:1").problem(false).is_some_and(|told| told.contains("grpc.plaintext")));
        for tls in ["https://users:1", "dns:users:1", "local"] {
            assert_eq!(place(tls).problem(false), None, "{tls}");
        }
        assert_eq!(place("https://users:1").problem(true), None, "TLS needs no permission");
    }

    #[test]
    fn http_addresses_have_no_path() {
        let address = |text: &str| text.parse::<HttpAddress>();
        assert_eq!(address("http://users").unwrap().to_string(), "http://users:80");
        assert_eq!(address("https://users/").unwrap().to_string(), "https://users:443");
        assert_eq!(address("http://[::1]:8080").unwrap().endpoint.host, "::1");
        for text in ["users:8080", "http://", "http://users:8080/v1", "http://a@users", "http://users?x", "ftp://users"]
        {
            assert!(address(text).expect_err(text).contains("http://users.internal:8080"));
        }
    }
}
