//! Whatever Twitch does, a capture is complete or failed with its reason, never short, and nothing half-stored is shown.

use tca::simulator::{Fault, Route, cast};

use crate::support::{
    Backend, PATIENCE,
    app::{TestApp, Topology, eventually_within},
    browser::Browser,
    eventually,
};

const CHANNEL: &str = "lapinvert_live";
/// Three pages of chatters.
const SIZE: u32 = 2_345;

/// A signed-in moderator and a chat of three pages.
async fn stage(backend: Backend) -> (TestApp, Browser) {
    let app = TestApp::start(backend, Topology::AllInOne).await;
    app.world.set_room_size(CHANNEL, SIZE).unwrap();
    let browser = app.signed_in(cast::HERO).await;
    (app, browser)
}

/// Everybody is there once, and the page says so.
async fn check_complete(app: &TestApp, browser: &Browser, capture: i64) {
    assert_eq!(app.wait_for_capture(capture).await, "complete", "{}", reason(app, capture).await);
    let stored = format!("SELECT COUNT(*) FROM capture_chatters WHERE capture_id = {capture}");
    assert_eq!(app.number(&stored).await, i64::from(SIZE));
    assert_eq!(count(app, capture).await, SIZE.to_string());
    let there = app.world.chatters_at(CHANNEL, app.world.now()).unwrap();
    let mut logins: Vec<&str> = there.iter().map(|person| person.name.login.as_str()).collect();
    logins.sort_unstable();
    let listed = browser.get("/analysis/export?format=logins").await.body;
    assert!(listed.lines().eq(logins), "the list is the chat's");
    browser.get("/analysis").await.shows("2,345 accounts");
}

async fn count(app: &TestApp, capture: i64) -> String {
    app.text(&format!("SELECT CAST(chatters_count AS CHAR) FROM captures WHERE id = {capture}")).await
}

async fn reason(app: &TestApp, capture: i64) -> String {
    app.text(&format!("SELECT error_message FROM captures WHERE id = {capture}")).await
}

/// No page, count or export holds anything of a capture that is not complete.
async fn check_nothing_shows(app: &TestApp, browser: &Browser) {
    let counted =
        "SELECT COUNT(*) FROM session_accounts a JOIN sessions s ON s.id = a.session_id WHERE s.status = 'active'";
    assert_eq!(app.number(counted).await, 0);
    assert_eq!(browser.get("/analysis/export?format=csv").await.body.lines().count(), 1, "only the header");
    browser.get("/analysis").await.hides("accounts</dt>");
    let uuid = app.active_uuid(cast::HERO).await;
    let (_, _, summary) = app.internal(tca::roles::Role::Analysis, &format!("sessions/{uuid}/summary")).await;
    assert_eq!(summary["total_accounts"], 0, "{summary}");
    assert_eq!(summary["broadcasters"], serde_json::json!([]));
}

/// Lets whatever waits for another attempt begin it now.
async fn hurry(app: &TestApp) {
    let past = match app.backend {
        Backend::Sqlite => "2020-01-01T00:00:00+00:00",
        Backend::MariaDb => "2020-01-01 00:00:00",
    };
    app.execute(&format!("UPDATE jobs SET run_at = '{past}' WHERE status = 'scheduled'")).await;
}

async fn wait_for_retry(app: &TestApp) {
    let sql = "SELECT COUNT(*) FROM jobs WHERE status = 'scheduled' AND type = 'FETCH_CHATTERS'";
    eventually("the job waits for another attempt", async || app.number(sql).await == 1).await;
}

/// Waits for the end of a capture, hurrying every attempt.
async fn wait_hurrying(app: &TestApp, capture: i64) -> String {
    let mut status = String::new();
    let patience = 3 * PATIENCE;
    eventually_within(patience, "the capture has ended", async || {
        hurry(app).await;
        status = app.text(&format!("SELECT status FROM captures WHERE id = {capture}")).await;
        status != "running"
    })
    .await;
    status
}

/// The page of a failed capture says this, in the reader's language, and so does the channel's row.
async fn check_sentences(app: &TestApp, browser: &Browser, capture: i64, english: &str, french: &str) {
    browser.get(&format!("/captures/{capture}")).await.shows(english).hides("error:");
    browser.get(&format!("/channels?q={CHANNEL}")).await.shows(english);
    let reader = app.browser().speaking("fr-FR,fr;q=0.9");
    reader.sign_in_as(cast::HERO).await;
    reader.get(&format!("/captures/{capture}")).await.shows(french);
}

on_each_backend! {
    async fn somebody_who_slips_onto_the_next_page_is_counted_once(backend: Backend) {
        let (app, browser) = stage(backend).await;
        app.fault_after(1, Route::Chatters, Fault::DuplicateChatters, 2);
        let capture = app.capture(&browser, CHANNEL).await;
        check_complete(&app, &browser, capture).await;
        assert!(app.world.planned_faults().is_empty());
    }

    async fn a_limit_that_is_reached_in_the_middle_is_waited_out(backend: Backend) {
        let (app, browser) = stage(backend).await;
        app.fault_after(1, Route::Chatters, Fault::BucketEmpty(2), 1);
        app.fault_after(3, Route::Chatters, Fault::EndpointLimit, 1);
        let capture = app.capture(&browser, CHANNEL).await;
        check_complete(&app, &browser, capture).await;
        assert!(app.world.planned_faults().is_empty());
    }

    async fn a_long_wait_for_the_limit_costs_no_attempt_and_is_told(backend: Backend) {
        let (app, browser) = stage(backend).await;
        app.fault_after(1, Route::Chatters, Fault::BucketEmpty(50), 1);
        let capture = app.capture(&browser, CHANNEL).await;
        wait_for_retry(&app).await;
        let attempts = "SELECT COUNT(*) FROM jobs WHERE type = 'FETCH_CHATTERS' AND attempt = 0 AND snoozes = 1";
        assert_eq!(app.number(attempts).await, 1);
        browser.get(&format!("/captures/{capture}")).await.shows("Twitch limits our requests. We go on in ");
        check_nothing_shows(&app, &browser).await;
    }

    async fn who_is_no_moderator_gets_a_sentence_and_no_capture(backend: Backend) {
        let (app, browser) = stage(backend).await;
        browser.get("/channels").await;
        app.world.set_moderator(cast::HERO, CHANNEL, false).unwrap();
        let capture = app.capture(&browser, CHANNEL).await;
        assert_eq!(app.wait_for_capture(capture).await, "failed");
        let (en, fr) = ("You are no longer a moderator of lapinvert_live.", "Vous n’êtes plus modérateur de lapinvert_live.");
        check_sentences(&app, &browser, capture, en, fr).await;
        check_nothing_shows(&app, &browser).await;
        assert_eq!(app.text("SELECT status FROM jobs WHERE type = 'FETCH_CHATTERS'").await, "failed");
        assert_eq!(app.calls(Route::Chatters).len(), 1, "nobody asks again");
    }

    async fn a_channel_that_twitch_does_not_know_fails_with_a_sentence(backend: Backend) {
        let (app, browser) = stage(backend).await;
        app.fault(Route::Chatters, Fault::Status(404), 1);
        let capture = app.capture(&browser, CHANNEL).await;
        assert_eq!(app.wait_for_capture(capture).await, "failed");
        browser.get(&format!("/captures/{capture}")).await.shows("The capture failed.");
        check_nothing_shows(&app, &browser).await;
    }

    async fn a_failure_that_passes_delays_a_capture_and_no_more(backend: Backend) {
        let (app, browser) = stage(backend).await;
        // Each is met by both tries of one call, so that the job itself has to come back.
        for (skip, fault) in [(1, Fault::Status(503)), (1, Fault::CutBody), (1, Fault::InvalidJson), (1, Fault::RepeatCursor)] {
            app.fault_after(skip, Route::Chatters, fault, 2);
            let capture = app.capture(&browser, CHANNEL).await;
            wait_for_retry(&app).await;
            check_nothing_shows(&app, &browser).await;
            browser.get(&format!("/captures/{capture}")).await.shows("Twitch does not answer. We try again by ourselves until");
            assert_eq!(wait_hurrying(&app, capture).await, "complete", "{fault:?}: {}", reason(&app, capture).await);
            check_complete(&app, &browser, capture).await;
            assert!(app.world.planned_faults().is_empty(), "{fault:?}");
            let page = browser.get("/sessions/purge").await;
            browser.submit(&page, "/sessions/purge", &[]).await;
        }
    }

    async fn a_twitch_that_hangs_delays_a_capture_and_no_more(backend: Backend) {
        let (app, browser) = stage(backend).await;
        app.fault_after(1, Route::Chatters, Fault::Hang, 1);
        let capture = app.capture(&browser, CHANNEL).await;
        wait_for_retry(&app).await;
        check_nothing_shows(&app, &browser).await;
        assert_eq!(wait_hurrying(&app, capture).await, "complete");
        check_complete(&app, &browser, capture).await;
    }

    async fn a_twitch_that_stays_away_fails_the_capture_with_its_reason(backend: Backend) {
        let (app, browser) = stage(backend).await;
        app.fault_after(1, Route::Chatters, Fault::Status(500), u32::MAX);
        let capture = app.capture(&browser, CHANNEL).await;
        assert_eq!(wait_hurrying(&app, capture).await, "failed");
        let english = "Twitch did not answer for too long. Try again in a few minutes.";
        let french = "Twitch n’a pas répondu pendant trop longtemps.";
        check_sentences(&app, &browser, capture, english, french).await;
        check_nothing_shows(&app, &browser).await;
        assert_eq!(app.number("SELECT COUNT(*) FROM jobs WHERE status = 'failed' AND attempt = max_attempts").await, 1);
        assert_eq!(reason(&app, capture).await, app.text("SELECT error_message FROM jobs").await);
        // The channel is not blocked: another try is another capture.
        app.world.clear_faults();
        let again = app.complete_capture(&browser, CHANNEL).await;
        assert_ne!(again, capture);
        check_complete(&app, &browser, again).await;
    }

    async fn a_token_that_ends_in_the_middle_is_refreshed_once(backend: Backend) {
        let (app, browser) = stage(backend).await;
        app.world.grant(cast::HERO, &[]).unwrap();
        let before = app.calls(Route::Token).len();
        app.fault_after(1, Route::Chatters, Fault::Status(401), 1);
        let capture = app.capture(&browser, CHANNEL).await;
        check_complete(&app, &browser, capture).await;
        assert_eq!(app.calls(Route::Token).len() - before, 1);
        app.world.expire_tokens(Some(cast::HERO)).unwrap();
        app.complete_capture(&browser, CHANNEL).await;
        assert_eq!(app.calls(Route::Token).len() - before, 2);
    }

    async fn who_took_the_permission_back_at_twitch_is_asked_to_sign_in_again(backend: Backend) {
        let (app, browser) = stage(backend).await;
        browser.get("/channels").await;
        app.world.disconnect(cast::HERO).unwrap();
        let capture = app.capture(&browser, CHANNEL).await;
        assert_eq!(app.wait_for_capture(capture).await, "failed");
        let page = browser.get(&format!("/captures/{capture}")).await;
        page.shows("Twitch no longer accepts your login. Sign in again").shows("href=\"/auth/login\"");
        check_nothing_shows(&app, &browser).await;
        let (en, fr) = ("Twitch no longer accepts your login.", "Twitch n’accepte plus votre connexion.");
        check_sentences(&app, &browser, capture, en, fr).await;
        app.complete_capture(&browser, CHANNEL).await;
    }
}
