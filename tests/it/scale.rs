//! Large chats, and the promise to Twitch about how often it is asked.

use std::time::{Duration, Instant};

use tca::simulator::{Rate, Route, cast};

use crate::support::app::{TestApp, Topology, eventually_within};

const RABBIT: &str = "lapinvert_live";

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
        const RATE: u32 = 10;
        let app = TestApp::plan(backend).set("RATE_LIMIT_REQUESTS_PER_SECOND", &RATE.to_string()).start().await;
        app.world.set_rate(Rate { refill_per_minute: 800, bucket_size: 800 });
        let browser = app.signed_in(cast::HERO).await;
        let channels = ["oncle_pixel", "sardine_express", "bibliotheque_zoe", "karnaval_tv", "petit_four_tv", RABBIT];
        for channel in channels {
            app.world.set_room_size(channel, 1_200).unwrap();
        }
        let captures = futures_util::future::join_all(channels.map(|channel| app.capture(&browser, channel))).await;
        for capture in captures {
            assert_eq!(app.wait_for_capture(capture).await, "complete");
        }
        app.wait_until_enriched().await;
        let calls = app.world.calls_after(0);
        assert!(calls.len() > 60, "{} calls are no burst", calls.len());
        assert!(calls.iter().all(|call| call.status != Some(429)));
        for bucket in [format!("demo:{}", app.id(cast::HERO)), "demo:app".to_owned()] {
            let of_bucket = calls.iter().filter(|call| call.bucket.as_deref() == Some(&bucket));
            let moments: Vec<Duration> = of_bucket.map(|call| call.at).collect();
            assert!(moments.len() > 10, "{bucket}: {}", moments.len());
            for (first, from) in moments.iter().enumerate() {
                for (last, to) in moments.iter().enumerate().skip(first) {
                    let calls = f64::from(u32::try_from(last - first + 1).unwrap());
                    let allowed = 20.0 + f64::from(RATE) * to.saturating_sub(*from).as_secs_f64();
                    assert!(calls <= allowed, "{bucket}: {calls} calls from {from:?} to {to:?}");
                }
            }
        }
    }
}
