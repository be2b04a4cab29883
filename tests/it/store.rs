//! One suite for every implementation of the store, and what only Redis can suffer.

#[path = "store/faults.rs"]
mod faults;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tca::store::{Area, BucketLimit, Grant, Store, StoreError};
use tokio::{sync::Barrier, task::JoinSet};

use crate::support::{LONG_ENOUGH as LONG, connected, eventually, redis_url};

const AREAS: [Area; 4] = [Area::WebSessions, Area::RateLimits, Area::Queue, Area::Cache];
/// Redis counts whole milliseconds on a clock of its own.
const CLOCK_GRAIN: Duration = Duration::from_millis(2);
const SHORT: Duration = Duration::from_millis(150);

macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod on_memory {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(tca::store::Store::open(None).unwrap()).await;
            }
        )+}

        mod on_redis {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::connected(&super::redis_url()).await).await;
            }
        )+}
    };
}

conformance![
    a_value_is_kept_per_area_until_deleted,
    a_value_outlives_its_time_by_nothing,
    of_many_who_set_an_absent_key_one_wins,
    an_absent_key_can_be_set_again_after_its_time,
    a_lock_is_released_by_its_holder_only,
    a_counter_adds_up_and_lives_from_its_first_increment,
    a_counter_refuses_what_is_no_number,
    a_new_bucket_grants_once_and_then_at_its_rate,
    no_window_holds_more_grants_than_promised,
    a_closed_bucket_is_closed_for_everybody_and_only_prolonged,
    a_refused_take_takes_nothing,
    a_wake_up_reaches_every_listener_of_its_topic,
    it_answers,
];

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn a_value_is_kept_per_area_until_deleted(store: Store) {
    let any_bytes = Bytes::from_static(b"\0\xff\r\n");
    for area in AREAS {
        assert_eq!(store.get(area, "key").await.unwrap(), None);
        store.set(area, "key", bytes(&format!("{area:?}")), LONG).await.unwrap();
    }
    for area in AREAS {
        assert_eq!(store.get(area, "key").await.unwrap(), Some(bytes(&format!("{area:?}"))));
        store.set(area, "key", any_bytes.clone(), LONG).await.unwrap();
        assert_eq!(store.get(area, "key").await.unwrap(), Some(any_bytes.clone()));
        store.delete(area, "key").await.unwrap();
        store.delete(area, "key").await.unwrap();
        assert_eq!(store.get(area, "key").await.unwrap(), None);
    }
    store.set(Area::Cache, "empty", Bytes::new(), LONG).await.unwrap();
    assert_eq!(store.get(Area::Cache, "empty").await.unwrap(), Some(Bytes::new()));
}

async fn a_value_outlives_its_time_by_nothing(store: Store) {
    let set_at = Instant::now();
    store.set(Area::Cache, "short", bytes("1"), SHORT).await.unwrap();
    store.set(Area::Cache, "long", bytes("1"), LONG).await.unwrap();
    eventually("the value is gone", async || store.get(Area::Cache, "short").await.unwrap().is_none()).await;
    assert!(set_at.elapsed() + CLOCK_GRAIN >= SHORT);
    assert!(store.get(Area::Cache, "long").await.unwrap().is_some());
    store.set(Area::Cache, "no time at all", bytes("1"), Duration::ZERO).await.unwrap();
    eventually("it is gone", async || store.get(Area::Cache, "no time at all").await.unwrap().is_none()).await;
    store.set(Area::Cache, "for ever", bytes("1"), Duration::MAX).await.unwrap();
    assert!(store.get(Area::Cache, "for ever").await.unwrap().is_some());
}

async fn of_many_who_set_an_absent_key_one_wins(store: Store) {
    for round in 0..20 {
        let start = Arc::new(Barrier::new(32));
        let mut tasks = JoinSet::new();
        for task in 0..32 {
            let (store, start) = (store.clone(), Arc::clone(&start));
            tasks.spawn(async move {
                start.wait().await;
                let value = bytes(&task.to_string());
                let won = store.set_if_absent(Area::Queue, &format!("lock {round}"), value, LONG).await.unwrap();
                won.then_some(task)
            });
        }
        let winners: Vec<i32> = tasks.join_all().await.into_iter().flatten().collect();
        let held = store.get(Area::Queue, &format!("lock {round}")).await.unwrap();
        assert_eq!(winners.len(), 1);
        assert_eq!(held, Some(bytes(&winners[0].to_string())));
    }
}

async fn an_absent_key_can_be_set_again_after_its_time(store: Store) {
    assert!(store.set_if_absent(Area::Queue, "lock", bytes("a"), SHORT).await.unwrap());
    assert!(!store.set_if_absent(Area::Queue, "lock", bytes("b"), LONG).await.unwrap());
    eventually("the lock is free", async || store.set_if_absent(Area::Queue, "lock", bytes("c"), LONG).await.unwrap())
        .await;
    assert_eq!(store.get(Area::Queue, "lock").await.unwrap(), Some(bytes("c")));
}

async fn a_lock_is_released_by_its_holder_only(store: Store) {
    store.set(Area::Queue, "lock", bytes("mine"), LONG).await.unwrap();
    assert!(!store.delete_if_equals(Area::Queue, "lock", bytes("yours")).await.unwrap());
    assert!(store.delete_if_equals(Area::Queue, "lock", bytes("mine")).await.unwrap());
    assert!(!store.delete_if_equals(Area::Queue, "lock", bytes("mine")).await.unwrap());
    assert_eq!(store.get(Area::Queue, "lock").await.unwrap(), None);
}

async fn a_counter_adds_up_and_lives_from_its_first_increment(store: Store) {
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        tasks.spawn(async move { store.increment(Area::RateLimits, "hits", 2, LONG).await.unwrap() });
    }
    let mut sums = tasks.join_all().await;
    sums.sort_unstable();
    assert_eq!(sums, (1..=50).map(|i| i * 2).collect::<Vec<i64>>());
    assert_eq!(store.increment(Area::RateLimits, "hits", -100, LONG).await.unwrap(), 0);

    store.increment(Area::RateLimits, "short", 1, SHORT).await.unwrap();
    eventually("the counter starts anew although it was incremented all the time", async || {
        store.increment(Area::RateLimits, "short", 1, SHORT).await.unwrap() == 1
    })
    .await;
}

async fn a_counter_refuses_what_is_no_number(store: Store) {
    store.set(Area::RateLimits, "text", bytes("text"), LONG).await.unwrap();
    store.increment(Area::RateLimits, "text", 1, LONG).await.unwrap_err();
    store.increment(Area::RateLimits, "full", i64::MAX, LONG).await.unwrap();
    store.increment(Area::RateLimits, "full", 1, LONG).await.unwrap_err();
    assert_eq!(store.increment(Area::RateLimits, "full", 0, LONG).await.unwrap(), i64::MAX);
}

async fn a_new_bucket_grants_once_and_then_at_its_rate(store: Store) {
    let limit = BucketLimit { interval: Duration::from_millis(200), burst: 4 };
    assert_eq!(store.take("bucket", limit).await.unwrap(), Grant::Now);
    let Grant::After(pause) = store.take("bucket", limit).await.unwrap() else { panic!("a second grant at once") };
    assert!(pause <= limit.interval && pause > limit.interval / 2, "{pause:?}");
    assert_eq!(store.take("another", limit).await.unwrap(), Grant::Now);

    let full = Instant::now() + limit.interval * 4;
    eventually("the bucket is full", async || Instant::now() > full).await;
    let mut at_once = 0;
    while store.take("bucket", limit).await.unwrap() == Grant::Now {
        at_once += 1;
    }
    assert!((4..=5).contains(&at_once), "{at_once} grants from a full bucket of 4");
}

async fn no_window_holds_more_grants_than_promised(store: Store) {
    let limit = BucketLimit { interval: Duration::from_millis(10), burst: 20 };
    let started = Instant::now();
    let log = hammer(&store, "bucket", limit, Duration::from_millis(1_500)).await;
    // Everything a steady bucket has to give is given: it began with one grant, not with a full burst.
    let expected = 1 + started.elapsed().as_millis() / limit.interval.as_millis();
    assert!(log.len() as u128 + 10 >= expected.min(150), "{} grants of {expected}", log.len());
    check_ceiling(&log, limit, 0);
}

async fn a_closed_bucket_is_closed_for_everybody_and_only_prolonged(store: Store) {
    let limit = BucketLimit { interval: Duration::from_millis(1), burst: 100 };
    let closed_at = Instant::now();
    let pause = Duration::from_millis(400);
    store.close_bucket("bucket", pause).await.unwrap();
    store.close_bucket("bucket", Duration::from_millis(1)).await.unwrap();
    let Grant::After(wait) = store.take("bucket", limit).await.unwrap() else { panic!("granted although closed") };
    assert!(wait <= pause && wait > Duration::from_millis(100), "{wait:?}");
    eventually("the bucket opens", async || store.take("bucket", limit).await.unwrap() == Grant::Now).await;
    assert!(closed_at.elapsed() + CLOCK_GRAIN >= pause);
    store.close_bucket("bucket", LONG).await.unwrap();
    assert!(matches!(store.take("bucket", limit).await.unwrap(), Grant::After(wait) if wait > LONG / 2));
}

async fn a_refused_take_takes_nothing(store: Store) {
    let limit = BucketLimit { interval: Duration::from_millis(300), burst: 1 };
    assert_eq!(store.take("bucket", limit).await.unwrap(), Grant::Now);
    let mut last = Duration::MAX;
    while let Grant::After(wait) = store.take("bucket", limit).await.unwrap() {
        assert!(wait <= last, "asking made it longer: {wait:?} after {last:?}");
        last = wait;
    }
}

async fn a_wake_up_reaches_every_listener_of_its_topic(store: Store) {
    let mut listeners = [store.listen("jobs"), store.clone().listen("jobs")];
    let mut other = store.listen("other");
    store.wake("jobs").await.unwrap();
    for listener in &mut listeners {
        tokio::time::timeout(LONG, listener.recv()).await.unwrap().unwrap();
    }
    other.try_recv().unwrap_err();
    store.wake("nobody listens").await.unwrap();
}

async fn it_answers(store: Store) {
    store.ping().await.unwrap();
}

/// Sixteen tasks ask for as much as they can get; the instants at which they got it, in order. An instant lies between the
/// ask and the answer, so each is kept as both.
async fn hammer(store: &Store, key: &'static str, limit: BucketLimit, span: Duration) -> Vec<(Instant, Instant)> {
    let until = Instant::now() + span;
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (store, log) = (store.clone(), Arc::clone(&log));
        tasks.spawn(async move {
            while Instant::now() < until {
                let asked = Instant::now();
                match store.take(key, limit).await {
                    Ok(Grant::Now) => log.lock().unwrap().push((asked, Instant::now())),
                    Ok(Grant::After(wait)) => tokio::time::sleep(wait.min(Duration::from_millis(2))).await,
                    Err(StoreError(_)) => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        });
    }
    tasks.join_all().await;
    let mut log = std::mem::take(&mut *log.lock().unwrap());
    log.sort_unstable();
    log
}

/// Fails when some window holds more than `burst + w / interval + extra` grants that certainly lie within it.
fn check_ceiling(log: &[(Instant, Instant)], limit: BucketLimit, extra: usize) {
    for (from, _) in log {
        let mut answers: Vec<Instant> = log.iter().filter(|(ask, _)| ask >= from).map(|(_, answer)| *answer).collect();
        answers.sort_unstable();
        for (i, to) in answers.iter().enumerate() {
            let in_time = (*to - *from).as_nanos() / limit.interval.as_nanos();
            let ceiling = limit.burst as usize + usize::try_from(in_time).unwrap() + extra;
            assert!(i < ceiling, "{} grants within {:?}, {ceiling} are allowed", i + 1, *to - *from);
        }
    }
}
