//! `[grpc]`: how modules of different processes speak to each other. The listener beside HTTP's, the neighbours that this
//! process asks, and a look at the certificates now and then.
use crate::server::{StartError, bind};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use wire::{Link, Services, tls::Certificates};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcSettings {
    /// Where neighbours ask; nowhere when empty.
    pub listen: String,
    /// The folder of `authority.pem`, and of a certificate and a key a module.
    pub certificates: PathBuf,
    /// Whose certificates are believed: the first part of their SPIFFE ids.
    pub trust_domain: String,
    /// No TLS, and neighbours are believed by a header: for processes of one machine only.
    pub plaintext: bool,
    /// Seconds between two looks for other certificates.
    pub reload_seconds: u64,
    /// Seconds between two looks for other addresses behind a name.
    pub resolve_seconds: u64,
    /// The longest time that a neighbour may ask a call to take.
    pub max_seconds: u64,
}

impl Default for GrpcSettings {
    fn default() -> Self {
        Self {
            listen: String::new(),
            certificates: "certs".into(),
            trust_domain: "shop".into(),
            plaintext: false,
            reload_seconds: 10,
            resolve_seconds: 10,
            max_seconds: 30,
        }
    }
}

impl GrpcSettings {
    fn listeners(&self) -> std::io::Result<Vec<SocketAddr>> {
        if self.listen.is_empty() { Ok(Vec::new()) } else { Ok(self.listen.to_socket_addrs()?.collect()) }
    }
    /// What is wrong with them, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match self.listeners() {
            Err(_) => problems.push(format!("grpc.listen: `{}` is no address such as 127.0.0.1:7400", self.listen)),
            Ok(all) if self.plaintext && !all.iter().all(|address| address.ip().is_loopback()) => {
                problems.push(format!(
                    "grpc.plaintext: neighbours are believed without certificates, so grpc.listen has to be on \
                     127.0.0.1, not on {}",
                    self.listen
                ));
            }
            Ok(_) => (),
        }
        let of_a_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
        if !(1..=255).contains(&self.trust_domain.len()) || !self.trust_domain.bytes().all(of_a_domain) {
            problems.push(format!(
                "grpc.trust_domain: `{}` is none; lower case letters, digits, dashes, dots and underscores make one",
                self.trust_domain
            ));
        }
        if self.certificates.as_os_str().is_empty() {
            problems.push("grpc.certificates: name a folder".into());
        }
        let seconds = [
            ("reload_seconds", self.reload_seconds),
            ("resolve_seconds", self.resolve_seconds),
            ("max_seconds", self.max_seconds),
        ];
        problems.extend(seconds.iter().filter(|(_, n)| *n == 0).map(|(name, _)| format!("grpc.{name}: at least 1")));
        problems
    }
}

/// What neighbours find here.
pub struct Grpc {
    pub settings: GrpcSettings,
    pub services: Services,
    /// `None`: in plain text.
    pub certificates: Option<Arc<Certificates>>,
}

impl Grpc {
    /// Listens, and serves until `stopping`: then takes nothing new and ends what runs.
    pub(crate) fn start(
        self,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(SocketAddr, JoinHandle<std::io::Result<()>>), StartError> {
        let listener = bind(&self.settings.listen)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let stop = async move {
            let _ = stopping.wait_for(|stopping| *stopping).await; // or nobody is left to say so
        };
        let serving = self.services.serve(listener, self.certificates, stop);
        let told = async move {
            let served = serving.await;
            if let Err(error) = &served {
                tracing::error!(%error, "neighbours are not answered any more");
            }
            served
        };
        Ok((address, tokio::spawn(told)))
    }
}

/// Looks for other certificates as long as anybody holds these.
pub fn keep_reading(certificates: &Arc<Certificates>, every: Duration) {
    let held = Arc::downgrade(certificates);
    tokio::spawn(async move {
        let mut turns = interval(every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.tick().await;
        let mut told = String::new();
        loop {
            turns.tick().await;
            let Some(certificates) = held.upgrade() else { return };
            // Files are few and small, but a disk may be slow.
            let look = tokio::task::spawn_blocking(move || {
                let looked = certificates.reload();
                let (file, at) = certificates.expires();
                metrics::gauge!("cleave_certificate_expires_timestamp_seconds").set(at.seconds() as f64);
                (looked, file, at)
            });
            match look.await {
                Ok((Ok(true), file, at)) => {
                    tracing::info!(first_to_expire = file, expires = %at, "other certificates are in use")
                }
                Ok((Ok(false), ..)) if told.is_empty() => continue,
                Ok((Ok(false), ..)) => tracing::info!("the certificates are as they were"),
                // Said once, not at every look.
                Ok((Err(bad), ..)) if bad.to_string() == told => continue,
                Ok((Err(bad), ..)) => {
                    told = bad.to_string();
                    tracing::error!(%bad, "the certificates in use stay");
                    continue;
                }
                Err(panicked) => tracing::error!(%panicked, "the certificates in use stay"),
            }
            told.clear();
        }
    });
}

/// A domain that runs elsewhere, as a module of this process asks it.
pub struct Neighbour {
    pub link: Arc<Link>,
    /// One of its traits.
    pub service: &'static str,
}

/// How long a neighbour may take to say that it is there, and the rest between two looks.
const ASK: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(1);

/// Who of the neighbours is out of reach. Looked at again and again beside all requests: a neighbour that hangs must not
/// make whoever asks for readiness wait, or this process would be taken out of rotation for it.
pub(crate) struct Neighbours(watch::Receiver<Option<Vec<&'static str>>>);

impl Neighbours {
    /// Looks as long as it is held.
    pub(crate) fn watch(all: Vec<Neighbour>) -> Arc<Self> {
        let (told, known) = watch::channel(None::<Vec<&'static str>>);
        tokio::spawn(async move {
            while !told.is_closed() {
                let before = told.borrow().clone().unwrap_or_default();
                let unreachable = look(&all, &before).await;
                told.send_replace(Some(unreachable));
                tokio::time::sleep(REST).await;
            }
        });
        Arc::new(Self(known))
    }

    /// The domains that did not answer at the last look, each once, in order. Waits for the first look only.
    pub(crate) async fn unreachable(&self) -> Vec<&'static str> {
        let known = self.0.clone().wait_for(Option::is_some).await.ok().and_then(|known| known.clone());
        known.unwrap_or_default()
    }
}

/// Asks all at once, and tells what changed.
async fn look(all: &[Neighbour], before: &[&'static str]) -> Vec<&'static str> {
    let asked = all.iter().map(|neighbour| async move {
        let domain = neighbour.link.callee();
        let why = neighbour.link.probe(neighbour.service, ASK).await.err()?;
        if !before.contains(&domain) {
            tracing::warn!(domain, from = %neighbour.link.peer().0, why, "out of reach");
        }
        Some(domain)
    });
    let mut unreachable: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    unreachable.sort_unstable();
    unreachable.dedup();
    for back in before.iter().filter(|domain| !unreachable.contains(domain)) {
        tracing::info!(domain = back, "in reach again");
    }
    unreachable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_name() {
        assert_eq!(GrpcSettings::default().problems(), [""; 0]);
        let plain = |listen: &str| GrpcSettings { listen: listen.into(), plaintext: true, ..GrpcSettings::default() };
        assert_eq!(plain("127.0.0.1:7400").problems(), [""; 0]);
        assert!(plain("0.0.0.0:7400").problems()[0].starts_with("grpc.plaintext"));
        let wrong = GrpcSettings {
            listen: "7400".into(),
            certificates: PathBuf::new(),
            trust_domain: "My Shop".into(),
            plaintext: false,
            reload_seconds: 0,
            resolve_seconds: 0,
            max_seconds: 0,
        };
        let told = wrong.problems();
        let names = ["listen", "trust_domain", "certificates", "reload_seconds", "resolve_seconds", "max_seconds"];
        assert_eq!(told.len(), names.len(), "{told:?}");
        assert!(told.iter().zip(names).all(|(told, name)| told.starts_with(&format!("grpc.{name}: "))), "{told:?}");
    }
}
