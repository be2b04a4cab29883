//! `tca twitch-sim`: only the Twitch simulator.

use super::Failure;
use crate::{config::Settings, telemetry};

/// Runs the simulator until a signal stops it.
#[expect(clippy::unused_async, reason = "the simulator is not here yet")]
pub async fn run(settings: Settings) -> Result<(), Failure> {
    telemetry::install_logs(&settings.log);
    Err(anyhow::anyhow!("`tca twitch-sim` is not built yet").into())
}
