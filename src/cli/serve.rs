//! `tca serve`: runs the roles of the settings until a signal stops them.

use anyhow::Context as _;

use super::Failure;
use crate::{config::Settings, telemetry};

/// Prepares the process and runs the roles.
#[expect(clippy::unused_async, reason = "the roles are not here yet")]
pub async fn run(mut settings: Settings) -> Result<(), Failure> {
    telemetry::install_logs(&settings.log);
    telemetry::install_metrics();
    settings.secrets.ensure_session().context("cannot prepare the secrets")?;
    Err(anyhow::anyhow!("`tca serve` is not built yet").into())
}
