//! Authorities, what they sign, and folders with it.
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub(crate) struct Leaf {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::until(name, 4000)
    }
    pub(crate) fn expired(name: &str) -> Self {
        Self::until(name, 2001)
    }
    fn until(name: &str, year: i32) -> Self {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(year, 1, 1);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }
    pub(crate) fn root(&self) -> String {
        self.0.pem()
    }
    pub(crate) fn issue(&self, module: &str) -> Leaf {
        self.sign(&[&format!("spiffe://shop/{module}")], |_| {})
    }
    pub(crate) fn sign(&self, uris: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::new(["products".to_owned()]).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|&uri| SanType::URI(uri.try_into().unwrap())));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Leaf { chain: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
    /// An authority that this one signed.
    pub(crate) fn below(&self) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }
}

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// The authority's root and a leaf for each of `modules`.
    pub(crate) fn new(authority: &Authority, modules: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put("authority.pem", &authority.root());
        modules.iter().for_each(|module| folder.put_leaf(module, &authority.issue(module)));
        folder
    }
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
    pub(crate) fn put(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
        self.mode(name, 0o600);
    }
    pub(crate) fn put_leaf(&self, module: &str, leaf: &Leaf) {
        self.put(&format!("{module}.pem"), &leaf.chain);
        self.put(&format!("{module}.key"), &leaf.key);
    }
    pub(crate) fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}
