//! What an authority is and what it signs.
use crate::commands::Failed;
use kernel::Time;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType, date_time_ymd,
};
use std::time::Duration;
use x509_parser::pem::Pem;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_DAYS: u32 = 3650;
/// Certificates are good from a little earlier on: the clocks of two machines differ.
const EARLIER: Duration = Duration::from_secs(10 * 60);

/// A certificate and its private key, as PEM.
pub(super) struct Signed {
    pub certificate: String,
    pub key: String,
    pub until: Time,
}

/// An authority's own certificate.
pub(super) fn root(trust_domain: &str, now: Time) -> Result<Signed, Failed> {
    let until = now + DAY * AUTHORITY_DAYS;
    // The time tells two authorities of one shop apart. A name has 64 characters at most.
    let mut params = params(&format!("{trust_domain:.30} authority of {now}"), now, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(cannot)?;
    let certificate = params.self_signed(&key).map_err(cannot)?.pem();
    Ok(Signed { certificate, key: key.serialize_pem(), until })
}

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    until: Time,
}

impl Authority {
    /// The root, of all that stand in `roots`, that `key` is the key of: during a change of authority there are two.
    pub(super) fn read(roots: &str, key: &str, now: Time) -> Result<Self, Failed> {
        let key = KeyPair::from_pem(key).map_err(|error| format!("authority.key cannot be read: {error}"))?;
        for root in Pem::iter_from_buffer(roots.as_bytes()) {
            let root = root.map_err(|error| format!("authority.pem cannot be read: {error}"))?;
            let parsed = root.parse_x509().map_err(|error| format!("authority.pem cannot be read: {error}"))?;
            if parsed.public_key().raw != key.subject_public_key_info() {
                continue;
            }
            let until = Time::from_micros(parsed.validity().not_after.timestamp().saturating_mul(1_000_000));
            if until <= now {
                return Err(
                    format!("the authority expired at {until}; docs/certificates.md says how to change it").into()
                );
            }
            let issuer = Issuer::from_ca_cert_der(&root.contents.into(), key).map_err(cannot)?;
            return Ok(Self { issuer, until });
        }
        Err("authority.key is the key of no certificate in authority.pem".into())
    }

    /// Shown by `module`, whether it calls or answers. Never good for longer than the authority.
    pub(super) fn leaf(&self, trust_domain: &str, module: &str, now: Time, days: u32) -> Result<Signed, Failed> {
        let until = (now + DAY * days).min(self.until);
        let mut params = params(module, now, until);
        let id = super::wire_id(trust_domain, module).try_into().map_err(cannot)?;
        params.subject_alt_names = vec![SanType::URI(id), SanType::DnsName(module.try_into().map_err(cannot)?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(cannot)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(cannot)?.pem();
        Ok(Signed { certificate, key: key.serialize_pem(), until })
    }
}

/// rcgen makes the serial number from the public key, which is new each time.
fn params(name: &str, now: Time, until: Time) -> CertificateParams {
    let at = |time: Time| date_time_ymd(1970, 1, 1) + Duration::from_secs(time.seconds().try_into().unwrap_or(0));
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (at(now.minus(EARLIER)), at(until));
    params
}

fn cannot(error: rcgen::Error) -> Failed {
    Failed(format!("cannot make a certificate: {error}"))
}
