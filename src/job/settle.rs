//! How a job ends. Every statement here is fenced: it changes the row only while the caller holds the lease.

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ConnectionTrait, DbErr, Value};

use super::{JobError, LEASE};
use crate::{clock::Clock, db};

/// The right to settle one job, until another worker takes it over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub job_id: i64,
    pub(super) token: String,
}

async fn change(txn: &impl ConnectionTrait, lease: &Lease, set: &str, values: Vec<Value>) -> Result<(), JobError> {
    let sql = format!("UPDATE jobs SET {set} WHERE id = ? AND lease_token = ? AND status = 'running'");
    let mut values = values;
    values.push(lease.job_id.into());
    values.push(lease.token.clone().into());
    match db::execute(txn, &sql, values).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(JobError::Gone),
    }
}

/// Extends the lease within a transaction that stores a part of the work; refuses where the lease is lost.
pub async fn keep(txn: &impl ConnectionTrait, lease: &Lease, clock: &Clock) -> Result<(), JobError> {
    let now = db::now(txn, clock).await?;
    change(txn, lease, "lease_until = ?", vec![(now + LEASE).into()]).await
}

/// Fails unless the lease is still held; locks nothing, so heartbeats go on during a long transaction that ends in
/// [`finish`].
pub async fn hold(txn: &impl ConnectionTrait, lease: &Lease) -> Result<(), JobError> {
    let sql = "SELECT id FROM jobs WHERE id = ? AND lease_token = ? AND status = 'running'";
    let rows = db::query(txn, sql, [lease.job_id.into(), lease.token.clone().into()]).await?;
    if rows.is_empty() { Err(JobError::Gone) } else { Ok(()) }
}

/// Marks the job done, in the transaction of what it wrote.
pub async fn finish(txn: &impl ConnectionTrait, lease: &Lease, now: DateTime<Utc>) -> Result<(), JobError> {
    let set = "status = 'done', finished_at = ?, lease_token = NULL, lease_until = NULL, unique_key = NULL, \
               error_kind = NULL, error_message = NULL";
    change(txn, lease, set, vec![now.into()]).await
}

/// Marks the job failed for good.
pub async fn fail(
    txn: &impl ConnectionTrait,
    lease: &Lease,
    kind: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), JobError> {
    let set = "status = 'failed', finished_at = ?, lease_token = NULL, lease_until = NULL, unique_key = NULL, \
               error_kind = ?, error_message = ?";
    change(txn, lease, set, vec![now.into(), kind.into(), cut(message).into()]).await
}

/// Runs the job again after a pause, the attempt spent.
pub async fn retry(
    txn: &impl ConnectionTrait,
    lease: &Lease,
    clock: &Clock,
    after: Duration,
    kind: &str,
    message: &str,
) -> Result<(), JobError> {
    let set = "status = 'scheduled', run_at = ?, lost_leases = 0, lease_token = NULL, lease_until = NULL, worker = NULL, \
               error_kind = ?, error_message = ?";
    let run_at = db::now(txn, clock).await? + after;
    change(txn, lease, set, vec![run_at.into(), kind.into(), cut(message).into()]).await
}

/// Runs the job again after a pause that is not its fault: the attempt is given back.
pub async fn snooze(
    txn: &impl ConnectionTrait,
    lease: &Lease,
    clock: &Clock,
    after: Duration,
    message: &str,
) -> Result<(), JobError> {
    let set = "status = 'scheduled', run_at = ?, attempt = attempt - 1, snoozes = snoozes + 1, lost_leases = 0, \
               lease_token = NULL, lease_until = NULL, worker = NULL, error_kind = ?, error_message = ?";
    let run_at = db::now(txn, clock).await? + after;
    change(txn, lease, set, vec![run_at.into(), super::SNOOZED.into(), cut(message).into()]).await
}

/// Gives the job to another worker at once, without spending an attempt.
pub async fn hand_back(txn: &impl ConnectionTrait, lease: &Lease) -> Result<(), JobError> {
    let set = "status = 'pending', attempt = attempt - 1, lease_token = NULL, lease_until = NULL, worker = NULL";
    change(txn, lease, set, Vec::new()).await
}

/// Cancels what is queued, planned or running for a session. A running worker notices at its next write.
pub async fn cancel_of_session(txn: &impl ConnectionTrait, session_id: i64, now: DateTime<Utc>) -> Result<u64, DbErr> {
    cancel_where(txn, "session_id", session_id, now).await
}

/// Cancels what is queued, planned or running for one capture.
pub async fn cancel_of_capture(txn: &impl ConnectionTrait, capture_id: i64, now: DateTime<Utc>) -> Result<u64, DbErr> {
    cancel_where(txn, "capture_id", capture_id, now).await
}

/// Cancels what is queued, planned or running for a user.
pub async fn cancel_of_user(txn: &impl ConnectionTrait, user_id: i64, now: DateTime<Utc>) -> Result<u64, DbErr> {
    cancel_where(txn, "user_id", user_id, now).await
}

async fn cancel_where(
    txn: &impl ConnectionTrait,
    column: &'static str,
    id: i64,
    now: DateTime<Utc>,
) -> Result<u64, DbErr> {
    let sql = format!(
        "UPDATE jobs SET status = 'cancelled', finished_at = ?, lease_token = NULL, lease_until = NULL, \
         unique_key = NULL WHERE {column} = ? AND status IN ('pending', 'scheduled', 'running')"
    );
    Ok(db::execute(txn, &sql, [now.into(), id.into()]).await?.rows_affected())
}

/// Error texts are kept to what the column holds.
fn cut(message: &str) -> String {
    message.chars().take(1_000).collect()
}
