//! The store that all processes share, on Redis.
//!
//! Connections are kept up in the background, for ever; while there is none, every call fails at once, and no call waits
//! longer than [`CALL_TIMEOUT`]. A server that accepts and never answers is left alone for a while after a few calls, so
//! that it does not cost everybody that time. Nothing is queued for a server that is away. What needs several steps is a script on the
//! server; a script the server has forgotten is sent again. Wake-ups go through one pattern subscription, renewed after
//! every reconnect and now and then, which also shows a connection that died silently.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use fred::{
    clients::{Client, SubscriberClient},
    error::{Error as RedisError, ErrorKind},
    interfaces::{ClientLike, EventInterface, KeysInterface, LuaInterface, PubsubInterface},
    types::{
        Builder, Expiration, FromValue, InfoKind, MultipleKeys, SetOptions, Value,
        config::{Config, ReconnectPolicy},
        scripts::Script,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::broadcast,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Area, BucketLimit, Grant, StoreError, gcra, redis_url::RedisUrl, topics::Topics};

/// The longest a command may take; a script the server has forgotten takes two commands.
const CALL_TIMEOUT: Duration = Duration::from_millis(250);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RECONNECT_MIN_MS: u32 = 50;
const RECONNECT_MAX_MS: u32 = 2_000;
/// A connection that owes an answer for this long is closed and made anew.
const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(1);
/// After so many timeouts in a row nothing is asked for [`REST`]. fred sees an unresponsive connection only while nothing is
/// written to it, so the rest must outlast [`UNRESPONSIVE_AFTER`].
const TIMEOUTS_BEFORE_REST: u32 = 3;
const REST: Duration = Duration::from_millis(1_500);
/// Commands that may wait for a connection's writer before further ones are refused.
const COMMAND_BUFFER: usize = 10_000;
const MESSAGE_BACKLOG: usize = 1_024;
const RENEW_SUBSCRIPTION_EVERY: Duration = Duration::from_secs(5);

const DELETE_IF_EQUALS: &str = "
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// Answers with the text: a number in Lua is a double and would lose the last digits of a large one.
const INCREMENT: &str = "
redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('GET', KEYS[1])";

/// Shared state on Redis; clones share the connections, which close with the last of them.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

struct Shared {
    /// One for each area, or the same one four times.
    links: [Arc<Link>; 4],
    prefix: String,
    topics: Arc<Topics>,
    scripts: Scripts,
    /// Keeps the connections and the subscription up; ends when dropped.
    _tasks: JoinSet<()>,
}

/// A connection, and whether it is worth asking.
struct Link {
    client: Client,
    timeouts: AtomicU32,
    rests_until: Mutex<Option<Instant>>,
}

impl Link {
    fn new(client: Client) -> Arc<Self> {
        Arc::new(Self { client, timeouts: AtomicU32::new(0), rests_until: Mutex::default() })
    }

    fn usable(&self) -> Result<&Self, StoreError> {
        if !self.client.is_connected() {
            return Err(StoreError("there is no connection to Redis".to_owned()));
        }
        let rests_until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        match rests_until {
            Some(until) if until > Instant::now() => Err(StoreError("Redis accepts but gives no answers".to_owned())),
            _ => Ok(self),
        }
    }

    /// Learns from an outcome whether the server answers.
    fn heard<T>(&self, outcome: Result<T, RedisError>) -> Result<T, StoreError> {
        match outcome {
            Err(error) if *error.kind() == ErrorKind::Timeout => {
                if self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= TIMEOUTS_BEFORE_REST {
                    let mut rests_until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
                    *rests_until = Some(Instant::now() + REST);
                }
                Err(error.into())
            }
            outcome => {
                self.timeouts.store(0, Ordering::Relaxed);
                outcome.map_err(StoreError::from)
            }
        }
    }
}

struct Scripts {
    bucket: Script,
    delete_if_equals: Script,
    increment: Script,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

/// Whether [`RedisStore::connect`] would understand `url`; for checking settings without connecting.
pub fn check_url(url: &SecretString) -> Result<(), StoreError> {
    understand(url).map(|_| ())
}

fn understand(url: &SecretString) -> Result<(RedisUrl, Config), StoreError> {
    let parsed = RedisUrl::parse(url.expose_secret())?;
    let mut config = Config::from_url(&parsed.url)?;
    config.fail_fast = false;
    Ok((parsed, config))
}

impl RedisStore {
    /// Begins to connect to the Redis at `url` and returns at once. Needs a tokio runtime.
    pub fn connect(url: &SecretString) -> Result<Self, StoreError> {
        let (parsed, config) = understand(url)?;
        let mut builder = Builder::from_config(config);
        builder.set_policy(ReconnectPolicy::new_exponential(0, RECONNECT_MIN_MS, RECONNECT_MAX_MS, 2));
        builder.with_performance_config(|performance| {
            performance.default_command_timeout = CALL_TIMEOUT;
            performance.broadcast_channel_capacity = MESSAGE_BACKLOG;
        });
        builder.with_connection_config(|connection| {
            connection.connection_timeout = CONNECT_TIMEOUT;
            connection.internal_command_timeout = CONNECT_TIMEOUT;
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = COMMAND_BUFFER;
            connection.reconnect_on_auth_error = true;
            connection.tcp.nodelay = Some(true);
            connection.unresponsive.max_timeout = Some(UNRESPONSIVE_AFTER);
            connection.unresponsive.interval = UNRESPONSIVE_AFTER / 4;
        });

        let mut tasks = JoinSet::new();
        let mut link = |database: u8| -> Result<Arc<Link>, StoreError> {
            let client = builder.with_config(|config| config.database = Some(database)).build()?;
            tasks.spawn(keep_connected(client.clone()));
            Ok(Link::new(client))
        };
        let links = match parsed.database {
            Some(database) => {
                let one = link(database)?;
                [Arc::clone(&one), Arc::clone(&one), Arc::clone(&one), one]
            }
            None => [link(0)?, link(1)?, link(2)?, link(3)?],
        };
        let subscriber = builder.build_subscriber_client()?;
        let topics = Arc::new(Topics::default());
        tasks.spawn(pass_wake_ups_on(subscriber.clone(), channel(&parsed.prefix, ""), Arc::clone(&topics)));
        tasks.spawn(keep_connected(subscriber));

        let scripts = Scripts {
            bucket: Script::from_lua(include_str!("bucket.lua")),
            delete_if_equals: Script::from_lua(DELETE_IF_EQUALS),
            increment: Script::from_lua(INCREMENT),
        };
        Ok(Self(Arc::new(Shared { links, prefix: parsed.prefix, topics, scripts, _tasks: tasks })))
    }

    pub(super) async fn get(&self, area: Area, key: &str) -> Result<Option<Bytes>, StoreError> {
        let link = self.link(area)?;
        link.heard(link.client.get(self.key(area, key)).await)
    }

    pub(super) async fn set(&self, area: Area, key: &str, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        let link = self.link(area)?;
        link.heard(link.client.set(self.key(area, key), value, Some(expiry(ttl)), None, false).await)
    }

    pub(super) async fn set_if_absent(
        &self,
        area: Area,
        key: &str,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let link = self.link(area)?;
        let set = link.client.set(self.key(area, key), value, Some(expiry(ttl)), Some(SetOptions::NX), false);
        let answer: Value = link.heard(set.await)?;
        Ok(!answer.is_null())
    }

    pub(super) async fn delete(&self, area: Area, key: &str) -> Result<(), StoreError> {
        let link = self.link(area)?;
        link.heard(link.client.del(self.key(area, key)).await)
    }

    pub(super) async fn delete_if_equals(&self, area: Area, key: &str, value: Bytes) -> Result<bool, StoreError> {
        let removed: i64 = self.run(area, &self.0.scripts.delete_if_equals, key, vec![Value::Bytes(value)]).await?;
        Ok(removed == 1)
    }

    pub(super) async fn increment(&self, area: Area, key: &str, by: i64, ttl: Duration) -> Result<i64, StoreError> {
        self.run(area, &self.0.scripts.increment, key, vec![by.into(), whole_millis(ttl).into()]).await
    }

    pub(super) async fn take(&self, key: &str, limit: BucketLimit) -> Result<Grant, StoreError> {
        let args = bucket_args("take", limit.interval, limit.burst.max(1));
        let wait_micros: u64 = self.run(Area::RateLimits, &self.0.scripts.bucket, key, args).await?;
        Ok(match wait_micros {
            0 => Grant::Now,
            micros => Grant::After(Duration::from_micros(micros)),
        })
    }

    pub(super) async fn close_bucket(&self, key: &str, pause: Duration) -> Result<(), StoreError> {
        let args = bucket_args("close", pause, 0);
        let _zero: u64 = self.run(Area::RateLimits, &self.0.scripts.bucket, key, args).await?;
        Ok(())
    }

    /// Listeners of this process are told even when Redis is away.
    pub(super) async fn wake(&self, topic: &str) -> Result<(), StoreError> {
        let told = match self.link(Area::Queue) {
            Ok(link) => link.heard(link.client.publish(channel(&self.0.prefix, topic), "").await),
            Err(error) => Err(error),
        };
        if told.is_err() {
            self.0.topics.wake(topic);
        }
        told
    }

    pub(super) fn listen(&self, topic: &str) -> broadcast::Receiver<()> {
        self.0.topics.listen(topic)
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        for area in [Area::WebSessions, Area::RateLimits, Area::Queue, Area::Cache] {
            let link = self.link(area)?;
            link.heard(link.client.ping::<()>(None).await)?;
        }
        Ok(())
    }

    pub(super) async fn eviction_policy(&self) -> Result<Option<String>, StoreError> {
        let link = self.link(Area::Cache)?;
        let memory: String = link.heard(link.client.info(Some(InfoKind::Memory)).await)?;
        let policy = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        Ok(policy.map(|policy| policy.trim().to_owned()))
    }

    /// The connection for `area`, if there is a usable one right now.
    fn link(&self, area: Area) -> Result<&Link, StoreError> {
        self.0.links[area as usize].usable()
    }

    fn key(&self, area: Area, key: &str) -> String {
        // Buckets and counters, and areas that share a database, keep out of each other's way.
        let kind = match area {
            Area::WebSessions => "web",
            Area::RateLimits => "rate",
            Area::Queue => "queue",
            Area::Cache => "cache",
        };
        format!("{}:{kind}:{key}", self.0.prefix)
    }

    async fn run<R: FromValue>(
        &self,
        area: Area,
        script: &Script,
        key: &str,
        args: Vec<Value>,
    ) -> Result<R, StoreError> {
        let link = self.link(area)?;
        let keys = MultipleKeys::from(self.key(area, key));
        match script.evalsha(&link.client, keys.clone(), args.clone()).await {
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                let source = script.lua().cloned().unwrap_or_default();
                link.heard(link.client.eval(source, keys, args).await)
            }
            outcome => link.heard(outcome),
        }
    }
}

/// fred reconnects by itself, except after answers it holds to be final, such as a wrong password.
async fn keep_connected<C: ClientLike>(client: C) {
    loop {
        let connection = AbortOnDropHandle::new(client.connect());
        let ended = connection.await;
        tracing::warn!(outcome = ?ended, "the connection to Redis ended; trying again");
        sleep(Duration::from_millis(RECONNECT_MAX_MS.into())).await;
    }
}

/// Hands what arrives on `channels_from…` to the listeners of this process.
async fn pass_wake_ups_on(subscriber: SubscriberClient, channels_from: String, topics: Arc<Topics>) {
    let pattern = format!("{}*", escape_pattern(&channels_from));
    let mut connected = subscriber.reconnect_rx();
    let mut messages = subscriber.message_rx();
    let mut renew = interval(RENEW_SUBSCRIPTION_EVERY);
    renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(message) => {
                    if let Some(topic) = message.channel.strip_prefix(channels_from.as_str()) {
                        topics.wake(topic);
                    }
                }
                // Some hints were dropped, nobody knows whose.
                Err(broadcast::error::RecvError::Lagged(_)) => topics.wake_all(),
                Err(broadcast::error::RecvError::Closed) => messages = subscriber.message_rx(),
            },
            event = connected.recv() => {
                if matches!(event, Err(broadcast::error::RecvError::Closed)) {
                    connected = subscriber.reconnect_rx();
                }
                tracing::info!("connected to Redis");
                subscribe(&subscriber, &pattern).await;
                // What was published in between is lost.
                topics.wake_all();
            }
            _ = renew.tick() => if subscriber.is_connected() {
                subscribe(&subscriber, &pattern).await;
            },
        }
    }
}

async fn subscribe(subscriber: &SubscriberClient, pattern: &str) {
    if let Err(error) = subscriber.psubscribe(pattern).await {
        tracing::warn!(%error, "no wake-ups from Redis; connecting anew");
        if let Err(error) = subscriber.force_reconnection().await {
            tracing::warn!(%error, "could not connect anew to Redis");
        }
    }
}

fn channel(prefix: &str, topic: &str) -> String {
    format!("{prefix}:wake:{topic}")
}

fn escape_pattern(text: &str) -> String {
    text.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?").replace('[', "\\[")
}

fn bucket_args(command: &'static str, span: Duration, burst: u32) -> Vec<Value> {
    let micros = i64::try_from(gcra::micros(span)).unwrap_or(i64::MAX);
    vec![command.into(), micros.into(), i64::from(burst).into(), whole_millis(gcra::KEPT_IDLE).into()]
}

fn expiry(ttl: Duration) -> Expiration {
    Expiration::PX(whole_millis(ttl))
}

/// At least one, at most a year, as Redis wants it.
fn whole_millis(span: Duration) -> i64 {
    const YEAR: i64 = 365 * 24 * 3_600 * 1_000;
    i64::try_from(span.as_millis()).unwrap_or(YEAR).clamp(1, YEAR)
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_kind_of_url_is_understood() {
        for url in ["redis://h", "rediss://u:p@h:6380/3", "redis-sentinel://u:p@a,b:26380/main/2?sentinelPassword=s"] {
            check_url(&SecretString::from(url)).unwrap();
        }
        check_url(&SecretString::from("http://h")).unwrap_err();
    }
}
