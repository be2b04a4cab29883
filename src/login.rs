//! Signing in: the browser's side of Twitch's code flow, and web sessions.
//!
//! A web session is a signed-in browser: a random id in a cookie, of which only the hash is stored, in `web_sessions` and, as a
//! copy that may vanish, in the store. Tokens never pass through here: the gate behind [`crate::twitch::TwitchClient`] keeps them.

use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    db,
    twitch::{TwitchClient, TwitchError},
};

pub mod attempt;
pub mod web_session;

/// Revokes the user's token when nothing uses it any more: no web session, and no capture queued, running or planned. Called
/// after a sign-out and after a capture has ended.
pub async fn release_unused_token(
    db: &impl ConnectionTrait,
    twitch: &TwitchClient,
    user_id: i64,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<bool, ReleaseError> {
    let sql = "SELECT t.user_id FROM twitch_tokens t WHERE t.user_id = ? \
               AND NOT EXISTS (SELECT 1 FROM web_sessions w WHERE w.user_id = t.user_id AND w.expires_at > ?) \
               AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.user_id = t.user_id AND j.type = 'FETCH_CHATTERS' \
                               AND j.status IN ('pending', 'running', 'scheduled'))";
    if db::query(db, sql, [user_id.into(), now.into()]).await?.is_empty() {
        return Ok(false);
    }
    twitch.disconnect(user_id).await?;
    Ok(true)
}

/// Why a token could not be released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error(transparent)]
    Db(#[from] DbErr),
    #[error(transparent)]
    Twitch(#[from] TwitchError),
}
