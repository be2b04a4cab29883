//! The table `captures`.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

/// Where a capture is in its life; `running` also while its job waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Status {
    #[sea_orm(string_value = "running")]
    Running,
    #[sea_orm(string_value = "complete")]
    Complete,
    #[sea_orm(string_value = "failed")]
    Failed,
    #[sea_orm(string_value = "cancelled")]
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "captures")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub session_id: i64,
    pub user_id: i64,
    pub broadcaster_id: i64,
    pub broadcaster_login: String,
    pub status: Status,
    pub alive_key: Option<String>,
    pub chatters_count: i32,
    pub new_users_count: i32,
    /// Twitch's own count, which moves while the pages are read.
    pub expected_count: Option<i32>,
    /// Pages stored so far.
    pub pages: i32,
    /// Where the next page begins, once the first is stored.
    pub next_cursor: Option<String>,
    pub error_kind: Option<String>,
    pub error_message: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When the last page was stored.
    pub captured_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
