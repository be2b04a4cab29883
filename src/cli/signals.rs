//! SIGTERM and SIGINT: the first asks to stop, the second ends at once.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs `work` until it ends; a first signal cancels `stop`, a second one ends the process.
pub async fn until_stopped<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if stop.is_cancelled() {
            tracing::warn!("second signal: ending at once");
            std::process::exit(1);
        }
        tracing::info!("stopping; a second signal ends at once");
        stop.cancel();
    }
}
