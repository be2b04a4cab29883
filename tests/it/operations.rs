//! What operators rely on: health, migrations, exit codes, stops, and workers that die.

use std::time::Instant;

use sea_orm::{ConnectionTrait, Database, DbBackend, TransactionTrait};
use secrecy::ExposeSecret;
use tca::{
    config::DatabaseSettings,
    db,
    job::claim_statement,
    roles::Role,
    simulator::{Fault, Route, cast},
};

use crate::support::{
    Backend,
    app::{TestApp, Topology, eventually_within, http},
    browser::Browser,
    eventually,
    process::{Environment, Process, free_port},
};

const RABBIT: &str = "lapinvert_live";
const SIZE: i64 = 2_500;

/// A capture that a worker process holds: one page is stored, the next one hangs.
async fn held_capture(app: &TestApp) -> (Browser, i64) {
    app.world.set_room_size(RABBIT, 2_500).unwrap();
    let browser = app.signed_in(cast::HERO).await;
    app.fault_after(1, Route::Chatters, Fault::Hang, 1);
    let capture = app.capture(&browser, RABBIT).await;
    let pages = format!("SELECT COUNT(*) FROM captures WHERE id = {capture} AND pages = 1");
    eventually("the first page is stored", async || app.number(&pages).await == 1).await;
    let asked = async || app.calls(Route::Chatters).len() == 2;
    eventually("the second page is asked for", asked).await;
    (browser, capture)
}

/// The capture is whole, and no page of it was read twice.
async fn check_whole(app: &TestApp, browser: &Browser, capture: i64) {
    assert_eq!(app.wait_for_capture(capture).await, "complete");
    let stored = format!("SELECT COUNT(*) FROM capture_chatters WHERE capture_id = {capture}");
    assert_eq!(app.number(&stored).await, SIZE);
    assert_eq!(app.calls(Route::Chatters).len(), 4, "three pages, and the one that hung");
    let logins = browser.get("/analysis/export?format=logins").await.body;
    assert_eq!(logins.lines().count(), usize::try_from(SIZE).unwrap());
    assert_eq!(app.number("SELECT COUNT(*) FROM sessions WHERE status = 'active'").await, 1);
    let seen = "SELECT COUNT(*) FROM session_accounts WHERE seen_count <> 1";
    assert_eq!(app.number(seen).await, 0, "nobody is counted twice");
}

on_each_backend! {
    async fn a_worker_that_is_asked_to_stop_hands_its_job_to_the_next_without_spending_an_attempt(backend: Backend) {
        let mut app = TestApp::start(backend, Topology::Split).await;
        let (browser, capture) = held_capture(&app).await;
        let mut worker = app.processes.remove(&Role::Worker).unwrap();
        worker.terminate();
        assert_eq!(worker.exit_code().await, 0, "{}", worker.log());
        let job = "SELECT COUNT(*) FROM jobs WHERE status = 'pending' AND attempt = 0 AND lost_leases = 0 AND lease_token IS NULL";
        assert_eq!(app.number(job).await, 1);
        let next = app.spawn(Role::Worker);
        app.processes.insert(Role::Worker, next);
        check_whole(&app, &browser, capture).await;
    }

    async fn what_a_killed_worker_was_doing_goes_on_with_another(backend: Backend) {
        let mut app = TestApp::start(backend, Topology::Split).await;
        let (browser, capture) = held_capture(&app).await;
        let (other, _) = app.spawn_another(Role::Worker);
        eventually("the other worker listens", async || other.log().contains("\"listening\"")).await;
        let killed = Instant::now();
        app.processes.remove(&Role::Worker).unwrap().kill();
        eventually_within(2 * crate::support::PATIENCE, "another worker asks for the page", async || {
            app.calls(Route::Chatters).len() > 2
        })
        .await;
        eprintln!("a killed worker's job went on after {:.1} s on {backend:?}", killed.elapsed().as_secs_f64());
        check_whole(&app, &browser, capture).await;
        let lost = "SELECT COUNT(*) FROM jobs WHERE type = 'FETCH_CHATTERS' AND status = 'done' AND lost_leases = 1";
        assert_eq!(app.number(lost).await, 1);
    }

    async fn every_role_tells_how_it_is_and_what_it_counts(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(RABBIT, 10).unwrap();
        let browser = app.signed_in(cast::HERO).await;
        app.complete_capture(&browser, RABBIT).await;
        for role in Role::ALL {
            let (status, health) = app.probe(role, "healthz").await;
            assert_eq!((status, &health["status"], &health["role"]), (200, &"ok".into(), &role.as_str().into()));
            // A report is good for a second, so the first may be from before the store was connected.
            eventually(&format!("every part of the {role} is well"), async || {
                let (status, report) = app.probe(role, "readyz").await;
                let parts = ["database", "schema", "redis", "twitch", "draining"];
                status == 200 && parts.iter().all(|part| report["parts"][part]["status"] == "ok")
            })
            .await;
            let metrics = http().get(app.url(role).join("metrics").unwrap()).send().await.unwrap();
            assert_eq!(metrics.status(), 200);
            assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
            let text = metrics.text().await.unwrap();
            assert!(text.contains("tca_jobs_finished_total{kind=\"FETCH_CHATTERS\",outcome=\"ok\"}"), "{text}");
        }
        for (role, path) in [(Role::Worker, "nowhere"), (Role::Analysis, "nowhere"), (Role::Analysis, "sessions/x/summary")] {
            let (status, headers, problem) = app.internal(role, path).await;
            assert_eq!((status, &headers["content-type"]), (404, &"application/problem+json".parse().unwrap()), "{problem}");
        }
        let bare = http().get(app.url(Role::TwitchProxy).join("users?id=1").unwrap()).send().await.unwrap();
        assert_eq!(bare.status(), 401);
        assert_eq!(app.internal(Role::TwitchProxy, &format!("users?id={}", app.id(RABBIT))).await.0, 200);
    }

    async fn a_twitch_that_is_away_degrades_and_does_not_stop_the_product(backend: Backend) {
        let app = TestApp::plan(backend).set("TWITCH_HELIX_URL", "http://127.0.0.1:9/helix").start().await;
        let browser = app.browser();
        assert_eq!(browser.get("/").await.status, 200);
        let (status, health) = app.probe(Role::Gateway, "healthz").await;
        assert_eq!((status, &health["ready_once"]), (200, &true.into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_without_its_schema_waits_for_the_migration_on_mariadb() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (database, folder) = (Backend::MariaDb.database().await, tempfile::tempdir().unwrap());
    let mut env: Environment = [
        ("APP_ENV", "test"),
        ("APP_SESSION_SECRET", crate::support::app::SESSION_SECRET),
        ("DATABASE_URL", database.url.expose_secret()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let ports = Role::ALL.map(|role| (role, free_port()));
    for (role, port) in ports {
        let variable = format!("{}_PORT", role.as_str().replace('-', "_").to_uppercase());
        env.insert(variable, port.to_string());
    }
    let mut process = Process::start("serve", &["serve"], &env, folder.path());
    let probe = async |path: &str| {
        let mut answers = Vec::new();
        for (_, port) in ports {
            let answer = http().get(format!("http://127.0.0.1:{port}/{path}")).send().await.ok();
            let Some(answer) = answer else { return Vec::new() };
            answers.push((answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap()));
        }
        answers
    };
    eventually("every role listens", async || probe("healthz").await.len() == 4).await;
    for (status, health) in probe("healthz").await {
        assert_eq!((status, &health["ready_once"]), (200, &false.into()));
    }
    for (status, report) in probe("readyz").await {
        assert_eq!(status, 503);
        assert_eq!(report["parts"]["schema"]["status"], "unavailable", "{report}");
        assert_eq!(report["parts"]["database"]["status"], "ok", "{report}");
    }
    let (code, said) = Process::run("health", &["healthcheck", "--role", "worker"], &env, folder.path()).await;
    assert_eq!(code, 1, "{said}");

    let (code, said) = Process::run("status", &["migrate", "--status"], &env, folder.path()).await;
    assert!(code == 0 && said.contains("pending"), "{said}");
    let names = ["migrate1", "migrate2", "migrate3"];
    let runs = names.map(|name| Process::run(name, &["migrate"], &env, folder.path()));
    let mut applied = 0;
    for (code, said) in futures_util::future::join_all(runs).await {
        assert_eq!(code, 0, "{said}");
        applied += said.matches("applied ").count();
        assert!(said.contains("The schema is up to date."), "{said}");
    }
    let connection = Database::connect(database.url.expose_secret()).await.unwrap();
    let rows = db::query(&connection, "SELECT version FROM seaql_migrations", []).await.unwrap();
    assert_eq!(applied, rows.len(), "each was applied by one of them");
    eventually("it begins by itself", async || probe("readyz").await.iter().all(|(status, _)| *status == 200)).await;
    let (code, said) = Process::run("health", &["healthcheck", "--role", "worker"], &env, folder.path()).await;
    assert_eq!(code, 0, "{said}");
    process.terminate();
    assert_eq!(process.exit_code().await, 0, "{}", process.log());
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_the_valid_words() {
    let folder = tempfile::tempdir().unwrap();
    let env = Environment::new();
    for (number, (arguments, expected)) in [
        (&["serve", "--role", "gatewy"][..], "gateway, worker, analysis, twitch-proxy"),
        (&["serve", "--rolle", "worker"][..], "--role, --config-dir, --help, --version"),
        (&["sreve"][..], "serve, demo, twitch-sim, migrate"),
    ]
    .into_iter()
    .enumerate()
    {
        let (code, said) = Process::run(&format!("usage{number}"), arguments, &env, folder.path()).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let env: Environment =
        [("WORKER_CONCURRENCY", "many"), ("DATABASE_URL", "oracle://x"), ("PUBLIC_URL", "tca.example")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let (code, said) = Process::run("settings", &["serve"], &env, folder.path()).await;
    assert_eq!(code, 2);
    for variable in env.keys() {
        assert!(said.contains(variable.as_str()), "all problems at once: {said}");
    }
}

// A claim under REPEATABLE READ would lock gaps and stop those who enqueue; the setting belongs to each connection.
#[tokio::test]
async fn every_connection_reads_what_is_committed_on_mariadb() {
    let database = Backend::MariaDb.database().await;
    let settings = DatabaseSettings { url: database.url.clone(), read_url: None, max_open: 4, max_idle: 4 };
    let connection = db::connect(&settings).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(connection.begin().await.unwrap());
    }
    for one in held {
        let sql = "SELECT @@tx_isolation AS level, @@time_zone AS zone";
        let row = one.query_one_raw(db::statement(&one, sql, [])).await.unwrap().unwrap();
        assert_eq!(row.try_get::<String>("", "level").unwrap(), "READ-COMMITTED");
        assert_eq!(row.try_get::<String>("", "zone").unwrap(), "+00:00");
    }
}

#[tokio::test]
async fn taking_work_reads_the_queue_in_its_order_on_mariadb() {
    let database = Backend::MariaDb.database().await;
    let settings = DatabaseSettings { url: database.url.clone(), read_url: None, max_open: 1, max_idle: 1 };
    db::migrate(&settings).await.unwrap();
    let connection = db::connect(&settings).await.unwrap();
    for status in ["done", "failed", "scheduled", "pending", "pending"] {
        let rows = vec![format!("('FETCH_CHATTERS', '{{}}', '{status}', 1, 6, '2026-01-01', '2050-01-01')"); 1_500];
        let columns = "type, payload, status, priority, max_attempts, created_at, run_at";
        let sql = format!("INSERT INTO jobs ({columns}) VALUES {}", rows.join(", "));
        db::execute(&connection, &sql, []).await.unwrap();
    }
    for limit in [1, 8, 100] {
        let explained = format!("EXPLAIN {}", claim_statement(DbBackend::MySql, limit));
        let plan = db::query(&connection, &explained, []).await.unwrap();
        let text = |column: &str| plan[0].try_get::<Option<String>>("", column).unwrap().unwrap_or_default();
        assert_eq!((plan.len(), text("key").as_str()), (1, "idx_jobs_claim"), "{}", text("possible_keys"));
        assert!(!text("Extra").contains("filesort"), "{}", text("Extra"));
    }
}
