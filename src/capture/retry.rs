//! A failed job once more, together with the capture it was for.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, EntityTrait};

use super::{Entity, Model, Status, alive_key, find_alive};
use crate::{
    db,
    job::{self, Job, Revived},
    session,
    twitch::TwitchUserId,
};

/// Why a job is not run again; the text follows the number of the job.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    #[error("there is no such job")]
    NoSuchJob,
    #[error("it was cancelled, and what was cancelled is never retried")]
    Cancelled,
    #[error("it is {0}, and only failed jobs are retried")]
    NotFailed(String),
    #[error("this version of tca does not know its type")]
    UnknownType,
    #[error("its session has ended")]
    SessionGone,
    #[error("its capture was removed")]
    CaptureGone,
    #[error("its capture is {0}")]
    WrongCapture(&'static str),
    #[error("a capture of {channel} is under way in its session (capture {capture_id})")]
    UnderWay { channel: String, capture_id: i64 },
    #[error("the same work is under way as job {0}")]
    SameUnderWay(i64),
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl db::AsDbErr for RetryError {
    fn as_db_err(&self) -> Option<&DbErr> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

/// Puts a failed job back into the queue; the capture of a `FETCH_CHATTERS` job runs again from its first page. All of it or
/// nothing. The caller tells the store afterwards ([`job::TOPIC`]).
pub async fn retry(db: &DatabaseConnection, job_id: i64, now: DateTime<Utc>) -> Result<(), RetryError> {
    db::write_txn!(db, |txn| {
        let listed = job::find(txn, job_id).await?.ok_or(RetryError::NoSuchJob)?;
        if listed.status != "failed" {
            return Err(not_failed(listed.status));
        }
        let wanted = listed.job.ok_or(RetryError::UnknownType)?;
        // In the order of those who begin and end things: the user, the session, what is in it.
        if let Some(user_id) = listed.user_id {
            db::lock_user(txn, user_id).await?;
        }
        let capture = Entity::find_by_id(wanted.capture_id()).one(txn).await?;
        let session_id = listed.session_id.or_else(|| capture.as_ref().map(|capture| capture.session_id));
        let session_id = session_id.ok_or(RetryError::SessionGone)?;
        if !session::lock_visible(txn, session_id, now).await? {
            return Err(RetryError::SessionGone);
        }
        let capture = capture.ok_or(RetryError::CaptureGone)?;
        match wanted {
            Job::FetchChatters { .. } => begin_again(txn, &capture).await?,
            Job::FetchUsersInfo { .. } if capture.status != Status::Complete => {
                return Err(RetryError::WrongCapture("not complete"));
            }
            Job::FetchUsersInfo { .. } => {}
        }
        match job::revive(txn, job_id, &wanted, now).await? {
            Revived::Pending => {}
            Revived::SameUnderWay(other) => return Err(RetryError::SameUnderWay(other)),
            Revived::NotFailed => return Err(RetryError::NotFailed("no longer failed".to_owned())),
        }
        session::note_change(txn, session_id, now).await?;
        Ok(())
    })
}

fn not_failed(status: String) -> RetryError {
    if status == "cancelled" { RetryError::Cancelled } else { RetryError::NotFailed(status) }
}

/// Makes a failed capture run again from its first page. What was read is forgotten: a sweep may have taken it, and the cursor
/// belongs to a list of long ago.
async fn begin_again(txn: &impl ConnectionTrait, capture: &Model) -> Result<(), RetryError> {
    let broadcaster = TwitchUserId(capture.broadcaster_id);
    if let Some(capture_id) = find_alive(txn, capture.session_id, broadcaster).await? {
        return Err(RetryError::UnderWay { channel: capture.broadcaster_login.clone(), capture_id });
    }
    match capture.status {
        Status::Failed => {}
        Status::Running => return Err(RetryError::WrongCapture("running")),
        Status::Complete => return Err(RetryError::WrongCapture("complete")),
        Status::Cancelled => return Err(RetryError::WrongCapture("cancelled")),
    }
    let sql = "UPDATE captures SET status = 'running', alive_key = ?, chatters_count = 0, pages = 0, expected_count = NULL, \
               next_cursor = NULL, finished_at = NULL, error_kind = NULL, error_message = NULL \
               WHERE id = ? AND status = 'failed'";
    let alive_key = alive_key(capture.session_id, broadcaster);
    if db::execute(txn, sql, [alive_key.into(), capture.id.into()]).await?.rows_affected() != 1 {
        return Err(RetryError::WrongCapture("not failed any more"));
    }
    db::execute(txn, "DELETE FROM capture_chatters WHERE capture_id = ?", [capture.id.into()]).await?;
    Ok(())
}
