//! The listeners: the shop's own, and one for operators; graceful stop.
use crate::{
    docs::{self, Documents},
    grpc::{Grpc, Neighbour, Neighbours},
    telemetry::{Metrics, UPKEEP},
};
use ::web::{Module, Patience, Problem, Shelves, Stopping, Tasks, Tries, Worker, edge, plain};
use actix_web::{
    App, HttpResponse, HttpServer,
    dev::ServerHandle,
    middleware::from_fn,
    web::{self, Data},
};
use database::Database;
use guard::Verify;
use kernel::Code;
use serde::{Deserialize, Serialize};
use std::{
    io::Write,
    net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    task::JoinHandle,
    time::{timeout, timeout_at},
};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Where the shop answers.
    pub listen: String,
    /// Where operators ask for `/metrics` and health; nowhere when empty. Keep it off the internet.
    pub internal_listen: String,
    /// Threads that answer; as many as there are cores when 0.
    pub workers: usize,
    /// Sign-ins, registrations and refreshes a minute from one address; 0: as many as it likes.
    pub tries_per_minute: u32,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How long a request may take, all that it asks of other domains included.
    pub request_seconds: u64,
    /// Seconds that running requests get to end when the process is told to stop.
    pub stop_seconds: u64,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            internal_listen: String::new(),
            workers: 0,
            tries_per_minute: 60,
            trusted_proxies: Vec::new(),
            request_seconds: 15,
            stop_seconds: 30,
        }
    }
}

/// Longer than proxies keep idle connections: one that we close first is a request that may meet a closed door.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

impl HttpSettings {
    /// What is wrong with them, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let off = self.internal_listen.is_empty();
        let listeners = [("listen", &self.listen, false), ("internal_listen", &self.internal_listen, off)];
        let wrong = listeners.into_iter().filter(|(_, address, off)| !off && address.to_socket_addrs().is_err());
        let mut problems: Vec<String> = wrong
            .map(|(name, address, _)| format!("http.{name}: `{address}` is no address such as 127.0.0.1:8080"))
            .collect();
        if !(1..=300).contains(&self.request_seconds) {
            problems.push(format!("http.request_seconds: {} is not from 1 to 300", self.request_seconds));
        }
        problems
    }
}

/// Why a process cannot begin to serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}{}", hint(.source))]
    Bind { address: String, source: std::io::Error },
    #[error("cannot start the server: {0}")]
    Start(#[from] std::io::Error),
    #[error("the server does not answer on {0}")]
    Silent(SocketAddr),
}

fn hint(why: &std::io::Error) -> &'static str {
    match why.kind() {
        std::io::ErrorKind::AddrInUse => "; another server is running there",
        std::io::ErrorKind::InvalidInput => "; an address is such as 127.0.0.1:8080",
        _ => "",
    }
}

/// Modules, ready to be served.
pub struct Server {
    pub modules: Vec<Module>,
    pub verify: Arc<dyn Verify>,
    pub settings: HttpSettings,
    /// The listener for neighbours, where they ask here.
    pub grpc: Option<Grpc>,
    /// Whom the modules ask elsewhere.
    pub neighbours: Vec<Neighbour>,
    /// The OpenAPI document.
    pub openapi: fn() -> String,
    /// The AsyncAPI document.
    pub asyncapi: fn() -> String,
    pub metrics: Metrics,
    /// Routes beside the modules', such as the demonstration's pictures.
    pub extra: fn(&mut web::ServiceConfig),
    /// What is told on standard output once requests are answered, besides where.
    pub greeting: Option<Box<dyn FnOnce(SocketAddr) -> String + Send>>,
}

impl Server {
    /// Serves until told to stop by SIGTERM or Ctrl-C: then takes nothing new, ends what runs, stops the workers and
    /// closes the databases.
    pub async fn run(mut self) -> Result<(), StartError> {
        let greeting = self.greeting.take();
        let listener = bind(&self.settings.listen)?;
        let internal =
            Some(&self.settings.internal_listen).filter(|address| !address.is_empty()).map(|address| bind(address));
        let (address, internal) = (listener.local_addr()?, internal.transpose()?);
        let databases: Vec<Database> = self.modules.iter().flat_map(|module| module.databases.clone()).collect();
        let grace = self.settings.stop_seconds;
        let tasks: Vec<Tasks> = self.modules.iter().flat_map(|module| module.tasks.clone()).collect();
        let (stop, stopping) = watch::channel(false);
        let mut servers: Vec<JoinHandle<std::io::Result<()>>> = Vec::new();
        let mut handles: Vec<ServerHandle> = Vec::new();
        let metrics = self.metrics.clone();
        let (summed, mut ending) = (metrics.clone(), stopping.clone());
        tokio::spawn(async move {
            while timeout(UPKEEP, ending.changed()).await.is_err() {
                summed.upkeep();
            }
        });
        let internal_address = internal.as_ref().map(TcpListener::local_addr).transpose()?;
        let neighbours = Neighbours::watch(std::mem::take(&mut self.neighbours));
        let grpc = self.grpc.take().map(|grpc| grpc.start(stopping.clone())).transpose()?;
        let workers: Vec<_> = self.modules.iter().flat_map(|module| module.workers.clone()).collect();
        let server = self.shop(listener, &neighbours, stopping.clone())?;
        handles.push(server.handle());
        servers.push(tokio::spawn(server));
        if let Some(internal) = internal {
            let server = operators(internal, metrics, databases.clone(), &neighbours, stopping.clone())?;
            handles.push(server.handle());
            servers.push(tokio::spawn(server));
        }
        until_answering(address).await?;
        // Whoever asks first is not to wait for all of them to begin.
        let workers = start_workers(workers, &stopping);
        say(&format!("listening on http://{address}"))?;
        if let Some(address) = internal_address {
            say(&format!("metrics on http://{address}/metrics"))?;
        }
        let grpc = match grpc {
            Some((address, serving)) => {
                say(&format!("grpc on {address}"))?;
                Some(serving)
            }
            None => None,
        };
        if let Some(greeting) = greeting {
            say(&greeting(address))?;
        }

        told_to_stop().await?;
        // Not ready from now on, and no worker begins another turn.
        let _ = stop.send(true);
        tracing::info!(grace, "stopping: running requests end first");
        // One deadline for all that ends.
        let by = tokio::time::Instant::now() + Duration::from_secs(grace);
        let stopped = futures(handles.iter().map(|handle| handle.stop(true)));
        if timeout_at(by, stopped).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
        if let Some(serving) = grpc
            && timeout_at(by, serving).await.is_err()
        {
            tracing::warn!("some calls of neighbours did not end in time");
        }
        for worker in workers {
            let _ = timeout_at(by, worker).await; // a turn that does not end is begun again some day
        }
        for running in tasks {
            if timeout_at(by, running.end()).await.is_err() {
                tracing::warn!("some work did not end in time; what it left is found by its lease");
            }
        }
        for database in databases {
            database.close().await;
        }
        tracing::info!("stopped");
        Ok(())
    }

    fn shop(
        self,
        listener: TcpListener,
        neighbours: &Arc<Neighbours>,
        stopping: watch::Receiver<bool>,
    ) -> Result<actix_web::dev::Server, StartError> {
        let neighbours = Arc::clone(neighbours);
        let Self { modules, verify, settings, openapi, asyncapi, extra, .. } = self;
        let verify: Data<dyn Verify> = Data::from(verify);
        let patience = Patience(Duration::from_secs(settings.request_seconds));
        let documents = Documents::new(openapi, asyncapi);
        let tries = Data::new(Tries::new(settings.tries_per_minute, settings.trusted_proxies));
        let databases: Vec<Database> = modules.iter().flat_map(|module| module.databases.clone()).collect();
        let shelves = Shelves(modules.iter().filter_map(|module| module.shelf.clone()).collect());
        let workers = if settings.workers == 0 {
            std::thread::available_parallelism().map_or(2, usize::from)
        } else {
            settings.workers
        };
        let app = move || {
            let (modules, verify, documents, databases) =
                (modules.clone(), verify.clone(), documents.clone(), databases.clone());
            let (tries, neighbours, stopping) = (tries.clone(), neighbours.clone(), stopping.clone());
            App::new()
                .app_data(shelves.at_hand())
                .app_data(verify)
                .app_data(patience)
                .app_data(Stopping(stopping.clone()))
                .app_data(tries)
                .configure(move |config| {
                    health(databases, neighbours, stopping, config);
                    docs::configure(&documents, config);
                    modules.iter().for_each(|module| module.configure(config));
                    extra(config);
                })
                .default_service(web::to(not_served))
                .wrap(from_fn(edge))
        };
        let server = HttpServer::new(app).workers(workers).disable_signals().shutdown_timeout(settings.stop_seconds);
        let server = server.client_request_timeout(Duration::from_secs(10)).keep_alive(KEEP_ALIVE);
        Ok(server.listen(listener)?.run())
    }
}

fn start_workers(workers: Vec<Worker>, stopping: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
    let start = |worker: Worker| {
        let mut stopping = stopping.clone();
        tokio::spawn(worker.run(async move { drop(stopping.changed().await) }))
    };
    workers.into_iter().map(start).collect()
}

async fn futures(all: impl Iterator<Item = impl Future<Output = ()>>) {
    for one in all {
        one.await;
    }
}

pub(crate) fn bind(address: &str) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    bound.map_err(|source| StartError::Bind { address: address.to_owned(), source })
}

/// Standard output is for whoever started us: it may wait for this line.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

/// Asks the listener itself, so that the line "listening" is true.
async fn until_answering(address: SocketAddr) -> Result<(), StartError> {
    let ask = async {
        loop {
            if answers(address).await.unwrap_or(false) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), ask).await.map_err(|_| StartError::Silent(address))
}

async fn answers(address: SocketAddr) -> std::io::Result<bool> {
    let ip = if address.ip().is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let mut stream = tokio::net::TcpStream::connect((ip, address.port())).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    Ok(head.ends_with(b" 200"))
}

async fn not_served() -> Result<HttpResponse, Problem> {
    Err(Code::NotServedHere.into())
}

/// Alive: the process answers. Ready: its databases do too. A neighbour out of reach is told, and no reason to be taken
/// out of rotation: what does not need it goes on.
fn health(
    databases: Vec<Database>,
    neighbours: Arc<Neighbours>,
    stopping: watch::Receiver<bool>,
    config: &mut web::ServiceConfig,
) {
    let ready = move || {
        let (databases, neighbours, stopping) = (databases.clone(), neighbours.clone(), stopping.clone());
        async move {
            if *stopping.borrow() {
                return HttpResponse::ServiceUnavailable().json(serde_json::json!({ "status": "stopping" }));
            }
            let mut down = Vec::new();
            for database in &databases {
                if let Err(error) = database.ping().await {
                    tracing::warn!(database = database.name(), %error, "not ready");
                    down.push(database.name());
                }
            }
            if down.is_empty() {
                let mut ready = serde_json::json!({ "status": "ready" });
                let unreachable = neighbours.unreachable().await;
                if !unreachable.is_empty() {
                    ready["unreachable"] = serde_json::json!(unreachable);
                }
                HttpResponse::Ok().json(ready)
            } else {
                HttpResponse::ServiceUnavailable().json(serde_json::json!({ "status": "not ready", "databases": down }))
            }
        }
    };
    config
        .service(plain("/healthz", || async { HttpResponse::Ok().json(serde_json::json!({ "status": "ok" })) }))
        .service(plain("/readyz", ready));
}

fn operators(
    listener: TcpListener,
    metrics: Metrics,
    databases: Vec<Database>,
    neighbours: &Arc<Neighbours>,
    stopping: watch::Receiver<bool>,
) -> Result<actix_web::dev::Server, StartError> {
    let neighbours = Arc::clone(neighbours);
    let app = move || {
        counted::leave_out_this_thread(); // the one worker's: who looks at the count must not change it
        let (metrics, databases, neighbours, stopping) =
            (metrics.clone(), databases.clone(), neighbours.clone(), stopping.clone());
        let render = move || {
            let text = metrics.render();
            async move { HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text) }
        };
        App::new()
            .configure(move |config| health(databases, neighbours, stopping, config))
            .service(plain("/metrics", render))
            .default_service(web::to(not_served))
            .wrap(from_fn(edge))
    };
    Ok(HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_name() {
        assert_eq!(HttpSettings::default().problems(), [""; 0]);
        let internal_listen = "9090".to_owned();
        for request_seconds in [0, 301] {
            let wrong = HttpSettings {
                listen: "8080".into(),
                internal_listen: internal_listen.clone(),
                request_seconds,
                ..HttpSettings::default()
            };
            let told = wrong.problems();
            assert_eq!(told.len(), 3, "{told:?}");
            let names = ["listen", "internal_listen", "request_seconds"];
            assert!(told.iter().zip(names).all(|(told, name)| told.starts_with(&format!("http.{name}: "))), "{told:?}");
        }
    }
}
