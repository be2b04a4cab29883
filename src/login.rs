//! Signing in: the browser's side of Twitch's code flow, and web sessions.
//!
//! A web session is a signed-in browser: a random id in a cookie, of which only the hash is stored, in `web_sessions` and, as a
//! copy that may vanish, in the store. Tokens never pass through here: the gate behind [`crate::twitch::TwitchClient`] keeps them.

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use crate::{
    db,
    twitch::{TwitchClient, TwitchError},
};

pub mod attempt;
pub mod connections;
pub mod web_session;

/// What keeps a token in use: a browser that is signed in, or a capture that is not finished. Values: now, the oldest activity.
const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM web_sessions w WHERE w.user_id = t.user_id AND w.expires_at > ? \
                      AND w.last_activity_at > ?) \
                      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.user_id = t.user_id AND j.type = 'FETCH_CHATTERS' \
                      AND j.status IN ('pending', 'running', 'scheduled'))";
/// Tokens younger than this are left to the sign-in that brought them.
const SIGN_IN_TIME: Duration = Duration::minutes(2);

/// Revokes the user's token when nothing uses it any more: no web session, and no capture queued, running or planned. Called
/// after a sign-out and after a capture has ended.
pub async fn release_unused_token(
    db: &impl ConnectionTrait,
    twitch: &TwitchClient,
    user_id: i64,
    now: DateTime<Utc>,
) -> Result<bool, ReleaseError> {
    let sql = format!("SELECT t.user_id FROM twitch_tokens t WHERE t.user_id = ? AND {UNUSED}");
    if db::query(db, &sql, [user_id.into(), now.into(), (now - web_session::IDLE_LIMIT).into()]).await?.is_empty() {
        return Ok(false);
    }
    twitch.disconnect(user_id).await?;
    Ok(true)
}

/// Revokes the tokens that nothing uses any more and nobody released: the browser's time ran out, Twitch did not answer at the
/// sign-out, the last capture was cancelled. Returns how many.
pub async fn release_unused_tokens(
    db: &impl ConnectionTrait,
    twitch: &TwitchClient,
    now: DateTime<Utc>,
) -> Result<u64, ReleaseError> {
    let sql = format!(
        "SELECT t.user_id FROM twitch_tokens t WHERE t.updated_at < ? AND {UNUSED} ORDER BY t.user_id LIMIT 50"
    );
    let values = [(now - SIGN_IN_TIME).into(), now.into(), (now - web_session::IDLE_LIMIT).into()];
    let mut released = 0;
    for row in db::query(db, &sql, values).await? {
        twitch.disconnect(row.try_get("", "user_id")?).await?;
        released += 1;
    }
    Ok(released)
}

/// What Twitch lets this program read for a user, and when it last said so; `None` without a token.
pub async fn connection(db: &impl ConnectionTrait, user_id: i64) -> Result<Option<Connection>, DbErr> {
    let sql = "SELECT scopes, validated_at FROM twitch_tokens WHERE user_id = ?";
    let rows = db::query(db, sql, [user_id.into()]).await?;
    let read = |row: &QueryResult| {
        let scopes: String = row.try_get("", "scopes")?;
        let scopes = scopes.split_whitespace().map(str::to_owned).collect();
        Ok(Connection { scopes, validated_at: row.try_get("", "validated_at")? })
    };
    rows.first().map(read).transpose()
}

/// A user's connection to Twitch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// As Twitch names them.
    pub scopes: Vec<String>,
    pub validated_at: DateTime<Utc>,
}

/// Why a token could not be released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error(transparent)]
    Db(#[from] DbErr),
    #[error(transparent)]
    Twitch(#[from] TwitchError),
}
