//! `tca config`: every setting, its value and its source.

use super::{Failure, print};
use crate::config::{self, Inputs};

/// Prints the table, also when the settings cannot be used: it shows where the wrong values come from.
pub fn run(inputs: &Inputs) -> Result<(), Failure> {
    let reading = config::read(inputs);
    print(&config::shown_table(&reading.rows));
    reading.settings?;
    Ok(())
}
