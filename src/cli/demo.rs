//! `tca demo`: everything in one process, with sample data and a Twitch of its own.

use super::{Failure, Start};

/// Runs the demo.
#[expect(clippy::unused_async, reason = "the demo is not here yet")]
pub async fn run(_start: &Start) -> Result<(), Failure> {
    Err(anyhow::anyhow!("`tca demo` is not built yet").into())
}
