//! Connections to Twitch over time: each is validated every hour, and whoever lost theirs is signed out everywhere.
//!
//! Twitch demands both (dev.twitch.tv/docs/authentication/validate-tokens). The tokens stay behind the gate; here it is asked
//! about one user after the other.

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use sea_orm::{DatabaseConnection, DbErr};

use super::{UNUSED, web_session};
use crate::{
    audit::{self, Event},
    clock::Clock,
    db,
    store::Store,
    twitch::{TwitchClient, TwitchError, VALIDATE_AFTER},
};

/// Tokens validated by one look; at a look a minute enough for 12,000 an hour.
const BATCH: u32 = 200;
/// Questions to Twitch at a time.
const AT_ONCE: usize = 4;
/// Users signed out by one look for other reasons than a validation.
const LOST_BATCH: u32 = 200;

/// What a look came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Users whose tokens Twitch takes.
    pub good: usize,
    /// Users who were signed out.
    pub lost: usize,
    /// Users about whom Twitch could not be asked; they are asked about again.
    pub unknown: usize,
}

/// Validates the tokens in use whose time has come, and signs out whose tokens Twitch refused, now or since the last look.
/// Safe to run twice, and to be stopped at any point.
pub async fn look(
    db: &DatabaseConnection,
    store: &Store,
    twitch: &TwitchClient,
    clock: &Clock,
) -> Result<Looked, DbErr> {
    let begun = clock.now();
    let mut looked = Looked::default();
    let users = due(db, begun).await?;
    let mut last_error = None;
    let mut answers = stream::iter(users)
        .map(|user_id| async move { (user_id, twitch.validate(user_id).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((user_id, answer)) = answers.next().await {
        match answer {
            Ok(()) => looked.good += 1,
            Err(TwitchError::SignInAgain) => {
                sign_out(db, store, user_id, begun, clock.now()).await?;
                looked.lost += 1;
            }
            Err(error) => {
                // The others are asked about all the same: where Twitch is away, the gate's breaker keeps that short.
                looked.unknown += 1;
                tracing::debug!(user.id = user_id, %error, "a connection to Twitch could not be validated");
                last_error = Some(error);
            }
        }
    }
    if let Some(error) = last_error {
        let users = looked.unknown;
        tracing::warn!(users, %error, "connections to Twitch could not be validated; they are tried again every minute");
    }
    for user_id in without_token(db, begun).await? {
        sign_out(db, store, user_id, begun, clock.now()).await?;
        looked.lost += 1;
    }
    Ok(looked)
}

/// The users of tokens in use that were not validated lately, the longest ago first.
async fn due(db: &DatabaseConnection, now: DateTime<Utc>) -> Result<Vec<i64>, DbErr> {
    let sql = format!(
        "SELECT t.user_id FROM twitch_tokens t WHERE t.validated_at <= ? AND NOT ({UNUSED}) \
         ORDER BY t.validated_at, t.user_id LIMIT {BATCH}"
    );
    let values = [(now - VALIDATE_AFTER).into(), now.into(), (now - web_session::IDLE_LIMIT).into()];
    db::query(db, &sql, values).await?.iter().map(|row| row.try_get("", "user_id")).collect()
}

/// The users who are signed in here although nothing is left that Twitch would take: a refresh was refused.
async fn without_token(db: &DatabaseConnection, now: DateTime<Utc>) -> Result<Vec<i64>, DbErr> {
    let sql = format!(
        "SELECT DISTINCT w.user_id FROM web_sessions w WHERE w.created_at < ? \
         AND NOT EXISTS (SELECT 1 FROM twitch_tokens t WHERE t.user_id = w.user_id) ORDER BY w.user_id LIMIT {LOST_BATCH}"
    );
    db::query(db, &sql, [now.into()]).await?.iter().map(|row| row.try_get("", "user_id")).collect()
}

/// Ends the web sessions from before `before`: whoever signed in again since then stays.
async fn sign_out(
    db: &DatabaseConnection,
    store: &Store,
    user_id: i64,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let web_sessions = web_session::end_older(db, store, user_id, before).await?;
    if web_sessions == 0 {
        return Ok(());
    }
    tracing::info!(user.id = user_id, web_sessions, "Twitch takes this user's tokens no more; signed out everywhere");
    let details = serde_json::json!({ "web_sessions": web_sessions });
    if let Err(error) = audit::note(db, Event::ConnectionLost, Some(user_id), None, Some(details), now).await {
        tracing::warn!(%error, "a lost connection was not written to the audit log");
    }
    Ok(())
}
