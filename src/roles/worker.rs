//! The worker role: claims jobs, runs them, settles them, hands back what it cannot finish before a stop.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Duration as Span, Utc};
use futures_util::FutureExt;
use rand::Rng;
use sea_orm::{DatabaseTransaction, DbErr};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

mod housekeeping;
mod queue_report;

use self::{housekeeping::Housekeeping, queue_report::QueueReport};
use super::readiness::Readiness;
use crate::{
    capture::{self, enrich, fetch},
    config::Settings,
    db,
    job::{self, Claimed, Job, JobError, Lease},
    login, session,
    store::Store,
};

/// A settlement is tried this often before the job is left to its lease.
const SETTLE_TRIES: u32 = 5;
/// How often due, orphaned and expired things are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// What is kept of the grace for handing jobs back and closing connections.
const RESERVE: Duration = Duration::from_secs(2);

/// One worker.
#[derive(Clone, Debug)]
pub struct Worker {
    context: fetch::Context,
    store: Store,
    readiness: Arc<Readiness>,
    concurrency: usize,
    poll_interval: Duration,
    shutdown_grace: Duration,
    /// How long ended things are kept.
    retention: Span,
    /// Distinguishes this worker's leases from those of all others.
    name: String,
    /// The jobs that this worker keeps alive.
    active: Arc<Mutex<HashSet<Lease>>>,
}

impl Worker {
    pub fn new(context: fetch::Context, store: Store, readiness: Arc<Readiness>, settings: &Settings) -> Self {
        Self {
            context,
            store,
            readiness,
            concurrency: usize::try_from(settings.worker.concurrency).unwrap_or(1),
            poll_interval: settings.worker.poll_interval,
            shutdown_grace: settings.shutdown_grace,
            retention: Span::days(settings.limits.retention_days.into()),
            name: format!("worker-{}", Uuid::new_v4().simple()),
            active: Arc::default(),
        }
    }

    /// Works until `stop`, then finishes or hands back what is running.
    pub async fn run(self, stop: CancellationToken) {
        self.readiness.wait_for_schema().await;
        let halt = CancellationToken::new();
        let mut helpers = JoinSet::new();
        helpers.spawn(self.clone().keep_leases(halt.clone()));
        helpers.spawn(self.clone().sweep(halt.clone()));
        helpers.spawn(self.housekeeping().run(halt.clone()));
        helpers.spawn(self.queue_report().run(halt.clone()));
        let mut jobs = JoinSet::new();
        self.claim_until(&stop, &mut jobs).await;
        self.drain(&mut jobs).await;
        halt.cancel();
        while helpers.join_next().await.is_some() {}
    }

    fn housekeeping(&self) -> Housekeeping {
        let fetch::Context { db, clock, twitch, .. } = self.context.clone();
        Housekeeping { db, clock, twitch, store: self.store.clone(), retention: self.retention }
    }

    fn queue_report(&self) -> QueueReport {
        let fetch::Context { db, clock, .. } = self.context.clone();
        QueueReport { db, clock, store: self.store.clone(), name: self.name.clone() }
    }

    async fn claim_until(&self, stop: &CancellationToken, jobs: &mut JoinSet<()>) {
        // Listening comes before looking, so that a hint given meanwhile is not missed.
        let mut hints = self.store.listen(job::TOPIC);
        while !stop.is_cancelled() {
            while jobs.try_join_next().is_some() {}
            let free = self.concurrency.saturating_sub(jobs.len());
            let claimed = if free == 0 { 0 } else { self.claim(free, jobs).await };
            // A full batch means that more is waiting.
            if claimed > 0 && claimed == free {
                continue;
            }
            let pause = self.poll_interval.mul_f64(rand::rng().random_range(0.75..=1.0));
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = jobs.join_next() => {}
                _ = hints.recv(), if free > 0 => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn claim(&self, free: usize, jobs: &mut JoinSet<()>) -> usize {
        let limit = u32::try_from(free).unwrap_or(1);
        match job::claim(&self.context.db, &self.context.clock, &self.name, limit).await {
            Ok(claimed) => {
                let ids: Vec<i64> = claimed.iter().map(|job| job.lease.job_id).collect();
                for job in claimed {
                    self.active().insert(job.lease.clone());
                    jobs.spawn(self.clone().work(job));
                }
                self.note_waits(&ids).await;
                ids.len()
            }
            Err(error) => {
                tracing::warn!(%error, "the queue cannot be read; trying again");
                0
            }
        }
    }

    /// Measures how long what was just claimed had waited.
    async fn note_waits(&self, ids: &[i64]) {
        if ids.is_empty() {
            return;
        }
        match job::first_waits(&self.context.db, ids).await {
            Ok(waits) => {
                for (kind, wait) in waits {
                    let wait = wait.to_std().unwrap_or_default().as_secs_f64();
                    metrics::histogram!("tca_job_wait_seconds", "kind" => kind).record(wait);
                }
            }
            Err(error) => tracing::debug!(%error, "how long jobs waited is not known"),
        }
    }

    fn active(&self) -> MutexGuard<'_, HashSet<Lease>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self, claimed: Claimed) {
        let begun = Instant::now();
        let kind = claimed.job.type_name();
        let run = async {
            match claimed.job {
                Job::FetchChatters { capture_id } => fetch::fetch(&self.context, &claimed.lease, capture_id).await,
                Job::FetchUsersInfo { capture_id } => enrich::enrich(&self.context, &claimed.lease, capture_id).await,
            }
        };
        let result = AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|_panic| {
            Err(JobError::Retry { kind: "panic", message: "the job stopped with a fault of this program".to_owned() })
        });
        let outcome = outcome_word(&result);
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let reason = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        tracing::info!(job.id = claimed.lease.job_id, outcome, reason, duration_ms, "{kind} in {duration_ms}ms");
        metrics::counter!("tca_jobs_finished_total", "kind" => kind, "outcome" => outcome).increment(1);
        metrics::histogram!("tca_job_run_seconds", "kind" => kind).record(begun.elapsed().as_secs_f64());
        self.settle(&claimed, result).await;
        self.active().remove(&claimed.lease);
        self.after(&claimed).await;
    }

    /// Writes down how the job ended. What cannot be written after a few tries is left to the lease.
    async fn settle(&self, claimed: &Claimed, result: Result<(), JobError>) {
        let Err(error) = result else { return };
        for attempt in 0..SETTLE_TRIES {
            match self.try_settle(claimed, &error).await {
                Ok(()) | Err(JobError::Gone) => return,
                Err(problem) => {
                    tracing::warn!(job.id = claimed.lease.job_id, error = %problem, "the end of a job is not stored yet");
                    tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
                }
            }
        }
    }

    async fn try_settle(&self, claimed: &Claimed, error: &JobError) -> Result<(), JobError> {
        let (db, clock, lease) = (&self.context.db, &self.context.clock, &claimed.lease);
        match error {
            JobError::Gone => Ok(()),
            JobError::HandBack => job::hand_back(db, lease).await,
            JobError::Snooze { after, message } => {
                let after = Span::from_std(*after).unwrap_or(Span::seconds(60));
                job::snooze(db, lease, clock, after, message).await
            }
            JobError::Fail { kind, message } => self.give_up(claimed, kind, message).await,
            JobError::Retry { kind, message } => self.retry(claimed, kind, message).await,
            JobError::Db(error) => self.retry(claimed, "database", &error.to_string()).await,
        }
    }

    async fn retry(&self, claimed: &Claimed, kind: &str, message: &str) -> Result<(), JobError> {
        if claimed.attempt >= claimed.max_attempts {
            return self.give_up(claimed, kind, message).await;
        }
        let after = job::retry_delay(claimed.attempt, &mut rand::rng());
        job::retry(&self.context.db, &claimed.lease, &self.context.clock, after, kind, message).await
    }

    /// The job, and the capture it was for, fail together.
    async fn give_up(&self, claimed: &Claimed, kind: &str, message: &str) -> Result<(), JobError> {
        db::write_txn!(&self.context.db, |txn| {
            let now = self.context.clock.now();
            fail_capture_of(txn, &claimed.job, kind, message, now).await?;
            job::fail(txn, &claimed.lease, kind, message, now).await
        })
    }

    /// What follows a job that is no longer running: a hint for its follow-up, and the token of a user who has gone.
    async fn after(&self, claimed: &Claimed) {
        // Whoever misses the hint finds the job by polling.
        drop(self.store.wake(job::TOPIC).await);
        let (Job::FetchChatters { .. }, Some(user_id)) = (&claimed.job, claimed.user_id) else { return };
        let fetch::Context { db, twitch, clock, .. } = &self.context;
        if let Err(error) = login::release_unused_token(db, twitch, user_id, clock.now()).await {
            tracing::warn!(%error, "an unused token could not be revoked");
        }
    }

    /// Lets running jobs finish, then hands back what is left.
    async fn drain(&self, jobs: &mut JoinSet<()>) {
        let patience = self.shutdown_grace.saturating_sub(RESERVE);
        if tokio::time::timeout(patience, join_all(jobs)).await.is_ok() {
            return;
        }
        tracing::info!("handing unfinished jobs back");
        self.context.hand_back.cancel();
        // What does not end now comes back when its lease runs out.
        if tokio::time::timeout(RESERVE, join_all(jobs)).await.is_err() {
            jobs.abort_all();
        }
    }

    async fn keep_leases(self, halt: CancellationToken) {
        while !halt.is_cancelled() {
            tokio::select! {
                () = halt.cancelled() => return,
                () = tokio::time::sleep(job::HEARTBEAT) => {}
            }
            let leases: Vec<Lease> = self.active().iter().cloned().collect();
            if leases.is_empty() {
                continue;
            }
            if let Err(error) = job::heartbeat(&self.context.db, &self.context.clock, &leases).await {
                tracing::warn!(%error, "leases could not be extended");
            }
        }
    }

    async fn sweep(self, halt: CancellationToken) {
        while !halt.is_cancelled() {
            if let Err(error) = self.sweep_once().await {
                tracing::warn!(%error, "the queue could not be tidied");
            }
            let pause = SWEEP_EVERY.mul_f64(rand::rng().random_range(0.75..=1.0));
            tokio::select! {
                () = halt.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn sweep_once(&self) -> Result<(), DbErr> {
        let fetch::Context { db, clock, .. } = &self.context;
        let moved = job::move_due(db, clock).await?;
        let rescued = db::write_txn!(db, |txn| {
            let (rescued, parked) = job::rescue(txn, clock).await?;
            for job in parked {
                fail_capture_of(txn, &job.job, "killed_worker", &job.message, clock.now()).await?;
            }
            Ok::<_, DbErr>(rescued)
        })?;
        if rescued > 0 {
            tracing::warn!(rescued, "jobs of a worker that vanished go on");
            metrics::counter!("tca_job_rescues_total").increment(rescued as u64);
        }
        if moved > 0 || rescued > 0 {
            drop(self.store.wake(job::TOPIC).await);
        }
        session::expire_due(db, clock.now()).await?;
        Ok(())
    }
}

async fn join_all(jobs: &mut JoinSet<()>) {
    while jobs.join_next().await.is_some() {}
}

/// A capture fails with its job; profiles that could not be read do not undo the capture.
async fn fail_capture_of(
    txn: &DatabaseTransaction,
    job: &Job,
    kind: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    match job {
        Job::FetchChatters { capture_id } => capture::fail(txn, *capture_id, kind, message, now).await,
        Job::FetchUsersInfo { .. } => Ok(()),
    }
}

fn outcome_word(result: &Result<(), JobError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(JobError::Retry { .. } | JobError::Db(_)) => "retry",
        Err(JobError::Fail { .. }) => "failed",
        Err(JobError::Snooze { .. }) => "snooze",
        Err(JobError::HandBack) => "handed_back",
        Err(JobError::Gone) => "lost_lease",
    }
}
