//! The schema of tca, one file per change, in order.
//!
//! A migration never imports the program's entities: they change, history does not. MariaDB commits every DDL statement by
//! itself, so each table is created together with its indexes by one statement, and each statement may be repeated.

pub use sea_orm_migration::{MigrationStatus, MigratorTrait, SchemaManager};
use sea_orm_migration::{MigrationTrait, prelude::async_trait};

mod m20261123_000001_people;
mod m20261123_000002_sessions;
mod m20261123_000003_accounts;
mod m20261123_000004_jobs;
mod schema;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_people::Migration),
            Box::new(m20261123_000002_sessions::Migration),
            Box::new(m20261123_000003_accounts::Migration),
            Box::new(m20261123_000004_jobs::Migration),
        ]
    }
}
