//! How often Twitch may be asked: one bucket per client and token owner, shared by all replicas through the store.
//!
//! The promise: in any window of `w` seconds at most `20 + rate · w` calls leave, all replicas together. The buckets let
//! [`BURST`] calls through at once and not 20: what is left over covers calls that overtake each other on the way, and the
//! moment in which the store is lost or comes back. Twitch's headers only ever lower what is let through.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::future::Cache;
use tokio::time::Instant;

use crate::{
    clock::Clock,
    store::{BucketLimit, Grant, MemoryStore, Store},
};

use super::{
    TwitchError, TwitchUserId,
    helix::{Answer, RateHeaders, Route},
};

/// How long a call may wait for its turn; the contract: past 30 s the caller gets 503.
pub const MAX_WAIT: Duration = Duration::from_secs(30);
const BURST: u32 = 16;
/// Without the store each replica goes on alone at this part of the rate: as many replicas together stay within it.
const ALONE_PART: u32 = 4;
/// What a bucket is closed for when the header is missing or lies in the past, and at most.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_mins(1);
/// How long one route of one bucket rests when Twitch refuses only that.
const ROUTE_PAUSE: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_mins(1);

/// Whose calls count together. Source: dev.twitch.tv/docs/api/guide#twitch-rate-limits ("per client ID per user per minute").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket(String);

impl Bucket {
    /// The bucket of the application's own token.
    pub fn of_app(client_id: &str) -> Self {
        Self(format!("twitch:{client_id}:app"))
    }

    /// The bucket of the tokens of one account.
    pub fn of_user(client_id: &str, user: TwitchUserId) -> Self {
        Self(format!("twitch:{client_id}:user:{user}"))
    }
}

/// Lets calls through, one bucket at a time.
#[derive(Debug)]
pub struct Limiter {
    store: Store,
    alone: Store,
    clock: Clock,
    interval: Duration,
    /// Buckets that Twitch fills more slowly than the settings say: its points a minute.
    slower: Cache<Bucket, u32>,
    /// Callers wait in line, the first of a bucket asks the store.
    lines: Cache<Bucket, Arc<tokio::sync::Mutex<()>>>,
    resting: Mutex<HashMap<(Bucket, Route), Instant>>,
}

impl Limiter {
    /// At most `per_second` calls a second in the long run, for each bucket.
    pub fn new(store: Store, clock: Clock, per_second: u32) -> Self {
        Self {
            store,
            alone: Store::Memory(MemoryStore::new()),
            clock,
            interval: Duration::from_secs(1) / per_second.max(1),
            slower: Cache::builder().max_capacity(10_000).time_to_live(Duration::from_mins(10)).build(),
            lines: Cache::builder().max_capacity(10_000).time_to_idle(Duration::from_mins(10)).build(),
            resting: Mutex::default(),
        }
    }

    /// Waits until one call to `route` may leave, but not past `deadline`.
    pub async fn acquire(&self, bucket: &Bucket, route: Route, deadline: Instant) -> Result<(), TwitchError> {
        if let Some(rest) = self.rest_of(bucket, route) {
            sleep_within(rest, deadline).await?;
        }
        let line = self.lines.get_with_by_ref(bucket, async { Arc::default() }).await;
        // Fair: tokio's mutex hands over in the order in which it was asked.
        let Ok(_turn) = tokio::time::timeout_at(deadline, line.lock()).await else {
            return Err(TwitchError::Busy { retry_after: ROUTE_PAUSE });
        };
        loop {
            match self.take(bucket).await {
                Grant::Now => return Ok(()),
                Grant::After(wait) => sleep_within(wait, deadline).await?,
            }
        }
    }

    async fn take(&self, bucket: &Bucket) -> Grant {
        let limit = self.limit_of(bucket).await;
        let alone = BucketLimit { interval: limit.interval * ALONE_PART, burst: 1 };
        match self.store.take(&bucket.0, limit).await {
            Ok(grant) => {
                if grant == Grant::Now {
                    // Kept up to date, so that losing the store does not start with a fresh bucket.
                    let _ = self.alone.take(&bucket.0, alone).await;
                }
                grant
            }
            Err(error) => {
                tracing::warn!(%error, "the rate limit is kept by this process alone");
                // The in-process store does not fail; if it did, nothing would leave.
                self.alone.take(&bucket.0, alone).await.unwrap_or(Grant::After(MIN_PAUSE))
            }
        }
    }

    async fn limit_of(&self, bucket: &Bucket) -> BucketLimit {
        lowered(self.interval, self.slower.get(bucket).await)
    }

    fn rest_of(&self, bucket: &Bucket, route: Route) -> Option<Duration> {
        let now = Instant::now();
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|_, until| *until > now);
        resting.get(&(bucket.clone(), route)).map(|until| *until - now)
    }

    /// Learns from an answer. A 429 closes the bucket for all replicas, or lets only this route rest where points are left.
    pub async fn observe(&self, bucket: &Bucket, route: Route, answer: &Answer) {
        let RateHeaders { limit, remaining, .. } = answer.rate;
        if let Some(limit) = limit.filter(|limit| *limit > 0) {
            if lowered(self.interval, Some(limit)) == lowered(self.interval, None) {
                self.slower.invalidate(bucket).await;
            } else {
                self.slower.insert(bucket.clone(), limit).await;
            }
        }
        let refused = answer.status == 429;
        if refused {
            metrics::counter!("tca_twitch_rate_limited_total", "route" => route.as_str()).increment(1);
        }
        if refused && remaining.is_some_and(|left| left > 0) {
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            resting.insert((bucket.clone(), route), Instant::now() + ROUTE_PAUSE);
        } else if refused || remaining == Some(0) {
            self.close(bucket, pause(answer.rate.reset, self.clock.now().timestamp())).await;
        }
    }

    async fn close(&self, bucket: &Bucket, pause: Duration) {
        tracing::info!(bucket = bucket.0, pause_s = pause.as_secs(), "Twitch's bucket is empty");
        if let Err(error) = self.store.close_bucket(&bucket.0, pause).await {
            tracing::warn!(%error, "the pause is known to this process alone");
        }
        let _ = self.alone.close_bucket(&bucket.0, pause).await;
    }
}

/// The limit of a bucket that Twitch fills with `per_minute` points: never faster than `interval`.
fn lowered(interval: Duration, per_minute: Option<u32>) -> BucketLimit {
    let Some(per_minute) = per_minute.filter(|points| *points > 0) else {
        return BucketLimit { interval, burst: BURST };
    };
    // A small bucket must not be emptied at one go: others draw from it as well.
    BucketLimit { interval: interval.max(MINUTE / per_minute), burst: BURST.min(per_minute / 4).max(1) }
}

/// How long a bucket rests that is full again at `reset` (seconds since 1970).
fn pause(reset: Option<i64>, now: i64) -> Duration {
    let seconds = reset.map_or(0, |reset| reset.saturating_sub(now));
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).clamp(MIN_PAUSE, MAX_PAUSE)
}

async fn sleep_within(wait: Duration, deadline: Instant) -> Result<(), TwitchError> {
    if Instant::now() + wait > deadline {
        return Err(TwitchError::Busy { retry_after: wait });
    }
    tokio::time::sleep(wait).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use futures_util::future::join_all;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn limiter(per_second: u32) -> Limiter {
        let clock = Clock::fixed(DateTime::from_timestamp(NOW, 0).unwrap());
        Limiter::new(Store::Memory(MemoryStore::new()), clock, per_second)
    }

    fn bucket() -> Bucket {
        Bucket::of_app("client")
    }

    fn answer(status: u16, limit: u32, remaining: u32, reset: i64) -> Answer {
        let rate = RateHeaders { limit: Some(limit), remaining: Some(remaining), reset: Some(reset) };
        Answer { status, rate, body: bytes::Bytes::new() }
    }

    async fn moments(limiter: &Limiter, calls: usize) -> Vec<Duration> {
        let (start, bucket) = (Instant::now(), bucket());
        let call = || async {
            let result = limiter.acquire(&bucket, Route::Users, start + MAX_WAIT).await;
            result.is_ok().then(|| start.elapsed())
        };
        join_all((0..calls).map(|_| call())).await.into_iter().flatten().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_calls_than_promised() {
        let limiter = limiter(10);
        moments(&limiter, 1).await;
        tokio::time::sleep(Duration::from_mins(1)).await;
        let moments = moments(&limiter, 400).await;
        assert!(moments.len() >= 300, "{}", moments.len());
        for (index, from) in moments.iter().enumerate() {
            for (later, to) in moments.iter().enumerate().skip(index) {
                let calls = u32::try_from(later - index + 1).unwrap();
                let window = to.saturating_sub(*from).as_secs_f64();
                assert!(f64::from(calls) <= 20.0 + 10.0 * window, "{calls} in {window} s");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_served_in_time_is_told_so() {
        let limiter = limiter(1);
        let served = moments(&limiter, 40).await;
        assert!((30..=31).contains(&served.len()), "{}", served.len());
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_bucket_rests_until_it_is_full_and_others_go_on() {
        let limiter = limiter(10);
        limiter.observe(&bucket(), Route::Users, &answer(200, 800, 0, NOW + 20)).await;
        let start = Instant::now();
        limiter.acquire(&Bucket::of_user("client", TwitchUserId(1)), Route::Users, start + MAX_WAIT).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
        limiter.acquire(&bucket(), Route::Users, start + MAX_WAIT).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(20));
        limiter.observe(&bucket(), Route::Users, &answer(429, 800, 0, NOW + 50)).await;
        let busy = limiter.acquire(&bucket(), Route::Users, Instant::now() + MAX_WAIT).await.unwrap_err();
        assert_eq!(busy, TwitchError::Busy { retry_after: Duration::from_secs(50) });
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_with_points_left_rests_only_that_route() {
        let limiter = limiter(10);
        limiter.observe(&bucket(), Route::Chatters, &answer(429, 800, 700, NOW + 60)).await;
        let start = Instant::now();
        limiter.acquire(&bucket(), Route::Users, start + MAX_WAIT).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
        limiter.acquire(&bucket(), Route::Chatters, start + MAX_WAIT).await.unwrap();
        assert!(start.elapsed() >= ROUTE_PAUSE);
    }

    #[test]
    fn headers_only_lower() {
        let ours = Duration::from_millis(100);
        assert_eq!(lowered(ours, None), BucketLimit { interval: ours, burst: 16 });
        assert_eq!(lowered(ours, Some(0)), BucketLimit { interval: ours, burst: 16 });
        assert_eq!(lowered(ours, Some(800)), BucketLimit { interval: ours, burst: 16 });
        assert_eq!(lowered(ours, Some(60)), BucketLimit { interval: Duration::from_secs(1), burst: 15 });
        assert_eq!(lowered(ours, Some(1)), BucketLimit { interval: Duration::from_mins(1), burst: 1 });
    }

    #[test]
    fn an_absurd_reset_is_not_believed() {
        let seconds = |reset| pause(reset, NOW).as_secs();
        assert_eq!(seconds(None), 1);
        assert_eq!(seconds(Some(NOW - 5)), 1);
        assert_eq!(seconds(Some(i64::MIN)), 1);
        assert_eq!(seconds(Some(NOW + 17)), 17);
        assert_eq!(seconds(Some(i64::MAX)), 60);
    }
}
