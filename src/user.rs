//! The people who have signed in at least once: the table `users`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, Set, TransactionTrait, entity::prelude::*, sea_query::OnConflict};

use crate::db;

/// Somebody who has signed in.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub twitch_user_id: i64,
    /// Lower case.
    pub login: String,
    pub display_name: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub last_login_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The user with this number.
pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// The logins of these users.
pub async fn logins(db: &impl ConnectionTrait, ids: &[i64]) -> Result<HashMap<i64, String>, DbErr> {
    let mut logins = HashMap::new();
    for chunk in ids.chunks(db::ROWS_PER_INSERT) {
        let sql = format!("SELECT id, login FROM users WHERE id IN ({})", db::placeholders(chunk.len()));
        for row in db::query(db, &sql, chunk.iter().map(|id| (*id).into()).collect::<Vec<_>>()).await? {
            logins.insert(row.try_get("", "id")?, row.try_get("", "login")?);
        }
    }
    Ok(logins)
}

/// Notes a sign-in at `now` and returns `users.id`: the same for the same Twitch account, whatever it is called today.
pub async fn upsert(
    db: &(impl ConnectionTrait + TransactionTrait),
    twitch_user_id: i64,
    login: &str,
    display_name: &str,
    now: DateTime<Utc>,
) -> Result<i64, DbErr> {
    let row = ActiveModel {
        twitch_user_id: Set(twitch_user_id),
        login: Set(login.to_lowercase()),
        display_name: Set(display_name.to_owned()),
        created_at: Set(now),
        updated_at: Set(now),
        last_login_at: Set(Some(now)),
        ..Default::default()
    };
    let keep_current = OnConflict::column(Column::TwitchUserId)
        .update_columns([Column::Login, Column::DisplayName, Column::UpdatedAt, Column::LastLoginAt])
        .to_owned();
    Entity::insert(row).on_conflict(keep_current).exec_without_returning(db).await?;
    let row = Entity::find().filter(Column::TwitchUserId.eq(twitch_user_id)).one(db).await?;
    row.map(|row| row.id).ok_or_else(|| DbErr::RecordNotFound(format!("the user of Twitch account {twitch_user_id}")))
}
