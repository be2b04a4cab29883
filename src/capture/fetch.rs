//! The job `FETCH_CHATTERS`: all pages of a channel's chat list into one capture.
//!
//! Each page is one transaction under the job's lease, with the cursor of the next page, so a crash costs one page. Running
//! twice is safe: chatters already stored fall away, and the capture is completed by the one run that still holds the lease.

use std::collections::HashSet;

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, Value};
use tokio_util::sync::CancellationToken;

use super::{Entity, Model, Status, complete};
use crate::{
    account,
    clock::Clock,
    db,
    job::{self, JobError, Lease},
    session,
    twitch::{Chatter, ChattersPage, TwitchClient, TwitchError, TwitchUserId},
};

/// What the jobs of captures work with.
#[derive(Clone, Debug)]
pub struct Context {
    pub db: DatabaseConnection,
    pub twitch: TwitchClient,
    pub clock: Clock,
    /// Largest chat that is taken, in accounts.
    pub max_chatters: u32,
    /// Set when this process must hand its jobs back.
    pub hand_back: CancellationToken,
}

/// Reads the rest of a capture's pages and completes it. Everything up to an error is kept for the next attempt.
pub async fn fetch(context: &Context, lease: &Lease, capture_id: i64) -> Result<(), JobError> {
    let mut capture = load_running(&context.db, capture_id).await?;
    let broadcaster = TwitchUserId(capture.broadcaster_id);
    let moderator = moderator_of(&context.db, capture.user_id).await?;
    let mut cursors = HashSet::new();
    loop {
        let after = capture.next_cursor.clone();
        let asked = context.twitch.chatters(capture.user_id, broadcaster, moderator, after.as_deref());
        let page = tokio::select! {
            page = asked => page,
            () = context.hand_back.cancelled() => return Err(JobError::HandBack),
        };
        let page = match page {
            Ok(page) => page,
            // A cursor that Twitch no longer accepts: the list is read again from its start.
            Err(TwitchError::Rejected { .. }) if after.is_some() => {
                return Err(start_over(context, lease, &capture).await?);
            }
            Err(error) => return Err(job_error(error)),
        };
        refuse_oversize(context, &capture, &page)?;
        if let Some(next) = &page.next {
            let most_pages = 2 * context.max_chatters / 1_000 + 10;
            if !cursors.insert(next.clone()) || u32::try_from(capture.pages).unwrap_or(0) > most_pages {
                return Err(start_over(context, lease, &capture).await?);
            }
        }
        match store_page(context, lease, &capture, &page).await? {
            Some(after_page) => capture = after_page,
            None => return Ok(()),
        }
    }
}

async fn load_running(db: &DatabaseConnection, capture_id: i64) -> Result<Model, JobError> {
    match Entity::find_by_id(capture_id).one(db).await? {
        Some(capture) if capture.status == Status::Running => Ok(capture),
        _ => Err(JobError::Gone),
    }
}

async fn moderator_of(db: &DatabaseConnection, user_id: i64) -> Result<TwitchUserId, JobError> {
    let rows = db::query(db, "SELECT twitch_user_id FROM users WHERE id = ?", [user_id.into()]).await?;
    let row = rows.first().ok_or(JobError::Gone)?;
    Ok(TwitchUserId(row.try_get("", "twitch_user_id")?))
}

fn refuse_oversize(context: &Context, capture: &Model, page: &ChattersPage) -> Result<(), JobError> {
    let stored = u32::try_from(capture.chatters_count).unwrap_or(0);
    let on_page = u32::try_from(page.chatters.len()).unwrap_or(u32::MAX);
    let size = page.total.unwrap_or(0).max(stored.saturating_add(on_page));
    if size <= context.max_chatters {
        return Ok(());
    }
    let message = format!("the chat holds {size} accounts, more than the limit of {}", context.max_chatters);
    Err(JobError::Fail { kind: "too_large", message })
}

/// Stores one page; the last one completes the capture and the job. Returns the capture as it stands, or `None` when complete.
pub(super) async fn store_page(
    context: &Context,
    lease: &Lease,
    capture: &Model,
    page: &ChattersPage,
) -> Result<Option<Model>, JobError> {
    db::write_txn!(&context.db, |txn| {
        job::hold(txn, lease).await?;
        let added = store_chatters(txn, capture.id, &page.chatters).await?;
        let renamed = account::note_seen(txn, &page.chatters, page.read_at).await?;
        session::note_accounts_changed(txn, &renamed).await?;
        let mut after = capture.clone();
        after.chatters_count += added;
        after.pages += 1;
        after.expected_count = page.total.and_then(|total| i32::try_from(total).ok()).or(after.expected_count);
        after.next_cursor.clone_from(&page.next);
        if page.next.is_some() {
            note_progress(txn, &after).await?;
            job::keep(txn, lease, &context.clock).await?;
            return Ok(Some(after));
        }
        let now = context.clock.now();
        if !complete(txn, &after, now).await? {
            return Err(JobError::Gone);
        }
        job::finish(txn, lease, now).await?;
        Ok(None)
    })
}

/// Adds chatters that the capture does not hold yet; returns how many those were.
pub async fn store_chatters(txn: &DatabaseTransaction, capture_id: i64, chatters: &[Chatter]) -> Result<i32, DbErr> {
    let mut ids: Vec<i64> = chatters.iter().map(|chatter| chatter.id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut added = 0;
    for chunk in ids.chunks(db::ROWS_PER_INSERT) {
        let rows = vec!["(?, ?)"; chunk.len()].join(", ");
        let sql =
            format!("{} INTO capture_chatters (capture_id, twitch_user_id) VALUES {rows}", db::insert_or_ignore(txn));
        let values: Vec<Value> = chunk.iter().flat_map(|id| [capture_id.into(), (*id).into()]).collect();
        added += db::execute(txn, &sql, values).await?.rows_affected();
    }
    Ok(i32::try_from(added).unwrap_or(i32::MAX))
}

async fn note_progress(txn: &DatabaseTransaction, capture: &Model) -> Result<(), JobError> {
    let sql = "UPDATE captures SET chatters_count = ?, pages = ?, expected_count = ?, next_cursor = ? \
               WHERE id = ? AND status = 'running'";
    let values = [
        capture.chatters_count.into(),
        capture.pages.into(),
        capture.expected_count.into(),
        capture.next_cursor.clone().into(),
        capture.id.into(),
    ];
    match db::execute(txn, sql, values).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(JobError::Gone),
    }
}

/// Forgets the cursor and what was read under it, so that the next attempt begins with the first page. Fenced like a page: a
/// worker that lost its lease must not empty what another one has read.
async fn start_over(context: &Context, lease: &Lease, capture: &Model) -> Result<JobError, JobError> {
    db::write_txn!(&context.db, |txn| {
        job::keep(txn, lease, &context.clock).await?;
        let sql =
            "UPDATE captures SET chatters_count = 0, pages = 0, next_cursor = NULL WHERE id = ? AND status = 'running'";
        if db::execute(txn, sql, [capture.id.into()]).await?.rows_affected() != 1 {
            return Err(JobError::Gone);
        }
        db::execute(txn, "DELETE FROM capture_chatters WHERE capture_id = ?", [capture.id.into()]).await?;
        Ok(())
    })?;
    let message = "Twitch's list of chatters did not come to an end; reading it again from its start".to_owned();
    Ok(JobError::Retry { kind: "bad_pages", message })
}

/// What an answer of Twitch means for a job.
pub(super) fn job_error(error: TwitchError) -> JobError {
    let message = error.to_string();
    match error {
        TwitchError::Busy { retry_after } => JobError::Snooze { after: retry_after, message },
        TwitchError::Unavailable { .. } => JobError::Retry { kind: "twitch_unavailable", message },
        other => JobError::Fail { kind: other.kind(), message },
    }
}
