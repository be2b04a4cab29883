//! `tca twitch-sim`: only the Twitch simulator.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{Failure, signals};
use crate::{
    config::Settings,
    simulator::{self, Options, World},
    telemetry,
};

/// Runs the simulator until a signal stops it.
pub async fn run(settings: Settings) -> Result<(), Failure> {
    telemetry::install_logs(&settings.log);
    let address = SocketAddr::new(settings.bind_addr, settings.ports.twitch_sim);
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; TWITCH_SIM_PORT sets another port"))?;
    super::print(&format!(
        "The Twitch simulator is at http://{address}/control\n\
         Point tca at it with:\n  \
         TWITCH_HELIX_URL=http://{address}/helix TWITCH_AUTH_URL=http://{address}/oauth2 \\\n  \
         TWITCH_CLIENT_ID=demo TWITCH_CLIENT_SECRET=demo-secret tca serve\n"
    ));
    let stop = CancellationToken::new();
    let world = World::new(Options::default());
    signals::until_stopped(&stop, simulator::run(world, listener, stop.clone())).await??;
    Ok(())
}
