//! The files of certificates and keys, as they lie in a folder.
use super::flaw::{BadCertificates, Flaw};
use kernel::Time;
use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject},
    },
};
use std::{
    fmt, fs,
    io::{ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use x509_parser::prelude::{FromDer, X509Certificate};

pub(super) const AUTHORITY: &str = "authority.pem";

/// What stood in the files at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub authority: Text,
    /// In the order of the modules.
    pub modules: Vec<Pair>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub leaf: Text,
    pub key: Text,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Not its text: it may be a key.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl Files {
    pub(super) fn read(dir: &Path, modules: &[String]) -> Result<Self, BadCertificates> {
        let pair = |module: &String| {
            let (leaf, key) = (dir.join(format!("{module}.pem")), dir.join(format!("{module}.key")));
            Ok(Pair { leaf: Text::read(leaf, |_, _| None)?, key: Text::read(key, open_to_others)? })
        };
        let authority = Text::read(dir.join(AUTHORITY), |_, _| None)?;
        Ok(Self { authority, modules: modules.iter().map(pair).collect::<Result<_, _>>()? })
    }

    /// The roots that are good now, and when the first of them expires. One that has expired is left out, so that the
    /// old authority may stay in the file after a change; leafs that it signed are not believed any more.
    pub(super) fn roots(&self, now: Time) -> Result<(RootCertStore, (Time, String)), BadCertificates> {
        let file = &self.authority;
        let mut store = RootCertStore::empty();
        let (mut first, mut flaw) = (None, Flaw::NoCertificate);
        for root in file.certificates()? {
            let certificate = parsed(&root).map_err(|flaw| file.bad(flaw))?;
            if !certificate.is_ca() {
                return Err(file.bad(Flaw::NotAnAuthority));
            }
            match until(&certificate, now) {
                Err(bad) => flaw = bad,
                Ok(until) => {
                    first = Some(first.map_or(until, |first: Time| first.min(until)));
                    store.add(root).map_err(|error| file.bad(Flaw::Malformed(error.to_string())))?;
                }
            }
        }
        let first = first.ok_or_else(|| file.bad(flaw))?;
        Ok((store, (first, file.name())))
    }
}

impl Pair {
    /// The leaf and its intermediates, and when the first of them expires.
    pub(super) fn chain(&self, now: Time) -> Result<(Vec<CertificateDer<'static>>, Time), BadCertificates> {
        let chain = self.leaf.certificates()?;
        let until = |certificate| until(&parsed(certificate)?, now);
        let each: Result<Vec<Time>, Flaw> = chain.iter().map(until).collect();
        let first = each.map_err(|flaw| self.leaf.bad(flaw))?.into_iter().min();
        let first = first.ok_or_else(|| self.leaf.bad(Flaw::NoCertificate))?;
        Ok((chain, first))
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, BadCertificates> {
        PrivateKeyDer::from_pem_slice(&self.key.bytes).map_err(|error| self.key.bad(Flaw::NotPem(error)))
    }
}

impl Text {
    fn read(path: PathBuf, open: fn(u32, u32) -> Option<u32>) -> Result<Self, BadCertificates> {
        let bad = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => Flaw::Missing.of(&path),
            _ => Flaw::Unreadable(error).of(&path),
        };
        let mut file = fs::File::open(&path).map_err(bad)?;
        // Of the open file: the path may name another one by now.
        let meta = file.metadata().map_err(bad)?;
        if let Some(mode) = open(meta.uid(), meta.mode()) {
            return Err(Flaw::Open(mode, path.clone()).of(&path));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(bad)?;
        Ok(Self { path, bytes })
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, BadCertificates> {
        let all: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        all.map_err(|error| self.bad(Flaw::NotPem(error)))
    }

    pub(super) fn bad(&self, flaw: Flaw) -> BadCertificates {
        flaw.of(&self.path)
    }

    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The mode of a key that somebody else may read. Root may give its group a look: so a container is handed a secret.
fn open_to_others(owner: u32, mode: u32) -> Option<u32> {
    let others = if owner == 0 { 0o037 } else { 0o077 };
    (mode & others != 0).then_some(mode & 0o777)
}

fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Flaw> {
    let parsed = X509Certificate::from_der(certificate).map_err(|error| Flaw::Malformed(error.to_string()))?;
    Ok(parsed.1)
}

/// Until when it is valid, if it is now.
fn until(certificate: &X509Certificate<'_>, now: Time) -> Result<Time, Flaw> {
    let time = |seconds: i64| Time::from_micros(seconds.saturating_mul(1_000_000));
    let from = time(certificate.validity().not_before.timestamp());
    let until = time(certificate.validity().not_after.timestamp());
    match (from <= now, now <= until) {
        (true, true) => Ok(until),
        (true, false) => Err(Flaw::Expired(until)),
        (false, _) => Err(Flaw::NotYet(from)),
    }
}

#[cfg(test)]
mod tests {
    use super::open_to_others;

    #[test]
    fn a_key_is_its_owners_and_of_roots_group() {
        let modes = [0o600, 0o400, 0o440, 0o640, 0o660, 0o604];
        assert_eq!(modes.map(|mode| open_to_others(1000, mode).is_some()), [false, false, true, true, true, true]);
        assert_eq!(modes.map(|mode| open_to_others(0, mode).is_some()), [false, false, false, false, true, true]);
    }
}
