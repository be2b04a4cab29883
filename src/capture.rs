//! Captures: snapshots of who is in a channel's chat.
//!
//! A capture is requested by a user ([`request`]), read page by page by a worker ([`fetch`]), and shown or counted only once
//! its last page is stored. Until then its rows belong to nobody's analysis. It ends `complete`, `failed` with a reason, or
//! `cancelled`; never short. The profiles of its accounts follow in a job of their own ([`enrich`]).

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

mod complete;
pub mod enrich;
mod entity;
pub mod fetch;
mod retry;

pub use complete::complete;
pub use entity::{Column, Entity, Model, Status};
pub use retry::{RetryError, retry};

use crate::{
    clock::Clock,
    config::LimitSettings,
    db,
    job::{self, Job, NewJob, Priority},
    session,
    twitch::TwitchUserId,
};

/// What a request for a capture came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested {
    pub capture_id: i64,
    /// A capture of this channel was already under way and serves this request too.
    pub joined: bool,
}

/// Why a capture is not even begun.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The user's captures of the last hour are used up.
    #[error("limit of captures an hour reached; next at {next_at}")]
    TooMany { next_at: DateTime<Utc> },
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl db::AsDbErr for RequestError {
    fn as_db_err(&self) -> Option<&DbErr> {
        match self {
            Self::Db(error) => Some(error),
            Self::TooMany { .. } => None,
        }
    }
}

/// The channel to capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub broadcaster_id: TwitchUserId,
    /// Lower case.
    pub broadcaster_login: String,
}

/// Begins a capture in the user's active session, or joins the one that is under way for the same channel, which goes on as
/// urgently as a new one would if it was planned and still waits. The caller tells the store afterwards ([`job::TOPIC`]).
pub async fn request(
    db: &DatabaseConnection,
    clock: &Clock,
    limits: &LimitSettings,
    user_id: i64,
    target: &Target,
) -> Result<Requested, RequestError> {
    db::write_txn!(db, |txn| {
        db::lock_user(txn, user_id).await?;
        let now = clock.now();
        let session = session::ensure_active(txn, user_id, now).await?;
        if let Some(alive) = find_alive(txn, session.id, target.broadcaster_id).await? {
            job::raise(txn, &Job::FetchChatters { capture_id: alive }, user_id, Priority::Person).await?;
            return Ok(Requested { capture_id: alive, joined: true });
        }
        refuse_too_many(txn, limits, user_id, now).await?;
        let capture_id = begin(txn, user_id, session.id, target, now).await?;
        let new = NewJob {
            job: Job::FetchChatters { capture_id },
            priority: Priority::Person,
            user_id,
            session_id: session.id,
        };
        job::enqueue(txn, new, now).await?;
        session::note_change(txn, session.id, now).await?;
        Ok(Requested { capture_id, joined: false })
    })
}

/// Writes the row of a capture that begins now, without a job.
pub async fn begin(
    txn: &impl ConnectionTrait,
    user_id: i64,
    session_id: i64,
    target: &Target,
    now: DateTime<Utc>,
) -> Result<i64, DbErr> {
    let new = entity::ActiveModel {
        session_id: Set(session_id),
        user_id: Set(user_id),
        broadcaster_id: Set(target.broadcaster_id.0),
        broadcaster_login: Set(target.broadcaster_login.clone()),
        status: Set(Status::Running),
        alive_key: Set(Some(alive_key(session_id, target.broadcaster_id))),
        created_at: Set(now),
        ..Default::default()
    };
    Ok(Entity::insert(new).exec(txn).await?.last_insert_id)
}

fn alive_key(session_id: i64, broadcaster: TwitchUserId) -> String {
    format!("{session_id}:{broadcaster}")
}

async fn find_alive(
    txn: &impl ConnectionTrait,
    session_id: i64,
    broadcaster: TwitchUserId,
) -> Result<Option<i64>, DbErr> {
    let found = Entity::find().filter(Column::AliveKey.eq(alive_key(session_id, broadcaster))).one(txn).await?;
    Ok(found.map(|capture| capture.id))
}

async fn refuse_too_many(
    txn: &DatabaseTransaction,
    limits: &LimitSettings,
    user_id: i64,
    now: DateTime<Utc>,
) -> Result<(), RequestError> {
    let hour = Duration::hours(1);
    let sql =
        "SELECT COUNT(*) AS captures, MIN(created_at) AS oldest FROM captures WHERE user_id = ? AND created_at > ?";
    let rows = db::query(txn, sql, [user_id.into(), (now - hour).into()]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let captures: i64 = row.try_get("", "captures")?;
    if captures < i64::from(limits.captures_per_hour) {
        return Ok(());
    }
    let oldest: Option<DateTime<Utc>> = row.try_get("", "oldest")?;
    Err(RequestError::TooMany { next_at: oldest.unwrap_or(now) + hour })
}

/// One of the user's captures whose session can still be looked at.
pub async fn find_owned(db: &impl ConnectionTrait, user_id: i64, capture_id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(capture_id).filter(Column::UserId.eq(user_id)).one(db).await
}

/// The captures of a session within these channels (all when none is named), the newest first, and how many there are in all.
pub async fn list_of_session(
    db: &impl ConnectionTrait,
    session_id: i64,
    channels: &[TwitchUserId],
    limit: u64,
) -> Result<(Vec<Model>, u64), DbErr> {
    let mut wanted = Entity::find().filter(Column::SessionId.eq(session_id));
    if !channels.is_empty() {
        wanted = wanted.filter(Column::BroadcasterId.is_in(channels.iter().map(|channel| channel.0)));
    }
    let total = wanted.clone().count(db).await?;
    Ok((wanted.order_by_desc(Column::Id).limit(limit).all(db).await?, total))
}

/// The user's captures that ran or ended since `since`, the newest first; what the lists of channels show.
pub async fn list_recent(
    db: &impl ConnectionTrait,
    user_id: i64,
    since: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Condition::any().add(Column::CreatedAt.gt(since)).add(Column::Status.eq(Status::Running)))
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// Cancels one of the user's captures under way; false when there was nothing left to cancel.
pub async fn cancel(db: &DatabaseConnection, user_id: i64, capture_id: i64, now: DateTime<Utc>) -> Result<bool, DbErr> {
    db::write_txn!(db, |txn| {
        let sql = "UPDATE captures SET status = 'cancelled', alive_key = NULL, finished_at = ? \
                   WHERE id = ? AND user_id = ? AND status = 'running'";
        let changed = db::execute(txn, sql, [now.into(), capture_id.into(), user_id.into()]).await?.rows_affected();
        if changed == 1 {
            job::cancel_of_capture(txn, capture_id, now).await?;
        }
        Ok(changed == 1)
    })
}

/// The logins of the channels of these captures.
pub async fn channels_of(db: &impl ConnectionTrait, capture_ids: &[i64]) -> Result<HashMap<i64, String>, DbErr> {
    let mut channels = HashMap::new();
    for chunk in capture_ids.chunks(db::ROWS_PER_INSERT) {
        let sql = format!("SELECT id, broadcaster_login FROM captures WHERE id IN ({})", db::placeholders(chunk.len()));
        for row in db::query(db, &sql, chunk.iter().map(|id| (*id).into()).collect::<Vec<_>>()).await? {
            channels.insert(row.try_get("", "id")?, row.try_get("", "broadcaster_login")?);
        }
    }
    Ok(channels)
}

/// Marks a capture under way as failed, with a reason for machines and one for people; its rows are never shown.
pub async fn fail(
    txn: &impl ConnectionTrait,
    capture_id: i64,
    kind: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let sql = "UPDATE captures SET status = 'failed', alive_key = NULL, finished_at = ?, error_kind = ?, error_message = ? \
               WHERE id = ? AND status = 'running'";
    let message: String = message.chars().take(1_000).collect();
    db::execute(txn, sql, [now.into(), kind.into(), message.into(), capture_id.into()]).await.map(drop)
}

/// Removes what was read of captures that failed or were cancelled; returns how many those were. Nobody sees these rows, but
/// nobody needs them either.
pub async fn sweep_unfinished(db: &DatabaseConnection) -> Result<usize, DbErr> {
    let sql = "SELECT id FROM captures WHERE status IN ('failed', 'cancelled') AND pages > 0 ORDER BY id LIMIT 100";
    let rows = db::query(db, sql, []).await?;
    for row in &rows {
        let id: i64 = row.try_get("", "id")?;
        db::write_txn!(db, |txn| {
            // The condition again, in the statement itself: a retry may have made the capture run again.
            let sql = "UPDATE captures SET pages = 0 WHERE id = ? AND status IN ('failed', 'cancelled')";
            match db::execute(txn, sql, [id.into()]).await?.rows_affected() {
                1 => db::execute(txn, "DELETE FROM capture_chatters WHERE capture_id = ?", [id.into()]).await.map(drop),
                _ => Ok(()),
            }
        })?;
    }
    Ok(rows.len())
}
