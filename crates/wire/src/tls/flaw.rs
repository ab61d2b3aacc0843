//! What is wrong with a file of certificates, and what to do about it.
use kernel::Time;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The file that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {flaw}", file.display())]
pub struct BadCertificates {
    pub file: PathBuf,
    pub flaw: Flaw,
}

#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    #[error(
        "there is no such file; `cleave certs init` makes an authority and certificates, `cleave certs issue MODULE` one more, or let your own authority write it here"
    )]
    Missing,
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("is not PEM: {0}")]
    NotPem(rustls::pki_types::pem::Error),
    #[error("holds no certificate")]
    NoCertificate,
    #[error("holds a certificate that cannot be read: {0}")]
    Malformed(String),
    #[error("holds a certificate that is not an authority's; put the roots here, and leafs into the modules' files")]
    NotAnAuthority,
    #[error("others may read this private key (mode {0:03o}); say `chmod 600 {path}`", path = .1.display())]
    Open(u32, PathBuf),
    #[error("this key cannot be used with the certificate beside it: {0}; issue both together")]
    Key(rustls::Error),
    #[error("expired at {0}; issue it anew")]
    Expired(Time),
    #[error("is valid only from {0}; is this machine's clock right?")]
    NotYet(Time),
    #[error("is not believed by {authority}: {0}; issue it from that authority, or add its authority there", authority = super::files::AUTHORITY)]
    NotBelieved(rustls::Error),
    #[error("{shows}, but must show exactly one URI: {expected}; issue it anew")]
    Name { shows: Names, expected: String },
    #[error("`{0}` is not a trust domain; lower case letters, digits, dots, dashes and underscores make one")]
    TrustDomain(String),
    #[error("no module is served here that could show a certificate")]
    NoModule,
    #[error("cannot be used: {0}")]
    Tls(rustls::Error),
}

impl Flaw {
    pub(super) fn of(self, file: &Path) -> BadCertificates {
        BadCertificates { file: file.to_owned(), flaw: self }
    }
}

/// The URIs that a certificate shows: none, or not one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("shows no URI"),
            names => write!(f, "shows {}", names.join(", ")),
        }
    }
}
