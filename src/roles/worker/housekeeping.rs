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
    login::{self, connections, web_session},
    session,
    store::{Area, Store},
    twitch::TwitchClient,
};

/// How often a worker sees whether another minute has begun; every minute one worker does the tasks.
const SEE_EVERY: Duration = Duration::from_secs(2);
/// How long the store remembers who does the tasks of a minute; clocks may differ by less.
const TURN_TTL: Duration = Duration::from_mins(3);
/// Less than a minute, so that the next worker's turn does not begin before this one's has ended.
const CONNECTIONS_TIME: Duration = Duration::from_secs(45);

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
        let mut seen = None;
        while !halt.is_cancelled() {
            let minute = self.clock.now().timestamp().div_euclid(60);
            if seen.replace(minute) != Some(minute) && self.is_my_turn(minute).await {
                // What is cut off here is safe to begin again.
                let looked = tokio::select! {
                    () = halt.cancelled() => Ok(()),
                    looked = self.look() => looked,
                };
                if let Err(error) = looked {
                    tracing::warn!(%error, "housekeeping was not finished; it is tried again");
                }
            }
            tokio::select! {
                () = halt.cancelled() => {}
                () = tokio::time::sleep(SEE_EVERY) => {}
            }
        }
    }

    /// One worker of the fleet a minute. Without the store everybody looks: that costs some work and harms nothing.
    async fn is_my_turn(&self, minute: i64) -> bool {
        let turn = format!("housekeeping:{minute}");
        self.store.set_if_absent(Area::Queue, &turn, Bytes::from_static(b"1"), TURN_TTL).await.unwrap_or(true)
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
        let connections = connections::look(&self.db, &self.store, &self.twitch, &self.clock);
        match tokio::time::timeout(CONNECTIONS_TIME, connections).await {
            Ok(looked) => looked.map(drop),
            Err(_elapsed) => {
                tracing::warn!("not all connections to Twitch could be validated in time; the rest follows");
                Ok(())
            }
        }
    }
}
