//! What becomes of captures under way when somebody erases, cancels, leaves or asks twice.

use tca::simulator::{Fault, Route, cast};

use crate::support::{
    Backend,
    app::{TestApp, Topology, eventually_within},
    browser::Browser,
    eventually,
};

const RABBIT: &str = "lapinvert_live";
const BEARS: &str = "tanguy_et_les_ours";
const RADIO: &str = "radio_cagette";

/// One capture hangs on its second page, with the only worker that there is; another one waits behind it.
async fn stage(backend: Backend) -> (TestApp, Browser, [i64; 2]) {
    let app = TestApp::plan(backend).set("WORKER_CONCURRENCY", "1").start().await;
    app.world.set_room_size(RABBIT, 1_500).unwrap();
    app.world.set_room_size(BEARS, 50).unwrap();
    app.world.set_room_size(RADIO, 30).unwrap();
    let browser = app.signed_in(cast::HERO).await;
    let running = hanging(&app, &browser).await;
    let queued = app.capture(&browser, BEARS).await;
    assert_eq!(app.texts("SELECT status FROM jobs ORDER BY id").await, ["running", "pending"]);
    (app, browser, [running, queued])
}

/// A capture that has stored its first page and waits for the second.
async fn hanging(app: &TestApp, browser: &Browser) -> i64 {
    app.fault_after(1, Route::Chatters, Fault::Hang, 1);
    let capture = app.capture(browser, RABBIT).await;
    let pages = format!("SELECT COUNT(*) FROM captures WHERE id = {capture} AND pages = 1");
    eventually("the first page is stored", async || app.number(&pages).await == 1).await;
    capture
}

/// Both captures are cancelled, stay so when the worker comes back to them, and nothing of them is anywhere.
async fn check_cancelled(app: &TestApp, browser: &Browser, captures: [i64; 2]) {
    let jobs = "SELECT status FROM jobs WHERE capture_id IN (1, 2) ORDER BY id";
    let of_captures = format!("SELECT status FROM captures WHERE id IN ({}, {}) ORDER BY id", captures[0], captures[1]);
    assert_eq!(app.texts(jobs).await, ["cancelled", "cancelled"]);
    assert_eq!(app.texts(&of_captures).await, ["cancelled", "cancelled"]);
    // There is one worker: once it has done this, it has been through with what it was holding.
    let later = app.complete_capture(browser, RADIO).await;
    app.wait_until_enriched().await;
    assert_eq!(app.texts(jobs).await, ["cancelled", "cancelled"]);
    assert_eq!(app.texts(&of_captures).await, ["cancelled", "cancelled"]);
    assert_eq!(app.number("SELECT COUNT(*) FROM session_accounts").await, 30);
    assert_eq!(app.number("SELECT COUNT(*) FROM captures WHERE status = 'complete'").await, 1);
    assert_eq!(browser.get("/analysis/export?format=logins").await.body.lines().count(), 30);
    browser.get("/analysis").await.shows("30 accounts").hides("1,500");
    assert!(!captures.contains(&later));
}

/// Waits for the end of the call that hangs, and of what follows.
async fn wait_for_revocations(app: &TestApp, count: usize) {
    eventually_within(3 * crate::support::PATIENCE, "the token is revoked", async || {
        app.calls(Route::Revoke).len() == count
    })
    .await;
}

async fn log_out(browser: &Browser) {
    let page = browser.get("/settings").await;
    browser.submit(&page, "/auth/logout", &[]).await.shows("href=\"/auth/login\"");
    assert_eq!(browser.hop("/channels").await.location(), "/auth/login?next=%2Fchannels");
}

on_each_backend! {
    async fn erasing_the_session_cancels_what_runs_and_what_waits(backend: Backend) {
        let (app, browser, captures) = stage(backend).await;
        let page = browser.get("/sessions/purge").await;
        browser.submit(&page, "/sessions/purge", &[]).await;
        for capture in captures {
            assert_eq!(browser.get(&format!("/captures/{capture}")).await.status, 404);
        }
        check_cancelled(&app, &browser, captures).await;
    }

    async fn deleting_the_session_cancels_what_runs_and_what_waits(backend: Backend) {
        let (app, browser, captures) = stage(backend).await;
        let uuid = app.active_uuid(cast::HERO).await;
        let page = browser.get(&format!("/sessions/delete?session_uuid={uuid}")).await;
        browser.submit(&page, "/sessions/delete", &[]).await;
        check_cancelled(&app, &browser, captures).await;
    }

    async fn a_cancelled_capture_stays_cancelled(backend: Backend) {
        let (app, browser, captures) = stage(backend).await;
        for capture in captures {
            let page = browser.get(&format!("/captures/{capture}")).await;
            browser.submit(&page, "/captures/cancel", &[]).await.shows("Capture cancelled.");
            browser.get(&format!("/captures/{capture}")).await.shows("Nothing half-done was kept");
        }
        check_cancelled(&app, &browser, captures).await;
    }

    async fn a_capture_under_way_is_joined_by_its_user_and_by_nobody_else(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(RABBIT, 1_500).unwrap();
        let (hero, rabbit) = (app.signed_in(cast::HERO).await, app.signed_in(RABBIT).await);
        let page = hero.get(&format!("/channels?q={RABBIT}")).await;
        let form = page.form_with("/sessions/capture", &[("broadcaster_login", RABBIT)]);
        let running = hanging(&app, &hero).await;
        for _ in 0..2 {
            let joined = hero.submit_form(&form, &[]).await;
            assert_eq!(joined.location(), format!("/captures/{running}?said=capture-joined"));
        }
        hero.get(&format!("/captures/{running}?said=capture-joined")).await.shows("already being captured");
        assert_eq!(app.number("SELECT COUNT(*) FROM captures").await, 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM jobs").await, 1);
        let other = app.complete_capture(&rabbit, RABBIT).await;
        assert_ne!(other, running);
        assert_eq!(app.wait_for_capture(running).await, "complete");
        let again = app.complete_capture(&hero, RABBIT).await;
        assert_ne!(again, running, "an ended capture is not joined");
    }

    async fn two_requests_at_once_make_one_capture(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(RABBIT, 200).unwrap();
        app.fault(Route::Chatters, Fault::Hang, 1);
        let browser = app.signed_in(cast::HERO).await;
        let page = browser.get(&format!("/channels?q={RABBIT}")).await;
        let form = page.form_with("/sessions/capture", &[("broadcaster_login", RABBIT)]);
        let answers = futures_util::future::join_all((0..8).map(|_| browser.submit_form(&form, &[]))).await;
        for answer in &answers {
            assert!(answer.status == 303 && answer.location().starts_with("/captures/"), "{answer:?}");
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM sessions").await, 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM captures").await, 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM jobs WHERE type = 'FETCH_CHATTERS'").await, 1);
    }

    async fn captures_that_were_accepted_outlive_the_logout_and_then_the_token_goes(backend: Backend) {
        let (app, browser, captures) = stage(backend).await;
        log_out(&browser).await;
        assert_eq!(app.calls(Route::Revoke).len(), 0, "the captures need it");
        for capture in captures {
            assert_eq!(app.wait_for_capture(capture).await, "complete");
        }
        wait_for_revocations(&app, 1).await;
        eventually("the token is forgotten", async || app.number("SELECT COUNT(*) FROM twitch_tokens").await == 0).await;
        assert_eq!(app.number("SELECT COUNT(*) FROM captures WHERE status = 'complete'").await, 2);
        browser.sign_in_as(cast::HERO).await;
        browser.get("/analysis").await.shows("2 captures");
    }

    async fn the_last_logout_revokes_at_once(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        let (first, second) = (app.signed_in(cast::HERO).await, app.signed_in(cast::HERO).await);
        let other = app.signed_in(cast::NIGHT_MODERATOR).await;
        log_out(&first).await;
        assert_eq!(app.calls(Route::Revoke).len(), 0, "another browser is signed in");
        assert_eq!(second.get("/channels").await.status, 200);
        log_out(&second).await;
        assert_eq!(app.calls(Route::Revoke).len(), 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM twitch_tokens").await, 1, "the other user's");
        assert_eq!(other.hop("/channels").await.status, 200);
    }

    async fn disconnecting_revokes_at_once_and_ends_every_browser_and_capture(backend: Backend) {
        let (app, browser, captures) = stage(backend).await;
        let (second, other) = (app.signed_in(cast::HERO).await, app.signed_in(cast::NIGHT_MODERATOR).await);
        let page = browser.get("/auth/disconnect").await;
        page.shows("2 captures");
        browser.submit(&page, "/auth/disconnect", &[]).await;
        assert_eq!(app.calls(Route::Revoke).len(), 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM twitch_tokens").await, 1, "the other user's");
        for gone in [&browser, &second] {
            assert_eq!(gone.hop("/analysis").await.location(), "/auth/login?next=%2Fanalysis");
        }
        assert_eq!(other.hop("/channels").await.status, 200);
        browser.sign_in_as(cast::HERO).await;
        check_cancelled(&app, &browser, captures).await;
    }
}
