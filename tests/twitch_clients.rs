//! Two independent Twitch client libraries talk to the simulator, which has to be strict enough for both; then what they hide:
//! headers, error bodies, planned faults, the control page.

#[path = "twitch_clients/stage.rs"]
mod stage;

use std::{collections::HashSet, time::Duration};

use serde_json::json;
use tca::simulator::{Fault, PlannedFault, Rate, Route, Wave};
use twitch_api::{
    helix::{
        ClientRequestError, HelixRequestGetError, chat::GetChattersRequest, moderation::GetModeratedChannelsRequest,
        streams::GetStreamsRequest, users::GetUsersRequest,
    },
    types::{Collection, UserId, UserName},
};
use twitch_oauth2::{AppAccessToken, Scope, TwitchToken, UserToken};

use self::stage::{Stage, location, pairs};

const CHATTERS: &str = "moderator:read:chatters";
const MODERATED: &str = "user:read:moderated_channels";

/// Status and message of a refusal by Helix.
fn refusal<T: std::fmt::Debug>(result: Result<T, ClientRequestError<reqwest::Error>>) -> (u16, String) {
    match result.expect_err("Helix refuses") {
        ClientRequestError::HelixRequestGetError(HelixRequestGetError::Error { status, message, .. }) => {
            (status.as_u16(), message)
        }
        other => panic!("no refusal by Helix: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_is_validated_refreshed_and_revoked() {
    let stage = Stage::open();
    let redirect = "http://localhost:8080/auth/callback".parse().unwrap();
    let mut builder = UserToken::builder("demo".into(), "demo-secret".into(), redirect)
        .set_scopes(vec![Scope::ModeratorReadChatters, Scope::UserReadModeratedChannels]);
    let (url, csrf) = builder.generate_url();

    let page = stage.get(&format!("{}?{}", url.path(), url.query().unwrap()), &[]).await;
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    assert!(html.contains("value=\"mirabelle_mod\"") && html.contains("value=\"hugo_sans_role\""), "{html}");
    assert!(html.contains("lang=\"fr\"") && !html.contains("<script") && !html.contains("style="));

    let mut form: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    form.push(("person".to_owned(), "mirabelle_mod".to_owned()));
    let back = location(&stage.post_form("/oauth2/authorize", &form).await);
    assert!(back.as_str().starts_with("http://localhost:8080/auth/callback?"), "{back}");
    let back = pairs(&back);
    assert_eq!(back["state"], csrf.secret());
    assert_eq!(back["scope"], format!("{CHATTERS} {MODERATED}"));

    let mut token = builder.get_user_token(&stage.http, &back["state"], &back["code"]).await.unwrap();
    assert_eq!(token.login.as_str(), "mirabelle_mod");
    assert!((4 * 3_600 - 60..=4 * 3_600).contains(&token.expires_in().as_secs()));

    let first = (token.access_token.clone(), token.refresh_token.clone().unwrap());
    token.refresh_token(&stage.http).await.unwrap();
    assert_ne!(token.refresh_token.as_ref(), Some(&first.1));
    first.0.validate_token(&stage.http).await.expect("the older access token lives on");
    let again = first.1.refresh_token(&stage.http, &"demo".into(), Some(&"demo-secret".into())).await;
    assert!(format!("{again:?}").contains("Invalid refresh token"), "{again:?}");

    let access = token.access_token.clone();
    token.revoke_token(&stage.http).await.unwrap();
    let gone = access.validate_token(&stage.http).await;
    assert!(format!("{gone:?}").contains("NotAuthorized"), "{gone:?}");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_can_be_refused_and_a_code_works_once_at_its_own_redirect() {
    let stage = Stage::open();
    let ask = |redirect: &str| {
        [("client_id", "demo"), ("redirect_uri", redirect), ("response_type", "code"), ("state", "s 1")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec()
    };
    let mut refuse = ask("http://127.0.0.1:9/cb");
    refuse.push(("refuse".to_owned(), "1".to_owned()));
    let back = location(&stage.post_form("/oauth2/authorize", &refuse).await);
    assert_eq!(back.query(), Some("error=access_denied&error_description=The+user+denied+you+access&state=s+1"));

    let foreign = stage.get("/oauth2/authorize?client_id=demo&redirect_uri=https://evil.example/", &[]).await;
    assert_eq!(foreign.status(), 400);
    assert!(foreign.text().await.unwrap().contains("does not match registeredURI"));

    let mut agree = ask("http://127.0.0.1:9/cb");
    agree.push(("person".to_owned(), "mirabelle_mod".to_owned()));
    let code = || async { pairs(&location(&stage.post_form("/oauth2/authorize", &agree).await))["code"].clone() };
    let exchange = |code: String, redirect: &'static str, secret: &'static str| {
        let form = [
            ("client_id", "demo".to_owned()),
            ("client_secret", secret.to_owned()),
            ("grant_type", "authorization_code".to_owned()),
            ("code", code),
            ("redirect_uri", redirect.to_owned()),
        ];
        let form: Vec<_> = form.map(|(key, value)| (key.to_owned(), value)).to_vec();
        let stage = &stage;
        async move { stage.answer(stage.post_form("/oauth2/token", &form).await).await }
    };
    let one = code().await;
    let wrong_secret = exchange(one.clone(), "http://127.0.0.1:9/cb", "guess").await;
    assert_eq!(wrong_secret, (403, json!({"status": 403, "message": "invalid client secret"})));
    let elsewhere = exchange(one, "http://127.0.0.1:9/other", "demo-secret").await;
    let message = "Parameter redirect_uri does not match registeredURI";
    assert_eq!(elsewhere, (400, json!({"status": 400, "message": message})));
    let two = code().await;
    let (status, tokens) = exchange(two.clone(), "http://127.0.0.1:9/cb", "demo-secret").await;
    assert_eq!((status, tokens.get("scope")), (200, None));
    let used = exchange(two, "http://127.0.0.1:9/cb", "demo-secret").await;
    assert_eq!(used, (400, json!({"status": 400, "message": "Invalid authorization code"})));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_asks_for_a_hundred_users_and_not_one_more() {
    let stage = Stage::open();
    let token =
        AppAccessToken::get_app_access_token(&stage.http, "demo".into(), "demo-secret".into(), vec![]).await.unwrap();
    let seen = token.validate_token(&stage.http).await.unwrap();
    assert!(seen.login.is_none() && seen.user_id.is_none());

    let now = stage.world.now();
    let people = stage.world.chatters_at("lapinvert_live", now).unwrap();
    let mut ids: Vec<UserId> = people.iter().take(99).map(|person| person.id.to_string().into()).collect();
    ids.push("1".into());
    let users = stage.helix.req_get(GetUsersRequest::ids(&ids[..]), &token).await.unwrap().data;
    assert_eq!(users.len(), 99, "an unknown id is simply missing");
    for (user, person) in users.iter().zip(&people) {
        assert_eq!(user.id.as_str(), person.id.to_string());
        assert_eq!(user.display_name.as_str(), person.name.display_name);
        assert_eq!(user.created_at.as_str().len(), "2016-12-14T20:32:28Z".len());
    }
    let logins: Vec<UserName> = people.iter().take(3).map(|person| person.name.login.clone().into()).collect();
    let by_login = stage.helix.req_get(GetUsersRequest::logins(&logins[..]), &token).await.unwrap().data;
    assert_eq!(by_login.len(), 3);
    let mut both = GetUsersRequest::ids(&ids[..]);
    both.login = Collection::from(&logins[..]);
    assert_eq!(refusal(stage.helix.req_get(both, &token).await).0, 400);
    let none = refusal(stage.helix.req_get(GetUsersRequest::new(), &token).await);
    assert_eq!(none, (400, "Must provide an ID, Login or OAuth Token".to_owned()));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_reads_every_page_of_a_chat() {
    let stage = Stage::open();
    stage.world.set_room_size("nocturne_fm", 2_345).unwrap();
    let token = stage.sign_in("mirabelle_mod", &[CHATTERS]).await;
    let room = stage.id_of("nocturne_fm");
    let request = GetChattersRequest::new(room.clone(), token.user_id.clone()).first(1_000);
    let mut page = Some(stage.helix.req_get(request, &token).await.unwrap());
    let (mut sizes, mut ids) = (Vec::new(), HashSet::new());
    while let Some(shown) = page {
        assert_eq!(shown.pagination_data.total, Some(2_345));
        sizes.push(shown.data.len());
        ids.extend(shown.data.iter().map(|chatter| chatter.user_id.clone()));
        page = shown.get_next(&stage.helix, &token).await.unwrap();
    }
    assert_eq!(sizes, [1_000, 1_000, 345]);
    assert_eq!(ids.len(), 2_345);

    let request = GetChattersRequest::new(room.clone(), token.user_id.clone());
    assert_eq!(stage.helix.req_get(request, &token).await.unwrap().data.len(), 100);
    let request = GetChattersRequest::new(room.clone(), token.user_id.clone()).first(1_001);
    let refused = refusal(stage.helix.req_get(request, &token).await);
    let why = "The parameter \"first\" was malformed: the value must be less than or equal to 1000";
    assert_eq!(refused, (400, why.to_owned()));

    let hugo = stage.sign_in("hugo_sans_role", &[CHATTERS]).await;
    let request = GetChattersRequest::new(room.clone(), hugo.user_id.clone());
    assert_eq!(refusal(stage.helix.req_get(request, &hugo).await).0, 403);
    let as_somebody_else = GetChattersRequest::new(room.clone(), token.user_id.clone());
    assert_eq!(refusal(stage.helix.req_get(as_somebody_else, &hugo).await).0, 401);
    let scopeless = stage.sign_in("mirabelle_mod", &[MODERATED]).await;
    let request = GetChattersRequest::new(room, scopeless.user_id.clone());
    let refused = refusal(stage.helix.req_get(request, &scopeless).await);
    assert_eq!(refused, (401, format!("Missing scope: {CHATTERS}")));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moderated_channels_and_streams_are_paged() {
    let stage = Stage::open();
    let ines = stage.sign_in("ines_veille", &[MODERATED]).await;
    let request = GetModeratedChannelsRequest::user_id(ines.user_id.clone());
    let mut page = Some(stage.helix.req_get(request, &ines).await.unwrap());
    let (mut pages, mut channels) = (0, HashSet::new());
    while let Some(shown) = page {
        pages += 1;
        channels.extend(shown.data.iter().map(|channel| channel.broadcaster_id.clone()));
        page = shown.get_next(&stage.helix, &ines).await.unwrap();
    }
    assert_eq!((pages, channels.len()), (7, 130));

    let mira = stage.sign_in("mirabelle_mod", &[MODERATED]).await;
    let request = GetModeratedChannelsRequest::user_id(mira.user_id.clone()).first(100);
    let shown = stage.helix.req_get(request, &mira).await.unwrap();
    assert_eq!((shown.data.len(), shown.pagination_data.cursor), (11, None));
    assert!(shown.data.iter().all(|channel| channel.broadcaster_login.as_str() != "mirabelle_mod"));
    let hugo = stage.sign_in("hugo_sans_role", &[MODERATED]).await;
    let request = GetModeratedChannelsRequest::user_id(hugo.user_id.clone());
    assert!(stage.helix.req_get(request, &hugo).await.unwrap().data.is_empty());

    let asked: Vec<UserId> = ["lapinvert_live", "nocturne_fm", "atelier_zinc"].map(|login| stage.id_of(login)).to_vec();
    let live = stage.helix.req_get(GetStreamsRequest::user_ids(&asked[..]), &mira).await.unwrap().data;
    let names: Vec<&str> = live.iter().map(|stream| stream.user_login.as_str()).collect();
    assert_eq!(names, ["nocturne_fm", "lapinvert_live"], "offline channels are absent, most viewers first");
    assert!((2_700..3_400).contains(&live[0].viewer_count), "{}", live[0].viewer_count);
    let first = stage.helix.req_get(GetStreamsRequest::default().first(3), &mira).await.unwrap();
    let rest = first.get_next(&stage.helix, &mira).await.unwrap().unwrap();
    assert_eq!(rest.data.len(), 1);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_in_headers_and_hold_per_user() {
    let stage = Stage::open();
    stage.world.set_rate(Rate { refill_per_minute: 60, bucket_size: 3 });
    let bearer = stage.bearer("mirabelle_mod", &[CHATTERS]);
    for left in ["2", "1", "0"] {
        let response = stage.get("/helix/users", &bearer).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["ratelimit-limit"], "60");
        assert_eq!(response.headers()["ratelimit-remaining"], left);
    }
    let response = stage.get("/helix/users", &bearer).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["ratelimit-remaining"], "0");
    let reset: i64 = response.headers()["ratelimit-reset"].to_str().unwrap().parse().unwrap();
    assert!((1..=4).contains(&(reset - stage.world.now().timestamp())), "{reset}");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!((&body["error"], &body["status"]), (&json!("Too Many Requests"), &json!(429)));
    assert_eq!(stage.get("/helix/users", &stage.bearer("hugo_sans_role", &[])).await.status(), 200);

    let nobody = stage.get("/helix/users", &[]).await;
    assert!(nobody.headers().keys().all(|name| !name.as_str().starts_with("ratelimit")));
    let missing = json!({"error": "Unauthorized", "status": 401, "message": "OAuth token is missing"});
    assert_eq!(stage.answer(nobody).await, (401, missing));
    let mut other = stage.bearer("mirabelle_mod", &[]);
    other[1].1 = "another".to_owned();
    assert_eq!(stage.get("/helix/users", &other).await.status(), 401);

    let calls = stage.world.calls_after(0);
    assert_eq!(calls.iter().filter(|call| call.status == Some(429)).count(), 1);
    assert!(calls.windows(2).all(|pair| pair[0].at <= pair[1].at));
    let bucket = format!("demo:{}", stage.id_of("mirabelle_mod"));
    assert_eq!(calls[0].bucket.as_deref(), Some(bucket.as_str()));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_faults_meet_the_calls_they_name() {
    let stage = Stage::open();
    let bearer = stage.bearer("mirabelle_mod", &[CHATTERS]);
    let mirabelle = stage.id_of("mirabelle_mod");
    let query = format!("broadcaster_id={}&moderator_id={mirabelle}&first=100", stage.id_of("lapinvert_live"));
    let plan = |fault, skip, count| {
        stage.world.plan_fault(PlannedFault { route: Route::Chatters, fault, skip, count });
    };
    let ask = |after: Option<String>| {
        let target = format!("/helix/chat/chatters?{query}&after={}", after.unwrap_or_default());
        let (stage, bearer) = (&stage, &bearer);
        async move { stage.get(&target, bearer).await }
    };

    plan(Fault::Status(503), 1, 1);
    plan(Fault::Latency(300), 1, 1);
    assert_eq!(ask(None).await.status(), 200);
    let begun = std::time::Instant::now();
    let away = ask(None).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(away.status(), 503);
    assert!(!away.headers().contains_key("ratelimit-limit"));

    plan(Fault::EndpointLimit, 0, 1);
    let limited = ask(None).await;
    assert_eq!(limited.status(), 429);
    assert_ne!(limited.headers()["ratelimit-remaining"], "0");
    plan(Fault::BucketEmpty(7), 0, 1);
    assert_eq!(ask(None).await.headers()["ratelimit-remaining"], "0");
    plan(Fault::NoRateHeaders, 0, 1);
    assert!(!ask(None).await.headers().contains_key("ratelimit-limit"));
    plan(Fault::MalformedReset, 0, 1);
    assert_eq!(ask(None).await.headers()["ratelimit-reset"], "soon");

    plan(Fault::InvalidJson, 0, 1);
    assert!(ask(None).await.json::<serde_json::Value>().await.is_err());
    plan(Fault::CutBody, 0, 1);
    let cut = ask(None).await;
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err());

    let (_, first) = stage.answer(ask(None).await).await;
    let cursor = first["pagination"]["cursor"].as_str().map(str::to_owned);
    plan(Fault::RepeatCursor, 0, 1);
    let (_, again) = stage.answer(ask(cursor.clone()).await).await;
    assert_eq!(again["pagination"]["cursor"].as_str(), cursor.as_deref());
    plan(Fault::DuplicateChatters, 0, 1);
    let (_, doubled) = stage.answer(ask(cursor).await).await;
    assert_eq!(doubled["data"].as_array().unwrap().len(), 110);

    plan(Fault::Hang, 0, 1);
    assert!(tokio::time::timeout(Duration::from_millis(500), ask(None)).await.is_err());
    assert_eq!(stage.world.calls_after(0).last().unwrap().status, None);
    assert_eq!(ask(None).await.status(), 200);
    assert!(stage.world.planned_faults().is_empty());
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_page_works_by_form_and_by_json() {
    let stage = Stage::open();
    let form = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
        fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let added = stage.post_form("/control/people", &form(&[("login", "new_face")])).await;
    assert_eq!(added.status(), 303);
    let to = added.headers()["location"].to_str().unwrap().to_owned();
    let html = stage.get(&to, &[]).await.text().await.unwrap();
    assert!(html.contains("new_face is on Twitch") && !html.contains("<script"));

    let (status, done) = stage.order("room-size", json!({"channel": "petit_four_tv", "size": 200_000})).await;
    assert_eq!(status, 200, "{done}");
    let people = stage.world.chatters_at("petit_four_tv", stage.world.now()).unwrap();
    assert_eq!(people.len(), 200_000);
    let joined = json!({"channel": "petit_four_tv", "logins": ["new_face"], "action": "join"});
    assert_eq!(stage.order("chatters", joined).await.0, 200);
    let wave = json!({"channel": "atelier_zinc", "accounts": 40, "delay_seconds": 3600});
    assert_eq!(stage.order("wave", wave).await.1["account_ids"].as_array().unwrap().len(), 40);
    let role = json!({"moderator": "new_face", "channel": "petit_four_tv"});
    assert_eq!(stage.order("moderators", role).await.0, 200);
    assert_eq!(stage.order("rename", json!({"login": "new_face", "new_login": "old_face"})).await.0, 200);
    assert!(stage.world.person("new_face").is_none());
    let nobody = stage.order("suspend", json!({"login": "nobody_at_all"})).await;
    assert_eq!(nobody, (400, json!({"error": "nobody is called \"nobody_at_all\""})));

    let old_face = stage.sign_in("old_face", &[CHATTERS]).await;
    let request = GetChattersRequest::new(stage.id_of("petit_four_tv"), old_face.user_id.clone());
    let page = stage.helix.req_get(request, &old_face).await.unwrap();
    assert_eq!(page.pagination_data.total, Some(200_001));
    assert_eq!(stage.order("tokens/expire", json!({"login": "old_face"})).await.1["expired"], json!(1));
    assert!(old_face.access_token.validate_token(&stage.http).await.is_err());
    assert_eq!(stage.order("disconnect", json!({"login": "old_face"})).await.0, 200);
    assert!(
        old_face
            .refresh_token
            .unwrap()
            .refresh_token(&stage.http, &"demo".into(), Some(&"demo-secret".into()))
            .await
            .is_err()
    );

    let fault = json!({"route": "users", "fault": "status", "value": 500, "count": 2});
    assert_eq!(stage.order("faults", fault).await.0, 200);
    let (_, shown) = stage.answer(stage.get("/control/state", &[]).await).await;
    assert_eq!(shown["faults"][0], json!({"route": "users", "fault": {"status": 500}, "skip": 0, "count": 2}));
    let (_, log) = stage.answer(stage.get("/control/log?after=0", &[]).await).await;
    assert!(log["calls"].as_array().unwrap().iter().any(|call| call["route"] == "chatters" && call["status"] == 200));
    let elsewhere = [("origin".to_owned(), "https://evil.example".to_owned())];
    assert_eq!(stage.post_from("/control/faults/clear", &elsewhere).await.status(), 403);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_wave_stands_in_the_past_only() {
    let stage = Stage::open();
    let now = stage.world.now();
    let hours = |hours| now - chrono::TimeDelta::hours(hours);
    let mut order = Wave::new("karnaval_tv", 120);
    order.arrives_at = Some(hours(30));
    order.stays = Some(Duration::from_mins(40));
    let wave: HashSet<i64> = stage.world.start_wave(&order).unwrap().account_ids.into_iter().collect();
    let of_wave = |at| {
        let there = stage.world.chatters_at("karnaval_tv", at).unwrap();
        there.iter().filter(|person| wave.contains(&person.id)).count()
    };
    assert_eq!((of_wave(hours(31)), of_wave(hours(30) + chrono::TimeDelta::minutes(5)), of_wave(now)), (0, 120, 0));
    stage.close().await;
}
