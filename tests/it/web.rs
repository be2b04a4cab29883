//! What the web pages keep out: forms from elsewhere, sign-ins of others, old cookies; and what they tell the browser.

use chrono::TimeDelta;
use reqwest::Method;
use tca::{clock::Clock, simulator::cast};

use crate::support::{
    Backend,
    app::{TestApp, Topology},
    browser::Browser,
    redis_server::RedisServer,
};

const RABBIT: &str = "lapinvert_live";
/// Every address that changes something.
const CHANGES: [&str; 10] = [
    "/preferences",
    "/auth/logout",
    "/auth/disconnect",
    "/channels/refresh",
    "/sessions/capture",
    "/captures/cancel",
    "/sessions/save",
    "/sessions/purge",
    "/sessions/delete",
    "/sessions/resume",
];

/// A signed-in browser, the token of its forms, and fields that would let every form through.
async fn signed_in(app: &TestApp) -> (Browser, String) {
    let browser = app.signed_in(cast::HERO).await;
    let csrf = browser.get("/settings").await.form("/auth/logout").field("csrf").unwrap().to_owned();
    (browser, csrf)
}

/// Counts of everything that a form can change.
async fn state(app: &TestApp) -> Vec<i64> {
    let mut counts = Vec::new();
    for counted in [
        "web_sessions",
        "twitch_tokens",
        "jobs",
        "captures WHERE status = 'complete'",
        "sessions WHERE status = 'active'",
        "sessions WHERE status = 'saved'",
        "audit_logs",
    ] {
        counts.push(app.number(&format!("SELECT COUNT(*) FROM {counted}")).await);
    }
    counts
}

on_each_backend! {
    async fn a_form_without_its_token_or_from_elsewhere_changes_nothing(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(RABBIT, 9).unwrap();
        let (browser, csrf) = signed_in(&app).await;
        let (_other, foreign) = signed_in(&app).await;
        app.complete_capture(&browser, RABBIT).await;
        app.wait_until_enriched().await;
        let (uuid, id) = (app.active_uuid(cast::HERO).await, app.id(RABBIT).to_string());
        let anonymous = app.browser().get("/").await.form("/preferences").field("csrf").unwrap().to_owned();
        let fields = |csrf| [
            ("csrf", csrf), ("broadcaster_id", &*id), ("broadcaster_login", RABBIT), ("session_uuid", &*uuid),
            ("capture_id", "1"), ("lang", "fr"),
        ];
        let before = state(&app).await;
        for action in CHANGES {
            for wrong in ["", "x", &foreign, &anonymous, &csrf[..csrf.len() - 1]] {
                let page = browser.post(action, &fields(wrong)).await;
                assert_eq!(page.status, 403, "{action} with {wrong:?}");
                page.shows("This page was open for too long");
            }
            assert_eq!(browser.post(action, &fields("")[1..]).await.status, 403, "{action} without the field");
            for (name, value) in [
                ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example"), ("origin", "null"),
            ] {
                let page = browser.send(Method::POST, action, &[(name, value)], Some(&fields(&csrf))).await;
                assert_eq!(page.status, 403, "{action} with {name}: {value}");
            }
        }
        assert_eq!(state(&app).await, before);
        browser.get("/analysis").await.shows("9 accounts");
        let stranger = app.browser();
        for action in CHANGES.into_iter().skip(1) {
            let page = stranger.post(action, &fields(&csrf)).await;
            assert!(matches!(page.status, 303 | 403), "{action}");
            if page.status == 303 {
                assert_eq!(page.location(), "/auth/login?next=%2Fchannels", "{action}");
            }
            let page = browser.hop(action).await;
            assert!(matches!(page.status, 200 | 303 | 400 | 404 | 405), "{action}: {}", page.status);
        }
        assert_eq!(state(&app).await, before, "reading an address changes nothing");
        let own_origin = app.url(tca::roles::Role::Gateway).origin().ascii_serialization();
        let page = browser.send(Method::POST, "/sessions/save", &[("origin", &own_origin)], Some(&fields(&csrf))).await;
        assert_eq!(page.status, 303, "the right form is taken");
        assert_ne!(state(&app).await, before);
    }

    async fn a_sign_in_is_taken_once_from_the_browser_that_began_it(backend: Backend) {
        let clock = Clock::fixed(Clock::System.now());
        let app = TestApp::plan(backend).clock(&clock).start().await;
        let browser = app.browser().speaking("fr");
        for address in ["/auth/callback", "/auth/callback?code=x", "/auth/callback?code=x&state=", "/auth/callback?code=x&state=y"] {
            let page = browser.get(address).await;
            assert_eq!(page.status, 400, "{address}");
            page.shows("Cette connexion n’a pas été commencée dans ce navigateur");
        }
        let back = browser.consent("/auth/login", cast::HERO).await.location();
        let stranger = app.browser();
        assert_eq!(stranger.get(&back).await.status, 400, "begun in another browser");
        let _own = stranger.get("/auth/login").await;
        assert_eq!(stranger.get(&back).await.status, 400, "begun in another browser, which began one too");
        assert!(stranger.cookie("tca_session").is_none());
        assert_eq!(browser.hop(&back).await.status, 303);
        assert!(browser.cookie("tca_session").is_some());
        assert_eq!(browser.get(&back).await.status, 400, "taken twice");
        let late = app.browser();
        let back = late.consent("/auth/login", cast::HERO).await.location();
        clock.advance(TimeDelta::minutes(11));
        assert_eq!(late.get(&back).await.status, 400, "too late");
        assert_eq!(app.number("SELECT COUNT(*) FROM web_sessions").await, 1);
        let refused = app.browser();
        let page = refused.get("/auth/login").await;
        let form = page.form("/oauth2/authorize");
        let action = page.url.join(&form.action).unwrap().to_string();
        let no = refused.submit_form(&crate::support::browser::Form { action, ..form }, &[("refuse", "1")]).await;
        let page = refused.follow(no).await;
        assert_eq!(page.status, 200);
        page.shows("/auth/login");
        assert!(refused.cookie("tca_session").is_none());
    }

    async fn after_the_sign_in_the_browser_stays_on_this_site(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        for (next, lands_on) in [
            ("/analysis?broadcaster_id=7", "/analysis?broadcaster_id=7"),
            ("//evil.example", "/channels"),
            ("/\\evil.example", "/channels"),
            ("https://evil.example/", "/channels"),
            ("javascript:alert(1)", "/channels"),
            ("/a\r\nset-cookie: a=b", "/channels"),
            ("", "/channels"),
        ] {
            let encoded: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
            let browser = app.browser();
            let back = browser.consent(&format!("/auth/login?next={encoded}"), cast::HERO).await;
            let landed = browser.hop(&back.location()).await;
            assert_eq!(landed.header("location"), lands_on, "{next:?}");
        }
        let (browser, csrf) = signed_in(&app).await;
        let back = browser.post("/preferences", &[("csrf", &csrf), ("lang", "fr"), ("back", "//evil.example")]).await;
        assert_eq!(back.header("location"), "/");
        browser.get("/channels").await.shows("lang=\"fr\"");
    }

    async fn a_browser_gets_a_new_name_with_every_sign_in(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        let browser = app.browser();
        // A value planted by somebody else is worth nothing and is not kept.
        let planted = "A".repeat(43);
        browser.set_cookie("tca_session", &planted);
        assert_eq!(browser.hop("/channels").await.header("location"), "/auth/login?next=%2Fchannels");
        browser.sign_in_as(cast::HERO).await;
        let first = browser.cookie("tca_session").unwrap();
        assert_ne!(first, planted);
        browser.sign_in_as(cast::HERO).await;
        let second = browser.cookie("tca_session").unwrap();
        assert_ne!(first, second);
        let old = app.browser();
        old.set_cookie("tca_session", &first);
        assert_eq!(old.hop("/channels").await.header("location"), "/auth/login?next=%2Fchannels");
        let page = browser.get("/settings").await;
        browser.submit(&page, "/auth/logout", &[]).await;
        assert!(browser.cookie("tca_session").is_none());
        old.set_cookie("tca_session", &second);
        for address in ["/channels", "/analysis", "/sessions", "/settings", "/analysis/export?format=csv"] {
            assert!(old.hop(address).await.header("location").starts_with("/auth/login?next=%2F"), "{address}");
        }
        let stored = app.texts("SELECT session_hash FROM web_sessions").await;
        assert!(stored.is_empty(), "{stored:?}");
    }

    async fn cookies_and_headers_tell_the_browser_what_it_may_do(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        let browser = app.browser();
        let back = browser.consent("/auth/login", cast::HERO).await;
        let entered = browser.hop(&back.location()).await;
        let cookies: Vec<&str> = entered.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        let session = cookies.iter().find(|cookie| cookie.starts_with("tca_session=")).unwrap();
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(session.split("; ").any(|found| found == attribute), "{attribute}: {session}");
        }
        assert!(!session.contains("Secure") && !session.contains("Domain"), "{session}");
        for address in ["/", "/channels", "/analysis", "/sessions", "/settings", "/privacy", "/nowhere", "/auth/callback"] {
            let page = browser.hop(address).await;
            let policy = page.header("content-security-policy");
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{address}: {policy}");
            assert!(!policy.contains("unsafe"), "{address}: {policy}");
            assert_eq!(page.header("x-content-type-options"), "nosniff", "{address}");
            assert_eq!(page.header("referrer-policy"), "same-origin", "{address}");
            assert_eq!(page.header("cache-control"), "no-store", "{address}");
            assert_eq!(page.header("strict-transport-security"), "", "{address}");
        }
    }

    async fn behind_https_the_cookies_are_bound_to_it(backend: Backend) {
        let app = TestApp::plan(backend)
            .set("PUBLIC_URL", "https://tca.example")
            .start()
            .await;
        app.world.add_redirect_uri("https://tca.example/auth/callback");
        let browser = app.browser();
        let begun = browser.hop("/auth/login").await;
        assert!(begun.header("set-cookie").starts_with("__Host-tca_login="), "{:?}", begun.headers);
        let back = browser.consent("/auth/login", cast::HERO).await;
        assert!(back.location().starts_with("https://tca.example/auth/callback?"), "{}", back.location());
        let entered = browser.hop(&back.location()).await;
        let cookies: Vec<&str> = entered.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        let session = cookies.iter().find(|cookie| cookie.starts_with("__Host-tca_session=")).unwrap();
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Secure"] {
            assert!(session.split("; ").any(|found| found == attribute), "{attribute}: {session}");
        }
        let page = browser.get("/channels").await;
        assert_eq!(page.status, 200);
        assert!(page.header("strict-transport-security").starts_with("max-age="));
        // Without the prefix it is somebody else's cookie.
        let plain = app.browser();
        plain.set_cookie("tca_session", &browser.cookie("__Host-tca_session").unwrap());
        assert_eq!(plain.hop("/channels").await.status, 303);
    }

    async fn only_those_who_are_allowed_come_in_and_nothing_of_others_is_kept(backend: Backend) {
        let app = TestApp::plan(backend).set("ALLOWED_LOGINS", cast::HERO).start().await;
        let stranger = app.browser();
        let back = stranger.consent("/auth/login", cast::NIGHT_MODERATOR).await;
        let page = stranger.hop(&back.location()).await;
        assert_eq!(page.status, 403);
        assert!(stranger.cookie("tca_session").is_none());
        assert_eq!(app.number("SELECT COUNT(*) FROM twitch_tokens").await, 0);
        assert_eq!(app.calls(tca::simulator::Route::Revoke).len(), 1);
        assert_eq!(app.signed_in(cast::HERO).await.get("/channels").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_redis_signs_nobody_out_on_mariadb() {
    let mut redis = RedisServer::start().await;
    let app = TestApp::plan(Backend::MariaDb).redis(redis.url()).start().await;
    app.world.set_room_size(RABBIT, 150).unwrap();
    let (browser, _) = signed_in(&app).await;
    app.complete_capture(&browser, RABBIT).await;
    let everywhere = ["/", "/channels", "/analysis", "/sessions", "/settings", "/analysis/export?format=csv"];
    let check = async |when: &str| {
        for address in everywhere {
            let page = browser.hop(address).await;
            assert_eq!(page.status, 200, "{address} {when}: {}", page.body);
        }
    };
    check("before").await;
    redis.command(&["FLUSHALL"]);
    check("after FLUSHALL").await;
    app.complete_capture(&browser, RABBIT).await;
    redis.kill();
    check("without Redis").await;
    app.complete_capture(&browser, RABBIT).await;
    let (status, report) = app.probe(tca::roles::Role::Gateway, "readyz").await;
    assert_eq!((status, &report["parts"]["redis"]["status"]), (200, &"degraded".into()), "{report}");
    let other = app.signed_in(cast::NIGHT_MODERATOR).await;
    assert_eq!(other.hop("/channels").await.status, 200, "signing in works too");
    redis.restart().await;
    check("with Redis again").await;
    app.complete_capture(&browser, RABBIT).await;
    let csv = browser.get("/analysis/export?format=csv").await;
    assert!(csv.body.lines().skip(1).all(|row| row.split(',').nth(4) == Some("4")), "four captures: {}", csv.body);
}
