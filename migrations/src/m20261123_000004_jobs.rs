//! The queue.

use crate::schema::{NewTable, count, drop_tables, id, maybe, own_id, text};
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        NewTable::new(manager, "jobs")
            .column(own_id())
            .column(text("type", 32))
            .column(ColumnDef::new("payload").text().not_null().take())
            .column(text("status", 16))
            .column(count("priority"))
            // Fairness between users within a priority: lower turns go first.
            .column(id("turn").default(0).take())
            .maybe_instant("run_at")
            .column(count("attempt"))
            .column(count("max_attempts"))
            .column(count("snoozes"))
            .column(count("lost_leases"))
            .column(maybe(text("lease_token", 36)))
            .maybe_instant("lease_until")
            .column(maybe(text("worker", 64)))
            // Names the work while it is alive, null afterwards: the same work is queued once.
            .column(maybe(text("unique_key", 96)))
            .column(maybe(id("user_id")))
            .column(maybe(id("session_id")))
            .column(maybe(id("capture_id")))
            .column(maybe(text("error_kind", 32)))
            .column(maybe(text("error_message", 1024)))
            .instant("created_at")
            .maybe_instant("started_at")
            .maybe_instant("finished_at")
            .unique("uq_jobs_unique_key", &["unique_key"])
            .index("idx_jobs_status_created", &["status", "created_at"])
            // The claim reads this index in its order: without a sort it locks only the rows it takes.
            .index("idx_jobs_claim", &["status", "priority", "turn", "id"])
            .index("idx_jobs_due", &["status", "run_at"])
            .index("idx_jobs_lease", &["status", "lease_until"])
            .index("idx_jobs_session", &["session_id", "status"])
            .index("idx_jobs_capture", &["capture_id", "status"])
            // With priority and turn, so that a user's last turn is found at its end however many jobs wait.
            .index("idx_jobs_user", &["user_id", "status", "priority", "turn"])
            .create()
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["jobs"]).await
    }
}
