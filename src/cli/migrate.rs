//! `tca migrate`: brings the schema up to date, or lists what is pending.

use anyhow::{Context as _, anyhow};

use super::{Failure, print};
use crate::{
    config::Settings,
    db::{self, SchemaState},
    telemetry,
};

/// Applies the pending migrations; with `status` only lists them.
pub async fn run(settings: Settings, status: bool) -> Result<(), Failure> {
    telemetry::install_logs(&settings.log);
    let connection = db::connect(&settings.database).await.context("cannot prepare the database")?;
    let state = db::schema_state(&connection).await.context("cannot read the schema of the database")?;
    connection.close().await.context("cannot close the database")?;
    let pending = match state {
        SchemaState::GoSystem => {
            let message = "this database belongs to the Go system; nothing was changed. Use a new, empty database for tca and \
                           bring the data across with `tca import-go`";
            return Err(anyhow!(message).into());
        }
        SchemaState::Current => Vec::new(),
        SchemaState::Pending(pending) => pending,
    };
    if status {
        print(&if pending.is_empty() {
            "The schema is up to date.\n".to_owned()
        } else {
            format!("{} pending:\n  {}\nRun `tca migrate` to apply them.\n", pending.len(), pending.join("\n  "))
        });
        return Ok(());
    }
    let applied = db::migrate(&settings.database).await.context("cannot bring the schema up to date")?;
    for name in &applied {
        print(&format!("applied {name}\n"));
    }
    print("The schema is up to date.\n");
    Ok(())
}
