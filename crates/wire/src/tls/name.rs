//! A module's name in its certificate.
use super::flaw::Names;
use kernel::Peer;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Whose ids are ours: `spiffe://<trust domain>/<module>`.
#[derive(Clone, Debug)]
pub(super) struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// As SPIFFE has it: 1 to 255 lower case letters, digits, dots, dashes and underscores.
    pub(super) fn new(name: &str) -> Option<Self> {
        let one_of_ours = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-_".contains(&c);
        ((1..=255).contains(&name.len()) && name.bytes().all(one_of_ours)).then(|| Self(name.into()))
    }

    /// What the leaf of `module` must say.
    pub(super) fn id(&self, module: &str) -> String {
        format!("spiffe://{}/{module}", self.0)
    }

    /// The module that `leaf` names. SPIFFE allows a leaf one URI, whatever else it names: with two, whoever asks for
    /// the first and whoever asks for the last would believe different modules.
    pub(super) fn module(&self, leaf: &CertificateDer<'_>) -> Result<Peer, Names> {
        let names = uris(leaf)?;
        let [name] = names.as_slice() else { return Err(Names(names)) };
        let module = name.strip_prefix("spiffe://").and_then(|name| name.strip_prefix(&*self.0)?.strip_prefix('/'));
        match module {
            Some(module) if is_segment(module) => Ok(module.into()),
            _ => Err(Names(names)),
        }
    }
}

/// One segment of a SPIFFE id's path.
fn is_segment(name: &str) -> bool {
    let one_of_theirs = |c: u8| c.is_ascii_alphanumeric() || b".-_".contains(&c);
    !name.is_empty() && name != "." && name != ".." && name.bytes().all(one_of_theirs)
}

/// Every URI that the certificate names.
fn uris(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Names> {
    let unreadable = || Names(vec!["a name that cannot be read".into()]);
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| unreadable())?;
    let names = certificate.subject_alternative_name().map_err(|_| unreadable())?;
    let names = names.map(|names| names.value.general_names.iter());
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some(Ok((*uri).to_owned())),
        GeneralName::Invalid(..) => Some(Err(unreadable())),
        _ => None,
    };
    names.into_iter().flatten().filter_map(uri).collect()
}
