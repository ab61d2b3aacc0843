//! `[grpc]`: how modules of different processes speak to each other.
use serde::{Deserialize, Serialize};
use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
};

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
