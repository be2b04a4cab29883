//! The table `sessions`.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Status {
    #[sea_orm(string_value = "active")]
    Active,
    #[sea_orm(string_value = "saved")]
    Saved,
    #[sea_orm(string_value = "expired")]
    Expired,
    #[sea_orm(string_value = "deleted")]
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub session_uuid: String,
    pub user_id: i64,
    pub name: Option<String>,
    pub status: Status,
    pub active_key: Option<i64>,
    pub data_version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

impl Model {
    /// Whether the session's time is over although nobody has ended it yet.
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.status == Status::Active && self.expires_at.is_some_and(|at| at <= now)
    }
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
