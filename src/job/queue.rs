//! Taking work from the queue: claim, heartbeat, rescue, and moving scheduled jobs whose time has come.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult};
use uuid::Uuid;

use super::{Job, LEASE, Lease, MAX_LOST_LEASES};
use crate::{clock::Clock, db};

/// Most scheduled or orphaned jobs handled by one transaction.
const BATCH: u64 = 100;

/// A job that this worker now holds.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub job: Job,
    pub lease: Lease,
    pub user_id: Option<i64>,
    pub session_id: Option<i64>,
    /// 1 for the first run.
    pub attempt: i32,
    pub max_attempts: i32,
}

/// `FOR UPDATE SKIP LOCKED`, where the engine has it; SQLite's write transactions follow one another.
fn skip_locked(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Sqlite { "" } else { " FOR UPDATE SKIP LOCKED" }
}

/// Picks up to `limit` pending jobs, the most urgent first and users in turn. MariaDB reads `idx_jobs_claim` in its order for
/// it: with a sort it would lock rows that it does not take.
pub fn claim_statement(backend: DbBackend, limit: u32) -> String {
    let skip_locked = skip_locked(backend);
    format!("SELECT id FROM jobs WHERE status = 'pending' ORDER BY priority, turn, id LIMIT {limit}{skip_locked}")
}

/// Takes up to `limit` pending jobs, the most urgent first and users in turn.
pub async fn claim(db: &DatabaseConnection, clock: &Clock, worker: &str, limit: u32) -> Result<Vec<Claimed>, DbErr> {
    let mut claimed = db::write_txn!(db, |txn| {
        let sql = claim_statement(txn.get_database_backend(), limit);
        let ids = ids(&db::query(txn, &sql, []).await?)?;
        if ids.is_empty() {
            return Ok::<_, DbErr>(Vec::new());
        }
        let now = db::now(txn, clock).await?;
        let token = Uuid::new_v4().to_string();
        let marks = db::placeholders(ids.len());
        let sql = format!(
            "UPDATE jobs SET status = 'running', attempt = attempt + 1, started_at = ?, lease_token = ?, lease_until = ?, \
             worker = ?, run_at = NULL WHERE status = 'pending' AND id IN ({marks})"
        );
        let mut values = vec![now.into(), token.clone().into(), (now + LEASE).into(), worker.into()];
        values.extend(ids.iter().map(|id| (*id).into()));
        db::execute(txn, &sql, values).await?;
        let sql = format!(
            "SELECT id, type, payload, user_id, session_id, attempt, max_attempts FROM jobs \
             WHERE lease_token = ? AND id IN ({marks}) ORDER BY priority, turn, id"
        );
        let mut values = vec![token.clone().into()];
        values.extend(ids.iter().map(|id| (*id).into()));
        let mut claimed = Vec::new();
        for row in db::query(txn, &sql, values).await? {
            match read(&row, &token)? {
                Some(job) => claimed.push(job),
                None => put_aside(txn, row.try_get("", "id")?, now).await?,
            }
        }
        Ok(claimed)
    })?;
    claimed.shrink_to_fit();
    Ok(claimed)
}

/// The job of a row; `None` where this version of the program does not know what it is.
fn read(row: &QueryResult, token: &str) -> Result<Option<Claimed>, DbErr> {
    let Some(job) = job_of(row)? else { return Ok(None) };
    Ok(Some(Claimed {
        job,
        lease: Lease { job_id: row.try_get("", "id")?, token: token.to_owned() },
        user_id: row.try_get("", "user_id")?,
        session_id: row.try_get("", "session_id")?,
        attempt: row.try_get("", "attempt")?,
        max_attempts: row.try_get("", "max_attempts")?,
    }))
}

fn job_of(row: &QueryResult) -> Result<Option<Job>, DbErr> {
    let type_name: String = row.try_get("", "type")?;
    let payload: String = row.try_get("", "payload")?;
    Ok(Job::from_row(&type_name, &payload)
        .inspect_err(|error| tracing::warn!(%error, "a job of another version stands in the queue"))
        .ok())
}

/// Leaves a job that this version cannot read to a newer one, which may be on its way, and out of everybody's way.
async fn put_aside(txn: &impl ConnectionTrait, job_id: i64, now: DateTime<Utc>) -> Result<(), DbErr> {
    let sql = "UPDATE jobs SET status = 'scheduled', run_at = ?, attempt = attempt - 1, lease_token = NULL, \
               lease_until = NULL, worker = NULL, error_kind = 'unreadable', \
               error_message = 'this version of tca does not know this type of job' WHERE id = ?";
    db::execute(txn, sql, [(now + chrono::Duration::minutes(1)).into(), job_id.into()]).await.map(drop)
}

fn ids(rows: &[QueryResult]) -> Result<Vec<i64>, DbErr> {
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// Extends these leases in one statement; returns how many are still held. A job that its worker no longer runs is left out,
/// so that its lease runs out.
pub async fn heartbeat(db: &DatabaseConnection, clock: &Clock, leases: &[Lease]) -> Result<u64, DbErr> {
    let now = db::now(db, clock).await?;
    let marks = db::placeholders(leases.len());
    // Both: a worker that lost a job and claimed it again runs it twice for a moment, under two tokens.
    let sql = format!(
        "UPDATE jobs SET lease_until = ? WHERE status = 'running' AND id IN ({marks}) AND lease_token IN ({marks})"
    );
    let mut values = vec![(now + LEASE).into()];
    values.extend(leases.iter().map(|lease| lease.job_id.into()));
    values.extend(leases.iter().map(|lease| lease.token.clone().into()));
    Ok(db::execute(db, &sql, values).await?.rows_affected())
}

/// Moves scheduled jobs whose time has come back to `pending`; returns how many.
pub async fn move_due(db: &DatabaseConnection, clock: &Clock) -> Result<u64, DbErr> {
    db::write_txn!(db, |txn| {
        let now = db::now(txn, clock).await?;
        let sql = format!(
            "SELECT id FROM jobs WHERE status = 'scheduled' AND run_at <= ? ORDER BY run_at LIMIT {BATCH}{}",
            skip_locked(txn.get_database_backend())
        );
        let ids = ids(&db::query(txn, &sql, [now.into()]).await?)?;
        if ids.is_empty() {
            return Ok(0);
        }
        let sql = format!(
            "UPDATE jobs SET status = 'pending' WHERE status = 'scheduled' AND id IN ({})",
            db::placeholders(ids.len())
        );
        Ok(db::execute(txn, &sql, ids.into_iter().map(Into::into).collect::<Vec<_>>()).await?.rows_affected())
    })
}

/// Removes jobs that ended before `before`, a batch a transaction; returns how many.
pub async fn prune(db: &DatabaseConnection, before: DateTime<Utc>) -> Result<u64, DbErr> {
    let mut removed = 0;
    loop {
        let sql = format!(
            "SELECT id FROM jobs WHERE status IN ('done', 'failed', 'cancelled') AND finished_at < ? ORDER BY id LIMIT {BATCH}"
        );
        let ids = ids(&db::query(db, &sql, [before.into()]).await?)?;
        if ids.is_empty() {
            return Ok(removed);
        }
        // The condition again, in the statement itself: a failed job may have been retried meanwhile.
        let sql = format!(
            "DELETE FROM jobs WHERE status IN ('done', 'failed', 'cancelled') AND id IN ({})",
            db::placeholders(ids.len())
        );
        removed += db::execute(db, &sql, ids.into_iter().map(Into::into).collect::<Vec<_>>()).await?.rows_affected();
    }
}

/// A job that lost its worker too often and was parked as failed.
#[derive(Clone, Debug)]
pub struct Parked {
    pub job: Job,
    pub message: String,
}

/// Gives jobs whose worker vanished back to the queue, or parks them after [`MAX_LOST_LEASES`]; what a parked job was for has
/// to fail in the same transaction. Returns how many leases had run out, and the parked jobs.
pub async fn rescue(txn: &impl ConnectionTrait, clock: &Clock) -> Result<(usize, Vec<Parked>), DbErr> {
    let now = db::now(txn, clock).await?;
    let sql = format!(
        "SELECT id, type, payload, lost_leases FROM jobs WHERE status = 'running' AND lease_until < ? \
         ORDER BY lease_until LIMIT {BATCH}{}",
        skip_locked(txn.get_database_backend())
    );
    let rows = db::query(txn, &sql, [now.into()]).await?;
    let mut parked = Vec::new();
    for row in &rows {
        let job_id: i64 = row.try_get("", "id")?;
        let lost: i32 = row.try_get::<i32>("", "lost_leases")? + 1;
        if lost < MAX_LOST_LEASES {
            let sql = "UPDATE jobs SET status = 'pending', lost_leases = ?, lease_token = NULL, lease_until = NULL, \
                       worker = NULL WHERE id = ?";
            db::execute(txn, sql, [lost.into(), job_id.into()]).await?;
            continue;
        }
        let message = format!("its worker vanished {lost} times while running it");
        let sql = "UPDATE jobs SET status = 'failed', lost_leases = ?, lease_token = NULL, lease_until = NULL, \
                   unique_key = NULL, error_kind = 'killed_worker', error_message = ?, finished_at = ? WHERE id = ?";
        db::execute(txn, sql, [lost.into(), message.clone().into(), now.into(), job_id.into()]).await?;
        if let Some(job) = job_of(row)? {
            parked.push(Parked { job, message });
        }
    }
    Ok((rows.len(), parked))
}
