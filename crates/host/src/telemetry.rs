//! Logs to standard error, metrics for Prometheus.
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    /// An object a line.
    Json,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    pub format: LogFormat,
    /// `info`, or finer: `info,cleave::access=warn`.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}

/// Begins to log. Said twice in a process, the first stays.
pub fn start_logs(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| format!("log.filter: {error}"))?;
    let all = tracing_subscriber::registry().with(filter);
    let started = match settings.format {
        LogFormat::Text => {
            all.with(fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Json => all.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init(),
    };
    drop(started);
    Ok(())
}

/// What is measured is summed up this often, whether or not anybody looks: until then every sample is kept.
pub(crate) const UPKEEP: std::time::Duration = std::time::Duration::from_secs(5);

/// What `/metrics` shows.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    pub(crate) fn upkeep(&self) {
        self.0.run_upkeep();
    }
    pub fn render(&self) -> String {
        let mut text = self.0.render();
        counted::tell(&mut text);
        text
    }
}

/// Begins to measure; once a process.
pub fn start_metrics() -> Result<Metrics, String> {
    const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS);
    let handle = builder.and_then(PrometheusBuilder::install_recorder).map_err(|error| error.to_string())?;
    Ok(Metrics(handle))
}
