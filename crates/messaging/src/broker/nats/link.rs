//! The connection: made when a server is there, made again when it is lost.
use super::error;
use crate::{BrokerError, NatsSettings};
use async_nats::{Client, ConnectOptions, Event};
use std::{path::Path, time::Duration};
use tokio::{sync::watch, time::timeout};

/// How long one that is away is left alone.
const LOOK: Duration = Duration::from_secs(1);

/// Whether there is one.
#[derive(Clone)]
pub(super) struct Link {
    state: watch::Receiver<State>,
    servers: String,
    patience: Duration,
}

#[derive(Clone, Debug, Default)]
struct State {
    is_there: bool,
    /// What was said of it last.
    why: Option<String>,
}

impl Link {
    /// Waits for it, no longer than for an answer.
    pub(super) async fn there(&self) -> Result<(), BrokerError> {
        let mut state = self.state.clone();
        match timeout(self.patience, state.wait_for(|state| state.is_there)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(self.away()),
        }
    }
    pub(super) fn is_there(&self) -> bool {
        self.state.borrow().is_there
    }
    pub(super) fn away(&self) -> BrokerError {
        let why = self.state.borrow().why.clone().unwrap_or_else(|| "not connected yet".into());
        error(format!("no connection to {}: {why}", self.servers))
    }
}

/// Returns at once: whether a server is there, time will tell.
pub(super) async fn open(settings: &NatsSettings) -> Result<(Link, Client), BrokerError> {
    let (sender, state) = watch::channel(State::default());
    let options = options(settings).await?.event_callback(move |event| {
        sender.send_modify(|state| match event {
            Event::Connected => *state = State { is_there: true, why: None },
            Event::Disconnected => *state = State { is_there: false, why: Some("disconnected".into()) },
            Event::ClientError(_) | Event::ServerError(_) => state.why = Some(event.to_string()),
            _ => (),
        });
        std::future::ready(())
    });
    let client = options.connect(&settings.servers[..]).await;
    let client = client.map_err(|cause| super::failed("cannot begin to connect", &cause))?;
    Ok((Link { state, servers: settings.servers.join(", "), patience: settings.timeout() }, client))
}

async fn options(settings: &NatsSettings) -> Result<ConnectOptions, BrokerError> {
    let mut options = ConnectOptions::new()
        .name(&settings.prefix)
        .retry_on_initial_connect()
        .reconnect_delay_callback(|tries| LOOK.min(Duration::from_millis(1 << tries.min(20))))
        .connection_timeout(settings.timeout())
        .request_timeout(Some(settings.timeout()))
        .require_tls(settings.tls.required);
    if !settings.user.is_empty() {
        options = options.user_and_password(settings.user.clone(), settings.password.expose().to_owned());
    }
    if !settings.token.is_empty() {
        options = options.token(settings.token.expose().to_owned());
    }
    if let Some(path) = named(&settings.credentials) {
        // What it says of a file that is not one holds nothing of the file.
        let read = options.credentials_file(path).await;
        options = read.map_err(|cause| error(format!("events.nats.credentials: {}: {cause}", path.display())))?;
    }
    // Files are read anew for each connection.
    if let Some(path) = named(&settings.tls.authority) {
        options = options.add_root_certificates(path.to_owned());
    }
    if let (Some(certificate), Some(key)) = (named(&settings.tls.certificate), named(&settings.tls.key)) {
        options = options.add_client_certificate(certificate.to_owned(), key.to_owned());
    }
    Ok(options)
}

fn named(path: &Path) -> Option<&Path> {
    (!path.as_os_str().is_empty()).then_some(path)
}
