//! What has to be done now and then, by one worker at a time: a table of tasks, each safe to run twice.

use std::time::Duration;

use bytes::Bytes;
use chrono::Duration as Span;
use sea_orm::{DatabaseConnection, DbErr};
use tokio_util::sync::CancellationToken;

use crate::{
    audit, capture,
    clock::Clock,
    job,
    login::{self, web_session},
    session,
    store::{Area, Store},
    twitch::TwitchClient,
};

/// How often the tasks are looked at.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// The mark in the store that says that somebody has looked lately.
const MARK: &str = "housekeeping";

/// What the tasks work with.
#[derive(Clone, Debug)]
pub struct Housekeeping {
    pub db: DatabaseConnection,
    pub store: Store,
    pub clock: Clock,
    pub twitch: TwitchClient,
    /// How long ended things are kept.
    pub retention: Span,
}

impl Housekeeping {
    /// Looks every minute until `halt`.
    pub async fn run(self, halt: CancellationToken) {
        while !halt.is_cancelled() {
            if self.is_my_turn().await
                && let Err(error) = self.look().await
            {
                tracing::warn!(%error, "housekeeping was not finished; it is tried again");
            }
            tokio::select! {
                () = halt.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// One worker of the fleet a minute. Without the store everybody looks: that costs some work and harms nothing.
    async fn is_my_turn(&self) -> bool {
        let ttl = LOOK_EVERY.mul_f64(0.9);
        self.store.set_if_absent(Area::Queue, MARK, Bytes::from_static(b"1"), ttl).await.unwrap_or(true)
    }

    async fn look(&self) -> Result<(), DbErr> {
        let now = self.clock.now();
        let before = now - self.retention;
        capture::sweep_unfinished(&self.db).await?;
        let signed_out = web_session::prune(&self.db, now).await?;
        let sessions = session::prune(&self.db, before).await?;
        let jobs = job::prune(&self.db, before).await?;
        let events = audit::prune(&self.db, before).await?;
        if signed_out + jobs + events > 0 || sessions > 0 {
            tracing::info!(web_sessions = signed_out, sessions, jobs, events, "removed what was kept long enough");
        }
        if let Err(error) = login::release_unused_tokens(&self.db, &self.twitch, now).await {
            tracing::warn!(%error, "a token that nothing uses is not revoked yet");
        }
        Ok(())
    }
}
