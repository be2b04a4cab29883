//! Large chats, and the promise to Twitch about how often it is asked.

use std::time::{Duration, Instant};

use reqwest::Url;
use tca::{
    roles::Role,
    simulator::{Rate, Route, cast},
};

use crate::support::{
    Backend,
    app::{TestApp, Topology, eventually_within, http},
    eventually,
};

const RABBIT: &str = "lapinvert_live";
/// Calls a second, in the tests about them.
const RATE: u32 = 10;

on_each_backend! {
    async fn a_chat_of_two_hundred_thousand_is_captured_whole(backend: Backend) {
        const SIZE: i64 = 200_000;
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(RABBIT, 200_000).unwrap();
        let browser = app.signed_in(cast::HERO).await;
        let begun = Instant::now();
        let capture = app.capture(&browser, RABBIT).await;
        let status = format!("SELECT status FROM captures WHERE id = {capture}");
        let mut ended = String::new();
        eventually_within(Duration::from_mins(4), "the capture has ended", async || {
            ended = app.text(&status).await;
            ended != "running"
        })
        .await;
        eprintln!("200,000 chatters on {backend:?}: {:.1} s", begun.elapsed().as_secs_f64());
        assert_eq!(ended, "complete");
        let stored = format!("SELECT COUNT(DISTINCT twitch_user_id) FROM capture_chatters WHERE capture_id = {capture}");
        assert_eq!(app.number(&stored).await, SIZE);
        assert_eq!(app.number("SELECT COUNT(*) FROM session_accounts").await, SIZE);
        let counts = format!(
            "SELECT COUNT(*) FROM captures WHERE id = {capture} AND chatters_count = {SIZE} AND new_users_count = {SIZE}"
        );
        assert_eq!(app.number(&counts).await, 1);
        assert_eq!(app.calls(Route::Chatters).len(), 200);
        let page = browser.get("/analysis").await;
        assert_eq!(page.status, 200);
        page.shows("200,000 accounts");
        // The profiles would take longer than all other tests together.
        let page = browser.get("/sessions/purge").await;
        browser.submit(&page, "/sessions/purge", &[]).await;
    }

    async fn a_burst_of_work_never_asks_twitch_more_often_than_promised(backend: Backend) {
        let app = TestApp::plan(backend).set("RATE_LIMIT_REQUESTS_PER_SECOND", &RATE.to_string()).start().await;
        let proxies = [app.url(Role::TwitchProxy)];
        check_the_promise(&app, &proxies).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_proxies_together_keep_the_promise_on_mariadb() {
    let plan = TestApp::plan(Backend::MariaDb).topology(Topology::Split);
    let app = plan.set("RATE_LIMIT_REQUESTS_PER_SECOND", &RATE.to_string()).start().await;
    let (_other, url) = app.spawn_another(Role::TwitchProxy);
    let ready = url.join("readyz").unwrap();
    let is_well = async || {
        let answer = http().get(ready.clone()).send().await.ok();
        let Some(answer) = answer else { return false };
        answer.json::<serde_json::Value>().await.is_ok_and(|report| report["parts"]["redis"]["status"] == "ok")
    };
    eventually("the other proxy is ready", is_well).await;
    check_the_promise(&app, &[app.url(Role::TwitchProxy), url]).await;
}

/// Captures, their enrichment and many callers at once, all through these proxies.
async fn check_the_promise(app: &TestApp, proxies: &[Url]) {
    app.world.set_rate(Rate { refill_per_minute: 800, bucket_size: 800 });
    let browser = app.signed_in(cast::HERO).await;
    let user = app.number("SELECT id FROM users").await;
    let channels = ["oncle_pixel", "karnaval_tv", RABBIT];
    for channel in channels {
        app.world.set_room_size(channel, 1_200).unwrap();
    }
    let people = app.world.chatters_at("nocturne_fm", app.world.now()).unwrap();
    let (rabbit, hero) = (app.id(RABBIT), app.id(cast::HERO));
    // Buckets fill while nobody asks: only then can a burst be as large as it gets. There is nothing to wait for but time.
    let rested = app.world.now() + chrono::TimeDelta::seconds(5);
    eventually("the buckets are full", async || app.world.now() >= rested).await;
    let client = http();
    let ask = async |number: usize, path: String| {
        let url = proxies[number % proxies.len()].join(&path).unwrap();
        let mut request = client.get(url).header("X-Internal-Token", TestApp::internal_token());
        // Without a user, profiles are asked for with the application's token, whose bucket is another.
        if path.starts_with("chatters") {
            request = request.header("X-TCA-User", user);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        assert!(matches!(status, 200 | 503), "{status}: {:?}", answer.text().await);
        status
    };
    let direct = futures_util::future::join_all((0..70).map(|number| {
        let path = if number % 2 == 0 {
            format!("chatters?broadcaster_id={rabbit}&moderator_id={hero}")
        } else {
            format!("users?id={}", people[number].id)
        };
        ask(number, path)
    }));
    let captured = futures_util::future::join_all(channels.map(|channel| app.complete_capture(&browser, channel)));
    let (direct, _) = tokio::join!(direct, captured);
    assert!(direct.iter().all(|status| *status == 200), "nobody waited for more than half a minute: {direct:?}");
    app.wait_until_enriched().await;

    let calls = app.world.calls_after(0);
    assert!(calls.iter().all(|call| call.status != Some(429)));
    for bucket in [format!("demo:{hero}"), "demo:app".to_owned()] {
        let of_bucket = calls.iter().filter(|call| call.bucket.as_deref() == Some(&bucket));
        let moments: Vec<Duration> = of_bucket.map(|call| call.at).collect();
        assert!(moments.len() > 35, "{bucket}: {} calls are no burst", moments.len());
        for (first, from) in moments.iter().enumerate() {
            for (last, to) in moments.iter().enumerate().skip(first) {
                let calls = f64::from(u32::try_from(last - first + 1).unwrap());
                let allowed = 20.0 + f64::from(RATE) * to.saturating_sub(*from).as_secs_f64();
                assert!(calls <= allowed, "{bucket}: {calls} calls from {from:?} to {to:?}");
            }
        }
    }
}
