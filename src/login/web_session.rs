//! Web sessions: created at sign-in, looked up with every page, ended by sign-out, disconnect or time.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::{DateTime, Duration, Utc};
use rand::RngCore;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use serde::{Deserialize, Serialize};

use crate::{
    db,
    store::{Area, Store},
    twitch::TwitchUserId,
};

/// A browser that stays away this long is signed out.
pub const IDLE_LIMIT: Duration = Duration::days(7);
/// Even a busy browser signs in again after this long.
pub const ABSOLUTE_LIMIT: Duration = Duration::days(30);
/// How precisely activity is remembered; keeps a page view from being a write.
const TOUCH_EVERY: Duration = Duration::hours(1);
/// How long the store's copy serves before the database is asked again.
const COPY_TTL: std::time::Duration = std::time::Duration::from_mins(5);
/// What stands in the store in place of the copy of a session that was ended.
const ENDED: &[u8] = b"ended";

/// The secret in the browser's cookie: 256 random bits, base64url.
#[derive(Clone)]
pub struct WebSessionId(String);

impl WebSessionId {
    fn random() -> Self {
        let mut bytes = [0u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a cookie's value; anything of another form is refused before any look-up.
    pub fn parse(text: &str) -> Option<Self> {
        let plausible = text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        plausible.then(|| Self(text.to_owned()))
    }

    /// What the cookie carries.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// What is stored: the id cannot be found from it.
    pub fn hash(&self) -> String {
        blake3::hash(self.0.as_bytes()).to_hex().to_string()
    }
}

impl std::fmt::Debug for WebSessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebSessionId(…)")
    }
}

/// Who is behind a cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedInUser {
    /// `users.id`.
    pub user_id: i64,
    pub twitch_user_id: TwitchUserId,
    pub login: String,
    pub display_name: String,
    pub expires_at: DateTime<Utc>,
    pub last_activity_at: DateTime<Utc>,
}

impl SignedInUser {
    fn is_valid(&self, now: DateTime<Utc>) -> bool {
        now < self.expires_at && now - self.last_activity_at < IDLE_LIMIT
    }
}

/// Signs a browser in with a new id.
pub async fn create(db: &impl ConnectionTrait, user_id: i64, now: DateTime<Utc>) -> Result<WebSessionId, DbErr> {
    let id = WebSessionId::random();
    let sql = "INSERT INTO web_sessions (session_hash, user_id, created_at, last_activity_at, expires_at) \
               VALUES (?, ?, ?, ?, ?)";
    let values = [id.hash().into(), user_id.into(), now.into(), now.into(), (now + ABSOLUTE_LIMIT).into()];
    db::execute(db, sql, values).await?;
    Ok(id)
}

/// Who is signed in with this id. The store answers if it can; the database is what counts.
pub async fn find(
    db: &DatabaseConnection,
    store: &Store,
    id: &WebSessionId,
    now: DateTime<Utc>,
) -> Result<Option<SignedInUser>, DbErr> {
    let hash = id.hash();
    let copy = store.get(Area::WebSessions, &hash).await.ok().flatten();
    if copy.as_deref() == Some(ENDED) {
        return Ok(None);
    }
    if let Some(copy) = copy
        && let Ok(user) = serde_json::from_slice::<SignedInUser>(&copy)
        && user.is_valid(now)
        && now - user.last_activity_at < TOUCH_EVERY
    {
        return Ok(Some(user));
    }
    let Some(mut user) = load(db, &hash).await?.filter(|user| user.is_valid(now)) else { return Ok(None) };
    if now - user.last_activity_at >= TOUCH_EVERY {
        let sql = "UPDATE web_sessions SET last_activity_at = ? WHERE session_hash = ?";
        db::execute(db, sql, [now.into(), hash.clone().into()]).await?;
        user.last_activity_at = now;
    }
    if let Ok(copy) = serde_json::to_vec(&user) {
        // Only where nothing stands, so that a sign-out at this very moment is not undone. A copy that could not be kept
        // costs the next page a query, nothing else.
        drop(store.set_if_absent(Area::WebSessions, &hash, Bytes::from(copy), COPY_TTL).await);
    }
    Ok(Some(user))
}

async fn load(db: &impl ConnectionTrait, hash: &str) -> Result<Option<SignedInUser>, DbErr> {
    let sql = "SELECT u.id, u.twitch_user_id, u.login, u.display_name, w.expires_at, w.last_activity_at \
               FROM web_sessions w JOIN users u ON u.id = w.user_id WHERE w.session_hash = ?";
    let rows = db::query(db, sql, [hash.into()]).await?;
    rows.first()
        .map(|row| {
            Ok(SignedInUser {
                user_id: row.try_get("", "id")?,
                twitch_user_id: TwitchUserId(row.try_get("", "twitch_user_id")?),
                login: row.try_get("", "login")?,
                display_name: row.try_get("", "display_name")?,
                expires_at: row.try_get("", "expires_at")?,
                last_activity_at: row.try_get("", "last_activity_at")?,
            })
        })
        .transpose()
}

/// Signs this browser out.
pub async fn end(db: &impl ConnectionTrait, store: &Store, id: &WebSessionId) -> Result<(), DbErr> {
    end_hashes(db, store, vec![id.hash()]).await
}

/// Signs every browser of a user out.
pub async fn end_all(db: &impl ConnectionTrait, store: &Store, user_id: i64) -> Result<(), DbErr> {
    let rows = db::query(db, "SELECT session_hash FROM web_sessions WHERE user_id = ?", [user_id.into()]).await?;
    let hashes = rows.iter().map(|row| row.try_get("", "session_hash")).collect::<Result<Vec<String>, _>>()?;
    end_hashes(db, store, hashes).await
}

/// Signs out every browser of a user that was signed in before `before`; returns how many.
pub async fn end_older(
    db: &impl ConnectionTrait,
    store: &Store,
    user_id: i64,
    before: DateTime<Utc>,
) -> Result<usize, DbErr> {
    let sql = "SELECT session_hash FROM web_sessions WHERE user_id = ? AND created_at < ?";
    let rows = db::query(db, sql, [user_id.into(), before.into()]).await?;
    let hashes = rows.iter().map(|row| row.try_get("", "session_hash")).collect::<Result<Vec<String>, _>>()?;
    let count = hashes.len();
    end_hashes(db, store, hashes).await?;
    Ok(count)
}

async fn end_hashes(db: &impl ConnectionTrait, store: &Store, hashes: Vec<String>) -> Result<(), DbErr> {
    for hash in hashes {
        db::execute(db, "DELETE FROM web_sessions WHERE session_hash = ?", [hash.clone().into()]).await?;
        if let Err(error) = store.set(Area::WebSessions, &hash, Bytes::from_static(ENDED), 2 * COPY_TTL).await {
            tracing::warn!(%error, "a copy of an ended web session may live on for up to five minutes");
        }
    }
    Ok(())
}

/// Removes web sessions whose time is over; returns how many.
pub async fn prune(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<u64, DbErr> {
    let sql = "DELETE FROM web_sessions WHERE expires_at <= ? OR last_activity_at <= ?";
    Ok(db::execute(db, sql, [now.into(), (now - IDLE_LIMIT).into()]).await?.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_cookie_and_nothing_else_passes() {
        let id = WebSessionId::random();
        assert_eq!(WebSessionId::parse(id.secret()).unwrap().hash(), id.hash());
        for bad in ["", "short", &"a".repeat(44), "'; DROP TABLE users; --aaaaaaaaaaaaaaaaaaaaa"] {
            assert!(WebSessionId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_id_is_never_printed_and_never_equal_to_its_hash() {
        let id = WebSessionId::random();
        assert!(!format!("{id:?}").contains(id.secret()));
        assert_ne!(id.hash(), id.secret());
    }
}
