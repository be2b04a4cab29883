//! The table `twitch_tokens`: one row a user, both tokens sealed for their place in it.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    db,
    secrets::{TokenCipher, TokenContext},
    user,
};

use super::{TwitchError, TwitchUserId, oauth::TokenGrant, tokens::UserToken};

const ACCESS: &str = "access_token";
const REFRESH: &str = "refresh_token";

/// Somebody who has just signed in.
#[derive(Debug)]
pub struct Person {
    pub twitch_user_id: TwitchUserId,
    pub login: String,
    pub display_name: String,
    pub scopes: Vec<String>,
}

/// A user's tokens as stored.
#[derive(Debug)]
pub struct Row {
    user: i64,
    twitch_user_id: TwitchUserId,
    access: String,
    refresh: Option<String>,
    pub generation: i64,
    pub expires_at: DateTime<Utc>,
    /// When Twitch last said that the access token is good.
    pub validated_at: DateTime<Utc>,
}

impl Row {
    pub fn token(&self, cipher: &TokenCipher) -> Result<UserToken, TwitchError> {
        let access = open(cipher, self.user, ACCESS, &self.access)?;
        Ok(UserToken { access, twitch_user_id: self.twitch_user_id, generation: self.generation })
    }

    pub const fn twitch_user_id(&self) -> TwitchUserId {
        self.twitch_user_id
    }

    pub fn refresh_token(&self, cipher: &TokenCipher) -> Result<Option<SecretString>, TwitchError> {
        self.refresh.as_deref().map(|sealed| open(cipher, self.user, REFRESH, sealed)).transpose()
    }
}

/// The row stays: a key that was forgotten in the settings may come back.
fn open(cipher: &TokenCipher, user: i64, column: &str, sealed: &str) -> Result<SecretString, TwitchError> {
    let row_id = user.to_string();
    let context = TokenContext { table: "twitch_tokens", column, row_id: &row_id };
    let opened = cipher.open(&context, sealed).map_err(|error| {
        tracing::error!(user.id = user, column, %error, "a stored token does not open");
        TwitchError::SignInAgain
    })?;
    let text = std::str::from_utf8(&opened).ok().ok_or(TwitchError::SignInAgain)?;
    Ok(SecretString::from(text))
}

fn seal(cipher: &TokenCipher, user: i64, column: &str, token: &SecretString) -> Result<String, DbErr> {
    let row_id = user.to_string();
    let context = TokenContext { table: "twitch_tokens", column, row_id: &row_id };
    cipher.seal(&context, token.expose_secret().as_bytes()).map_err(|error| DbErr::Custom(error.to_string()))
}

struct Sealed {
    access: String,
    refresh: Option<String>,
    expires_at: DateTime<Utc>,
}

fn seal_grant(cipher: &TokenCipher, user: i64, grant: &TokenGrant, now: DateTime<Utc>) -> Result<Sealed, DbErr> {
    Ok(Sealed {
        access: seal(cipher, user, ACCESS, &grant.access_token)?,
        refresh: grant.refresh_token.as_ref().map(|token| seal(cipher, user, REFRESH, token)).transpose()?,
        expires_at: now + chrono::Duration::seconds(i64::from(grant.expires_in)),
    })
}

/// The tokens of `user`, if there are any.
pub async fn find(db: &impl ConnectionTrait, user: i64) -> Result<Option<Row>, DbErr> {
    const SQL: &str = "SELECT t.access_token, t.refresh_token, t.generation, t.expires_at, t.validated_at, \
        u.twitch_user_id FROM twitch_tokens t JOIN users u ON u.id = t.user_id WHERE t.user_id = ?";
    let rows = db::query(db, SQL, [user.into()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Row {
        user,
        twitch_user_id: TwitchUserId(row.try_get("", "twitch_user_id")?),
        access: row.try_get("", "access_token")?,
        refresh: row.try_get("", "refresh_token")?,
        generation: row.try_get("", "generation")?,
        expires_at: row.try_get("", "expires_at")?,
        validated_at: row.try_get("", "validated_at")?,
    }))
}

/// Puts fresh tokens in the place of those of `generation`; false where others, or none, stand there by now.
pub async fn replace(
    db: &impl ConnectionTrait,
    cipher: &TokenCipher,
    user: i64,
    generation: i64,
    grant: &TokenGrant,
    now: DateTime<Utc>,
) -> Result<bool, DbErr> {
    const SQL: &str = "UPDATE twitch_tokens SET access_token = ?, refresh_token = ?, expires_at = ?, validated_at = ?, \
        updated_at = ?, generation = generation + 1 WHERE user_id = ? AND generation = ?";
    let sealed = seal_grant(cipher, user, grant, now)?;
    let values = [
        sealed.access.into(),
        sealed.refresh.into(),
        sealed.expires_at.into(),
        now.into(),
        now.into(),
        user.into(),
        generation.into(),
    ];
    Ok(db::execute(db, SQL, values).await?.rows_affected() == 1)
}

/// Stores a sign-in: the row in `users` and its tokens, in place of any before. The row in `users` is written first and
/// stays locked, so two sign-ins of one person follow each other.
pub async fn sign_in(
    txn: &DatabaseTransaction,
    cipher: &TokenCipher,
    person: &Person,
    grant: &TokenGrant,
    now: DateTime<Utc>,
) -> Result<i64, DbErr> {
    const UPDATE: &str = "UPDATE twitch_tokens SET access_token = ?, refresh_token = ?, scopes = ?, expires_at = ?, \
        validated_at = ?, updated_at = ?, generation = generation + 1 WHERE user_id = ?";
    const INSERT: &str = "INSERT INTO twitch_tokens \
        (access_token, refresh_token, scopes, expires_at, validated_at, updated_at, user_id, generation) \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let user = user::upsert(txn, person.twitch_user_id.0, &person.login, &person.display_name, now).await?;
    let sealed = seal_grant(cipher, user, grant, now)?;
    let mut values = vec![
        sealed.access.into(),
        sealed.refresh.into(),
        person.scopes.join(" ").into(),
        sealed.expires_at.into(),
        now.into(),
        now.into(),
        user.into(),
    ];
    if db::execute(txn, UPDATE, values.clone()).await?.rows_affected() == 0 {
        // Not counted from 1: a refresh of tokens that were deleted meanwhile must not take these for its own.
        values.push(now.timestamp_micros().into());
        db::execute(txn, INSERT, values).await?;
    }
    Ok(user)
}

/// Remembers that Twitch takes the tokens of this generation.
pub async fn validated(db: &impl ConnectionTrait, user: i64, generation: i64, now: DateTime<Utc>) -> Result<(), DbErr> {
    const SQL: &str = "UPDATE twitch_tokens SET validated_at = ? WHERE user_id = ? AND generation = ?";
    db::execute(db, SQL, [now.into(), user.into(), generation.into()]).await.map(drop)
}

/// Forgets the tokens of `user` where they are those of `generation`; true when they were.
pub async fn delete_generation(db: &impl ConnectionTrait, user: i64, generation: i64) -> Result<bool, DbErr> {
    const SQL: &str = "DELETE FROM twitch_tokens WHERE user_id = ? AND generation = ?";
    Ok(db::execute(db, SQL, [user.into(), generation.into()]).await?.rows_affected() == 1)
}
