//! The queue: work that outlives the request that asked for it.
//!
//! A job is enqueued in the transaction of whoever needs it, claimed under a lease, and settled in the same transaction as
//! the data it wrote. Delivery is at least once, so whatever a job does must be safe to run twice; a settlement by a worker
//! that lost its lease is refused. Who runs which job stands in `roles/worker.rs`.
//!
//! Jobs go by priority, within a priority by turn, within a turn by id. A job's turn is given when it is enqueued and kept
//! through pauses, retries and lost workers: one past the last turn that its user still has in that priority, but never
//! behind the turn at which the queue stands. So the users of a priority take turns, however many jobs one of them brings:
//! a newcomer goes into the current round, neither behind a thousand jobs of somebody else nor before everything that others
//! have been waiting for. A follow-up slice is enqueued like any other job and goes behind those who waited meanwhile.

use chrono::{DateTime, Duration, Utc};
use rand::Rng;
use sea_orm::{ConnectionTrait, DbErr};
use serde::{Deserialize, Serialize};

mod look;
mod queue;
mod settle;
mod tend;
mod turn;

pub use look::{Standing, captures_under_way, standings};
pub use queue::{Claimed, Parked, claim, claim_statement, heartbeat, move_due, prune, rescue};
pub use settle::{
    Lease, cancel_of_capture, cancel_of_session, cancel_of_user, fail, finish, hand_back, hold, keep, retry, snooze,
};
pub use tend::{Listed, Revived, STATUSES, counts, failed_ids, find, first_waits, list, oldest_pending_ages, revive};
pub use turn::{Turns, raise, turns_statement};

use crate::db;

/// How long a worker may stay silent before its job is given to another.
pub const LEASE: Duration = Duration::seconds(10);
/// How often a worker says that it is alive.
pub const HEARTBEAT: std::time::Duration = std::time::Duration::from_secs(3);
/// A job whose worker vanished this often is parked as failed.
pub const MAX_LOST_LEASES: i32 = 3;
/// The topic on which the store tells workers that something was enqueued.
pub const TOPIC: &str = "jobs";

/// What is to be done; ids only, so that a stored job never disagrees with the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload")]
pub enum Job {
    /// Read all pages of a channel's chatters into a capture.
    #[serde(rename = "FETCH_CHATTERS")]
    FetchChatters { capture_id: i64 },
    /// Read the profiles of a capture's accounts that nobody has read yet.
    #[serde(rename = "FETCH_USERS_INFO")]
    FetchUsersInfo { capture_id: i64 },
}

impl Job {
    /// Every value of `jobs.type` that this version knows.
    pub const TYPE_NAMES: [&str; 2] = ["FETCH_CHATTERS", "FETCH_USERS_INFO"];

    /// The value of `jobs.type`, also the label in metrics.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::FetchChatters { .. } => "FETCH_CHATTERS",
            Self::FetchUsersInfo { .. } => "FETCH_USERS_INFO",
        }
    }

    /// The capture that the job works on.
    pub const fn capture_id(&self) -> i64 {
        match self {
            Self::FetchChatters { capture_id } | Self::FetchUsersInfo { capture_id } => *capture_id,
        }
    }

    const fn max_attempts(&self) -> i32 {
        match self {
            Self::FetchChatters { .. } => 6,
            Self::FetchUsersInfo { .. } => 10,
        }
    }

    /// Names the work while it is alive, so that the same work is queued once.
    fn unique_key(&self) -> String {
        format!("{}:{}", self.type_name(), self.capture_id())
    }

    fn payload(&self) -> serde_json::Value {
        serde_json::json!({ "capture_id": self.capture_id() })
    }

    fn from_row(type_name: &str, payload: &str) -> Result<Self, DbErr> {
        let broken = |error: serde_json::Error| DbErr::Custom(format!("unreadable job of type {type_name}: {error}"));
        let payload: serde_json::Value = serde_json::from_str(payload).map_err(broken)?;
        serde_json::from_value(serde_json::json!({ "type": type_name, "payload": payload })).map_err(broken)
    }
}

/// Who waits for it; lower goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A person is looking at the progress bar.
    Person = 0,
    /// A planned capture.
    Planned = 1,
    /// Profiles, which can follow later.
    Enrichment = 2,
}

/// A job to enqueue and whom it belongs to.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub job: Job,
    pub priority: Priority,
    pub user_id: i64,
    pub session_id: i64,
}

/// Adds a job within the caller's transaction. After the commit, tell the store: [`TOPIC`].
pub async fn enqueue(txn: &impl ConnectionTrait, new: NewJob, now: DateTime<Utc>) -> Result<(), DbErr> {
    const SQL: &str = "INSERT INTO jobs (type, payload, status, priority, turn, attempt, max_attempts, snoozes, lost_leases, \
                       unique_key, user_id, session_id, capture_id, created_at) \
                       VALUES (?, ?, 'pending', ?, ?, 0, ?, 0, 0, ?, ?, ?, ?, ?)";
    let NewJob { job, priority, user_id, session_id } = new;
    let turn = turn::next_turn(txn, user_id, priority).await?;
    let values = [
        job.type_name().into(),
        job.payload().to_string().into(),
        (priority as i32).into(),
        turn.into(),
        job.max_attempts().into(),
        job.unique_key().into(),
        user_id.into(),
        session_id.into(),
        job.capture_id().into(),
        now.into(),
    ];
    db::execute(txn, SQL, values).await.map(drop)
}

/// Why a job did not get done this time, and what becomes of it.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Worth another attempt after a pause.
    #[error("{message}")]
    Retry { kind: &'static str, message: String },
    /// Will never succeed.
    #[error("{message}")]
    Fail { kind: &'static str, message: String },
    /// Not now, and not the job's fault: no attempt is spent.
    #[error("waits {after:?}: {message}")]
    Snooze { after: std::time::Duration, message: String },
    /// This process is stopping; another one goes on.
    #[error("handed back")]
    HandBack,
    /// Cancelled meanwhile, or another worker has it: nothing to settle.
    #[error("no longer this worker's job")]
    Gone,
    /// The database failed; worth another attempt.
    #[error("database: {0}")]
    Db(#[from] DbErr),
}

impl db::AsDbErr for JobError {
    fn as_db_err(&self) -> Option<&DbErr> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

/// The `error_kind` of a job that waits for Twitch's limit.
const SNOOZED: &str = "busy";

/// The pause before attempt `attempt + 1`: exponential with full jitter, at most five minutes.
pub fn retry_delay(attempt: i32, rng: &mut impl Rng) -> Duration {
    Duration::milliseconds(rng.random_range(500..=retry_ceiling(attempt).num_milliseconds()))
}

/// The longest pause before attempt `attempt + 1`.
fn retry_ceiling(attempt: i32) -> Duration {
    Duration::seconds(2 << attempt.clamp(0, 8)).min(Duration::minutes(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_its_row() {
        let job = Job::FetchChatters { capture_id: 7 };
        assert_eq!(Job::from_row(job.type_name(), &job.payload().to_string()).unwrap(), job);
    }

    #[test]
    fn an_unknown_job_is_an_error_and_not_a_guess() {
        assert!(Job::from_row("FETCH_EVERYTHING", "{}").is_err());
        assert!(Job::from_row("FETCH_CHATTERS", "{\"capture\":1}").is_err());
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let mut rng = rand::rng();
        for attempt in 0..40 {
            let pause = retry_delay(attempt, &mut rng);
            assert!(pause >= Duration::milliseconds(500) && pause <= Duration::seconds(300), "{attempt}: {pause}");
        }
        assert!((0..200).all(|_| retry_delay(0, &mut rng) <= Duration::seconds(2)));
    }
}
