//! Redis forgets, freezes, dies and returns.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tca::store::{Area, BucketLimit, Grant, Store};

use super::{bytes, check_ceiling, hammer};
use crate::support::{
    LONG_ENOUGH as LONG, connected, eventually, redis_server::RedisServer, redis_url, wait_until_connected,
};

const LIMIT: BucketLimit = BucketLimit { interval: Duration::from_millis(10), burst: 20 };
/// One command may take 250 ms; a busy machine gets some more.
const BOUND: Duration = Duration::from_millis(900);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_everything_on_redis() {
    let url = redis_url();
    let (here, there) = (connected(&url).await, connected(&url).await);
    let mut listener = there.listen("jobs");
    here.wake("jobs").await.unwrap();
    tokio::time::timeout(LONG, listener.recv()).await.unwrap().unwrap();

    here.set(Area::WebSessions, "id", bytes("session"), LONG).await.unwrap();
    assert_eq!(there.get(Area::WebSessions, "id").await.unwrap(), Some(bytes("session")));
    here.close_bucket("bucket", LONG).await.unwrap();
    assert!(matches!(there.take("bucket", LIMIT).await.unwrap(), Grant::After(_)));

    let stranger = connected(&redis_url()).await;
    assert_eq!(stranger.get(Area::WebSessions, "id").await.unwrap(), None, "another prefix sees other keys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_the_url_holds_all_areas_on_redis() {
    let server = RedisServer::start().await;
    let url = server.url().expose_secret().replace('?', "/7?").into();
    let store = connected(&url).await;
    for area in [Area::WebSessions, Area::RateLimits, Area::Queue, Area::Cache] {
        store.set(area, "key", bytes(&format!("{area:?}")), LONG).await.unwrap();
    }
    server.command(&["-n", "8", "FLUSHDB"]);
    for area in [Area::WebSessions, Area::RateLimits, Area::Queue, Area::Cache] {
        assert_eq!(store.get(area, "key").await.unwrap(), Some(bytes(&format!("{area:?}"))));
    }
    server.command(&["-n", "7", "FLUSHDB"]);
    assert_eq!(store.get(Area::Cache, "key").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_scripts_are_sent_again_on_redis() {
    let server = RedisServer::start().await;
    let store = connected(&server.url()).await;
    for _ in 0..3 {
        store.take("bucket", LIMIT).await.unwrap();
        assert_eq!(store.increment(Area::Cache, "n", 1, LONG).await.unwrap(), 1);
        store.set(Area::Queue, "lock", bytes("me"), LONG).await.unwrap();
        assert!(store.delete_if_equals(Area::Queue, "lock", bytes("me")).await.unwrap());
        store.delete(Area::Cache, "n").await.unwrap();
        server.command(&["SCRIPT", "FLUSH"]);
    }
}

/// What a clock that steps back looks like: the bucket remembers instants that lie in the future.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_steps_back_neither_grants_again_nor_locks_up_on_redis() {
    const AN_HOUR: &str = "3600000000";
    let limit = BucketLimit { interval: Duration::from_millis(400), burst: 20 };
    let server = RedisServer::start().await;
    let url = server.url();
    let store = connected(&url).await;
    assert_eq!(store.take("bucket", limit).await.unwrap(), Grant::Now);
    let prefix = url.expose_secret().split_once("prefix=").unwrap().1;
    for field in ["full_at", "seen"] {
        server.command(&["-n", "1", "HINCRBY", &format!("{prefix}:rate:bucket"), field, AN_HOUR]);
    }
    let Grant::After(wait) = store.take("bucket", limit).await.unwrap() else { panic!("granted twice") };
    assert!(wait <= limit.interval, "{wait:?}");
    eventually("it grants again", async || store.take("bucket", limit).await.unwrap() == Grant::Now).await;
}

/// A bucket that Redis lost grants one call more than promised, not a burst.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_grants_one_more_and_no_burst_on_redis() {
    let server = RedisServer::start().await;
    let store = connected(&server.url()).await;
    let (log, flushes) = tokio::join!(hammer(&store, "bucket", LIMIT, Duration::from_millis(1_500)), async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(400)).await;
            server.command(&["FLUSHALL"]);
        }
        3
    });
    assert!(log.len() > 50, "{}", log.len());
    check_ceiling(&log, LIMIT, flushes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_fails_fast_and_comes_back_on_redis() {
    let mut server = RedisServer::start().await;
    let store = connected(&server.url()).await;
    let mut listener = store.listen("jobs");
    for _ in 0..2 {
        server.kill();
        assert_every_call_fails_in_time(&store).await;
        eventually("local listeners are told although Redis is away", async || {
            store.wake("jobs").await.unwrap_err();
            true
        })
        .await;
        tokio::time::timeout(LONG, listener.recv()).await.unwrap().unwrap();

        server.restart().await;
        let back = Instant::now();
        wait_until_connected(&store).await;
        assert!(back.elapsed() < Duration::from_secs(6), "{:?} until it was used again", back.elapsed());
        while listener.try_recv().is_ok() {}
        store.wake("jobs").await.unwrap();
        tokio::time::timeout(LONG, listener.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_costs_bounded_time_on_redis() {
    let server = RedisServer::start().await;
    let store = connected(&server.url()).await;
    server.freeze();
    assert_every_call_fails_in_time(&store).await;
    let asking_since = Instant::now();
    eventually("calls fail at once", async || {
        let asked = Instant::now();
        store.get(Area::Cache, "key").await.unwrap_err();
        asked.elapsed() < Duration::from_millis(20)
    })
    .await;
    assert!(asking_since.elapsed() < Duration::from_secs(5));
    server.thaw();
    wait_until_connected(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_is_found_through_a_sentinel_on_redis() {
    let master = RedisServer::start().await;
    let sentinel = master.start_sentinel().await;
    let store = connected(&sentinel.url()).await;
    store.set(Area::Cache, "key", bytes("value"), LONG).await.unwrap();
    assert_eq!(store.get(Area::Cache, "key").await.unwrap(), Some(bytes("value")));
    master.command(&["-n", "3", "FLUSHDB"]);
    assert_eq!(store.get(Area::Cache, "key").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_starts_later_is_found_on_redis() {
    let mut server = RedisServer::start().await;
    server.kill();
    let opened = Instant::now();
    let store = Store::open(Some(&server.url())).unwrap();
    assert!(opened.elapsed() < Duration::from_millis(200));
    store.ping().await.unwrap_err();
    server.restart().await;
    wait_until_connected(&store).await;
}

async fn assert_every_call_fails_in_time(store: &Store) {
    for round in 0..5 {
        let asked = Instant::now();
        assert!(store.get(Area::Cache, "key").await.is_err());
        assert!(asked.elapsed() < BOUND, "get took {:?} in round {round}", asked.elapsed());
        let asked = Instant::now();
        assert!(store.take("bucket", LIMIT).await.is_err());
        assert!(asked.elapsed() < BOUND, "take took {:?} in round {round}", asked.elapsed());
        let asked = Instant::now();
        assert!(store.increment(Area::Queue, "n", 1, LONG).await.is_err());
        assert!(asked.elapsed() < BOUND, "increment took {:?} in round {round}", asked.elapsed());
    }
}
