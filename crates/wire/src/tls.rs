//! Who speaks: certificates for both ends of a connection between processes.
//!
//! A process shows the certificate of the module that calls, or of the module that is asked for, and believes a chain
//! to the authority whose leaf names a module of our trust domain by its SPIFFE id. Host names do not matter: where a
//! module runs is configuration, who it is stands in its certificate. There are no revocation lists: leafs are short
//! lived, and a new authority leaves out what the old one signed.
mod believe;
mod files;
mod flaw;
mod name;

pub use flaw::{BadCertificates, Flaw};

use believe::{Callee, Callers};
use files::Files;
use kernel::{Clock, Peer, SystemClock, Time};
use name::TrustDomain;
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::TimeProvider,
};
use std::{
    collections::BTreeMap,
    fmt,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, PoisonError, RwLock},
    time::Duration,
};

/// How often files are read that change while they are read.
const LOOKS: usize = 3;

/// The certificates of this process: the authority's, and one for each module that it serves. Read anew when the files
/// change.
pub struct Certificates {
    dir: PathBuf,
    trust_domain: TrustDomain,
    modules: Vec<String>,
    used: RwLock<Arc<Used>>,
}

/// Not what is in them: that is long.
impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("dir", &self.dir).field("modules", &self.modules).finish_non_exhaustive()
    }
}

/// What stood in the files, checked and ready.
struct Used {
    files: Files,
    roots: Arc<RootCertStore>,
    shown: BTreeMap<String, Arc<CertifiedKey>>,
    server: Arc<ServerConfig>,
    client: ConfigBuilder<ClientConfig, WantsVerifier>,
    expires: (String, Time),
}

impl Certificates {
    /// Reads `<dir>/authority.pem` (one or several roots: both during a change of authority), and for each of
    /// `modules` its `<module>.pem` (leaf first, then intermediates) and `<module>.key`.
    pub fn open(dir: &Path, trust_domain: &str, modules: &[&str]) -> Result<Arc<Self>, BadCertificates> {
        let bad_domain = || Flaw::TrustDomain(trust_domain.to_owned()).of(dir);
        let trust_domain = TrustDomain::new(trust_domain).ok_or_else(bad_domain)?;
        let modules: Vec<String> = modules.iter().map(|&module| module.to_owned()).collect();
        let used = Used::look(dir, &trust_domain, &modules)?;
        Ok(Arc::new(Self { dir: dir.to_owned(), trust_domain, modules, used: RwLock::new(Arc::new(used)) }))
    }

    /// Looks at the files again; `Ok(true)` when they had changed and are in use now. On an error (a key that does not
    /// fit, an expired leaf) the old ones stay, and the next look tries again. Connections that are open go on.
    pub fn reload(&self) -> Result<bool, BadCertificates> {
        // A root that expires while it is in use is left out, too; a leaf that does is told.
        let expired = self.used().expires.1 <= SystemClock.now();
        if !expired && Files::read(&self.dir, &self.modules)? == self.used().files {
            return Ok(false);
        }
        let used = Used::look(&self.dir, &self.trust_domain, &self.modules)?;
        *self.used.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(used);
        Ok(true)
    }

    /// For a connection that begins now. It requires a certificate of the authority that names a module of ours, and
    /// HTTP/2; it answers with the certificate of the module that is asked for by server name, or the first module's.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.used().server.clone()
    }

    /// For `peer`'s connections to `callee` that begin now. It shows `peer`'s certificate and believes nobody but
    /// `callee`. None when `peer` is not a module of this process.
    pub fn client(&self, peer: &str, callee: &str) -> Option<Arc<ClientConfig>> {
        let used = self.used();
        let shown = used.shown.get(peer)?;
        let callee = Callee::new(used.roots.clone(), self.trust_domain.clone(), callee);
        let mut config = used
            .client
            .clone()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(callee))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown.clone())));
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session does not look at the server's certificate again, so it could outlive it.
        config.resumption = Resumption::disabled();
        Some(Arc::new(config))
    }

    /// The server name to ask for: the module's.
    pub fn server_name(callee: &str) -> ServerName<'static> {
        // An address is not sent. The first module answers then, and `client` asks whether that is the callee.
        ServerName::try_from(callee.to_owned()).unwrap_or_else(|_| Ipv4Addr::UNSPECIFIED.into())
    }

    /// The module that a verified leaf names: by exactly one SPIFFE id of our trust domain, of one segment.
    pub fn module_of(&self, chain: &[CertificateDer<'_>]) -> Option<Peer> {
        self.trust_domain.module(chain.first()?).ok()
    }

    /// What expires first, by the name of its file, and when.
    pub fn expires(&self) -> (String, Time) {
        self.used().expires.clone()
    }

    fn used(&self) -> Arc<Used> {
        self.used.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Used {
    /// A leaf and its key are two files: whoever reads while they are replaced sees a pair that does not fit, and looks
    /// again.
    fn look(dir: &Path, trust_domain: &TrustDomain, modules: &[String]) -> Result<Self, BadCertificates> {
        let mut files = Files::read(dir, modules)?;
        for _ in 1..LOOKS {
            match Self::check(files.clone(), dir, trust_domain, modules) {
                Ok(used) => return Ok(used),
                Err(bad) => {
                    let again = Files::read(dir, modules)?;
                    if again == files {
                        return Err(bad);
                    }
                    files = again;
                }
            }
        }
        Self::check(files, dir, trust_domain, modules)
    }

    fn check(
        files: Files,
        dir: &Path,
        trust_domain: &TrustDomain,
        modules: &[String],
    ) -> Result<Self, BadCertificates> {
        let first = modules.first().ok_or_else(|| Flaw::NoModule.of(dir))?;
        let now = SystemClock.now();
        let (roots, mut expires) = files.roots(now)?;
        let roots = Arc::new(roots);
        let callers = Callers::new(roots.clone(), trust_domain.clone()).map_err(|flaw| files.authority.bad(flaw))?;
        let mut shown = BTreeMap::new();
        for (module, pair) in modules.iter().zip(&files.modules) {
            let (chain, until) = pair.chain(now)?;
            callers.own(&chain, module, Now::at(now)).map_err(|flaw| pair.leaf.bad(flaw))?;
            let key = CertifiedKey::from_der(chain, pair.key()?, &provider());
            shown.insert(module.clone(), Arc::new(key.map_err(|error| pair.key.bad(Flaw::Key(error)))?));
            expires = expires.min((until, pair.leaf.name()));
        }
        let asked = Asked { first: shown[first].clone(), by_name: shown.clone() };
        let ends = server(callers, asked).and_then(|server| Ok((Arc::new(server), client()?)));
        let (server, client) = ends.map_err(|error| files.authority.bad(Flaw::Tls(error)))?;
        Ok(Self { files, roots, shown, server, client, expires: (expires.1, expires.0) })
    }
}

fn server(callers: Callers, asked: Asked) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(Now))
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .with_client_cert_verifier(Arc::new(callers))
        .with_cert_resolver(Arc::new(asked));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A ticket stands for the client's certificate, which nobody looks at again: a session could be resumed after the
    // leaf expired. Connections between processes live long, so whole handshakes cost little.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_details(provider(), Arc::new(Now)).with_protocol_versions(rustls::ALL_VERSIONS)
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    PROVIDER.clone()
}

/// The certificate of the module that is asked for.
#[derive(Debug)]
struct Asked {
    first: Arc<CertifiedKey>,
    by_name: BTreeMap<String, Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Asked {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.by_name.get(name));
        Some(named.unwrap_or(&self.first).clone())
    }
}

/// The machine's clock, as rustls asks for it.
#[derive(Debug)]
struct Now;

impl Now {
    fn at(time: Time) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(time.seconds().try_into().unwrap_or(0)))
    }
}
impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(Self::at(SystemClock.now()))
    }
}
