//! What one user may know of one account: the names and sightings of their own captures, nothing else.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use crate::{db, twitch::TwitchUserId};

/// A change of name that happened after the user's first capture of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChange {
    pub from_login: String,
    pub from_display_name: String,
    pub to_login: String,
    pub to_display_name: String,
    /// `capture` or `enrichment`.
    pub source: String,
    pub detected_at: DateTime<Utc>,
}

impl NameChange {
    /// Whether the login changed, not just the display name.
    pub fn is_rename(&self) -> bool {
        self.from_login != self.to_login
    }
}

/// One of the user's captures, and whether the account was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub capture_id: i64,
    pub broadcaster_login: String,
    pub captured_at: DateTime<Utc>,
    pub present: bool,
}

/// When the user's captures first saw the account; `None` if they never did.
pub async fn first_seen_by(
    db: &impl ConnectionTrait,
    user_id: i64,
    account: TwitchUserId,
) -> Result<Option<DateTime<Utc>>, DbErr> {
    let sql = "SELECT MIN(a.first_seen) AS at FROM session_accounts a JOIN sessions s ON s.id = a.session_id \
               WHERE s.user_id = ? AND a.twitch_user_id = ?";
    let rows = db::query(db, sql, [user_id.into(), account.0.into()]).await?;
    rows.first().map_or(Ok(None), |row| row.try_get("", "at"))
}

/// Changes of name recorded since `since`, the newest first.
pub async fn name_changes(
    db: &impl ConnectionTrait,
    account: TwitchUserId,
    since: DateTime<Utc>,
) -> Result<Vec<NameChange>, DbErr> {
    let sql = "SELECT login, display_name, new_login, new_display_name, source, detected_at FROM twitch_user_names \
               WHERE twitch_user_id = ? AND detected_at >= ? ORDER BY detected_at DESC, id DESC LIMIT 200";
    let rows = db::query(db, sql, [account.0.into(), since.into()]).await?;
    rows.iter()
        .map(|row| {
            Ok(NameChange {
                from_login: row.try_get("", "login")?,
                from_display_name: row.try_get("", "display_name")?,
                to_login: row.try_get("", "new_login")?,
                to_display_name: row.try_get("", "new_display_name")?,
                source: row.try_get("", "source")?,
                detected_at: row.try_get("", "detected_at")?,
            })
        })
        .collect()
}

/// The account's presence in the user's latest captures of live sessions, of the channels where it was ever seen; oldest first.
pub async fn presence(
    db: &impl ConnectionTrait,
    user_id: i64,
    account: TwitchUserId,
    limit: u32,
) -> Result<Vec<Sighting>, DbErr> {
    let sql = format!(
        "SELECT c.id, c.broadcaster_login, c.captured_at, cc.twitch_user_id AS present \
         FROM captures c JOIN sessions s ON s.id = c.session_id \
         LEFT JOIN capture_chatters cc ON cc.capture_id = c.id AND cc.twitch_user_id = ? \
         WHERE s.user_id = ? AND s.status IN ('active', 'saved') AND c.status = 'complete' \
         AND EXISTS (SELECT 1 FROM session_accounts a WHERE a.session_id = c.session_id AND a.twitch_user_id = ? \
                     AND a.broadcaster_id = c.broadcaster_id) \
         ORDER BY c.captured_at DESC, c.id DESC LIMIT {limit}"
    );
    let rows = db::query(db, &sql, [account.0.into(), user_id.into(), account.0.into()]).await?;
    let mut sightings = rows
        .iter()
        .map(|row| {
            Ok(Sighting {
                capture_id: row.try_get("", "id")?,
                broadcaster_login: row.try_get("", "broadcaster_login")?,
                captured_at: row.try_get("", "captured_at")?,
                present: row.try_get::<Option<i64>>("", "present")?.is_some(),
            })
        })
        .collect::<Result<Vec<_>, DbErr>>()?;
    sightings.reverse();
    Ok(sightings)
}
