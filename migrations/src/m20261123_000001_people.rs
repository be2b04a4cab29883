//! Who uses the program: users, their encrypted Twitch tokens, their web sessions, their channels, and what they did.

use crate::schema::{NewTable, drop_tables, id, maybe, own_id, text};
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        NewTable::new(manager, "users")
            .column(own_id())
            .column(id("twitch_user_id"))
            .column(text("login", 64))
            .column(text("display_name", 128))
            .instant("created_at")
            .instant("updated_at")
            .maybe_instant("last_login_at")
            .unique("uq_users_twitch_user_id", &["twitch_user_id"])
            .create()
            .await?;
        NewTable::new(manager, "twitch_tokens")
            .column(id("user_id").primary_key().take())
            .column(ColumnDef::new("access_token").text().not_null().take())
            .column(ColumnDef::new("refresh_token").text().null().take())
            .column(text("scopes", 1024))
            // Counts the tokens of this user: whoever refreshes replaces only the generation it read.
            .column(id("generation"))
            .instant("expires_at")
            .instant("validated_at")
            .instant("updated_at")
            .create()
            .await?;
        NewTable::new(manager, "web_sessions")
            .column(own_id())
            .column(text("session_hash", 64))
            .column(id("user_id"))
            .instant("created_at")
            .instant("last_activity_at")
            .instant("expires_at")
            .unique("uq_web_sessions_session_hash", &["session_hash"])
            .index("idx_web_sessions_user", &["user_id"])
            .index("idx_web_sessions_expires", &["expires_at"])
            .create()
            .await?;
        NewTable::new(manager, "user_channels")
            .column(id("user_id"))
            .column(id("broadcaster_id"))
            .column(text("login", 64))
            .column(text("display_name", 128))
            .column(ColumnDef::new("is_own").boolean().not_null().take())
            .instant("read_at")
            .primary_key(&["user_id", "broadcaster_id"])
            .create()
            .await?;
        NewTable::new(manager, "audit_logs")
            .column(own_id())
            .column(text("event_type", 64))
            .column(maybe(id("user_id")))
            .column(maybe(id("session_id")))
            .column(ColumnDef::new("details").text().null().take())
            .instant("created_at")
            .index("idx_audit_logs_created", &["created_at"])
            .index("idx_audit_logs_user", &["user_id", "created_at"])
            .create()
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["audit_logs", "user_channels", "web_sessions", "twitch_tokens", "users"]).await
    }
}
