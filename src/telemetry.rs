//! Log lines and metrics of the process.
//!
//! `pretty` lines go to stderr, for people; `json` lines go to stdout, where containers are read. Both installations are
//! once per process: a second one changes nothing, so that tests can ask for them as often as they like.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Instant,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{LogFormat, LogSettings};

/// Upper bounds of the buckets of every `…_seconds` histogram.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// As above, for how long a job waited: a full queue makes that minutes.
const WAITS: [f64; 12] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0];

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
/// What one process says for all, rendered, and until when it holds.
static PUBLISHED: Mutex<Option<(Instant, String)>> = Mutex::new(None);

/// Sends log lines where `log` says.
pub fn install_logs(log: &LogSettings) {
    // The settings are checked when read; a filter that slipped through must not silence the program.
    let filter = EnvFilter::try_new(filter_of(&log.level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let installed = match log.format {
        LogFormat::Pretty => registry.with(fmt::layer().with_writer(std::io::stderr)).try_init(),
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(layer.with_writer(std::io::stdout)).try_init()
        }
    };
    if installed.is_err() {
        tracing::debug!("log lines are being written already");
    }
}

/// A bare level is meant for this program: what its libraries say about themselves is wanted only when asked for.
fn filter_of(level: &str) -> String {
    if level.contains(['=', ',']) {
        level.to_owned()
    } else {
        format!("{level},actix_server=warn,sea_orm_migration=warn")
    }
}

/// Starts keeping metrics; what is counted before is lost.
pub fn install_metrics() {
    METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        // Refused only for an empty list of buckets.
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Full("tca_job_wait_seconds".to_owned()), &WAITS)
            })
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder of metrics was installed first; /metrics stays empty");
        }
        handle
    });
}

/// Shows what `record` records beside this process's own metrics until `until`, in place of what was published before. For
/// values of the whole fleet, which one process tells: they vanish when it no longer does, where a gauge of the process
/// would stay at its last value.
pub fn publish(until: Instant, record: impl FnOnce()) {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, record);
    *PUBLISHED.lock().unwrap_or_else(PoisonError::into_inner) = Some((until, recorder.handle().render()));
}

/// Shows what was published no longer.
pub fn withdraw() {
    *PUBLISHED.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The metrics in the text format of Prometheus; empty before [`install_metrics`].
pub fn render_metrics() -> String {
    let mut text = METRICS.get().map(PrometheusHandle::render).unwrap_or_default();
    let published = PUBLISHED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((until, published)) = &*published
        && Instant::now() < *until
    {
        text.push_str(published);
    }
    text
}

/// Folds the samples of histograms together. Somebody has to call this every few seconds: without it, and without anybody
/// reading `/metrics`, samples pile up.
pub fn tidy_metrics() {
    if let Some(handle) = METRICS.get() {
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_twice_changes_nothing_and_counts_are_rendered() {
        let log = LogSettings { level: "warn".to_owned(), format: LogFormat::Pretty };
        install_logs(&log);
        install_logs(&log);
        install_metrics();
        install_metrics();
        metrics::counter!("tca_telemetry_test_total").increment(2);
        metrics::histogram!("tca_telemetry_test_seconds").record(0.02);
        tidy_metrics();
        let text = render_metrics();
        assert!(text.contains("tca_telemetry_test_total 2"), "{text}");
        assert!(text.contains("tca_telemetry_test_seconds_bucket{le=\"0.025\"} 1"), "{text}");
    }

    #[test]
    fn what_is_published_vanishes_in_time_or_when_withdrawn() {
        let record = || metrics::gauge!("tca_published", "kind" => "a").set(3);
        let shows = || render_metrics().contains("tca_published{kind=\"a\"} 3");
        let now = Instant::now();
        publish(now + std::time::Duration::from_mins(1), record);
        assert!(shows());
        withdraw();
        assert!(!shows());
        publish(now, record);
        assert!(!shows());
    }
}
