//! What one person may know: their own captures, the names that these could see, and nothing of anybody else's.

use tca::{
    roles::Role,
    simulator::{Fault, Route, cast},
};

use crate::support::{
    app::{TestApp, Topology},
    browser::Browser,
};

/// The hero moderates it, the night moderator too.
const NIGHT: &str = "nocturne_fm";
/// Only the hero moderates it.
const RABBIT: &str = "lapinvert_live";

async fn names_page(app: &TestApp, browser: &Browser, account: i64) -> crate::support::browser::Page {
    let _ = app;
    browser.get(&format!("/accounts/{account}/history")).await
}

async fn suspicious(app: &TestApp, login: &str) -> (u64, Vec<(String, u64)>) {
    let uuid = app.active_uuid(login).await;
    let (_, _, summary) = app.internal(Role::Analysis, &format!("sessions/{uuid}/summary")).await;
    let listed = summary["suspicious_accounts"].as_array().unwrap().iter();
    let listed = listed.map(|account| {
        (account["twitch_user_id"].as_str().unwrap().to_owned(), account["rename_count"].as_u64().unwrap())
    });
    (summary["suspicious_renames_count"].as_u64().unwrap(), listed.collect())
}

on_each_backend! {
    async fn what_belongs_to_somebody_else_does_not_exist(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(RABBIT, 20).unwrap();
        app.world.set_room_size(NIGHT, 5).unwrap();
        let (hero, tom) = (app.signed_in(cast::HERO).await, app.signed_in(cast::NIGHT_MODERATOR).await);
        let done = app.complete_capture(&hero, RABBIT).await;
        app.fault(Route::Chatters, Fault::Hang, 1);
        let running = app.capture(&hero, NIGHT).await;
        let uuid = app.active_uuid(cast::HERO).await;
        let account = app.world.chatters_at(RABBIT, app.world.now()).unwrap()[3].id;
        let addresses = [
            format!("/analysis/saved/{uuid}"),
            format!("/sessions/export/{uuid}?format=csv"),
            format!("/sessions/delete?session_uuid={uuid}"),
            format!("/sessions/resume?session_uuid={uuid}"),
            format!("/captures/{done}"),
            format!("/captures/{running}"),
            format!("/accounts/{account}/history"),
        ];
        for address in &addresses {
            let page = tom.get(address).await;
            assert_eq!(page.status, 404, "{address}");
            page.hides(RABBIT);
            assert_eq!(hero.get(address).await.status, 200, "{address} exists for its owner");
        }
        let csrf = tom.get("/settings").await.form("/auth/logout").field("csrf").unwrap().to_owned();
        let (capture, csrf) = (running.to_string(), csrf.as_str());
        for (action, field, value) in [
            ("/sessions/delete", "session_uuid", uuid.as_str()),
            ("/sessions/resume", "session_uuid", uuid.as_str()),
            ("/captures/cancel", "capture_id", capture.as_str()),
        ] {
            assert_eq!(tom.post(action, &[("csrf", csrf), (field, value)]).await.status, 404, "{action}");
        }
        assert_eq!(app.active_uuid(cast::HERO).await, uuid);
        assert_eq!(app.number("SELECT COUNT(*) FROM captures WHERE status = 'cancelled'").await, 0);
        tom.get("/sessions").await.hides(RABBIT).hides(&uuid);
        tom.get("/analysis").await.shows("Nothing captured yet");
        tom.get("/").await.hides(RABBIT);
    }

    async fn a_rename_is_known_to_whom_it_could_be_seen_by(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(NIGHT, 40).unwrap();
        let (hero, tom) = (app.signed_in(cast::HERO).await, app.signed_in(cast::NIGHT_MODERATOR).await);
        let person = app.world.chatters_at(NIGHT, app.world.now()).unwrap().remove(9);
        let (id, first) = (person.id, person.name.login);
        app.complete_capture(&hero, NIGHT).await;
        app.world.rename(&first, "second_name_42").unwrap();
        app.complete_capture(&hero, NIGHT).await;
        app.complete_capture(&tom, NIGHT).await;
        names_page(&app, &hero, id).await.shows("second_name_42").shows(&first);
        names_page(&app, &tom, id).await.shows("second_name_42").hides(&first);

        app.world.rename("second_name_42", "third_name_42").unwrap();
        app.complete_capture(&tom, NIGHT).await;
        names_page(&app, &hero, id).await.shows("third_name_42").shows("second_name_42").shows(&first);
        names_page(&app, &tom, id).await.shows("third_name_42").shows("second_name_42").hides(&first);
        assert_eq!(suspicious(&app, cast::HERO).await, (0, vec![]));

        // Letter case is not another name.
        app.world.rename("third_name_42", "Third_Name_42").unwrap();
        app.complete_capture(&hero, NIGHT).await;
        assert_eq!(suspicious(&app, cast::HERO).await, (0, vec![]));
        app.world.rename("third_name_42", "fourth_name_42").unwrap();
        app.complete_capture(&hero, NIGHT).await;
        assert_eq!(suspicious(&app, cast::HERO).await, (1, vec![(id.to_string(), 3)]));
        assert_eq!(suspicious(&app, cast::NIGHT_MODERATOR).await, (0, vec![]), "he saw two of them");
        hero.get("/analysis").await.shows("fourth_name_42").shows(&format!("/accounts/{id}/history"));
        let changes = format!("SELECT COUNT(*) FROM twitch_user_names WHERE twitch_user_id = {id} AND login <> new_login");
        assert_eq!(app.number(&changes).await, 3);
    }

    async fn an_account_of_an_erased_session_is_not_known_any_more(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(RABBIT, 20).unwrap();
        let hero = app.signed_in(cast::HERO).await;
        app.complete_capture(&hero, RABBIT).await;
        let account = app.world.chatters_at(RABBIT, app.world.now()).unwrap()[3].id;
        names_page(&app, &hero, account).await.shows(RABBIT);
        let page = hero.get("/sessions/purge").await;
        hero.submit(&page, "/sessions/purge", &[]).await;
        assert_eq!(names_page(&app, &hero, account).await.status, 404);
    }

    async fn a_rename_that_two_captures_see_at_once_is_recorded_once(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(NIGHT, 300).unwrap();
        let people = app.world.chatters_at(NIGHT, app.world.now()).unwrap();
        let browsers = [app.signed_in(cast::HERO).await, app.signed_in(cast::NIGHT_MODERATOR).await, app.signed_in(NIGHT).await];
        for browser in &browsers {
            app.complete_capture(browser, NIGHT).await;
        }
        for round in 1..=3 {
            for (index, person) in people.iter().take(50).enumerate() {
                let today = app.world.person_by_id(person.id).unwrap().name.login;
                app.world.rename(&today, &format!("renamed_{index}_{round}")).unwrap();
            }
            futures_util::future::join_all(browsers.iter().map(|browser| app.complete_capture(browser, NIGHT))).await;
            let recorded = app.number("SELECT COUNT(*) FROM twitch_user_names").await;
            assert_eq!(recorded, 50 * round, "in round {round}");
        }
        app.wait_until_enriched().await;
        let wrong = "SELECT COUNT(*) FROM twitch_users u JOIN (SELECT twitch_user_id, MAX(id) AS last FROM twitch_user_names \
                     GROUP BY twitch_user_id) l ON l.twitch_user_id = u.twitch_user_id \
                     JOIN twitch_user_names n ON n.id = l.last WHERE n.new_login <> u.login";
        assert_eq!(app.number(wrong).await, 0);
    }
}
