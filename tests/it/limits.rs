//! What this installation refuses or does without: too many captures, too large chats, accounts that are gone, parts that
//! are away.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
};

use reqwest::Url;
use sea_orm::{ConnectionTrait, Database};
use secrecy::ExposeSecret;
use tca::{
    clock::Clock,
    roles::Role,
    simulator::{Fault, Route, cast},
};

use crate::support::{
    Backend,
    app::{SESSION_SECRET, TestApp, Topology, http},
    eventually,
    process::{Environment, Process, free_port},
};

const RABBIT: &str = "lapinvert_live";
const BEARS: &str = "tanguy_et_les_ours";

on_each_backend! {
    async fn captures_beyond_the_hourly_limit_are_refused_until_the_hour_is_over(backend: Backend) {
        let clock = Clock::fixed(Clock::System.now());
        let app = TestApp::plan(backend).set("CAPTURES_PER_HOUR", "2").clock(&clock).start().await;
        app.world.set_room_size(BEARS, 5).unwrap();
        let browser = app.signed_in(cast::HERO).await;
        for _ in 0..2 {
            app.complete_capture(&browser, BEARS).await;
            clock.advance(chrono::TimeDelta::minutes(1));
        }
        let page = browser.get(&format!("/channels?q={BEARS}")).await;
        let form = page.form_with("/sessions/capture", &[("broadcaster_login", BEARS)]);
        let refused = browser.submit_form(&form, &[]).await;
        assert_eq!(refused.status, 429);
        refused.shows("Too many requests");
        let wait: i64 = refused.header("retry-after").parse().unwrap();
        assert!((3_400..=3_500).contains(&wait), "{wait}");
        assert_eq!(app.number("SELECT COUNT(*) FROM captures").await, 2);
        clock.advance(chrono::TimeDelta::seconds(wait + 1));
        app.complete_capture(&browser, BEARS).await;
    }

    async fn a_chat_beyond_the_largest_size_fails_with_a_sentence(backend: Backend) {
        let app = TestApp::plan(backend).set("MAX_CHATTERS", "1500").start().await;
        app.world.set_room_size(RABBIT, 1_501).unwrap();
        app.world.set_room_size(BEARS, 1_500).unwrap();
        let browser = app.signed_in(cast::HERO).await;
        let capture = app.capture(&browser, RABBIT).await;
        assert_eq!(app.wait_for_capture(capture).await, "failed");
        browser.get(&format!("/captures/{capture}")).await.shows("lapinvert_live holds more than 1,500 accounts");
        app.complete_capture(&browser, BEARS).await;
        browser.get("/analysis").await.shows("1,500 accounts");
    }

    async fn an_account_that_twitch_no_longer_shows_has_no_date_and_is_asked_for_once(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(BEARS, 6).unwrap();
        let gone = app.world.chatters_at(BEARS, app.world.now()).unwrap().remove(2);
        app.world.suspend(&gone.name.login, true).unwrap();
        let gone_id = gone.id.to_string();
        let browser = app.signed_in(cast::HERO).await;
        app.complete_capture(&browser, BEARS).await;
        app.wait_until_enriched().await;
        let csv = browser.get("/analysis/export?format=csv").await.body;
        let row = csv.lines().find(|row| row.starts_with(&gone_id)).unwrap();
        assert_eq!(row.split(',').nth(3), Some(""), "{row}");
        let json: serde_json::Value = serde_json::from_str(&browser.get("/analysis/export?format=json").await.body).unwrap();
        let account = json["accounts"].as_array().unwrap().iter().find(|a| a["twitch_user_id"] == gone_id.as_str()).unwrap();
        assert!(account["created_at"].is_null(), "{account}");
        let calls = app.calls(Route::Users).len();
        app.complete_capture(&browser, BEARS).await;
        app.wait_until_enriched().await;
        assert_eq!(app.calls(Route::Users).len(), calls, "nobody asks for it again");
        let people = "SELECT COUNT(*) FROM twitch_users WHERE last_fetched_at IS NULL";
        assert_eq!(app.number(people).await, 0);
    }

    async fn new_accounts_are_those_that_this_session_had_not_seen(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(BEARS, 10).unwrap();
        let browser = app.signed_in(cast::HERO).await;
        app.complete_capture(&browser, BEARS).await;
        app.world.set_room_size(BEARS, 25).unwrap();
        app.complete_capture(&browser, BEARS).await;
        let counts = |new: u32, all: u32| {
            format!("SELECT COUNT(*) FROM captures WHERE new_users_count = {new} AND chatters_count = {all}")
        };
        assert_eq!(app.number(&counts(10, 10)).await, 1);
        assert_eq!(app.number(&counts(15, 25)).await, 1);
        app.world.set_room_size(BEARS, 3).unwrap();
        app.complete_capture(&browser, BEARS).await;
        assert_eq!(app.number(&counts(0, 3)).await, 1);
        let csv = browser.get("/analysis/export?format=csv").await.body;
        let seen: Vec<&str> = csv.lines().skip(1).map(|row| row.split(',').nth(4).unwrap()).collect();
        let times = |count: &str| seen.iter().filter(|seen| **seen == count).count();
        assert_eq!((times("3"), times("2"), times("1"), seen.len()), (3, 7, 15, 25));
    }

    async fn the_channels_stay_readable_while_twitch_is_away(backend: Backend) {
        let clock = Clock::fixed(Clock::System.now());
        let app = TestApp::plan(backend).clock(&clock).start().await;
        let browser = app.signed_in(cast::HERO).await;
        browser.get("/channels").await.shows(RABBIT);
        // The list is old enough to be read again; Twitch's own cached answer is not asked for this.
        app.execute("DELETE FROM user_channels").await;
        clock.advance(chrono::TimeDelta::minutes(2));
        let stranger = app.browser();
        let back = stranger.consent("/auth/login", cast::NIGHT_MODERATOR).await.location();
        for route in [Route::ModeratedChannels, Route::Streams, Route::Token, Route::Users] {
            app.fault(route, Fault::Status(503), 50);
        }
        let refused = stranger.hop(&back).await;
        assert_eq!(refused.status, 502);
        refused.shows("Twitch does not answer");
        assert!(stranger.cookie("tca_session").is_none());
        for address in ["/", "/channels", "/analysis", "/sessions", "/settings"] {
            assert_eq!(browser.get(address).await.status, 200, "{address}");
        }
    }
}

/// Hands on what comes to `port`, from now on.
fn forward(port: u16, target: &Url) {
    let target = (target.host_str().unwrap().to_owned(), target.port().unwrap());
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect((target.0.as_str(), target.1)).unwrap();
            let pairs = [(caller.try_clone().unwrap(), server.try_clone().unwrap()), (server, caller)];
            for (from, to) in pairs {
                std::thread::spawn(move || copy(from, &to));
            }
        }
    });
}

fn copy(mut from: TcpStream, mut to: &TcpStream) {
    let mut buffer = [0; 16_384];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_waits_for_a_database_that_is_away_on_mariadb() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (database, folder) = (Backend::MariaDb.database().await, tempfile::tempdir().unwrap());
    let server: Url = database.url.expose_secret().parse().unwrap();
    let settings =
        tca::config::DatabaseSettings { url: database.url.clone(), read_url: None, max_open: 1, max_idle: 1 };
    tca::db::migrate(&settings).await.unwrap();
    let (port, gateway) = (free_port(), free_port());
    let mut away = server.clone();
    away.set_port(Some(port)).unwrap();
    let mut env: Environment = [
        ("APP_ENV", "test"),
        ("APP_SESSION_SECRET", SESSION_SECRET),
        ("DATABASE_URL", away.as_str()),
        ("REDIS_URL", "redis://127.0.0.1:9"),
        ("SHUTDOWN_GRACE", "2"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    env.insert("GATEWAY_PORT".to_owned(), gateway.to_string());
    for variable in ["TWITCH_PROXY_PORT", "WORKER_PORT", "ANALYSIS_PORT"] {
        env.insert(variable.to_owned(), "0".to_owned());
    }
    let mut process = Process::start("serve", &["serve"], &env, folder.path());
    let probe = async |path: &str| -> (u16, serde_json::Value) {
        let Ok(answer) = http().get(format!("http://127.0.0.1:{gateway}/{path}")).send().await else {
            return (0, serde_json::Value::Null);
        };
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    };
    eventually("the program lives", async || probe("healthz").await.0 == 200).await;
    let (status, report) = probe("readyz").await;
    assert_eq!((status, &report["parts"]["database"]["status"]), (503, &"unavailable".into()), "{report}");
    let page = http().get(format!("http://127.0.0.1:{gateway}/")).header("accept-language", "fr").send().await.unwrap();
    assert!(matches!(page.status().as_u16(), 200 | 503), "{}", page.status());
    forward(port, &server);
    eventually("it finds its database", async || probe("readyz").await.0 == 200).await;
    let (_, report) = probe("readyz").await;
    assert_eq!(report["parts"]["redis"]["status"], "degraded", "{report}");
    process.terminate();
    assert_eq!(process.exit_code().await, 0, "{}", process.log());
    let log = process.log();
    assert!(!log.contains("panicked") && !log.contains("stack backtrace"), "{log}");
    assert!(!log.contains(server.password().unwrap()), "the password stands in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_go_system_is_left_alone_on_mariadb() {
    let (database, folder) = (Backend::MariaDb.database().await, tempfile::tempdir().unwrap());
    let connection = Database::connect(database.url.expose_secret()).await.unwrap();
    for table in [
        "CREATE TABLE capture_chatters (capture_id BIGINT, twitch_user_id VARCHAR(64), PRIMARY KEY (capture_id, twitch_user_id))",
        "CREATE TABLE jobs (id BIGINT PRIMARY KEY AUTO_INCREMENT, type VARCHAR(50), payload JSON, status VARCHAR(20))",
    ] {
        connection.execute_unprepared(table).await.unwrap();
    }
    let env: Environment = [("APP_ENV", "test"), ("DATABASE_URL", database.url.expose_secret())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let (code, said) = Process::run("migrate", &["migrate"], &env, folder.path()).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("Go system") && said.contains("tca import-go"), "{said}");
    let tables = tca::db::query(&connection, "SHOW TABLES", []).await.unwrap();
    assert_eq!(tables.len(), 2, "nothing was changed");
}

// The rolling stop of a gateway: no longer ready, what was asked is still answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_gateway_says_so_and_answers_what_it_was_asked_on_mariadb() {
    let mut app = TestApp::plan(Backend::MariaDb).topology(Topology::Split).set("SHUTDOWN_GRACE", "20").start().await;
    let browser = app.browser();
    let back = browser.consent("/auth/login", cast::HERO).await.location();
    // The sign-in waits for Twitch while the process is asked to stop.
    app.fault(Route::Token, Fault::Latency(2_000), 1);
    let mut gateway = app.processes.remove(&Role::Gateway).unwrap();
    let (entered, ()) = tokio::join!(browser.hop(&back), async {
        eventually("Twitch is asked", async || !app.calls(Route::Token).is_empty()).await;
        gateway.terminate();
    });
    assert_eq!(entered.status, 303, "{}", entered.body);
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
    assert_eq!(app.number("SELECT COUNT(*) FROM web_sessions").await, 1);
}
