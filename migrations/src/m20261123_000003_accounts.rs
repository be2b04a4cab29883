//! Twitch accounts, each kept once for all sessions, and the changes of their names.

use crate::schema::{NewTable, drop_tables, id, own_id, text};
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        NewTable::new(manager, "twitch_users")
            .column(id("twitch_user_id").primary_key().take())
            .column(text("login", 64))
            .column(text("display_name", 128))
            // When Twitch showed this name; an older sighting never overwrites a newer one.
            .instant("named_at")
            .maybe_instant("created_at")
            .column(text("account_type", 16).default("").take())
            .column(text("broadcaster_type", 16).default("").take())
            .column(ColumnDef::new("has_picture").boolean().null().take())
            .column(ColumnDef::new("has_description").boolean().null().take())
            // True when Twitch was asked and did not know the account: suspended or deleted.
            .column(ColumnDef::new("is_missing").boolean().not_null().default(false).take())
            .maybe_instant("last_fetched_at")
            .index("idx_twitch_users_login", &["login"])
            .create()
            .await?;
        NewTable::new(manager, "twitch_user_names")
            .column(own_id())
            .column(id("twitch_user_id"))
            // The former name, as the table has always held it, and beside it the name that followed.
            .column(text("login", 64))
            .column(text("display_name", 128))
            .column(text("new_login", 64))
            .column(text("new_display_name", 128))
            .column(text("source", 16))
            .instant("detected_at")
            .index("idx_twitch_user_names_user", &["twitch_user_id", "detected_at"])
            .create()
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["twitch_user_names", "twitch_users"]).await
    }
}
