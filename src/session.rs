//! Analysis sessions: the frame in which a user's captures are looked at together.
//!
//! A user has at most one active session, which expires 24 hours after its last capture or change, and keeps up to ten saved
//! ones. Ending a session ends what it owns: its captures and jobs are cancelled in the same transaction. Not to be confused
//! with a web session, which is a signed-in browser (`login/`).

use chrono::{DateTime, Duration, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
};
use uuid::Uuid;

mod entity;
mod lifecycle;

pub use entity::{Column, Entity, Model, Status};
pub use lifecycle::{
    Blocked, MAX_NAME, MAX_SAVED, Outcome, cancel_work_of_user, delete, expire_due, prune, purge, resume, save,
    set_name,
};

use crate::db;

/// How long an active session lives after its last capture or change.
pub const LIFETIME: Duration = Duration::hours(24);

/// What can be wrong with a request about a session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There is no such session, or it is somebody else's: the answer is the same.
    #[error("no such session")]
    NotFound,
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl db::AsDbErr for SessionError {
    fn as_db_err(&self) -> Option<&DbErr> {
        match self {
            Self::Db(error) => Some(error),
            Self::NotFound => None,
        }
    }
}

/// The user's active session, unless it has expired.
pub async fn find_active(db: &impl ConnectionTrait, user_id: i64, now: DateTime<Utc>) -> Result<Option<Model>, DbErr> {
    let found = Entity::find().filter(Column::ActiveKey.eq(user_id)).one(db).await?;
    Ok(found.filter(|session| !session.has_expired(now)))
}

/// One of the user's sessions that can still be looked at, by its public name, with or without dashes.
pub async fn load_owned(
    db: &impl ConnectionTrait,
    user_id: i64,
    uuid: &str,
    now: DateTime<Utc>,
) -> Result<Model, SessionError> {
    let uuid = Uuid::try_parse(uuid).map_err(|_not_a_uuid| SessionError::NotFound)?;
    let found = Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::SessionUuid.eq(uuid.to_string()))
        .filter(Column::Status.is_in([Status::Active, Status::Saved]))
        .one(db)
        .await?;
    found.filter(|session| !session.has_expired(now)).ok_or(SessionError::NotFound)
}

/// A session by its public name, whoever owns it; for the roles that answer other roles.
pub async fn find_visible(db: &impl ConnectionTrait, uuid: &str, now: DateTime<Utc>) -> Result<Option<Model>, DbErr> {
    let Ok(uuid) = Uuid::try_parse(uuid) else {
        return Ok(None);
    };
    let found = Entity::find()
        .filter(Column::SessionUuid.eq(uuid.to_string()))
        .filter(Column::Status.is_in([Status::Active, Status::Saved]))
        .one(db)
        .await?;
    Ok(found.filter(|session| !session.has_expired(now)))
}

/// Whether a session can still be looked at; if so, nobody ends it before the caller's transaction is over.
pub async fn lock_visible(txn: &impl ConnectionTrait, session_id: i64, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let sql = format!("SELECT id FROM sessions WHERE id = ?{}", db::for_update(txn));
    db::query(txn, &sql, [session_id.into()]).await?;
    let found = Entity::find_by_id(session_id).one(txn).await?;
    let is_visible =
        |session: Model| matches!(session.status, Status::Active | Status::Saved) && !session.has_expired(now);
    Ok(found.is_some_and(is_visible))
}

/// The user's sessions that can still be looked at, in no particular order.
pub async fn list_visible(db: &impl ConnectionTrait, user_id: i64, now: DateTime<Utc>) -> Result<Vec<Model>, DbErr> {
    let mut sessions = Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::Status.is_in([Status::Active, Status::Saved]))
        .all(db)
        .await?;
    sessions.retain(|session| !session.has_expired(now));
    Ok(sessions)
}

/// The user's saved sessions, the newest first.
pub async fn list_saved(db: &impl ConnectionTrait, user_id: i64) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::Status.eq(Status::Saved))
        .order_by_desc(Column::UpdatedAt)
        .order_by_desc(Column::Id)
        .all(db)
        .await
}

/// The user's active session, made when there is none; an expired one is ended first. Within the caller's transaction, which
/// has locked the user ([`db::lock_user`]).
pub async fn ensure_active(txn: &impl ConnectionTrait, user_id: i64, now: DateTime<Utc>) -> Result<Model, DbErr> {
    let current = Entity::find().filter(Column::ActiveKey.eq(user_id)).one(txn).await?;
    match current {
        Some(session) if !session.has_expired(now) => return Ok(session),
        Some(session) => lifecycle::end(txn, session.id, Status::Expired, now).await?,
        None => {}
    }
    insert_active(txn, user_id, now).await
}

async fn insert_active(txn: &impl ConnectionTrait, user_id: i64, now: DateTime<Utc>) -> Result<Model, DbErr> {
    let new = entity::ActiveModel {
        session_uuid: Set(Uuid::new_v4().to_string()),
        user_id: Set(user_id),
        status: Set(Status::Active),
        active_key: Set(Some(user_id)),
        data_version: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
        expires_at: Set(Some(now + LIFETIME)),
        ..Default::default()
    };
    let inserted = Entity::insert(new).exec(txn).await?;
    let made = Entity::find_by_id(inserted.last_insert_id).one(txn).await?;
    made.ok_or_else(|| DbErr::RecordNotFound("the session just made".to_owned()))
}

/// Notes that something a summary shows has changed, and lets an active session live on from now.
pub async fn note_change(txn: &impl ConnectionTrait, session_id: i64, now: DateTime<Utc>) -> Result<(), DbErr> {
    let sql = "UPDATE sessions SET data_version = data_version + 1, updated_at = ?, \
               expires_at = CASE WHEN status = 'active' THEN ? ELSE expires_at END WHERE id = ?";
    db::execute(txn, sql, [now.into(), (now + LIFETIME).into(), session_id.into()]).await.map(drop)
}

/// Notes that dates or names of these accounts changed, for every live session that holds one of them.
pub async fn note_accounts_changed(txn: &impl ConnectionTrait, account_ids: &[i64]) -> Result<(), DbErr> {
    if account_ids.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT DISTINCT a.session_id AS id FROM session_accounts a JOIN sessions s ON s.id = a.session_id \
         WHERE s.status IN ('active', 'saved') AND a.twitch_user_id IN ({}) ORDER BY a.session_id",
        db::placeholders(account_ids.len())
    );
    let rows = db::query(txn, &sql, account_ids.iter().map(|id| (*id).into()).collect::<Vec<_>>()).await?;
    let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<i64>, _>>()?;
    if ids.is_empty() {
        return Ok(());
    }
    let sql =
        format!("UPDATE sessions SET data_version = data_version + 1 WHERE id IN ({})", db::placeholders(ids.len()));
    db::execute(txn, &sql, ids.into_iter().map(Into::into).collect::<Vec<_>>()).await.map(drop)
}

/// What the list of sessions shows of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub captures: u64,
    pub accounts: u64,
    /// Logins of the channels captured, in alphabetical order.
    pub channels: Vec<String>,
}

/// Counts what a session holds.
pub async fn contents(db: &DatabaseConnection, session_id: i64) -> Result<Contents, DbErr> {
    let sql = "SELECT broadcaster_id, MAX(broadcaster_login) AS login, COUNT(*) AS captures FROM captures \
               WHERE session_id = ? AND status = 'complete' GROUP BY broadcaster_id ORDER BY login";
    let mut contents = Contents::default();
    for row in db::query(db, sql, [session_id.into()]).await? {
        contents.captures += u64::try_from(row.try_get::<i64>("", "captures")?).unwrap_or(0);
        contents.channels.push(row.try_get("", "login")?);
    }
    let sql = "SELECT COUNT(DISTINCT twitch_user_id) AS accounts FROM session_accounts WHERE session_id = ?";
    if let Some(row) = db::query(db, sql, [session_id.into()]).await?.first() {
        contents.accounts = u64::try_from(row.try_get::<i64>("", "accounts")?).unwrap_or(0);
    }
    Ok(contents)
}
