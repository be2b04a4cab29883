//! Saving, resuming, purging, deleting and expiring sessions.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::{Column, Entity, LIFETIME, Model, SessionError, Status, find_active, list_saved, load_owned};
use crate::{db, job};

/// Saved sessions a user may keep.
pub const MAX_SAVED: usize = 10;

/// Ended sessions removed by one look.
const PRUNED_AT_ONCE: u64 = 20;

/// Why an act needs the user's word first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Saving would be the eleventh: this oldest one would go.
    WouldDelete(Model),
}

/// Longest name of a session, in characters.
pub const MAX_NAME: usize = 80;

/// What came of an act on sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, on this session.
    Done(Model),
    /// Nothing was changed: the user must be asked.
    Ask(Blocked),
    /// There was nothing to do it to.
    NothingThere,
}

/// Saves the active session. An eleventh replaces the oldest, but only if the user agreed to lose exactly that one
/// (`agreed`, its uuid).
pub async fn save(
    db: &DatabaseConnection,
    user_id: i64,
    agreed: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Outcome, SessionError> {
    db::write_txn!(db, |txn| {
        db::lock_user(txn, user_id).await?;
        let Some(active) = find_active(txn, user_id, now).await? else {
            return Ok(Outcome::NothingThere);
        };
        if is_empty(txn, active.id).await? {
            return Ok(Outcome::NothingThere);
        }
        if let Some(blocked) = make_room(txn, user_id, 0, agreed, now).await? {
            return Ok(Outcome::Ask(blocked));
        }
        mark_saved(txn, active.id, now).await?;
        Ok(Outcome::Done(active))
    })
}

/// Names one of the user's sessions; a blank name takes its name away, a long one is cut to [`MAX_NAME`].
pub async fn set_name(
    db: &DatabaseConnection,
    user_id: i64,
    uuid: &str,
    name: &str,
    now: DateTime<Utc>,
) -> Result<(), SessionError> {
    let name: String = name.trim().chars().take(MAX_NAME).collect();
    let name = (!name.is_empty()).then_some(name);
    db::write_txn!(db, |txn| {
        db::lock_user(txn, user_id).await?;
        let session = load_owned(txn, user_id, uuid, now).await?;
        let sql = "UPDATE sessions SET name = ? WHERE id = ?";
        db::execute(txn, sql, [name.clone().into(), session.id.into()]).await?;
        Ok(())
    })
}

/// Makes a saved session the active one. A non-empty active session is saved first, by the rule of ten; the resumed one
/// leaves its own place free.
pub async fn resume(
    db: &DatabaseConnection,
    user_id: i64,
    uuid: &str,
    agreed: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Outcome, SessionError> {
    db::write_txn!(db, |txn| {
        db::lock_user(txn, user_id).await?;
        let chosen = load_owned(txn, user_id, uuid, now).await?;
        if chosen.status == Status::Active {
            return Ok(Outcome::Done(chosen));
        }
        // Also an active session whose time is over stands in the way of the unique key.
        if let Some(active) = Entity::find().filter(Column::ActiveKey.eq(user_id)).one(txn).await? {
            if active.has_expired(now) {
                end(txn, active.id, Status::Expired, now).await?;
            } else if is_empty(txn, active.id).await? {
                end(txn, active.id, Status::Deleted, now).await?;
            } else {
                if let Some(blocked) = make_room(txn, user_id, chosen.id, agreed, now).await? {
                    return Ok(Outcome::Ask(blocked));
                }
                mark_saved(txn, active.id, now).await?;
            }
        }
        let sql = "UPDATE sessions SET status = 'active', active_key = ?, updated_at = ?, expires_at = ? WHERE id = ?";
        db::execute(txn, sql, [user_id.into(), now.into(), (now + LIFETIME).into(), chosen.id.into()]).await?;
        Ok(Outcome::Done(chosen))
    })
}

/// Ends the active session and everything under way in it.
pub async fn purge(db: &DatabaseConnection, user_id: i64, now: DateTime<Utc>) -> Result<Outcome, SessionError> {
    db::write_txn!(db, |txn| {
        db::lock_user(txn, user_id).await?;
        let Some(active) = find_active(txn, user_id, now).await? else {
            return Ok(Outcome::NothingThere);
        };
        end(txn, active.id, Status::Deleted, now).await?;
        Ok(Outcome::Done(active))
    })
}

/// Deletes one of the user's sessions, active or saved.
pub async fn delete(
    db: &DatabaseConnection,
    user_id: i64,
    uuid: &str,
    now: DateTime<Utc>,
) -> Result<Outcome, SessionError> {
    db::write_txn!(db, |txn| {
        db::lock_user(txn, user_id).await?;
        let session = load_owned(txn, user_id, uuid, now).await?;
        end(txn, session.id, Status::Deleted, now).await?;
        Ok(Outcome::Done(session))
    })
}

/// Ends the active sessions whose time is over; returns how many.
pub async fn expire_due(db: &DatabaseConnection, now: DateTime<Utc>) -> Result<usize, DbErr> {
    let due = Entity::find()
        .filter(Column::Status.eq(Status::Active))
        .filter(Column::ExpiresAt.lte(now))
        .order_by_asc(Column::Id)
        .all(db)
        .await?;
    for session in &due {
        db::write_txn!(db, |txn| {
            // The condition again, in the statement itself: a capture that ends at this moment prolongs the session.
            let sql = "UPDATE sessions SET status = 'expired' WHERE id = ? AND status = 'active' AND expires_at <= ?";
            match db::execute(txn, sql, [session.id.into(), now.into()]).await?.rows_affected() {
                1 => end(txn, session.id, Status::Expired, now).await,
                _ => Ok(()),
            }
        })?;
    }
    Ok(due.len())
}

/// Removes sessions that ended before `before`, with everything in them; returns how many.
pub async fn prune(db: &DatabaseConnection, before: DateTime<Utc>) -> Result<usize, DbErr> {
    let gone = Entity::find()
        .filter(Column::Status.is_in([Status::Expired, Status::Deleted]))
        .filter(Column::UpdatedAt.lt(before))
        .order_by_asc(Column::Id)
        .limit(PRUNED_AT_ONCE)
        .all(db)
        .await?;
    for session in &gone {
        remove(db, session.id).await?;
    }
    Ok(gone.len())
}

/// Removes a session, one capture a transaction, so that nobody waits long for a lock. The session's row goes last: a crash in
/// between leaves it to be found again.
async fn remove(db: &DatabaseConnection, session_id: i64) -> Result<(), DbErr> {
    let rows = db::query(db, "SELECT id FROM captures WHERE session_id = ? ORDER BY id", [session_id.into()]).await?;
    for row in rows {
        let capture_id: i64 = row.try_get("", "id")?;
        db::write_txn!(db, |txn| {
            db::execute(txn, "DELETE FROM capture_chatters WHERE capture_id = ?", [capture_id.into()]).await?;
            db::execute(txn, "DELETE FROM captures WHERE id = ?", [capture_id.into()]).await.map(drop)
        })?;
    }
    db::write_txn!(db, |txn| {
        db::execute(txn, "DELETE FROM session_accounts WHERE session_id = ?", [session_id.into()]).await?;
        db::execute(txn, "DELETE FROM sessions WHERE id = ?", [session_id.into()]).await.map(drop)
    })
}

/// Cancels every capture and job of a user that is not finished; the sessions stay.
pub async fn cancel_work_of_user(txn: &impl ConnectionTrait, user_id: i64, now: DateTime<Utc>) -> Result<(), DbErr> {
    job::cancel_of_user(txn, user_id, now).await?;
    let sql = "UPDATE captures SET status = 'cancelled', alive_key = NULL, finished_at = ? \
               WHERE user_id = ? AND status = 'running'";
    db::execute(txn, sql, [now.into(), user_id.into()]).await.map(drop)
}

/// Ends a session: nobody sees it any more, what is queued or running for it is cancelled.
pub(super) async fn end(
    txn: &impl ConnectionTrait,
    session_id: i64,
    status: Status,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    job::cancel_of_session(txn, session_id, now).await?;
    let sql = "UPDATE captures SET status = 'cancelled', alive_key = NULL, finished_at = ? \
               WHERE session_id = ? AND status = 'running'";
    db::execute(txn, sql, [now.into(), session_id.into()]).await?;
    let sql = "UPDATE sessions SET status = ?, active_key = NULL, updated_at = ?, data_version = data_version + 1 WHERE id = ?";
    db::execute(txn, sql, [status.to_value().into(), now.into(), session_id.into()]).await.map(drop)
}

async fn mark_saved(txn: &impl ConnectionTrait, session_id: i64, now: DateTime<Utc>) -> Result<(), DbErr> {
    let sql = "UPDATE sessions SET status = 'saved', active_key = NULL, expires_at = NULL, updated_at = ? WHERE id = ?";
    db::execute(txn, sql, [now.into(), session_id.into()]).await.map(drop)
}

/// A session without a capture, finished or under way, is not worth keeping.
async fn is_empty(txn: &impl ConnectionTrait, session_id: i64) -> Result<bool, DbErr> {
    let sql = "SELECT id FROM captures WHERE session_id = ? AND status IN ('complete', 'running') LIMIT 1";
    Ok(db::query(txn, sql, [session_id.into()]).await?.is_empty())
}

/// Deletes the oldest saved session if one more would be too many and the user agreed to lose it. `leaving` does not count.
async fn make_room(
    txn: &impl ConnectionTrait,
    user_id: i64,
    leaving: i64,
    agreed: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<Blocked>, SessionError> {
    let mut saved = list_saved(txn, user_id).await?;
    saved.retain(|session| session.id != leaving);
    if saved.len() < MAX_SAVED {
        return Ok(None);
    }
    let Some(oldest) = saved.pop() else { return Ok(None) };
    if agreed != Some(oldest.session_uuid.as_str()) {
        return Ok(Some(Blocked::WouldDelete(oldest)));
    }
    end(txn, oldest.id, Status::Deleted, now).await?;
    Ok(None)
}
