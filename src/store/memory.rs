//! The store of a single process: maps behind mutexes, on tokio's clock.
//!
//! Every area has a size it does not exceed: what has expired goes first, then what would expire soonest. Nothing runs in
//! the background; writes clean up now and then.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::broadcast, time::Instant};

use super::{
    Area, BucketLimit, Grant, StoreError,
    gcra::{self, Bucket},
    topics::Topics,
};

const CACHE_BYTES: usize = 64 << 20;
const OTHER_BYTES: usize = 16 << 20;
const MAX_BUCKETS: usize = 100_000;
/// What an entry costs beyond its key and value, roughly.
const ENTRY_OVERHEAD: usize = 96;
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Shared state of one process; clones share it.
#[derive(Clone, Debug)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    areas: [Mutex<Entries>; 4],
    buckets: Mutex<HashMap<String, Bucket>>,
    topics: Topics,
    started: Instant,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        let area = |max_bytes| Mutex::new(Entries::new(max_bytes));
        Self(Arc::new(Shared {
            areas: [area(OTHER_BYTES), area(OTHER_BYTES), area(OTHER_BYTES), area(CACHE_BYTES)],
            buckets: Mutex::default(),
            topics: Topics::default(),
            started: Instant::now(),
        }))
    }

    fn entries(&self, area: Area) -> MutexGuard<'_, Entries> {
        self.0.areas[area as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_micros(&self) -> u64 {
        gcra::micros(self.0.started.elapsed())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::unused_async, reason = "the same interface as the store on Redis")]
impl MemoryStore {
    pub(super) async fn get(&self, area: Area, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.entries(area).get(key).cloned())
    }

    pub(super) async fn set(&self, area: Area, key: &str, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        self.entries(area).insert(key, value, expiry(ttl));
        Ok(())
    }

    pub(super) async fn set_if_absent(
        &self,
        area: Area,
        key: &str,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let mut entries = self.entries(area);
        let absent = entries.get(key).is_none();
        if absent {
            entries.insert(key, value, expiry(ttl));
        }
        Ok(absent)
    }

    pub(super) async fn delete(&self, area: Area, key: &str) -> Result<(), StoreError> {
        self.entries(area).remove(key);
        Ok(())
    }

    pub(super) async fn delete_if_equals(&self, area: Area, key: &str, value: Bytes) -> Result<bool, StoreError> {
        let mut entries = self.entries(area);
        let equal = entries.get(key).is_some_and(|held| *held == value);
        if equal {
            entries.remove(key);
        }
        Ok(equal)
    }

    pub(super) async fn increment(&self, area: Area, key: &str, by: i64, ttl: Duration) -> Result<i64, StoreError> {
        let mut entries = self.entries(area);
        let (count, expires) = match entries.live(key) {
            Some(entry) => (parse_count(&entry.value)?, entry.expires),
            None => (0, expiry(ttl)),
        };
        let sum = count.checked_add(by).ok_or_else(|| StoreError("the counter overflows".to_owned()))?;
        entries.insert(key, Bytes::from(sum.to_string()), expires);
        Ok(sum)
    }

    pub(super) async fn take(&self, key: &str, limit: BucketLimit) -> Result<Grant, StoreError> {
        let now = self.now_micros();
        let mut buckets = self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut buckets, key, now);
        Ok(gcra::take(buckets.entry(key.to_owned()).or_default(), now, limit))
    }

    pub(super) async fn close_bucket(&self, key: &str, pause: Duration) -> Result<(), StoreError> {
        let now = self.now_micros();
        let mut buckets = self.0.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut buckets, key, now);
        gcra::close(buckets.entry(key.to_owned()).or_default(), now, pause);
        Ok(())
    }

    pub(super) async fn wake(&self, topic: &str) -> Result<(), StoreError> {
        self.0.topics.wake(topic);
        Ok(())
    }

    pub(super) fn listen(&self, topic: &str) -> broadcast::Receiver<()> {
        self.0.topics.listen(topic)
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Far-off expiries are cut to a year, so that no sum overflows.
fn expiry(ttl: Duration) -> Instant {
    Instant::now() + ttl.clamp(Duration::from_millis(1), Duration::from_hours(24 * 365))
}

fn parse_count(value: &Bytes) -> Result<i64, StoreError> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreError("the value is not a counter".to_owned()))
}

/// Forgets buckets before a new one is added to a full map: the idle ones, else the half that settled longest ago.
fn make_room(buckets: &mut HashMap<String, Bucket>, key: &str, now: u64) {
    if buckets.len() < MAX_BUCKETS || buckets.contains_key(key) {
        return;
    }
    let kept_idle = gcra::micros(gcra::KEPT_IDLE);
    buckets.retain(|_, bucket| bucket.settled_at() + kept_idle > now);
    if buckets.len() >= MAX_BUCKETS {
        let mut settled: Vec<u64> = buckets.values().map(Bucket::settled_at).collect();
        let middle = settled.len() / 2;
        let (_, median, _) = settled.select_nth_unstable(middle);
        let median = *median;
        buckets.retain(|_, bucket| bucket.settled_at() > median);
    }
}

#[derive(Debug)]
struct Entry {
    value: Bytes,
    expires: Instant,
}

#[derive(Debug)]
struct Entries {
    map: HashMap<String, Entry>,
    bytes: usize,
    max_bytes: usize,
    swept: Instant,
}

impl Entries {
    fn new(max_bytes: usize) -> Self {
        Self { map: HashMap::new(), bytes: 0, max_bytes, swept: Instant::now() }
    }

    fn live(&self, key: &str) -> Option<&Entry> {
        self.map.get(key).filter(|entry| entry.expires > Instant::now())
    }

    fn get(&self, key: &str) -> Option<&Bytes> {
        self.live(key).map(|entry| &entry.value)
    }

    fn insert(&mut self, key: &str, value: Bytes, expires: Instant) {
        self.remove(key);
        let bytes = weight(key, &value);
        if bytes > self.max_bytes {
            return;
        }
        if self.swept.elapsed() > SWEEP_EVERY || self.bytes + bytes > self.max_bytes {
            self.sweep(bytes);
        }
        self.bytes += bytes;
        self.map.insert(key.to_owned(), Entry { value, expires });
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.map.remove(key) {
            self.bytes -= weight(key, &entry.value);
        }
    }

    /// Removes what has expired; where that leaves no room for `wanted` bytes, also what expires soonest, an eighth at least.
    fn sweep(&mut self, wanted: usize) {
        let now = Instant::now();
        self.swept = now;
        let mut freed = 0;
        self.map.retain(|key, entry| {
            let live = entry.expires > now;
            freed += if live { 0 } else { weight(key, &entry.value) };
            live
        });
        self.bytes -= freed;
        if self.bytes + wanted <= self.max_bytes {
            return;
        }
        let target = (self.max_bytes - self.max_bytes / 8).min(self.max_bytes - wanted);
        let mut by_expiry: Vec<(Instant, String)> =
            self.map.iter().map(|(key, entry)| (entry.expires, key.clone())).collect();
        by_expiry.sort_unstable();
        for (_, key) in by_expiry {
            if self.bytes <= target {
                break;
            }
            self.remove(&key);
        }
    }
}

fn weight(key: &str, value: &Bytes) -> usize {
    key.len() + value.len() + ENTRY_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_is_tokios() {
        let store = MemoryStore::new();
        store.set(Area::Cache, "a", Bytes::from_static(b"1"), Duration::from_secs(10)).await.unwrap();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(store.get(Area::Cache, "a").await.unwrap().is_some());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(store.get(Area::Cache, "a").await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_area_stays_within_its_size_and_keeps_what_lives_longest() {
        let mut entries = Entries::new(100_000);
        for i in 0..1_000_u64 {
            entries.insert(&format!("k{i}"), Bytes::from(vec![0; 900]), expiry(Duration::from_secs(100 + i)));
            assert!(entries.bytes <= 100_000);
        }
        assert!(entries.get("k999").is_some());
        assert!(entries.get("k0").is_none());
        let counted: usize = entries.map.iter().map(|(key, entry)| weight(key, &entry.value)).sum();
        assert_eq!(entries.bytes, counted);
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let limit = BucketLimit { interval: Duration::from_secs(1), burst: 1 };
        let mut buckets = HashMap::new();
        for i in 0..=MAX_BUCKETS {
            let key = format!("visitor:{i}");
            make_room(&mut buckets, &key, i as u64);
            gcra::take(buckets.entry(key).or_default(), i as u64, limit);
        }
        assert!(buckets.len() <= MAX_BUCKETS / 2 + 2);
        assert!(buckets.contains_key(&format!("visitor:{MAX_BUCKETS}")));
    }
}
