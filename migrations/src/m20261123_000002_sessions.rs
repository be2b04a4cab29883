//! Analysis sessions, their captures, who was seen in each, and the per-account sums kept beside them.

use crate::schema::{NewTable, count, drop_tables, id, maybe, own_id, text};
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        NewTable::new(manager, "sessions")
            .column(own_id())
            .column(text("session_uuid", 36))
            .column(id("user_id"))
            .column(maybe(text("name", 120)))
            .column(text("status", 16))
            // The user's id while the session is active, else null: one active session a user.
            .column(maybe(id("active_key")))
            // Counts the changes that a summary of this session shows; part of the cache key.
            .column(id("data_version").default(0).take())
            .instant("created_at")
            .instant("updated_at")
            .maybe_instant("expires_at")
            .unique("uq_sessions_session_uuid", &["session_uuid"])
            .unique("uq_sessions_active_key", &["active_key"])
            .index("idx_sessions_user_status", &["user_id", "status"])
            .index("idx_sessions_status_expires", &["status", "expires_at"])
            .create()
            .await?;
        NewTable::new(manager, "captures")
            .column(own_id())
            .column(id("session_id"))
            .column(id("user_id"))
            .column(id("broadcaster_id"))
            .column(text("broadcaster_login", 64))
            .column(text("status", 16))
            // "session:channel" while the capture is under way, else null: one at a time.
            .column(maybe(text("alive_key", 64)))
            .column(count("chatters_count"))
            .column(count("new_users_count"))
            // Twitch's own count, which moves while the pages are read.
            .column(ColumnDef::new("expected_count").integer().null().take())
            .column(count("pages"))
            .column(ColumnDef::new("next_cursor").text().null().take())
            .column(maybe(text("error_kind", 32)))
            .column(maybe(text("error_message", 1024)))
            .instant("created_at")
            .maybe_instant("captured_at")
            .maybe_instant("finished_at")
            .unique("uq_captures_alive_key", &["alive_key"])
            .index("idx_captures_session_captured", &["session_id", "captured_at"])
            .index("idx_captures_status", &["status", "pages"])
            .index("idx_captures_user_created", &["user_id", "created_at"])
            .create()
            .await?;
        NewTable::new(manager, "capture_chatters")
            .column(id("capture_id"))
            .column(id("twitch_user_id"))
            .primary_key(&["capture_id", "twitch_user_id"])
            .create()
            .await?;
        NewTable::new(manager, "session_accounts")
            .column(id("session_id"))
            .column(id("twitch_user_id"))
            .column(id("broadcaster_id"))
            .column(count("seen_count"))
            .instant("first_seen")
            .instant("last_seen")
            .primary_key(&["session_id", "twitch_user_id", "broadcaster_id"])
            .index("idx_session_accounts_account", &["twitch_user_id"])
            .create()
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["session_accounts", "capture_chatters", "captures", "sessions"]).await
    }
}
