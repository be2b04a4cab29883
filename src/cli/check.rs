//! `tca check`: are the settings right, and does everything they name answer?
//!
//! Every part is asked at the same time and has [`PATIENCE`] to answer, so the command never hangs. Nothing is changed, and
//! nothing secret is printed.

mod database;
mod http;

use std::time::Duration;

use super::{Failure, print};
use crate::{
    config::{self, AppEnv, Inputs, Settings},
    roles::Role,
    store::Store,
};

/// How long one part may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks whether Redis is connected yet.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The widest finding that advice stands beside.
const WIDEST: usize = 60;

/// How well a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    /// It works, and something should be looked at.
    Warn,
    Fail,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    part: &'static str,
    state: State,
    text: String,
    /// What to do; empty where there is nothing.
    advice: String,
}

impl Finding {
    fn new(part: &'static str, state: State, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { part, state, text: one_line(finding.into()), advice: one_line(advice.into()) }
    }

    fn ok(part: &'static str, finding: impl Into<String>) -> Self {
        Self::new(part, State::Ok, finding, "")
    }

    fn warn(part: &'static str, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(part, State::Warn, finding, advice)
    }

    fn fail(part: &'static str, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(part, State::Fail, finding, advice)
    }
}

/// Prints a table of findings; fails when a part does.
pub async fn run(inputs: &Inputs) -> Result<(), Failure> {
    let settings = config::load(inputs)?;
    let findings = Box::pin(look(&settings)).await?;
    print(&table(&findings));
    if findings.iter().any(|finding| finding.state == State::Fail) { Err(Failure::Silent) } else { Ok(()) }
}

async fn look(settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    let client = http::client()?;
    let (database, redis, twitch, roles) = tokio::join!(
        Box::pin(database::look(&settings.database)),
        redis(settings),
        http::twitch(&client, settings),
        http::other_roles(&client, settings),
    );
    let mut findings = vec![settings_in_short(settings)];
    findings.extend(database);
    findings.push(redis);
    findings.extend(roles);
    findings.extend(twitch);
    Ok(findings)
}

fn settings_in_short(settings: &Settings) -> Finding {
    let env = match settings.env {
        AppEnv::Development => "development",
        AppEnv::Production => "production",
        AppEnv::Test => "test",
    };
    let roles: Vec<&str> = settings.roles.iter().map(Role::as_str).collect();
    Finding::ok("settings", format!("{env}; {}", roles.join(", ")))
}

async fn redis(settings: &Settings) -> Finding {
    const PART: &str = "redis";
    const ADVICE: &str = "look at REDIS_URL and whether Redis runs; work goes on without it, slower";
    let Some(url) = &settings.redis_url else { return Finding::ok(PART, "none: the store is in this process") };
    let store = match Store::open(Some(url)) {
        Ok(store) => store,
        Err(error) => return Finding::fail(PART, error.to_string(), "look at REDIS_URL"),
    };
    let mut last = String::new();
    let connected = tokio::time::timeout(PATIENCE, async {
        while let Err(error) = store.ping().await {
            last = error.to_string();
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    if connected.await.is_err() {
        return Finding::fail(PART, last, ADVICE);
    }
    // Whether an account may ask is Redis's affair; without an answer there is nothing to say.
    eviction(store.eviction_policy().await.ok().flatten().as_deref())
}

/// Everything in Redis may be lost, so it should make room by itself when it is full.
fn eviction(policy: Option<&str>) -> Finding {
    const PART: &str = "redis";
    match policy {
        None => Finding::ok(PART, "answers"),
        Some(policy) if policy.starts_with("allkeys-") => {
            Finding::ok(PART, format!("answers; maxmemory-policy {policy}"))
        }
        Some(policy) => Finding::warn(
            PART,
            format!("answers; maxmemory-policy {policy}"),
            "set maxmemory-policy allkeys-lru, so that a full Redis makes room instead of refusing",
        ),
    }
}

/// The findings as an aligned table, with a heading and a sum. Advice for a finding that is too long to stand beside it follows
/// on a line of its own.
fn table(findings: &[Finding]) -> String {
    let part = findings.iter().map(|finding| finding.part.len()).max().unwrap_or(0).max("part".len());
    let length = |finding: &Finding| finding.text.chars().count();
    let text = findings.iter().map(length).filter(|length| *length <= WIDEST).max().unwrap_or(0).max("finding".len());
    let mut table = format!("{:part$}  state  {:text$}  what to do\n", "part", "finding");
    let mut line = |name: &str, state: &str, finding: &str, advice: &str| {
        let line = format!("{name:part$}  {state:5}  {finding:text$}  {advice}");
        table.push_str(line.trim_end());
        table.push('\n');
    };
    for finding in findings {
        let (name, state) = (finding.part, finding.state.as_str());
        if length(finding) <= text {
            line(name, state, &finding.text, &finding.advice);
        } else {
            line(name, state, &finding.text, "");
            if !finding.advice.is_empty() {
                line("", "", "", &finding.advice);
            }
        }
    }
    table.push_str(&sum(findings));
    table
}

fn sum(findings: &[Finding]) -> String {
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    match (count(State::Fail), count(State::Warn)) {
        (0, 0) => "\nAll is well.\n".to_owned(),
        (0, warned) => format!("\nNothing failed; {warned} to look at.\n"),
        (failed, warned) => format!("\n{failed} failed, {warned} to look at.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned_and_ends_with_the_sum() {
        let findings = [
            Finding::ok("settings", "development; worker"),
            Finding::warn("schema", "2 migrations are pending", "run `tca migrate`"),
            Finding::fail("database", "connection\n  refused", "is it running?"),
        ];
        let expected = "\
part      state  finding                   what to do
settings  ok     development; worker
schema    warn   2 migrations are pending  run `tca migrate`
database  FAIL   connection refused        is it running?

1 failed, 1 to look at.
";
        assert_eq!(table(&findings), expected);
        let long = [Finding::fail("redis", "x".repeat(WIDEST + 1), "look at REDIS_URL")];
        let lines = table(&long);
        assert_eq!(lines.lines().nth(2).map(str::trim), Some("look at REDIS_URL"), "{lines}");
        assert!(table(&findings[..2]).ends_with("\nNothing failed; 1 to look at.\n"));
        assert!(table(&findings[..1]).ends_with("\nAll is well.\n"));
    }

    #[test]
    fn a_redis_that_refuses_when_full_is_worth_a_look() {
        assert_eq!(eviction(Some("allkeys-lru")).state, State::Ok);
        assert_eq!(eviction(None).state, State::Ok);
        assert_eq!(eviction(Some("noeviction")).state, State::Warn);
    }
}
