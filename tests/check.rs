//! `tca check` as an operator runs it: what it prints, and its exit code.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::net::TcpListener;

use tca::simulator::{self, Options, World};
use tokio::{process::Command, task::JoinSet};
use tokio_util::sync::CancellationToken;

const SECRET: &str = "a-secret-that-nobody-may-ever-read";

/// Exit code and output of `tca check` with these settings and no others.
async fn check(arguments: &[&str], settings: &[(&str, &str)]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tca"));
    command.arg("check").args(arguments).env_clear().envs(settings.iter().copied()).current_dir(folder.path());
    let output = command.kill_on_drop(true).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains(SECRET), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "checking makes nothing");
    (output.status.code().unwrap(), text)
}

/// A line of the table.
fn line<'a>(text: &'a str, part: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(part)).unwrap_or_else(|| panic!("no line about {part}:\n{text}"))
}

/// A port that nobody listens on.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn all_is_well_where_everything_answers_and_a_wrong_secret_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(simulator::run(World::new(Options::default()), listener, stop.clone()));
    let (helix, auth) = (format!("http://{address}/helix"), format!("http://{address}/oauth2"));
    let settings = |secret| {
        let urls = [("TWITCH_HELIX_URL", helix.as_str()), ("TWITCH_AUTH_URL", auth.as_str())];
        [urls[0], urls[1], ("TWITCH_CLIENT_ID", "demo"), ("TWITCH_CLIENT_SECRET", secret)]
    };
    let (code, text) = check(&[], &settings("demo-secret")).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.ends_with("All is well.\n"), "{text}");
    assert!(line(&text, "twitch app").contains("demo is known to Twitch"), "{text}");

    let (code, text) = check(&[], &settings(SECRET)).await;
    assert_eq!(code, 1, "{text}");
    assert!(line(&text, "twitch app").contains("FAIL"), "{text}");
    assert!(line(&text, "twitch app").contains("invalid client secret"), "{text}");

    // A process without the twitch-proxy role asks that role, and shows the secret to nobody.
    let elsewhere = format!("http://127.0.0.1:{}", closed_port());
    let mut settings = settings(SECRET).to_vec();
    settings.extend([("TWITCH_API_BASE_URL", elsewhere.as_str()), ("ANALYSIS_BASE_URL", elsewhere.as_str())]);
    let (code, text) = check(&["--role", "gateway"], &settings).await;
    assert_eq!(code, 1, "{text}");
    assert!(line(&text, "twitch-proxy").contains("FAIL") && line(&text, "analysis").contains("FAIL"), "{text}");
    assert!(!text.contains("twitch app"), "{text}");
    stop.cancel();
    while tasks.join_next().await.is_some() {}
}

#[tokio::test]
async fn every_server_that_is_away_is_named() {
    let port = closed_port();
    let database = format!("mysql://tca:{SECRET}@127.0.0.1:{port}/tca");
    let (redis, twitch) = (format!("redis://:{SECRET}@127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let settings = [
        ("APP_SESSION_SECRET", SECRET),
        ("DATABASE_URL", database.as_str()),
        ("REDIS_URL", redis.as_str()),
        ("TWITCH_HELIX_URL", twitch.as_str()),
        ("TWITCH_AUTH_URL", twitch.as_str()),
    ];
    let (code, text) = check(&[], &settings).await;
    assert_eq!(code, 1, "{text}");
    for part in ["database", "redis", "twitch sign-in", "twitch api"] {
        assert!(line(&text, part).contains("FAIL"), "{text}");
    }
    assert!(line(&text, "database").contains("refused"), "{text}");
    assert!(line(&text, "twitch app").contains("warn"), "{text}");
}

#[tokio::test]
async fn wrong_settings_are_all_listed() {
    let (code, text) = check(&[], &[("GATEWAY_PORT", "many"), ("BIND_ADDR", "here")]).await;
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("GATEWAY_PORT") && text.contains("BIND_ADDR"), "{text}");
}
