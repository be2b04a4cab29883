//! `tca serve`: runs the roles of the settings until a signal stops them.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{Failure, signals};
use crate::{
    clock::Clock,
    config::Settings,
    roles::Role,
    serve::{Listeners, serve},
    telemetry,
};

/// Prepares the process and runs the roles.
pub async fn run(mut settings: Settings) -> Result<(), Failure> {
    telemetry::install_logs(&settings.log);
    telemetry::install_metrics();
    settings.secrets.ensure_session().context("cannot prepare the secrets")?;
    let listeners = Listeners::bind(&settings)?;
    if settings.roles.contains(Role::Gateway) {
        tracing::info!("open {} in a browser", settings.public_url);
    }
    let stop = CancellationToken::new();
    let running = Box::pin(serve(settings, listeners, Clock::System, stop.clone()));
    signals::until_stopped(&stop, running).await??;
    Ok(())
}
