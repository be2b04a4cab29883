//! Looking at the queue without touching it.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ConnectionTrait, DbErr, Value};

use super::retry_ceiling;
use crate::db;

/// How the job behind an unfinished capture stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Waits for a free worker.
    Queued,
    /// A worker is at it.
    Running,
    /// Twitch's limit is used up; it goes on by itself.
    Waiting { until: DateTime<Utc> },
    /// An attempt failed; more follow by themselves, the last one about then.
    Retrying { until: DateTime<Utc> },
}

/// The standing of the `FETCH_CHATTERS` jobs of these captures.
pub async fn standings(db: &impl ConnectionTrait, capture_ids: &[i64]) -> Result<HashMap<i64, Standing>, DbErr> {
    if capture_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT capture_id, status, run_at, attempt, max_attempts, error_kind FROM jobs \
         WHERE type = 'FETCH_CHATTERS' AND status IN ('pending', 'scheduled', 'running') AND capture_id IN ({})",
        db::placeholders(capture_ids.len())
    );
    let values: Vec<Value> = capture_ids.iter().map(|id| (*id).into()).collect();
    let mut standings = HashMap::new();
    for row in db::query(db, &sql, values).await? {
        let status: String = row.try_get("", "status")?;
        let run_at: Option<DateTime<Utc>> = row.try_get("", "run_at")?;
        let kind: Option<String> = row.try_get("", "error_kind")?;
        let standing = match (status.as_str(), run_at) {
            ("running", _) => Standing::Running,
            ("scheduled", Some(until)) if kind.as_deref() == Some(super::SNOOZED) => Standing::Waiting { until },
            ("scheduled", Some(run_at)) => {
                let (attempt, most): (i32, i32) = (row.try_get("", "attempt")?, row.try_get("", "max_attempts")?);
                let rest: Duration = (attempt + 1..most).map(retry_ceiling).sum();
                Standing::Retrying { until: run_at + rest }
            }
            _ => Standing::Queued,
        };
        standings.insert(row.try_get("", "capture_id")?, standing);
    }
    Ok(standings)
}

/// How many captures of a user are queued, planned or running.
pub async fn captures_under_way(db: &impl ConnectionTrait, user_id: i64) -> Result<u64, DbErr> {
    let sql = "SELECT COUNT(*) AS n FROM jobs WHERE user_id = ? AND type = 'FETCH_CHATTERS' \
               AND status IN ('pending', 'scheduled', 'running')";
    let rows = db::query(db, sql, [user_id.into()]).await?;
    rows.first().map_or(Ok(0), |row| Ok(u64::try_from(row.try_get::<i64>("", "n")?).unwrap_or(0)))
}
