//! The client that all others are made of.
use reqwest::{ClientBuilder, redirect};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::sync::Arc;

/// TLS by whom the machine trusts; no proxy of the environment, no redirect, and no second try where a connection was
/// lost: what that means is for the caller to say.
pub fn client() -> Result<ClientBuilder, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| error.to_string())?
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .retry(reqwest::retry::never()))
}
