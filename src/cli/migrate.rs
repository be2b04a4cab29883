//! `tca migrate`: brings the schema up to date, or lists what is pending.

use super::Failure;
use crate::{config::Settings, telemetry};

/// Applies the pending migrations; with `status` only lists them.
#[expect(clippy::unused_async, reason = "the migrations are not wired yet")]
pub async fn run(settings: Settings, _status: bool) -> Result<(), Failure> {
    telemetry::install_logs(&settings.log);
    Err(anyhow::anyhow!("`tca migrate` is not built yet").into())
}
