//! The gate to Twitch, and the role in front of it, against the simulator.

pub mod stage;

use std::time::Duration;

use secrecy::SecretString;
use tca::{
    simulator::{Fault, Rate, Route as SimRoute, cast},
    twitch::{Identity, REQUIRED_SCOPES, Route, TwitchError, TwitchUserId},
};

use self::stage::Stage;

const MODERATED: &str = "lapinvert_live";

on_each_backend! {
    async fn signing_in_keeps_tokens_that_work_and_are_not_readable(backend: Backend) {
        let stage = Stage::new(backend).await;
        let signed_in = stage.sign_in(cast::HERO).await;
        assert_eq!(signed_in.login, cast::HERO);
        let again = stage.sign_in(cast::HERO).await;
        assert_eq!(again.user_id, signed_in.user_id);
        let channels = stage.client.moderated_channels(signed_in.user_id, signed_in.twitch_user_id).await.unwrap();
        assert!(channels.iter().any(|channel| channel.login == MODERATED));
        let (access, refresh) = stage.stored_tokens(signed_in.user_id).await.unwrap();
        assert_ne!(access, refresh);
        let as_stored = Identity::Bearer(SecretString::from(access));
        let refused = stage.gate.call(&as_stored, Route::Users, Vec::new()).await.unwrap_err();
        assert_eq!(refused, TwitchError::SignInAgain, "what is stored is no token");
    }

    async fn a_sign_in_that_grants_too_little_is_refused(backend: Backend) {
        let stage = Stage::new(backend).await;
        let code = stage.code(cast::HERO, &REQUIRED_SCOPES[..1]).await;
        let refused = stage.client.sign_in(&code, stage::REDIRECT).await.unwrap_err();
        assert_eq!(refused, TwitchError::MissingScope { scope: REQUIRED_SCOPES[1].to_owned() });
        let wrong = stage.client.sign_in("no such code", stage::REDIRECT).await.unwrap_err();
        assert_eq!(wrong.kind(), "rejected");
    }

    async fn all_pages_of_a_chat_are_read(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        let channel = stage.id(MODERATED);
        stage.world.set_room_size(MODERATED, 2_345).unwrap();
        let (mut seen, mut after) = (std::collections::HashSet::new(), None);
        loop {
            let page = stage.client.chatters(user, channel, moderator, after.as_deref()).await.unwrap();
            assert_eq!(page.total, Some(2_345));
            seen.extend(page.chatters.iter().map(|chatter| chatter.id));
            after = page.next;
            if after.is_none() { break }
        }
        assert_eq!(seen.len(), 2_345);
        let foreign = stage.id(cast::NOBODYS_MODERATOR);
        let refused = stage.client.chatters(user, foreign, moderator, None).await.unwrap_err();
        assert_eq!(refused, TwitchError::NotModerator);
    }

    async fn an_expired_token_is_refreshed_once_however_many_ask(backend: Backend) {
        let stage = Stage::new(backend).await;
        let other = stage.replica();
        let (user, moderator) = stage.hero().await;
        let before = stage.stored_tokens(user).await.unwrap();
        stage.world.expire_tokens(None).unwrap();
        let channel = stage.id(MODERATED);
        let ask = |index: usize| {
            let client = if index.is_multiple_of(2) { &stage.client } else { &other };
            client.chatters(user, channel, moderator, None)
        };
        let results = futures_util::future::join_all((0..8).map(ask)).await;
        for result in results {
            assert!(result.is_ok(), "{result:?}");
        }
        assert_eq!(stage.calls(SimRoute::Token), 2, "one for the code, one to refresh");
        assert_ne!(stage.stored_tokens(user).await.unwrap(), before);
    }

    async fn a_user_whom_twitch_has_disconnected_must_sign_in_again(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        stage.world.disconnect(cast::HERO).unwrap();
        let refused = stage.client.moderated_channels(user, moderator).await.unwrap_err();
        assert_eq!(refused, TwitchError::SignInAgain);
        assert!(stage.stored_tokens(user).await.is_none());
        stage.client.disconnect(user).await.unwrap();
    }

    async fn disconnecting_revokes_at_twitch_and_forgets(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        stage.fault(SimRoute::Revoke, Fault::Status(503), 1);
        assert_eq!(stage.client.disconnect(user).await.unwrap_err().kind(), "unavailable");
        assert!(stage.stored_tokens(user).await.is_some());
        stage.client.disconnect(user).await.unwrap();
        assert!(stage.stored_tokens(user).await.is_none());
        let refused = stage.client.moderated_channels(user, moderator).await.unwrap_err();
        assert_eq!(refused, TwitchError::SignInAgain);
    }

    async fn a_refresh_that_twitch_cannot_do_now_costs_nobody_their_tokens(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        stage.world.expire_tokens(None).unwrap();
        stage.fault(SimRoute::Token, Fault::Status(503), 1);
        let failed = stage.client.moderated_channels(user, moderator).await.unwrap_err();
        assert_eq!(failed.kind(), "unavailable");
        assert!(!stage.client.moderated_channels(user, moderator).await.unwrap().is_empty());
    }

    async fn what_twitch_spoils_once_is_asked_for_again_and_never_read_short(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        let channel = stage.id(MODERATED);
        for fault in [Fault::CutBody, Fault::InvalidJson, Fault::Status(500), Fault::Status(503)] {
            stage.fault(SimRoute::Chatters, fault, 1);
            assert!(stage.client.chatters(user, channel, moderator, None).await.is_ok(), "{fault:?}");
            stage.fault(SimRoute::Chatters, fault, 2);
            let failed = stage.client.chatters(user, channel, moderator, None).await.unwrap_err();
            assert_eq!(failed.kind(), "unavailable", "{fault:?}");
        }
    }

    async fn a_call_that_hangs_is_given_up(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        stage.fault(SimRoute::Chatters, Fault::Hang, 1);
        let started = std::time::Instant::now();
        let failed = stage.client.chatters(user, stage.id(MODERATED), moderator, None).await.unwrap_err();
        assert_eq!(failed.kind(), "unavailable");
        assert!(started.elapsed() < Duration::from_secs(15));
        stage.stop();
    }

    async fn a_429_is_waited_out_where_that_can_help(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        let channel = stage.id(MODERATED);
        stage.fault(SimRoute::Chatters, Fault::BucketEmpty(2), 1);
        let started = std::time::Instant::now();
        assert!(stage.client.chatters(user, channel, moderator, None).await.is_ok());
        assert!(started.elapsed() >= Duration::from_secs(1));
        stage.fault(SimRoute::Chatters, Fault::BucketEmpty(50), 1);
        let busy = stage.client.chatters(user, channel, moderator, None).await.unwrap_err();
        let TwitchError::Busy { retry_after } = busy else { panic!("{busy:?}") };
        assert!((40..=50).contains(&retry_after.as_secs()), "{retry_after:?}");
        let elsewhere = stage.replica().chatters(user, channel, moderator, None).await.unwrap_err();
        assert_eq!(elsewhere.kind(), "busy", "the other replica knows");
        let profiles = stage.client.profiles(&[moderator]).await.unwrap();
        assert_eq!(profiles.profiles.len(), 1, "the application's bucket is another");
    }

    async fn two_replicas_together_keep_the_promised_rate(backend: Backend) {
        let stage = Stage::new(backend).await;
        let other = stage.replica();
        let (user, moderator) = stage.hero().await;
        let channel = stage.id(MODERATED);
        let ask = |index: usize| {
            let client = if index.is_multiple_of(2) { &stage.client } else { &other };
            client.chatters(user, channel, moderator, None)
        };
        let results = futures_util::future::join_all((0..60).map(ask)).await;
        assert!(results.iter().all(Result::is_ok));
        let moments: Vec<Duration> = stage.moments(SimRoute::Chatters);
        assert_eq!(moments.len(), 60);
        for (index, from) in moments.iter().enumerate() {
            for (later, to) in moments.iter().enumerate().skip(index) {
                let calls = u32::try_from(later - index + 1).unwrap();
                assert!(f64::from(calls) <= 20.0 + 10.0 * to.saturating_sub(*from).as_secs_f64(), "{calls} from {from:?} to {to:?}");
            }
        }
    }

    async fn a_small_bucket_is_never_overdrawn(backend: Backend) {
        let stage = Stage::new(backend).await;
        stage.world.set_rate(Rate { refill_per_minute: 240, bucket_size: 240 });
        let (user, moderator) = stage.hero().await;
        let channel = stage.id(MODERATED);
        for _ in 0..12 {
            stage.client.chatters(user, channel, moderator, None).await.unwrap();
        }
        assert!(stage.world.calls_after(0).iter().all(|call| call.status != Some(429)));
    }

    async fn a_cursor_that_comes_back_ends_the_reading(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        let channel = stage.id(MODERATED);
        let first = stage.client.chatters(user, channel, moderator, None).await.unwrap();
        stage.fault(SimRoute::Chatters, Fault::RepeatCursor, 1);
        let failed = stage.client.chatters(user, channel, moderator, first.next.as_deref()).await.unwrap_err();
        assert_eq!(failed.kind(), "unavailable");
        let busy = stage.sign_in(cast::BUSY_MODERATOR).await;
        let channels = stage.client.moderated_channels(busy.user_id, busy.twitch_user_id).await.unwrap();
        assert!(channels.len() > 100);
    }

    async fn answers_are_kept_for_whom_they_are_for(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        let query = || vec![("user_id", moderator.to_string())];
        let own = Identity::User(user);
        let first = stage.gate.call(&own, Route::ModeratedChannels, query()).await.unwrap();
        let second = stage.gate.call(&own, Route::ModeratedChannels, query()).await.unwrap();
        assert_eq!((first.is_hit, second.is_hit), (false, true));
        assert_eq!(first.body, second.body);
        let tokens = stage.world.grant(cast::NOBODYS_MODERATOR, &REQUIRED_SCOPES).unwrap();
        let other = Identity::Bearer(SecretString::from(tokens.access_token));
        let foreign = stage.gate.call(&other, Route::ModeratedChannels, query()).await.unwrap();
        assert_eq!(foreign.status, 401);
        let bad = Identity::Bearer(SecretString::from("no token"));
        let refused = stage.gate.call(&bad, Route::Users, vec![("id", moderator.to_string())]).await.unwrap_err();
        assert_eq!(refused, TwitchError::SignInAgain);
    }

    async fn the_role_hands_on_what_twitch_says_and_names_its_own_refusals(backend: Backend) {
        let stage = Stage::new(backend).await;
        let (user, moderator) = stage.hero().await;
        let (url, http) = (stage.serve_role(), reqwest::Client::builder().build().unwrap());
        let get = async |target: String, header: (&'static str, String)| {
            let answer = http.get(format!("{url}{target}")).header(header.0, header.1).send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            (status, headers, answer.json::<serde_json::Value>().await.unwrap())
        };
        let nobody = || ("X-Nothing", String::new());
        let named = || ("X-TCA-User", user.to_string());
        let (status, headers, body) = get(format!("users?id={moderator}&login={MODERATED}"), nobody()).await;
        assert_eq!((status, &headers["x-cache"], body["data"].as_array().unwrap().len()), (200, &"MISS".parse().unwrap(), 2));
        assert!(headers.contains_key("ratelimit-remaining"));
        let (_, headers, again) = get(format!("users?login={MODERATED}&id={moderator}"), nobody()).await;
        assert_eq!((&headers["x-cache"], again), (&"HIT".parse().unwrap(), body));
        let (status, _, body) = get(format!("moderated-channels?user_id={moderator}"), nobody()).await;
        assert_eq!((status, body["code"].as_str()), (401, Some("sign_in_again")));
        let (status, headers, body) = get("users?id=x".to_owned(), nobody()).await;
        assert_eq!((status, body["code"].as_str()), (400, Some("bad_request")));
        assert_eq!(headers["content-type"], "application/problem+json");
        let weak = stage.world.grant(cast::HERO, &[]).unwrap().access_token;
        let bearer = ("Authorization", format!("Bearer {weak}"));
        let (status, headers, body) = get(format!("moderated-channels?user_id={moderator}"), bearer).await;
        assert_eq!((status, &headers["content-type"]), (401, &"application/json".parse().unwrap()));
        assert!(body["message"].as_str().unwrap().starts_with("Missing scope"), "{body}");
        stage.fault(SimRoute::ModeratedChannels, Fault::BucketEmpty(50), 1);
        let (status, headers, body) = get(format!("moderated-channels?user_id={moderator}"), named()).await;
        assert_eq!((status, body["code"].as_str()), (503, Some("busy")));
        assert!(headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 30);
    }

    async fn through_the_role_everything_is_as_it_is_directly(backend: Backend) {
        let stage = Stage::new(backend).await;
        let proxied = stage.proxied();
        let code = stage.code(cast::HERO, &REQUIRED_SCOPES).await;
        let signed_in = proxied.sign_in(&code, stage::REDIRECT).await.unwrap();
        let (user, moderator) = (signed_in.user_id, signed_in.twitch_user_id);
        let channels = proxied.moderated_channels(user, moderator).await.unwrap();
        assert_eq!(channels, stage.client.moderated_channels(user, moderator).await.unwrap());
        let ids: Vec<TwitchUserId> = channels.iter().map(|channel| channel.id).collect();
        let (near, far) = (stage.client.profiles(&ids).await.unwrap(), proxied.profiles(&ids).await.unwrap());
        assert_eq!(near.profiles, far.profiles);
        assert!(far.read_at <= stage.clock.now());
        assert_eq!(proxied.streams(&ids).await.unwrap().len(), stage.client.streams(&ids).await.unwrap().len());
        assert_eq!(proxied.chatters(user, ids[0], moderator, None).await.unwrap().chatters.len(), 1_000.min(
            usize::try_from(proxied.chatters(user, ids[0], moderator, None).await.unwrap().total.unwrap()).unwrap()));
        let foreign = stage.id(cast::NOBODYS_MODERATOR);
        assert_eq!(proxied.chatters(user, foreign, moderator, None).await.unwrap_err(), TwitchError::NotModerator);
        stage.fault(SimRoute::Chatters, Fault::BucketEmpty(50), 1);
        assert_eq!(proxied.chatters(user, ids[0], moderator, None).await.unwrap_err().kind(), "busy");
        assert_eq!(proxied.sign_in("bad", stage::REDIRECT).await.unwrap_err().kind(), "rejected");
        proxied.ping().await.unwrap();
        proxied.disconnect(user).await.unwrap();
        assert_eq!(proxied.moderated_channels(user, moderator).await.unwrap_err(), TwitchError::SignInAgain);
        assert_eq!(proxied.profiles(&vec![ids[0]; 101]).await.unwrap_err().kind(), "rejected");
    }
}
