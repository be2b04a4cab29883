//! Short-lived shared state: a copy of web sessions, caches, locks, counters, rate limits, wake-ups.
//!
//! Nothing here is the only copy of anything: any key may vanish at any time (Redis runs with `allkeys-lru`) and nobody is
//! harmed. Two implementations of one interface: in-process, and Redis through `fred`. One suite of tests runs against both
//! (`tests/it/store.rs`). Every call is bounded in time; a caller decides what a failing store means for it.

use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;

mod gcra;
pub mod memory;
pub mod redis;
mod redis_url;
mod topics;

pub use memory::MemoryStore;
pub use redis::RedisStore;

/// Which kind of data a key belongs to. On Redis each has a database of its own unless the URL names one for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    /// Copies of rows of `web_sessions` (Redis database 0).
    WebSessions,
    /// Rate limits towards Twitch and of visitors (database 1).
    RateLimits,
    /// Wake-ups, locks and progress around the queue (database 2).
    Queue,
    /// Results of the analysis and answers of Twitch (database 3).
    Cache,
}

/// The store did not answer, or not in time. Callers go on without it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store does not answer: {0}")]
pub struct StoreError(pub String);

/// How much a bucket lets through: in any window of `w` at most `burst + w / interval` grants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketLimit {
    /// Time between two grants in the long run.
    pub interval: Duration,
    /// Grants that may come at once after a pause.
    pub burst: u32,
}

/// The answer of [`Store::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// One call may be made now.
    Now,
    /// Not before this time has passed; nothing was taken.
    After(Duration),
}

/// The shared state of one process or of a fleet; cheap to clone.
#[derive(Clone, Debug)]
pub enum Store {
    /// Everything in this process.
    Memory(MemoryStore),
    /// Shared by all processes on one Redis.
    Redis(RedisStore),
}

macro_rules! either {
    ($store:expr, $inner:ident => $call:expr) => {
        match $store {
            Store::Memory($inner) => $call,
            Store::Redis($inner) => $call,
        }
    };
}

impl Store {
    /// The store on the Redis at `redis_url`, or one of this process alone. Returns at once, connected or not; fails only
    /// when the URL cannot be understood. Call it within a tokio runtime.
    pub fn open(redis_url: Option<&SecretString>) -> Result<Self, StoreError> {
        match redis_url {
            Some(url) => RedisStore::connect(url).map(Self::Redis),
            None => Ok(Self::Memory(MemoryStore::new())),
        }
    }

    /// The value of `key`, unless it is absent or has outlived its time.
    pub async fn get(&self, area: Area, key: &str) -> Result<Option<Bytes>, StoreError> {
        either!(self, store => store.get(area, key).await)
    }

    /// Sets `key` to `value` for `ttl`.
    pub async fn set(&self, area: Area, key: &str, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        either!(self, store => store.set(area, key, value, ttl).await)
    }

    /// Sets `key` only where it is absent; true when this call set it. The base of locks and of single-use marks.
    pub async fn set_if_absent(&self, area: Area, key: &str, value: Bytes, ttl: Duration) -> Result<bool, StoreError> {
        either!(self, store => store.set_if_absent(area, key, value, ttl).await)
    }

    /// Removes `key`.
    pub async fn delete(&self, area: Area, key: &str) -> Result<(), StoreError> {
        either!(self, store => store.delete(area, key).await)
    }

    /// Removes `key` only while it holds `value`; true when this call removed it. Releases a lock that is still one's own.
    pub async fn delete_if_equals(&self, area: Area, key: &str, value: Bytes) -> Result<bool, StoreError> {
        either!(self, store => store.delete_if_equals(area, key, value).await)
    }

    /// Adds `by` to the counter `key` and returns the sum. The counter lives for `ttl` from its first increment.
    pub async fn increment(&self, area: Area, key: &str, by: i64, ttl: Duration) -> Result<i64, StoreError> {
        either!(self, store => store.increment(area, key, by, ttl).await)
    }

    /// Asks the bucket `key` for one grant, by the generic cell rate algorithm on the store's own clock. A bucket
    /// that the store does not know (new, or lost) starts with one grant and fills up at its rate.
    pub async fn take(&self, key: &str, limit: BucketLimit) -> Result<Grant, StoreError> {
        either!(self, store => store.take(key, limit).await)
    }

    /// Closes the bucket `key` for everybody for `pause`; a pause already set is only ever prolonged.
    pub async fn close_bucket(&self, key: &str, pause: Duration) -> Result<(), StoreError> {
        either!(self, store => store.close_bucket(key, pause).await)
    }

    /// Tells all listeners of `topic` that there may be something to do. A hint: it may be lost.
    pub async fn wake(&self, topic: &str) -> Result<(), StoreError> {
        either!(self, store => store.wake(topic).await)
    }

    /// Hints for `topic` from now on, from every process; register before looking at the work itself.
    pub fn listen(&self, topic: &str) -> tokio::sync::broadcast::Receiver<()> {
        either!(self, store => store.listen(topic))
    }

    /// What a shared store does when it is full, where it tells (`maxmemory-policy`); the one in this process never is.
    pub async fn eviction_policy(&self) -> Result<Option<String>, StoreError> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Redis(store) => store.eviction_policy().await,
        }
    }

    /// Whether the store answers at all.
    pub async fn ping(&self) -> Result<(), StoreError> {
        either!(self, store => store.ping().await)
    }
}
