//! How full the queue is, told on `/metrics` by one worker of the fleet.
//!
//! The numbers are the queue's, not a worker's, so two workers that told them would count everything twice. A mark in the store
//! names the worker that tells; it renews the mark with every look, and others take over when the mark runs out. A worker that
//! loses its turn, cannot read the queue any more or stops tells nothing: the series vanish from its `/metrics` instead of
//! standing still or being 0. Without the store nobody can take over, so the one that told goes on and the others keep silent.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sea_orm::{DatabaseConnection, DbErr};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    job,
    store::{Area, Store},
    telemetry,
};

/// How often the queue is counted.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a turn, and what was told in it, is good for.
const TURN: Duration = Duration::from_secs(25);
/// The mark in the store that names the worker whose turn it is.
const MARK: &str = "queue-report";

/// The telling of one worker.
#[derive(Clone, Debug)]
pub struct QueueReport {
    pub db: DatabaseConnection,
    pub store: Store,
    pub clock: Clock,
    /// The worker's name.
    pub name: String,
}

impl QueueReport {
    /// Looks every few seconds until `halt`, then leaves the turn to another.
    pub async fn run(self, halt: CancellationToken) {
        let mut is_telling = false;
        while !halt.is_cancelled() {
            let begun = Instant::now();
            let is_turn = self.is_my_turn(is_telling).await;
            let told = is_turn && self.tell(begun + TURN).await.inspect_err(complain).is_ok();
            if is_telling && !told {
                telemetry::withdraw();
            }
            // Whose queue cannot be read keeps the turn until it runs out: another worker's cannot be read either.
            is_telling = is_turn;
            tokio::select! {
                () = halt.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        if is_telling {
            telemetry::withdraw();
            // What cannot be removed runs out.
            drop(self.store.delete_if_equals(Area::Queue, MARK, self.mark()).await);
        }
    }

    fn mark(&self) -> Bytes {
        Bytes::from(self.name.clone())
    }

    async fn is_my_turn(&self, was_mine: bool) -> bool {
        match self.store.set_if_absent(Area::Queue, MARK, self.mark(), TURN).await {
            Ok(true) => true,
            Ok(false) => match self.store.get(Area::Queue, MARK).await {
                Ok(Some(held)) if held == self.mark() => {
                    // A mark that is not renewed runs out, and is anybody's again.
                    drop(self.store.set(Area::Queue, MARK, self.mark(), TURN).await);
                    true
                }
                Ok(_) => false,
                Err(_) => was_mine,
            },
            Err(_) => was_mine,
        }
    }

    async fn tell(&self, until: Instant) -> Result<(), DbErr> {
        let counts = job::counts(&self.db).await?;
        let ages = job::oldest_pending_ages(&self.db, &self.clock).await?;
        telemetry::publish(until, || {
            metrics::describe_gauge!("tca_jobs", "Jobs in the queue of the whole fleet.");
            metrics::describe_gauge!(
                "tca_job_oldest_pending_age_seconds",
                "For how long the oldest pending job has been due; 0 where none is pending."
            );
            for ((kind, status), jobs) in counts {
                let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
                metrics::gauge!("tca_jobs", "kind" => kind, "status" => status).set(jobs);
            }
            for (kind, age) in ages {
                let age = age.to_std().unwrap_or_default().as_secs_f64();
                metrics::gauge!("tca_job_oldest_pending_age_seconds", "kind" => kind).set(age);
            }
        });
        Ok(())
    }
}

fn complain(error: &DbErr) {
    tracing::warn!(%error, "the queue could not be counted");
}
