//! The one transaction that makes a capture visible.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult};

use super::Model;
use crate::{
    db,
    job::{self, Job, NewJob, Priority},
    session,
};

/// Makes a capture whose pages are all stored visible, within the caller's transaction: its counts, the per-account sums of its
/// session, the session's new expiry and data version, and the job that reads the profiles nobody has read yet. False when the
/// capture was cancelled meanwhile; then nothing has changed.
pub async fn complete(txn: &impl ConnectionTrait, capture: &Model, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let chatters = count_chatters(txn, capture.id).await?;
    let new_accounts = count_new(txn, capture).await?;
    let sql = "UPDATE captures SET status = 'complete', alive_key = NULL, chatters_count = ?, new_users_count = ?, \
               next_cursor = NULL, captured_at = ?, finished_at = ?, error_kind = NULL, error_message = NULL \
               WHERE id = ? AND status = 'running'";
    let values = [chatters.into(), new_accounts.into(), now.into(), now.into(), capture.id.into()];
    if db::execute(txn, sql, values).await?.rows_affected() != 1 {
        return Ok(false);
    }
    add_to_session_accounts(txn, capture, now).await?;
    if has_unread_profiles(txn, capture.id).await? {
        let new = NewJob {
            job: Job::FetchUsersInfo { capture_id: capture.id },
            priority: Priority::Enrichment,
            user_id: capture.user_id,
            session_id: capture.session_id,
        };
        job::enqueue(txn, new, now).await?;
    }
    session::note_change(txn, capture.session_id, now).await?;
    Ok(true)
}

async fn count_chatters(txn: &impl ConnectionTrait, capture_id: i64) -> Result<i64, DbErr> {
    let sql = "SELECT COUNT(*) AS n FROM capture_chatters WHERE capture_id = ?";
    first_count(&db::query(txn, sql, [capture_id.into()]).await?)
}

async fn count_new(txn: &impl ConnectionTrait, capture: &Model) -> Result<i64, DbErr> {
    let sql = "SELECT COUNT(*) AS n FROM capture_chatters c WHERE c.capture_id = ? AND NOT EXISTS \
               (SELECT 1 FROM session_accounts a WHERE a.session_id = ? AND a.twitch_user_id = c.twitch_user_id)";
    first_count(&db::query(txn, sql, [capture.id.into(), capture.session_id.into()]).await?)
}

fn first_count(rows: &[QueryResult]) -> Result<i64, DbErr> {
    rows.first().map_or(Ok(0), |row| row.try_get("", "n"))
}

async fn add_to_session_accounts(
    txn: &impl ConnectionTrait,
    capture: &Model,
    captured_at: DateTime<Utc>,
) -> Result<(), DbErr> {
    // `WHERE true` keeps SQLite from reading ON as the start of a join condition.
    let on_conflict = if txn.get_database_backend() == DbBackend::Sqlite {
        "ON CONFLICT (session_id, twitch_user_id, broadcaster_id) DO UPDATE SET seen_count = session_accounts.seen_count + 1, \
         first_seen = MIN(session_accounts.first_seen, excluded.first_seen), \
         last_seen = MAX(session_accounts.last_seen, excluded.last_seen)"
    } else {
        "ON DUPLICATE KEY UPDATE seen_count = seen_count + 1, \
         first_seen = LEAST(first_seen, VALUES(first_seen)), last_seen = GREATEST(last_seen, VALUES(last_seen))"
    };
    let sql = format!(
        "INSERT INTO session_accounts (session_id, twitch_user_id, broadcaster_id, seen_count, first_seen, last_seen) \
         SELECT ?, twitch_user_id, ?, 1, ?, ? FROM capture_chatters WHERE capture_id = ? ORDER BY twitch_user_id {on_conflict}"
    );
    let values = [
        capture.session_id.into(),
        capture.broadcaster_id.into(),
        captured_at.into(),
        captured_at.into(),
        capture.id.into(),
    ];
    db::execute(txn, &sql, values).await.map(drop)
}

async fn has_unread_profiles(txn: &impl ConnectionTrait, capture_id: i64) -> Result<bool, DbErr> {
    let sql = "SELECT c.twitch_user_id FROM capture_chatters c JOIN twitch_users u ON u.twitch_user_id = c.twitch_user_id \
               WHERE c.capture_id = ? AND u.last_fetched_at IS NULL LIMIT 1";
    Ok(!db::query(txn, sql, [capture_id.into()]).await?.is_empty())
}
