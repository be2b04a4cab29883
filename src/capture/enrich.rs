//! The job `FETCH_USERS_INFO`: profiles of a capture's accounts that nobody has read yet, 100 a call.
//!
//! What is read is marked in `twitch_users`, so running twice asks only for the rest, and an account is asked for once however
//! many sessions hold it. A long list is done in slices, so that one large chat does not keep a worker from the others.

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use super::{Column, Entity, Status, fetch::Context};
use crate::{
    account, db,
    job::{self, Job, JobError, Lease, NewJob, Priority},
    session,
    twitch::{TwitchError, TwitchUserId},
};

/// Accounts of one call; Twitch's limit.
const PER_CALL: u32 = 100;
/// How long the operator has before Twitch is asked again with settings that it refused.
const FOR_THE_OPERATOR: std::time::Duration = std::time::Duration::from_mins(5);
/// Calls of one job before it goes to the back of the queue.
const CALLS_PER_SLICE: u32 = 50;

/// Reads the next slice of profiles and finishes the job; where more remain, the same transaction enqueues the rest.
pub async fn enrich(context: &Context, lease: &Lease, capture_id: i64) -> Result<(), JobError> {
    let mut after = TwitchUserId(0);
    for _ in 0..CALLS_PER_SLICE {
        let ids = unread(&context.db, capture_id, after, PER_CALL).await?;
        let Some(last) = ids.last() else { break };
        after = *last;
        let answer = tokio::select! {
            answer = context.twitch.profiles(&ids) => answer.map_err(later)?,
            () = context.hand_back.cancelled() => return Err(JobError::HandBack),
        };
        db::write_txn!(&context.db, |txn| {
            job::hold(txn, lease).await?;
            let changed = account::store_profiles(txn, &ids, &answer.profiles, answer.read_at).await?;
            session::note_accounts_changed(txn, &changed).await?;
            job::keep(txn, lease, &context.clock).await
        })?;
    }
    db::write_txn!(&context.db, |txn| {
        let now = context.clock.now();
        job::finish(txn, lease, now).await?;
        let capture = Entity::find_by_id(capture_id).filter(Column::Status.eq(Status::Complete)).one(txn).await?;
        if let Some(capture) = capture
            && !unread(txn, capture_id, TwitchUserId(0), 1).await?.is_empty()
        {
            let new = NewJob {
                job: Job::FetchUsersInfo { capture_id },
                priority: Priority::Enrichment,
                user_id: capture.user_id,
                session_id: capture.session_id,
            };
            job::enqueue(txn, new, now).await?;
        }
        Ok(())
    })
}

/// Profiles are read with the application's own token, so whatever Twitch refuses is for the operator to mend, and worth
/// another attempt afterwards.
#[expect(clippy::needless_pass_by_value, reason = "what map_err calls takes the error")]
fn later(error: TwitchError) -> JobError {
    let message = error.to_string();
    match error {
        TwitchError::Busy { retry_after } => JobError::Snooze { after: retry_after, message },
        TwitchError::NotConfigured | TwitchError::Rejected { .. } => {
            JobError::Snooze { after: FOR_THE_OPERATOR, message }
        }
        _ => JobError::Retry { kind: "twitch_unavailable", message },
    }
}

/// Accounts of the capture whose profile nobody has read, in the order of their numbers, from the one that follows `after`.
async fn unread(
    db: &impl ConnectionTrait,
    capture_id: i64,
    after: TwitchUserId,
    limit: u32,
) -> Result<Vec<TwitchUserId>, DbErr> {
    let sql = format!(
        "SELECT c.twitch_user_id FROM capture_chatters c JOIN twitch_users u ON u.twitch_user_id = c.twitch_user_id \
         WHERE c.capture_id = ? AND c.twitch_user_id > ? AND u.last_fetched_at IS NULL \
         ORDER BY c.twitch_user_id LIMIT {limit}"
    );
    let rows = db::query(db, &sql, [capture_id.into(), after.0.into()]).await?;
    rows.iter().map(|row| row.try_get("", "twitch_user_id").map(TwitchUserId)).collect()
}
