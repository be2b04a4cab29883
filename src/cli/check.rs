//! `tca check`: are the settings right, and does everything they name answer?

use super::Failure;
use crate::config::{self, Inputs};

/// Prints a table of findings.
#[expect(clippy::unused_async, reason = "nothing is reached yet")]
pub async fn run(inputs: &Inputs) -> Result<(), Failure> {
    let _settings = config::load(inputs)?;
    Err(anyhow::anyhow!("`tca check` is not built yet").into())
}
