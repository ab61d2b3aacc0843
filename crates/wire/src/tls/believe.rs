//! Whom each end of a connection believes.
use super::{
    flaw::{Flaw, Names},
    name::TrustDomain,
    provider,
};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::{fmt, sync::Arc};

/// The other end's certificate is the authority's, and names somebody else.
#[derive(thiserror::Error)]
#[error("{shows}, expected {expected}")]
struct NotThem {
    shows: Names,
    expected: String,
}

/// The sentence: rustls writes this one into what it says.
impl fmt::Debug for NotThem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<NotThem> for Error {
    fn from(not_them: NotThem) -> Self {
        CertificateError::Other(OtherError(Arc::new(not_them))).into()
    }
}

/// The server's side: any module of ours.
#[derive(Debug)]
pub(super) struct Callers {
    roots: Arc<RootCertStore>,
    chains: Arc<dyn ClientCertVerifier>,
    trust_domain: TrustDomain,
}

impl Callers {
    pub(super) fn new(roots: Arc<RootCertStore>, trust_domain: TrustDomain) -> Result<Self, Flaw> {
        let chains = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build();
        let chains = chains.map_err(|error| Flaw::Tls(Error::General(error.to_string())))?;
        Ok(Self { roots, chains, trust_domain })
    }

    /// Whether the other ends would believe `module`'s own chain, as a client and as a server: better told at the
    /// start than by each of them.
    pub(super) fn own(&self, chain: &[CertificateDer<'_>], module: &str, now: UnixTime) -> Result<(), Flaw> {
        let (leaf, intermediates) = chain.split_first().ok_or(Flaw::NoCertificate)?;
        signed(leaf, intermediates, &self.roots, now)
            .and_then(|()| self.chains.verify_client_cert(leaf, intermediates, now))
            .map_err(Flaw::NotBelieved)?;
        let named = |shows| Flaw::Name { shows, expected: self.trust_domain.id(module) };
        match self.trust_domain.module(leaf) {
            Ok(peer) if &*peer.0 == module => Ok(()),
            Ok(peer) => Err(named(Names(vec![self.trust_domain.id(&peer.0)]))),
            Err(names) => Err(named(names)),
        }
    }
}

impl ClientCertVerifier for Callers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chains.verify_client_cert(leaf, intermediates, now)?;
        let expected = || self.trust_domain.id("<module>");
        self.trust_domain.module(leaf).map_err(|shows| NotThem { shows, expected: expected() })?;
        Ok(verified)
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, leaf, signature)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, leaf, signature)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// The client's side: the module that it calls, at whatever address.
#[derive(Debug)]
pub(super) struct Callee {
    roots: Arc<RootCertStore>,
    trust_domain: TrustDomain,
    module: String,
}

impl Callee {
    pub(super) fn new(roots: Arc<RootCertStore>, trust_domain: TrustDomain, module: &str) -> Self {
        Self { roots, trust_domain, module: module.to_owned() }
    }
}

impl ServerCertVerifier for Callee {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        signed(leaf, intermediates, &self.roots, now)?;
        let expected = self.trust_domain.id(&self.module);
        match self.trust_domain.module(leaf) {
            Ok(peer) if *peer.0 == *self.module => Ok(ServerCertVerified::assertion()),
            Ok(peer) => Err(NotThem { shows: Names(vec![self.trust_domain.id(&peer.0)]), expected }.into()),
            Err(shows) => Err(NotThem { shows, expected }.into()),
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &algorithms())
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &algorithms())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// Whether a chain leads to one of the roots and may stand for a server.
fn signed(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), Error> {
    let leaf = ParsedCertificate::try_from(leaf)?;
    verify_server_cert_signed_by_trust_anchor(&leaf, roots, intermediates, now, algorithms().all)
}
