//! `tca jobs` as an operator runs it beside the product, and the queue's numbers on `/metrics`.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use reqwest::Url;
use tca::{
    roles::Role,
    simulator::{Fault, Route, cast},
};

use crate::support::{
    Backend,
    app::{TestApp, Topology, eventually_within, http},
    browser::Browser,
    eventually,
    process::{Environment, Process},
};

const CHANNEL: &str = "lapinvert_live";
const OTHER: &str = "tanguy_et_les_ours";
/// Three pages of chatters.
const SIZE: u32 = 2_345;
const FAILED: &str = "SELECT CAST(MAX(id) AS CHAR) FROM jobs WHERE status = 'failed'";

/// A signed-in moderator, a chat of three pages and a smaller one.
async fn stage(backend: Backend) -> (TestApp, Browser) {
    let app = TestApp::start(backend, Topology::AllInOne).await;
    app.world.set_room_size(CHANNEL, SIZE).unwrap();
    app.world.set_room_size(OTHER, 20).unwrap();
    let browser = app.signed_in(cast::HERO).await;
    (app, browser)
}

/// Runs `tca jobs …` against the product's database: exit code and output.
async fn jobs(app: &TestApp, arguments: &[&str]) -> (i32, String) {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let name = format!("jobs{}", RUNS.fetch_add(1, Ordering::Relaxed));
    let arguments: Vec<&str> = ["jobs"].into_iter().chain(arguments.iter().copied()).collect();
    Process::run(&name, &arguments, &app.env, app.folder.path()).await
}

/// A capture that failed after `pages` pages; its number and that of its job.
async fn failed_capture(app: &TestApp, browser: &Browser, channel: &str, pages: u32) -> (i64, String) {
    app.fault_after(pages, Route::Chatters, Fault::Status(404), 1);
    let capture = app.capture(browser, channel).await;
    assert_eq!(app.wait_for_capture(capture).await, "failed");
    let job = format!("SELECT CAST(id AS CHAR) FROM jobs WHERE type = 'FETCH_CHATTERS' AND capture_id = {capture}");
    (capture, app.text(&job).await)
}

/// The retry of this job is refused for this reason, and nothing changes.
async fn check_refused(app: &TestApp, job: &str, reason: &str) {
    let status = format!("SELECT status FROM jobs WHERE id = {job}");
    let before = app.texts(&status).await;
    let (code, said) = jobs(app, &["retry", job]).await;
    assert_eq!((code, said), (1, format!("error: job {job} is not retried: {reason}\n")));
    assert_eq!(app.texts(&status).await, before);
}

on_each_backend! {
    async fn a_failed_capture_that_is_retried_is_complete_and_whole(backend: Backend) {
        let (app, browser) = stage(backend).await;
        let (capture, job) = failed_capture(&app, &browser, CHANNEL, 1).await;
        let (code, said) = jobs(&app, &["list", "--status", "failed"]).await;
        assert_eq!(code, 0, "{said}");
        let line = said.lines().nth(1).unwrap();
        let words: Vec<&str> = line.split_whitespace().take(6).collect();
        assert_eq!(words, [job.as_str(), "FETCH_CHATTERS", "failed", "1/6", CHANNEL, cast::HERO], "{said}");
        let reason = app.text("SELECT error_message FROM jobs WHERE status = 'failed'").await;
        assert!(line.ends_with(&reason), "{said}");
        assert!(said.contains("Shown: 1 of 1. In all: 0 pending, 0 scheduled, 0 running, 0 done, 1 failed"), "{said}");

        let (code, said) = jobs(&app, &["retry", &job]).await;
        assert_eq!((code, said), (0, format!("Job {job} is pending again.\n")));
        assert_eq!(app.wait_for_capture(capture).await, "complete");
        let whole = format!("SELECT COUNT(*) FROM capture_chatters WHERE capture_id = {capture}");
        assert_eq!(app.number(&whole).await, i64::from(SIZE));
        browser.get("/analysis").await.shows("2,345 accounts");
        assert_eq!(app.calls(Route::Chatters).len(), 5, "a page and a failure, then all three pages");
        let done = format!("SELECT COUNT(*) FROM jobs WHERE id = {job} AND status = 'done' AND attempt = 1 AND unique_key IS NULL");
        assert_eq!(app.number(&done).await, 1);
        check_refused(&app, &job, "it is done, and only failed jobs are retried").await;
    }

    async fn a_retry_that_would_do_harm_is_refused_with_its_reason(backend: Backend) {
        let (app, browser) = stage(backend).await;
        check_refused(&app, "4711", "there is no such job").await;
        let (_, failed) = failed_capture(&app, &browser, OTHER, 0).await;

        // Another capture of the same channel hangs in the middle of its work.
        app.fault(Route::Chatters, Fault::Hang, 1);
        let under_way = app.capture(&browser, OTHER).await;
        let reason = format!("a capture of {OTHER} is under way in its session (capture {under_way})");
        check_refused(&app, &failed, &reason).await;
        eventually("it runs", async || app.number("SELECT COUNT(*) FROM jobs WHERE status = 'running'").await == 1).await;
        let running = app.text("SELECT CAST(id AS CHAR) FROM jobs WHERE status = 'running'").await;
        check_refused(&app, &running, "it is running, and only failed jobs are retried").await;

        let page = browser.get(&format!("/captures/{under_way}")).await;
        browser.submit(&page, "/captures/cancel", &[]).await;
        check_refused(&app, &running, "it was cancelled, and what was cancelled is never retried").await;

        let page = browser.get("/sessions/purge").await;
        browser.submit(&page, "/sessions/purge", &[]).await;
        check_refused(&app, &failed, "its session has ended").await;
        let (code, said) = jobs(&app, &["retry", "--failed"]).await;
        assert_eq!(code, 0);
        let left_out = format!("  job {failed}: its session has ended\n");
        assert_eq!(said, format!("0 of 1 failed jobs are pending again; 1 left out:\n{left_out}"));
    }

    async fn all_that_failed_is_retried_the_newest_of_a_channel_first(backend: Backend) {
        let (app, browser) = stage(backend).await;
        let (old, old_job) = failed_capture(&app, &browser, OTHER, 0).await;
        let (new, _) = failed_capture(&app, &browser, OTHER, 0).await;
        let (large, _) = failed_capture(&app, &browser, CHANNEL, 2).await;
        // Nothing ends while the others are looked at.
        app.fault(Route::Chatters, Fault::Hang, 2);
        let (code, said) = jobs(&app, &["retry", "--failed"]).await;
        let reason = format!("a capture of {OTHER} is under way in its session (capture {new})");
        let expected = format!("2 of 3 failed jobs are pending again; 1 left out:\n  job {old_job}: {reason}\n");
        assert_eq!((code, said), (0, expected));
        let hurry = match backend {
            Backend::Sqlite => "UPDATE jobs SET run_at = '2020-01-01T00:00:00+00:00' WHERE status = 'scheduled'",
            Backend::MariaDb => "UPDATE jobs SET run_at = '2020-01-01 00:00:00' WHERE status = 'scheduled'",
        };
        let open = "SELECT COUNT(*) FROM captures WHERE status = 'running'";
        eventually_within(Duration::from_mins(1), "both have ended", async || {
            app.execute(hurry).await;
            app.number(open).await == 0
        })
        .await;
        for (capture, status) in [(old, "failed"), (new, "complete"), (large, "complete")] {
            assert_eq!(app.text(&format!("SELECT status FROM captures WHERE id = {capture}")).await, status);
        }
    }

    async fn jobs_that_ended_long_ago_are_removed_and_counted(backend: Backend) {
        let (app, browser) = stage(backend).await;
        failed_capture(&app, &browser, OTHER, 0).await;
        app.complete_capture(&browser, OTHER).await;
        app.wait_until_enriched().await;
        let all = app.number("SELECT COUNT(*) FROM jobs").await;
        let (code, said) = jobs(&app, &["list", "--limit", "1"]).await;
        assert_eq!((code, said.contains(&format!("Shown: 1 of {all}."))), (0, true), "{said}");
        let (code, said) = jobs(&app, &["prune"]).await;
        assert_eq!((code, said.as_str()), (0, "Removed 0 jobs that ended more than 30 days ago.\n"));
        let past = match backend {
            Backend::Sqlite => "2020-01-01T00:00:00+00:00",
            Backend::MariaDb => "2020-01-01 00:00:00",
        };
        app.execute(&format!("UPDATE jobs SET finished_at = '{past}' WHERE status = 'failed'")).await;
        let (code, said) = jobs(&app, &["prune", "--older-than", "7"]).await;
        assert_eq!((code, said.as_str()), (0, "Removed 1 job that ended more than 7 days ago.\n"));
        assert_eq!(app.number("SELECT COUNT(*) FROM jobs").await, all - 1);
        assert_eq!(app.text(FAILED).await, "");
        let (code, said) = jobs(&app, &["retry", "--failed"]).await;
        assert_eq!((code, said.as_str()), (0, "0 of 0 failed jobs are pending again.\n"));
    }
}

/// What a worker shows at `/metrics`.
async fn metrics_of(url: &Url) -> String {
    match http().get(url.join("metrics").unwrap()).send().await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

fn tells_the_queue(metrics: &str) -> bool {
    metrics.contains("tca_jobs{")
}

on_each_backend! {
    async fn a_worker_tells_how_full_the_queue_is_and_how_long_jobs_wait(backend: Backend) {
        let app = TestApp::start(backend, Topology::Split).await;
        app.world.set_room_size(OTHER, 20).unwrap();
        let browser = app.signed_in(cast::HERO).await;
        failed_capture(&app, &browser, OTHER, 0).await;
        let worker = app.url(Role::Worker);
        let expected = [
            "tca_jobs{kind=\"FETCH_CHATTERS\",status=\"failed\"} 1",
            "tca_jobs{kind=\"FETCH_USERS_INFO\",status=\"pending\"} 0",
            "tca_job_oldest_pending_age_seconds{kind=\"FETCH_CHATTERS\"} 0",
            "tca_job_wait_seconds_count{kind=\"FETCH_CHATTERS\"} 1",
        ];
        eventually("the queue is told", async || {
            let text = metrics_of(&worker).await;
            expected.iter().all(|line| text.contains(line))
        })
        .await;
        for role in [Role::Gateway, Role::Analysis, Role::TwitchProxy] {
            assert!(!tells_the_queue(&metrics_of(&app.url(role)).await), "{role}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_workers_one_tells_the_queue_and_another_takes_over_on_mariadb() {
    let mut app = TestApp::start(Backend::MariaDb, Topology::Split).await;
    let first = app.url(Role::Worker);
    eventually("the first tells", async || tells_the_queue(&metrics_of(&first).await)).await;
    let (_process, second) = app.spawn_another(Role::Worker);
    eventually("the second is there", async || !metrics_of(&second).await.is_empty()).await;
    // Longer than a look apart: both have had their chance.
    let since = std::time::Instant::now();
    eventually("both have looked again", async || {
        let told = [&first, &second].map(metrics_of);
        let [first, second] = told;
        assert!(tells_the_queue(&first.await) && !tells_the_queue(&second.await));
        since.elapsed() > Duration::from_secs(12)
    })
    .await;
    let mut worker = app.processes.remove(&Role::Worker).unwrap();
    worker.terminate();
    assert_eq!(worker.exit_code().await, 0, "{}", worker.log());
    eventually("the second takes over", async || tells_the_queue(&metrics_of(&second).await)).await;
}

#[tokio::test]
async fn a_queue_that_is_not_there_yet_is_not_made_and_wrong_words_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let env = Environment::new();
    for (number, (arguments, code, expected)) in [
        (&["jobs", "list"][..], 1, "there is no database at"),
        (&["jobs", "retry", "1"][..], 1, "there is no database at"),
        (&["jobs", "list", "--status", "lost"][..], 2, "pending, scheduled, running, done, failed, cancelled"),
        (&["jobs", "retry"][..], 2, "<ID|--failed>"),
        (&["jobs", "retry", "1", "--failed"][..], 2, "cannot be used with"),
        (&["jobs"][..], 2, "list"),
        (&["jobs", "retry", "--help"][..], 0, "tca jobs retry --failed"),
    ]
    .into_iter()
    .enumerate()
    {
        let (ended, said) = Process::run(&format!("jobs{number}"), arguments, &env, folder.path()).await;
        assert_eq!(ended, code, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    assert!(!folder.path().join("data").exists(), "looking makes nothing");
}
