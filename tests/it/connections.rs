//! Connections to Twitch over time: validated every hour, ended everywhere when Twitch ends them; and a Twitch that fails is
//! left alone until it answers again.

use chrono::{DateTime, TimeDelta, Utc};
use tca::{
    clock::Clock,
    login::{
        connections::{self, Looked},
        web_session::{self, WebSessionId},
    },
    simulator::{Fault, Route, cast},
    twitch::{TwitchClient, TwitchError},
};

use crate::{
    support::{
        app::{TestApp, Topology},
        eventually,
    },
    twitch_gate::stage::Stage,
};

const MODERATED: &str = "lapinvert_live";

/// A stage whose time stands still until it is moved.
async fn standing(backend: crate::support::Backend) -> Stage {
    Stage::at(backend, Clock::fixed(Clock::System.now())).await
}

async fn look(stage: &Stage, twitch: &TwitchClient) -> Looked {
    connections::look(&stage.db, &stage.store, twitch, &stage.clock).await.unwrap()
}

async fn browser_of(stage: &Stage, user: i64) -> WebSessionId {
    let id = web_session::create(&stage.db, user, stage.clock.now()).await.unwrap();
    assert!(is_signed_in(stage, &id).await, "and a copy is in the store");
    id
}

async fn is_signed_in(stage: &Stage, id: &WebSessionId) -> bool {
    web_session::find(&stage.db, &stage.store, id, stage.clock.now()).await.unwrap().is_some()
}

async fn validated_at(stage: &Stage, user: i64) -> DateTime<Utc> {
    tca::login::connection(&stage.db, user).await.unwrap().expect("a token").validated_at
}

fn counted(good: usize, lost: usize, unknown: usize) -> Looked {
    Looked { good, lost, unknown }
}

async fn web_sessions(app: &TestApp) -> i64 {
    app.number("SELECT COUNT(*) FROM web_sessions").await
}

on_each_backend! {
    async fn a_token_in_use_is_validated_before_the_hour_is_over_and_once(backend: Backend) {
        let stage = standing(backend).await;
        let early = stage.sign_in(cast::HERO).await.user_id;
        let unused = stage.sign_in(cast::BUSY_MODERATOR).await.user_id;
        browser_of(&stage, early).await;
        stage.clock.advance(TimeDelta::minutes(30));
        let late = stage.sign_in(cast::NIGHT_MODERATOR).await.user_id;
        browser_of(&stage, late).await;
        let before = (validated_at(&stage, early).await, validated_at(&stage, late).await);
        stage.clock.advance(TimeDelta::minutes(19));
        assert_eq!(look(&stage, &stage.client).await, counted(0, 0, 0));
        stage.clock.advance(TimeDelta::minutes(2));
        let calls = stage.calls(Route::Validate);
        for client in [stage.proxied(), stage.replica()] {
            look(&stage, &client).await;
            assert_eq!(stage.calls(Route::Validate), calls + 1, "one user was due, once");
        }
        assert_eq!(validated_at(&stage, early).await, stage.clock.now());
        assert_eq!(validated_at(&stage, late).await, before.1);
        assert_eq!(validated_at(&stage, unused).await, before.0, "nothing uses it: it is revoked, not validated");
        assert_eq!(stage.calls(Route::Token), 3, "nothing was refreshed");
    }

    async fn a_token_that_has_run_out_is_refreshed_and_stays(backend: Backend) {
        let stage = standing(backend).await;
        let (user, moderator) = stage.hero().await;
        let browser = browser_of(&stage, user).await;
        stage.clock.advance(TimeDelta::minutes(51));
        stage.world.expire_tokens(None).unwrap();
        let before = stage.stored_tokens(user).await.unwrap();
        assert_eq!(look(&stage, &stage.client).await, counted(1, 0, 0));
        assert_ne!(stage.stored_tokens(user).await.unwrap(), before);
        assert_eq!(validated_at(&stage, user).await, stage.clock.now());
        stage.clock.advance(TimeDelta::hours(20));
        assert_eq!(look(&stage, &stage.client).await, counted(1, 0, 0));
        assert!(is_signed_in(&stage, &browser).await);
        assert!(!stage.client.moderated_channels(user, moderator).await.unwrap().is_empty());
    }

    async fn a_twitch_that_fails_during_validation_changes_nobody(backend: Backend) {
        let stage = standing(backend).await;
        let (user, _) = stage.hero().await;
        let browser = browser_of(&stage, user).await;
        let (tokens, validated) = (stage.stored_tokens(user).await, validated_at(&stage, user).await);
        stage.clock.advance(TimeDelta::minutes(51));
        for (route, fault) in [(Route::Validate, Fault::Status(503)), (Route::Validate, Fault::CutBody), (Route::Validate, Fault::InvalidJson)] {
            stage.fault(route, fault, 1);
            assert_eq!(look(&stage, &stage.client).await, counted(0, 0, 1), "{fault:?}");
        }
        // The token is refused, but whether it can be refreshed is not known.
        stage.fault(Route::Validate, Fault::Status(401), 1);
        stage.fault(Route::Token, Fault::Status(500), 1);
        assert_eq!(look(&stage, &stage.proxied()).await, counted(0, 0, 1));
        assert_eq!((stage.stored_tokens(user).await, validated_at(&stage, user).await), (tokens, validated));
        assert!(is_signed_in(&stage, &browser).await);
        assert_eq!(look(&stage, &stage.client).await, counted(1, 0, 0));
    }

    async fn whoever_signed_in_again_meanwhile_stays(backend: Backend) {
        let stage = standing(backend).await;
        let (user, _) = stage.hero().await;
        let old = browser_of(&stage, user).await;
        stage.world.disconnect(cast::HERO).unwrap();
        stage.clock.advance(TimeDelta::minutes(51));
        let new = browser_of(&stage, user).await;
        assert_eq!(look(&stage, &stage.proxied()).await, counted(0, 1, 0));
        assert!(stage.stored_tokens(user).await.is_none());
        assert_eq!((is_signed_in(&stage, &old).await, is_signed_in(&stage, &new).await), (false, true));
    }

    async fn who_disconnects_at_twitch_is_signed_out_everywhere_within_the_hour(backend: Backend) {
        let clock = Clock::fixed(Clock::System.now());
        let app = TestApp::plan(backend).clock(&clock).topology(Topology::AllInOne).start().await;
        let (first, second) = (app.signed_in(cast::HERO).await, app.signed_in(cast::HERO).await);
        let other = app.signed_in(cast::NIGHT_MODERATOR).await;
        for browser in [&first, &second, &other] {
            assert_eq!(browser.hop("/sessions").await.status, 200);
        }
        app.world.disconnect(cast::HERO).unwrap();
        clock.advance(TimeDelta::minutes(51));
        eventually("the hero is signed out", async || web_sessions(&app).await == 1).await;
        let gone = [first.hop("/sessions").await, second.hop("/sessions").await];
        assert!(gone.iter().all(|page| page.location().starts_with("/auth/login")), "{gone:?}");
        assert_eq!(other.hop("/sessions").await.status, 200);
        assert_eq!(app.number("SELECT COUNT(*) FROM twitch_tokens").await, 1, "the other user's");
        let noted = "SELECT details FROM audit_logs WHERE event_type = 'connection_lost'";
        eventually("it is noted", async || app.texts(noted).await == [r#"{"web_sessions":2}"#]).await;
        first.sign_in_as(cast::HERO).await;
        assert_eq!(first.hop("/sessions").await.status, 200);
    }

    async fn who_is_refused_a_refresh_is_signed_out_with_the_next_look(backend: Backend) {
        let clock = Clock::fixed(Clock::System.now());
        let app = TestApp::plan(backend).clock(&clock).topology(Topology::AllInOne).start().await;
        let (browser, other) = (app.signed_in(cast::HERO).await, app.signed_in(cast::NIGHT_MODERATOR).await);
        app.world.disconnect(cast::HERO).unwrap();
        let capture = app.capture(&browser, MODERATED).await;
        assert_eq!(app.wait_for_capture(capture).await, "failed");
        assert_eq!(app.number("SELECT COUNT(*) FROM twitch_tokens").await, 1, "the other user's");
        assert_eq!(web_sessions(&app).await, 2);
        clock.advance(TimeDelta::minutes(1));
        eventually("the hero is signed out", async || web_sessions(&app).await == 1).await;
        assert!(browser.hop("/sessions").await.location().starts_with("/auth/login"));
        assert_eq!(other.hop("/sessions").await.status, 200);
    }

    async fn a_twitch_that_fails_too_often_is_left_alone_until_it_answers_again(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        let channel = stage.id(MODERATED);
        let ask = async || stage.client.chatters(user, channel, moderator, None).await;
        stage.fault(Route::Chatters, Fault::Status(500), u32::MAX);
        let is_open = |error: &TwitchError| error.to_string().contains("left alone");
        let mut asked = 0;
        while !ask().await.is_err_and(|error| is_open(&error)) {
            asked += 1;
            assert!(asked < 25, "calls go on although all fail");
        }
        let reached = stage.calls(Route::Chatters);
        assert!((15..=25).contains(&reached), "{reached} calls");
        let refused = futures_util::future::join_all((0..30).map(|_| ask())).await;
        assert!(refused.iter().all(|result| result.as_ref().is_err_and(is_open)), "{refused:?}");
        let error = stage.client.profiles(&[moderator]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_temporary()), ("unavailable", true));
        assert_eq!(stage.calls(Route::Chatters), reached, "nobody asked");
        stage.client.ping().await.expect("id.twitch.tv is another upstream");
        stage.world.clear_faults();
        eventually("Twitch is asked again", async || ask().await.is_ok()).await;
        assert_eq!(stage.calls(Route::Chatters), reached + 1, "by one probe");
        let results = futures_util::future::join_all((0..5).map(|_| ask())).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
}
