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
    let names = db::migrations(&connection).await.context("cannot read the schema of the database")?;
    connection.close().await.context("cannot close the database")?;
    if state == SchemaState::GoSystem {
        let message = "this database belongs to the Go system; nothing was changed. Use a new, empty database for tca and \
                       bring the data across with `tca import-go`";
        return Err(anyhow!(message).into());
    }
    if status {
        for (name, is_applied) in &names {
            print(&format!("{}  {name}\n", if *is_applied { "applied" } else { "pending" }));
        }
        let is_current = names.iter().all(|(_, is_applied)| *is_applied);
        print(if is_current { "The schema is up to date.\n" } else { "Run `tca migrate` to apply what is pending.\n" });
        return Ok(());
    }
    let applied = db::migrate(&settings.database).await.context("cannot bring the schema up to date")?;
    for name in &applied {
        print(&format!("applied {name}\n"));
    }
    print("The schema is up to date.\n");
    Ok(())
}
