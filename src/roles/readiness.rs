//! Whether this process can serve: its database and schema decide, the store and Twitch only degrade it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    db::{self, SchemaState},
    store::Store,
    twitch::TwitchClient,
};

/// How long a report is good; keeps probes from being load.
const REPORT_LIFETIME: Duration = Duration::from_secs(1);
/// How long a look at Twitch is good.
const TWITCH_LIFETIME: Duration = Duration::from_secs(15);
/// How often the schema is looked at until it fits.
const SCHEMA_LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long one part may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What this process depends on, and how it is doing.
#[derive(Debug)]
pub struct Readiness {
    db: DatabaseConnection,
    store: Store,
    twitch: TwitchClient,
    /// Set when the process has begun to stop.
    draining: CancellationToken,
    schema_current: AtomicBool,
    ready_once: AtomicBool,
    last_report: Mutex<Option<(Instant, Report)>>,
    last_twitch: Mutex<Option<(Instant, Option<String>)>>,
}

/// The answer of `/readyz`.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether requests can be served now.
    pub ready: bool,
    /// The parts.
    pub body: Value,
}

impl Readiness {
    pub fn new(db: DatabaseConnection, store: Store, twitch: TwitchClient, draining: CancellationToken) -> Self {
        Self {
            db,
            store,
            twitch,
            draining,
            schema_current: AtomicBool::new(false),
            ready_once: AtomicBool::new(false),
            last_report: Mutex::new(None),
            last_twitch: Mutex::new(None),
        }
    }

    /// Whether a report said "ready" since the process started.
    pub fn was_ready_once(&self) -> bool {
        self.ready_once.load(Ordering::Relaxed)
    }

    /// The state of all parts, at most a second old; a stop shows at once.
    pub async fn report(&self) -> Report {
        let mut last = self.last_report.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < REPORT_LIFETIME
            && !(report.ready && self.draining.is_cancelled())
        {
            return report.clone();
        }
        let report = self.look().await;
        if report.ready {
            self.ready_once.store(true, Ordering::Relaxed);
        }
        *last = Some((Instant::now(), report.clone()));
        report
    }

    async fn look(&self) -> Report {
        let database = match tokio::time::timeout(PROBE_TIMEOUT, self.db.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        let schema = match &database {
            None => self.schema_problem().await,
            Some(_) => Some("unknown without the database".to_owned()),
        };
        let store = self.store.ping().await.err().map(|error| error.to_string());
        let twitch = self.twitch_problem().await;
        let draining = self.draining.is_cancelled();
        let ready = database.is_none() && schema.is_none() && !draining;
        let status = match (ready, store.is_some() || twitch.is_some()) {
            (false, _) => "unavailable",
            (true, true) => "degraded",
            (true, false) => "ok",
        };
        let body = json!({
            "status": status,
            "parts": {
                "database": part(database, "unavailable"),
                "schema": part(schema, "unavailable"),
                "redis": part(store, "degraded"),
                "twitch": part(twitch, "degraded"),
                "draining": { "status": if draining { "unavailable" } else { "ok" } },
            },
        });
        Report { ready, body }
    }

    /// What is wrong with the schema. Once it was current it stays so: migrations only go forward.
    async fn schema_problem(&self) -> Option<String> {
        if self.schema_current.load(Ordering::Relaxed) {
            return None;
        }
        match db::schema_state(&self.db).await {
            Ok(SchemaState::Current) => {
                self.schema_current.store(true, Ordering::Relaxed);
                None
            }
            Ok(SchemaState::Pending(pending)) => {
                Some(format!("{} migrations are pending: run `tca migrate`", pending.len()))
            }
            Ok(SchemaState::GoSystem) => {
                Some("the tables are those of the Go system: use a new database, then `tca import-go`".to_owned())
            }
            Err(error) => Some(error.to_string()),
        }
    }

    async fn twitch_problem(&self) -> Option<String> {
        let mut last = self.last_twitch.lock().await;
        if let Some((at, problem)) = &*last
            && at.elapsed() < TWITCH_LIFETIME
        {
            return problem.clone();
        }
        let problem = match tokio::time::timeout(PROBE_TIMEOUT, self.twitch.ping()).await {
            Ok(result) => result.err().map(|error| error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        *last = Some((Instant::now(), problem.clone()));
        problem
    }

    /// Waits until the schema is this program's, or the process stops.
    pub async fn wait_for_schema(&self) {
        while !self.draining.is_cancelled() {
            if self.schema_problem().await.is_none() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(SCHEMA_LOOK_EVERY) => {}
                () = self.draining.cancelled() => {}
            }
        }
    }

    /// As [`Self::wait_for_schema`], and tells the log what it waits for; for one task of the process.
    pub async fn wait_for_schema_aloud(&self) {
        let mut said = None;
        while !self.draining.is_cancelled() {
            let Some(problem) = self.schema_problem().await else { return };
            if said.as_ref() != Some(&problem) {
                tracing::warn!(%problem, "waiting for the database");
                said = Some(problem);
            }
            tokio::select! {
                () = tokio::time::sleep(SCHEMA_LOOK_EVERY) => {}
                () = self.draining.cancelled() => {}
            }
        }
    }
}

fn part(problem: Option<String>, word: &str) -> Value {
    match problem {
        None => json!({ "status": "ok" }),
        Some(detail) => json!({ "status": word, "detail": detail }),
    }
}
