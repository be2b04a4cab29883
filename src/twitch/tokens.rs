//! The tokens of the people who signed in (`twitch_tokens`, sealed) and the application's own, kept fresh.
//!
//! Twitch may hand out a new refresh token with every refresh and then forgets the old one, so two refreshes of one user
//! must not race. A lock in the store makes one replica do it; where the lock is lost, the row's generation decides whose
//! tokens stay: the loser reads again and uses what the winner stored. A refresh, once sent, is seen through to the stored
//! row even when the caller has gone.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use moka::future::Cache;
use rand::Rng;
use sea_orm::DatabaseConnection;
use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::{
    clock::Clock,
    db,
    secrets::TokenCipher,
    store::{Area, Store},
};

use super::{
    TwitchError, TwitchUserId,
    helix::TwitchHttp,
    oauth::{self, Application, Refreshed, TokenGrant, Validation},
    token_rows::{self, Row},
};

/// Longer than a refresh takes: a call of 10 s, and the write with its tries.
const LOCK_TTL: Duration = Duration::from_secs(20);
/// Longer than a lock lasts, so that who waits finds fresh tokens or a free lock in the end.
const LOCK_WAIT: Duration = Duration::from_secs(25);
/// Without the lock, another replica may be storing what made Twitch refuse us; it gets this long.
const GRACE_WITHOUT_LOCK: Duration = Duration::from_secs(3);
/// Twitch wants tokens validated every hour (dev.twitch.tv/docs/authentication/validate-tokens); the rest of the hour is for
/// everybody's turn to come, and for a Twitch that does not answer at once.
pub const VALIDATE_AFTER: chrono::Duration = chrono::Duration::minutes(50);
/// Tries to store fresh tokens: they are the only ones left.
const STORE_TRIES: u32 = 6;

/// A user's access token, ready for use.
#[derive(Clone, Debug)]
pub struct UserToken {
    pub access: SecretString,
    pub twitch_user_id: TwitchUserId,
    /// Which of the user's tokens this is.
    pub generation: i64,
}

/// Everything about tokens; cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokens {
    db: DatabaseConnection,
    store: Store,
    clock: Clock,
    cipher: Arc<TokenCipher>,
    http: TwitchHttp,
    app: Option<Application>,
    app_token: Arc<tokio::sync::Mutex<AppToken>>,
    /// In this process one refresh of a user at a time, even while the store is gone.
    turns: Cache<i64, Arc<tokio::sync::Mutex<()>>>,
    running: TaskTracker,
}

#[derive(Debug, Default)]
struct AppToken {
    access: Option<SecretString>,
    /// Counts the tokens, so that a 401 replaces only the token it was for.
    generation: i64,
    good_until: Option<chrono::DateTime<chrono::Utc>>,
}

impl Tokens {
    pub fn new(
        db: DatabaseConnection,
        store: Store,
        clock: Clock,
        cipher: TokenCipher,
        http: TwitchHttp,
        app: Option<Application>,
    ) -> Self {
        let (app_token, running) = (Arc::default(), TaskTracker::new());
        let turns = Cache::builder().max_capacity(10_000).time_to_idle(Duration::from_mins(10)).build();
        Self { db, store, clock, cipher: Arc::new(cipher), http, app, app_token, turns, running }
    }

    /// Waits until no refresh is under way.
    pub async fn settle(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// This installation's application.
    pub fn application(&self) -> Result<&Application, TwitchError> {
        self.app.as_ref().ok_or(TwitchError::NotConfigured)
    }

    /// The access token of `user` (`users.id`), refreshed where its time is over.
    pub async fn of_user(&self, user: i64) -> Result<UserToken, TwitchError> {
        let row = self.load(user).await?;
        if row.expires_at <= self.clock.now() {
            return self.refreshed(user, row.generation).await;
        }
        row.token(&self.cipher)
    }

    /// A token of `user` newer than `generation`, which is no good any more.
    pub async fn refreshed(&self, user: i64, generation: i64) -> Result<UserToken, TwitchError> {
        let tokens = self.clone();
        let refresh = self.running.spawn(async move { tokens.refresh_locked(user, generation).await });
        refresh.await.map_err(|error| TwitchError::unavailable(format!("the refresh was stopped: {error}")))?
    }

    async fn load(&self, user: i64) -> Result<Row, TwitchError> {
        token_rows::find(&self.db, user).await.map_err(storage)?.ok_or(TwitchError::SignInAgain)
    }

    async fn refresh_locked(&self, user: i64, generation: i64) -> Result<UserToken, TwitchError> {
        let turn = self.turns.get_with(user, async { Arc::default() }).await;
        let _turn = turn.lock().await;
        let key = format!("twitch:refresh:{user}");
        let mark = Bytes::from(rand::random::<u64>().to_string());
        let give_up = Instant::now() + LOCK_WAIT;
        let is_locked = loop {
            let row = self.load(user).await?;
            if row.generation != generation {
                return row.token(&self.cipher);
            }
            match self.store.set_if_absent(Area::RateLimits, &key, mark.clone(), LOCK_TTL).await {
                Ok(false) if Instant::now() < give_up => {}
                Ok(is_locked) => break is_locked,
                // The generation still decides.
                Err(_) => break false,
            }
            let pause = rand::rng().random_range(40..120);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        };
        let result = self.refresh(user, generation, is_locked).await;
        if let Err(error) = self.store.delete_if_equals(Area::RateLimits, &key, mark).await {
            tracing::debug!(%error, "the lock of a refresh ends by itself");
        }
        result
    }

    async fn refresh(&self, user: i64, generation: i64, is_locked: bool) -> Result<UserToken, TwitchError> {
        let row = self.load(user).await?;
        if row.generation != generation {
            return row.token(&self.cipher);
        }
        let Some(refresh_token) = row.refresh_token(&self.cipher)? else {
            return self.give_up(user, generation).await;
        };
        match oauth::refresh(&self.http, self.application()?, &refresh_token).await? {
            Refreshed::Refused => {
                if !is_locked {
                    tokio::time::sleep(GRACE_WITHOUT_LOCK).await;
                }
                self.give_up(user, generation).await
            }
            Refreshed::Granted(mut grant) => {
                metrics::counter!("tca_twitch_token_refreshes_total").increment(1);
                // Twitch sends a refresh token only where it changed.
                grant.refresh_token.get_or_insert(refresh_token);
                self.replace(user, generation, &grant).await
            }
        }
    }

    /// Twitch refused the refresh token of this generation: unless somebody has stored a newer one, the user is signed out.
    async fn give_up(&self, user: i64, generation: i64) -> Result<UserToken, TwitchError> {
        let gone = token_rows::delete_generation(&self.db, user, generation).await.map_err(storage)?;
        if gone {
            tracing::info!(user.id = user, "Twitch takes this user's tokens no more");
            return Err(TwitchError::SignInAgain);
        }
        self.load(user).await?.token(&self.cipher)
    }

    async fn replace(&self, user: i64, generation: i64, grant: &TokenGrant) -> Result<UserToken, TwitchError> {
        let mut tries = 1;
        let replaced = loop {
            let result = token_rows::replace(&self.db, &self.cipher, user, generation, grant, self.clock.now()).await;
            match result {
                Ok(replaced) => break replaced,
                Err(error) if tries >= STORE_TRIES => return Err(storage(error)),
                Err(error) => tracing::warn!(user.id = user, %error, "cannot store fresh tokens yet"),
            }
            tokio::time::sleep(Duration::from_millis(100 << tries)).await;
            tries += 1;
        };
        if !replaced {
            // Somebody signed in, disconnected or refreshed meanwhile; these tokens are then nobody's.
            if let Err(error) = oauth::revoke(&self.http, self.application()?, &grant.access_token).await {
                tracing::warn!(user.id = user, %error, "a token that nobody uses stays valid until it expires");
            }
        }
        self.load(user).await?.token(&self.cipher)
    }

    /// The application's own token, fetched when there is none or when it is the one of `bad_generation`.
    pub async fn of_app(&self, bad_generation: Option<i64>) -> Result<(SecretString, i64), TwitchError> {
        let app = self.application()?;
        let mut held = self.app_token.lock().await;
        let now = self.clock.now();
        let is_good = held.good_until.is_some_and(|until| until > now) && bad_generation != Some(held.generation);
        if let Some(access) = held.access.as_ref().filter(|_| is_good) {
            return Ok((access.clone(), held.generation));
        }
        let grant = oauth::app_token(&self.http, app).await?;
        held.generation += 1;
        held.good_until = Some(now + chrono::Duration::seconds(i64::from(grant.expires_in)));
        held.access = Some(grant.access_token.clone());
        Ok((grant.access_token, held.generation))
    }

    /// Whose token this is; it must be one of this application.
    pub async fn validate(&self, token: &SecretString) -> Result<Validation, TwitchError> {
        let validation = oauth::validate(&self.http, token).await?;
        if validation.client_id != self.application()?.client_id {
            return Err(TwitchError::SignInAgain);
        }
        Ok(validation)
    }

    /// Asks Twitch whether the tokens of `user` are still good, unless it has said so lately. Tokens that it refuses are
    /// refreshed; where that is refused too they are gone, and the answer is [`TwitchError::SignInAgain`].
    pub async fn look_after(&self, user: i64) -> Result<(), TwitchError> {
        let row = self.load(user).await?;
        let now = self.clock.now();
        if row.validated_at > now - VALIDATE_AFTER {
            return Ok(());
        }
        let validation = if row.expires_at <= now {
            Err(TwitchError::SignInAgain)
        } else {
            match row.token(&self.cipher) {
                Ok(token) => self.validate(&token.access).await,
                Err(error) => Err(error),
            }
        };
        match validation {
            Ok(validation) if validation.user_id == Some(row.twitch_user_id()) => {
                token_rows::validated(&self.db, user, row.generation, self.clock.now()).await.map_err(storage)
            }
            Ok(_) => Err(TwitchError::unavailable("Twitch names another owner of a token")),
            Err(TwitchError::SignInAgain) => self.refresh_or_lose(user, row.generation).await,
            Err(error) => Err(error),
        }
    }

    async fn refresh_or_lose(&self, user: i64, generation: i64) -> Result<(), TwitchError> {
        match self.refreshed(user, generation).await {
            // A key that is missing in the settings is the operator's mistake, and must not cost everybody their sign-in.
            Err(TwitchError::SignInAgain) if token_rows::find(&self.db, user).await.map_err(storage)?.is_some() => {
                Err(TwitchError::unavailable("the stored tokens do not open"))
            }
            result => result.map(drop),
        }
    }

    /// Keeps what a sign-in brought, together with the row in `users`; returns `users.id`.
    pub async fn keep(&self, person: &token_rows::Person, grant: &TokenGrant) -> Result<i64, TwitchError> {
        let now = self.clock.now();
        db::write_txn!(&self.db, |txn| token_rows::sign_in(txn, &self.cipher, person, grant, now).await)
            .map_err(storage)
    }

    /// Revokes the tokens of `user` at Twitch and forgets them. While Twitch does not answer they stay, to be tried again.
    pub async fn disconnect(&self, user: i64) -> Result<(), TwitchError> {
        let app = self.application()?;
        // A token whose time is over is refreshed first: only an access token can be revoked, and the refresh token goes with it.
        let token = match self.of_user(user).await {
            Ok(token) => token,
            Err(TwitchError::SignInAgain) => return Ok(()),
            Err(error) => return Err(error),
        };
        oauth::revoke(&self.http, app, &token.access).await?;
        // Only what was revoked: the person may have signed in again meanwhile.
        token_rows::delete_generation(&self.db, user, token.generation).await.map(drop).map_err(storage)
    }
}

/// The database is the gate's own; for the caller it is Twitch that cannot be asked.
#[expect(clippy::needless_pass_by_value, reason = "what map_err calls takes the error")]
fn storage(error: sea_orm::DbErr) -> TwitchError {
    tracing::error!(%error, "the tokens cannot be read or written");
    TwitchError::unavailable("the stored tokens cannot be reached")
}
