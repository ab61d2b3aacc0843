//! Which cryptography `reqwest` has in a test.

/// The shop's code uses `reqwest` with TLS of its own choosing; a client of a test that chooses none needs one for the
/// whole process, although it speaks to this machine only. Starting a [`Shop`](crate::Shop) does this by itself.
pub fn clients_can_be_made() {
    // an error tells that another was first
    let _ = rustls::crypto::ring::default_provider().install_default();
}
