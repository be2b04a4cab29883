//! Questions over stored captures: what a session's accounts look like together.
//!
//! [`summary`] is a pure computation over loaded rows; [`Analysis`] loads them, keeps results by data version and lets one
//! computation serve all who ask; [`AnalysisClient`] asks it in this process or in another. [`export`] streams the accounts.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use bytes::Bytes;
use moka::future::Cache;
use rand::Rng;
use sea_orm::{DatabaseConnection, DbErr};

pub mod client;
pub mod export;
mod load;
pub mod summary;

pub use client::{AnalysisClient, AnalysisError, RemoteAnalysis};
pub use summary::Summary;

use crate::{
    clock::Clock,
    session,
    store::{Area, Store},
    twitch::TwitchUserId,
};

/// Counts changes of [`Summary`]'s form: a cached result of another form is not read.
const FORM: u32 = 1;

/// Which channels of a session count; all of them when none is named. Sorted, without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter(Vec<TwitchUserId>);

impl Filter {
    pub fn new(channels: impl IntoIterator<Item = TwitchUserId>) -> Self {
        let mut channels: Vec<TwitchUserId> = channels.into_iter().collect();
        channels.sort_unstable();
        channels.dedup();
        Self(channels)
    }

    /// The channels; empty means all.
    pub fn channels(&self) -> &[TwitchUserId] {
        &self.0
    }

    /// Whether a channel counts.
    pub fn admits(&self, channel: TwitchUserId) -> bool {
        self.0.is_empty() || self.0.binary_search(&channel).is_ok()
    }

    /// An SQL condition on `column` and its values; nothing when all channels count.
    pub(crate) fn condition(&self, column: &str) -> (String, Vec<sea_orm::Value>) {
        if self.0.is_empty() {
            return (String::new(), Vec::new());
        }
        let marks = crate::db::placeholders(self.0.len());
        (format!(" AND {column} IN ({marks})"), self.0.iter().map(|channel| channel.0.into()).collect())
    }
}

/// A summary as JSON, and whether it came from the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub json: Bytes,
    pub hit: bool,
}

/// The analysis of one process: the database, and the results that are still good.
#[derive(Clone, Debug)]
pub struct Analysis {
    db: DatabaseConnection,
    store: Store,
    clock: Clock,
    ttl: Duration,
    /// Results of this process by key; also what makes a thousand askers wait for one computation.
    local: Cache<String, Bytes>,
}

impl Analysis {
    /// `ttl`: how long a result may be served; it is never served after a change, however long that is.
    pub fn new(db: DatabaseConnection, store: Store, clock: Clock, ttl: Duration) -> Self {
        let local = Cache::builder()
            .max_capacity(64 * 1024 * 1024)
            .weigher(|key: &String, json: &Bytes| u32::try_from(key.len() + json.len()).unwrap_or(u32::MAX))
            .time_to_live(ttl)
            .build();
        Self { db, store, clock, ttl, local }
    }

    /// The summary of a session, `None` where there is no such session. The session's data version is part of the key, so a
    /// write is seen by the next call.
    pub async fn summary(&self, session_uuid: &str, filter: &Filter) -> Result<Option<Answer>, Arc<DbErr>> {
        let found = session::find_visible(&self.db, session_uuid, self.clock.now()).await.map_err(Arc::new)?;
        let Some(session) = found else { return Ok(None) };
        let key = cache_key(&session, filter);
        if let Some(json) = self.local.get(&key).await {
            return Ok(Some(Answer { json, hit: true }));
        }
        let mut hit = true;
        let found_or_computed = async {
            if let Ok(Some(json)) = self.store.get(Area::Cache, &key).await {
                return Ok(json);
            }
            hit = false;
            self.compute(&session, filter, &key).await
        };
        // Boxed: the computation is large, and every caller's future would carry it.
        let json = Box::pin(self.local.try_get_with(key.clone(), found_or_computed)).await?;
        Ok(Some(Answer { json, hit }))
    }

    async fn compute(&self, session: &session::Model, filter: &Filter, key: &str) -> Result<Bytes, DbErr> {
        let begun = std::time::Instant::now();
        let facts = load::facts(&self.db, session, filter).await?;
        let summary = summary::summarise(&session.session_uuid, &facts, self.clock.now());
        let json = serde_json::to_vec(&summary).map_err(|error| DbErr::Custom(error.to_string()))?;
        let json = Bytes::from(json);
        metrics::histogram!("tca_analysis_compute_seconds").record(begun.elapsed().as_secs_f64());
        // Results that were stored together must not all run out together.
        let ttl = self.ttl.mul_f64(rand::rng().random_range(0.9..=1.1));
        if let Err(error) = self.store.set(Area::Cache, key, json.clone(), ttl).await {
            tracing::debug!(%error, "a result was not kept for the other processes");
        }
        Ok(json)
    }
}

fn cache_key(session: &session::Model, filter: &Filter) -> String {
    let mut key = format!("an:{FORM}:{}:{}", session.session_uuid, session.data_version);
    for channel in filter.channels() {
        // Writing into a String cannot fail.
        let _ = write!(key, ":{channel}");
    }
    key
}
