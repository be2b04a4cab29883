//! The job `FETCH_USERS_INFO`: profiles of a capture's accounts that nobody has read yet, 100 a call.
//!
//! What is read is marked in `twitch_users`, so running twice asks only for the rest, and an account is asked for once however
//! many sessions hold it. A long list is done in slices, so that one large chat does not keep a worker from the others.

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter};

use super::{Column, Entity, Status, fetch::Context, fetch::job_error};
use crate::{
    account, db,
    job::{self, Job, JobError, Lease, NewJob, Priority},
    session,
    twitch::TwitchUserId,
};

/// Accounts of one call; Twitch's limit.
const PER_CALL: u32 = 100;
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
            answer = context.twitch.profiles(&ids) => answer.map_err(job_error)?,
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
