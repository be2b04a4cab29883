//! Sessions: saved, resumed, erased, deleted, at most ten, and gone after a day.

use chrono::TimeDelta;
use tca::{clock::Clock, simulator::cast};

use crate::support::{
    app::{TestApp, Topology},
    browser::{Browser, Page},
    eventually,
};

const RABBIT: &str = "lapinvert_live";
const BEARS: &str = "tanguy_et_les_ours";

async fn stage(plan: crate::support::app::Plan) -> (TestApp, Browser) {
    let app = plan.start().await;
    app.world.set_room_size(RABBIT, 12).unwrap();
    app.world.set_room_size(BEARS, 7).unwrap();
    let browser = app.signed_in(cast::HERO).await;
    (app, browser)
}

/// A clock that stands at the present.
fn standing_clock() -> Clock {
    Clock::fixed(Clock::System.now())
}

async fn save(browser: &Browser) -> Page {
    let page = browser.get("/sessions").await;
    browser.submit(&page, "/sessions/save", &[]).await
}

/// The sessions' public names by status, the oldest first.
async fn uuids(app: &TestApp, status: &str) -> Vec<String> {
    app.texts(&format!("SELECT session_uuid FROM sessions WHERE status = '{status}' ORDER BY id")).await
}

async fn accounts(browser: &Browser, address: &str) -> usize {
    let page = browser.get(address).await;
    assert_eq!(page.status, 200, "{}", page.body);
    page.body.lines().count()
}

on_each_backend! {
    async fn a_session_is_saved_resumed_erased_and_deleted(backend: Backend) {
        let (app, browser) = stage(TestApp::plan(backend)).await;
        let page = browser.get("/sessions").await;
        let csrf = page.form("/auth/logout").field("csrf").unwrap().to_owned();
        let answer = browser.post("/sessions/save", &[("csrf", &csrf)]).await;
        assert_eq!(answer.location(), "/sessions?said=nothing-active", "an empty session is not kept");
        app.complete_capture(&browser, RABBIT).await;
        save(&browser).await.shows("1 of 10 saved");
        let rabbit = uuids(&app, "saved").await.remove(0);
        browser.get("/analysis").await.shows("Nothing captured yet");
        assert_eq!(browser.get("/analysis/export?format=csv").await.status, 404, "there is no active session");
        browser.get(&format!("/analysis/saved/{rabbit}")).await.shows("12 accounts");
        assert_eq!(accounts(&browser, &format!("/sessions/export/{}?format=logins", rabbit.replace('-', ""))).await, 12);

        app.complete_capture(&browser, BEARS).await;
        let bears = uuids(&app, "active").await.remove(0);
        let page = browser.get(&format!("/sessions/resume?session_uuid={rabbit}")).await;
        browser.submit(&page, "/sessions/resume", &[]).await.shows("12 accounts");
        assert_eq!(uuids(&app, "active").await, [&*rabbit]);
        assert_eq!(uuids(&app, "saved").await, [&*bears], "what was active is not lost");
        app.complete_capture(&browser, BEARS).await;
        let both = accounts(&browser, "/analysis/export?format=logins").await;
        assert!((13..=19).contains(&both), "{both}");

        let page = browser.get("/sessions/purge").await;
        page.shows("2 captures");
        browser.submit(&page, "/sessions/purge", &[]).await.shows("1 of 10 saved");
        browser.get("/analysis").await.shows("Nothing captured yet");
        assert_eq!(browser.get(&format!("/analysis/saved/{rabbit}")).await.status, 404);
        let page = browser.get(&format!("/sessions/delete?session_uuid={bears}")).await;
        browser.submit(&page, "/sessions/delete", &[]).await.shows("0 of 10 saved");
        assert_eq!(browser.get(&format!("/sessions/export/{bears}?format=csv")).await.status, 404);
        assert_eq!(uuids(&app, "deleted").await.len(), 2);
    }

    async fn an_eleventh_saved_session_names_the_oldest_and_asks(backend: Backend) {
        let clock = standing_clock();
        let (app, browser) = stage(TestApp::plan(backend).clock(&clock)).await;
        for number in 1..=10 {
            app.complete_capture(&browser, BEARS).await;
            save(&browser).await.shows(&format!("{number} of 10 saved"));
            clock.advance(TimeDelta::minutes(1));
        }
        let saved = uuids(&app, "saved").await;
        app.complete_capture(&browser, RABBIT).await;
        let asked = save(&browser).await;
        asked.shows("the oldest").shows(&format!("/sessions/export/{}?format=csv", saved[0]));
        let form = asked.form_with("/sessions/save", &[("erase_session_uuid", &saved[0])]);
        assert_eq!(uuids(&app, "saved").await, saved, "nothing happens before the answer");
        assert_eq!(uuids(&app, "active").await.len(), 1);
        // Agreeing to lose another one is no agreement to lose the oldest.
        let csrf = form.field("csrf").unwrap();
        let other = browser.post("/sessions/save", &[("csrf", csrf), ("erase_session_uuid", &saved[3])]).await;
        other.shows("the oldest");
        assert_eq!(uuids(&app, "saved").await, saved);
        let done = browser.submit_form(&form, &[]).await;
        browser.follow(done).await.shows("10 of 10 saved");
        let after = uuids(&app, "saved").await;
        assert_eq!((after.len(), &after[..9]), (10, &saved[1..]));
        assert_eq!(uuids(&app, "deleted").await, [saved[0].clone()]);

        // Resuming one of ten leaves its place to the session that was active: nobody has to go.
        app.complete_capture(&browser, BEARS).await;
        let page = browser.get(&format!("/sessions/resume?session_uuid={}", after[5])).await;
        browser.submit(&page, "/sessions/resume", &[]).await;
        assert_eq!(uuids(&app, "active").await, [after[5].clone()]);
        assert_eq!(uuids(&app, "saved").await.len(), 10);
    }

    async fn an_active_session_ends_a_day_after_its_last_change(backend: Backend) {
        let clock = standing_clock();
        let (app, browser) = stage(TestApp::plan(backend).clock(&clock)).await;
        app.complete_capture(&browser, RABBIT).await;
        app.wait_until_enriched().await;
        clock.advance(TimeDelta::hours(23));
        app.complete_capture(&browser, BEARS).await;
        app.wait_until_enriched().await;
        clock.advance(TimeDelta::minutes(24 * 60 - 1));
        let listed = accounts(&browser, "/analysis/export?format=logins").await;
        assert!((12..=19).contains(&listed), "{listed}");
        let uuid = app.active_uuid(cast::HERO).await;
        clock.advance(TimeDelta::minutes(1));
        browser.get("/analysis").await.shows("Nothing captured yet");
        assert_eq!(browser.get(&format!("/sessions/export/{uuid}?format=csv")).await.status, 404);
        let (status, _, _) = app.internal(tca::roles::Role::Analysis, &format!("sessions/{uuid}/summary")).await;
        assert_eq!(status, 404);
        eventually("it is marked as expired", async || uuids(&app, "expired").await == [uuid.clone()]).await;
        app.complete_capture(&browser, BEARS).await;
        assert_eq!(accounts(&browser, "/analysis/export?format=logins").await, 7, "a new session begins");
    }

    async fn a_saved_session_stays(backend: Backend) {
        let clock = standing_clock();
        let (app, browser) = stage(TestApp::plan(backend).clock(&clock)).await;
        app.complete_capture(&browser, RABBIT).await;
        app.wait_until_enriched().await;
        save(&browser).await;
        clock.advance(TimeDelta::days(5));
        let uuid = uuids(&app, "saved").await.remove(0);
        browser.get(&format!("/analysis/saved/{uuid}")).await.shows("12 accounts");
    }

    async fn an_unfinished_capture_goes_with_its_expired_session(backend: Backend) {
        let clock = standing_clock();
        let (app, browser) = stage(TestApp::plan(backend).clock(&clock)).await;
        app.fault(tca::simulator::Route::Chatters, tca::simulator::Fault::Hang, 1);
        let capture = app.capture(&browser, RABBIT).await;
        clock.advance(TimeDelta::hours(25));
        assert_eq!(app.wait_for_capture(capture).await, "cancelled");
        assert_eq!(app.texts("SELECT status FROM jobs").await, ["cancelled"]);
    }

    async fn forms_about_sessions_that_are_not_there_get_a_page_in_the_readers_language(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        let browser = app.browser().speaking("fr-CA,fr;q=0.8,en;q=0.5");
        let csrf = browser.sign_in_as(cast::HERO).await.form("/auth/logout").field("csrf").unwrap().to_owned();
        let unknown = "00000000-0000-4000-8000-000000000000";
        for action in ["/sessions/delete", "/sessions/resume"] {
            let page = browser.post(action, &[("csrf", &csrf)]).await;
            assert_eq!(page.status, 400);
            page.shows("Il manque un champ au formulaire");
            for uuid in [unknown, "x", "'; DROP TABLE sessions; --"] {
                let page = browser.post(action, &[("csrf", &csrf), ("session_uuid", uuid)]).await;
                assert_eq!(page.status, 404, "{action} {uuid}");
                page.shows("Cette page n’existe pas, ou n’est pas la vôtre").shows("lang=\"fr\"");
            }
        }
        for (id, login) in [("", "x"), ("x", "x"), ("-1", "x"), ("99999999999999999999", "x"), ("12", ""), ("12", "a b")] {
            let fields = [("csrf", csrf.as_str()), ("broadcaster_id", id), ("broadcaster_login", login)];
            let page = browser.post("/sessions/capture", &fields).await;
            assert_eq!(page.status, 400, "{id:?} {login:?}");
            page.shows("Cette demande n’est pas lisible");
        }
        for id in ["", "x", "7"] {
            let page = browser.post("/captures/cancel", &[("csrf", &csrf), ("capture_id", id)]).await;
            assert!(matches!(page.status, 400 | 404), "{id:?}");
        }
        for address in ["/captures/7", "/accounts/x/history", "/accounts/7/history", "/nowhere", "/sessions/export/x"] {
            let page = browser.get(address).await;
            assert_eq!(page.status, 404, "{address}");
            page.shows("Cette page n’existe pas");
        }
        browser.get("/captures/x").await.shows("Cette demande n’est pas lisible");
        assert_eq!(app.number("SELECT COUNT(*) FROM jobs").await, 0);
    }
}
