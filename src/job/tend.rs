//! Looking after the queue: what operators list, count and run again.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::Job;
use crate::{clock::Clock, db};

/// Every value of `jobs.status`, in the order of a job's life.
pub const STATUSES: [&str; 6] = ["pending", "scheduled", "running", "done", "failed", "cancelled"];

/// A job as it stands in the queue.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: i64,
    pub type_name: String,
    /// What is to be done; `None` where this version of the program does not know the type.
    pub job: Option<Job>,
    /// One of [`STATUSES`].
    pub status: String,
    pub attempt: i32,
    pub max_attempts: i32,
    pub user_id: Option<i64>,
    pub session_id: Option<i64>,
    pub capture_id: Option<i64>,
    /// When it ended, began, is due or was made: whichever its status is about.
    pub at: DateTime<Utc>,
    pub error_kind: Option<String>,
    pub error_message: Option<String>,
}

const COLUMNS: &str = "id, type, payload, status, attempt, max_attempts, user_id, session_id, capture_id, run_at, created_at, \
                       started_at, finished_at, error_kind, error_message";

fn read(row: &QueryResult) -> Result<Listed, DbErr> {
    let (type_name, payload): (String, String) = (row.try_get("", "type")?, row.try_get("", "payload")?);
    let status: String = row.try_get("", "status")?;
    let at: Option<DateTime<Utc>> = match status.as_str() {
        "pending" => None,
        "scheduled" => row.try_get("", "run_at")?,
        "running" => row.try_get("", "started_at")?,
        _ => row.try_get("", "finished_at")?,
    };
    Ok(Listed {
        id: row.try_get("", "id")?,
        job: Job::from_row(&type_name, &payload).ok(),
        type_name,
        status,
        attempt: row.try_get("", "attempt")?,
        max_attempts: row.try_get("", "max_attempts")?,
        user_id: row.try_get("", "user_id")?,
        session_id: row.try_get("", "session_id")?,
        capture_id: row.try_get("", "capture_id")?,
        at: at.map_or_else(|| row.try_get("", "created_at"), Ok)?,
        error_kind: row.try_get("", "error_kind")?,
        error_message: row.try_get("", "error_message")?,
    })
}

/// The newest jobs with one of these statuses (all when none is named).
pub async fn list(db: &impl ConnectionTrait, statuses: &[String], limit: u32) -> Result<Vec<Listed>, DbErr> {
    let wanted = match statuses.len() {
        0 => String::new(),
        count => format!("WHERE status IN ({})", db::placeholders(count)),
    };
    let sql = format!("SELECT {COLUMNS} FROM jobs {wanted} ORDER BY id DESC LIMIT {limit}");
    let values: Vec<Value> = statuses.iter().map(|status| status.as_str().into()).collect();
    db::query(db, &sql, values).await?.iter().map(read).collect()
}

/// One job.
pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Option<Listed>, DbErr> {
    let rows = db::query(db, &format!("SELECT {COLUMNS} FROM jobs WHERE id = ?"), [id.into()]).await?;
    rows.first().map(read).transpose()
}

/// The jobs that failed, the newest first.
pub async fn failed_ids(db: &impl ConnectionTrait) -> Result<Vec<i64>, DbErr> {
    let rows = db::query(db, "SELECT id FROM jobs WHERE status = 'failed' ORDER BY id DESC", []).await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// What became of [`revive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revived {
    /// It waits for a worker again.
    Pending,
    /// It is not failed any more.
    NotFailed,
    /// The same work is queued or running as this other job.
    SameUnderWay(i64),
}

/// Puts a failed job back into the queue with all its attempts, within the caller's transaction. What the job was for must
/// be ready for it in the same transaction. After the commit, tell the store: [`super::TOPIC`].
pub async fn revive(txn: &impl ConnectionTrait, id: i64, job: &Job, now: DateTime<Utc>) -> Result<Revived, DbErr> {
    let unique_key = job.unique_key();
    let same = db::query(txn, "SELECT id FROM jobs WHERE unique_key = ?", [unique_key.clone().into()]).await?;
    if let Some(row) = same.first() {
        return Ok(Revived::SameUnderWay(row.try_get("", "id")?));
    }
    // Like a snooze, this is a run that costs no attempt; it is due now, whenever it was made.
    let sql = "UPDATE jobs SET status = 'pending', attempt = 0, snoozes = snoozes + 1, lost_leases = 0, unique_key = ?, \
               run_at = ?, started_at = NULL, finished_at = NULL, lease_token = NULL, lease_until = NULL, worker = NULL, \
               error_kind = NULL, error_message = NULL WHERE id = ? AND status = 'failed'";
    match db::execute(txn, sql, [unique_key.into(), now.into(), id.into()]).await?.rows_affected() {
        1 => Ok(Revived::Pending),
        _ => Ok(Revived::NotFailed),
    }
}

/// How many jobs there are, by type and status. Every known type has every status, 0 included.
pub async fn counts(db: &impl ConnectionTrait) -> Result<BTreeMap<(String, String), u64>, DbErr> {
    let known = Job::TYPE_NAMES.iter().flat_map(|kind| STATUSES.iter().map(move |status| (kind, status)));
    let mut counts: BTreeMap<_, _> =
        known.map(|(kind, status)| (((*kind).to_owned(), (*status).to_owned()), 0)).collect();
    for row in db::query(db, "SELECT type, status, COUNT(*) AS n FROM jobs GROUP BY type, status", []).await? {
        let jobs = u64::try_from(row.try_get::<i64>("", "n")?).unwrap_or(0);
        counts.insert((row.try_get("", "type")?, row.try_get("", "status")?), jobs);
    }
    Ok(counts)
}

/// For how long the oldest pending job of each type has been due; zero where none is pending.
pub async fn oldest_pending_ages(
    db: &impl ConnectionTrait,
    clock: &Clock,
) -> Result<BTreeMap<String, Duration>, DbErr> {
    let now = db::now(db, clock).await?;
    let mut ages: BTreeMap<_, _> = Job::TYPE_NAMES.iter().map(|kind| ((*kind).to_owned(), Duration::zero())).collect();
    let sql =
        "SELECT type, MIN(COALESCE(run_at, created_at)) AS oldest FROM jobs WHERE status = 'pending' GROUP BY type";
    for row in db::query(db, sql, []).await? {
        let oldest: Option<DateTime<Utc>> = row.try_get("", "oldest")?;
        let age = oldest.map_or(Duration::zero(), |oldest| now - oldest);
        ages.insert(row.try_get("", "type")?, age.max(Duration::zero()));
    }
    Ok(ages)
}

/// How long these running jobs waited from being made to being claimed, with their types. Only first runs count: a claim
/// forgets since when a job that ran before had been due again.
pub async fn first_waits(db: &impl ConnectionTrait, ids: &[i64]) -> Result<Vec<(String, Duration)>, DbErr> {
    let sql = format!(
        "SELECT type, created_at, started_at FROM jobs WHERE attempt = 1 AND snoozes = 0 AND lost_leases = 0 \
         AND started_at IS NOT NULL AND id IN ({})",
        db::placeholders(ids.len())
    );
    let mut waits = Vec::new();
    for row in db::query(db, &sql, ids.iter().map(|id| (*id).into()).collect::<Vec<_>>()).await? {
        let (created, started): (DateTime<Utc>, DateTime<Utc>) =
            (row.try_get("", "created_at")?, row.try_get("", "started_at")?);
        waits.push((row.try_get("", "type")?, (started - created).max(Duration::zero())));
    }
    Ok(waits)
}
