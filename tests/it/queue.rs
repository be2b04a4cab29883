//! The queue's own promises, without a product around it: who holds a job, who may end it, what becomes of orphans.

use chrono::Duration;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use tca::{
    clock::Clock,
    config::DatabaseSettings,
    db,
    job::{self, Claimed, Job, JobError, MAX_LOST_LEASES, NewJob, Priority},
};

use crate::support::{Backend, TestDatabase};

/// A queue in a database of its own.
pub struct Queue {
    pub db: DatabaseConnection,
    pub clock: Clock,
    _database: TestDatabase,
}

impl Queue {
    pub async fn new(backend: Backend) -> Self {
        let database = backend.database().await;
        let settings = DatabaseSettings { url: database.url.clone(), read_url: None, max_open: 5, max_idle: 2 };
        db::migrate(&settings).await.unwrap();
        Self { db: db::connect(&settings).await.unwrap(), clock: Clock::System, _database: database }
    }

    async fn add(&self, capture_id: i64, priority: Priority) {
        self.add_for(1, [capture_id], priority).await;
    }

    /// Enqueues jobs of one user in one transaction.
    pub async fn add_for(&self, user_id: i64, captures: impl IntoIterator<Item = i64>, priority: Priority) {
        let txn = db::begin(&self.db).await.unwrap();
        for capture_id in captures {
            let new = NewJob { job: Job::FetchChatters { capture_id }, priority, user_id, session_id: 1 };
            job::enqueue(&txn, new, self.clock.now()).await.unwrap();
        }
        txn.commit().await.unwrap();
    }

    pub async fn claim(&self, limit: u32) -> Vec<Claimed> {
        job::claim(&self.db, &self.clock, "a worker", limit).await.unwrap()
    }

    async fn claim_one(&self) -> Claimed {
        let mut claimed = self.claim(1).await;
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    /// Lets every lease run out, as if its worker had been silent for a minute.
    pub async fn age_leases(&self) {
        let past = self.clock.now() - Duration::minutes(1);
        let sql = "UPDATE jobs SET lease_until = ? WHERE status = 'running'";
        self.db.execute_raw(db::statement(&self.db, sql, [past.into()])).await.unwrap();
    }

    async fn rescue(&self) -> (usize, Vec<job::Parked>) {
        job::rescue(&self.db, &self.clock).await.unwrap()
    }

    pub async fn value<T: sea_orm::TryGetable>(&self, column: &str, capture_id: i64) -> T {
        let sql = format!("SELECT {column} AS v FROM jobs WHERE capture_id = ?");
        let row = self.db.query_one_raw(db::statement(&self.db, &sql, [capture_id.into()])).await.unwrap();
        row.unwrap().try_get("", "v").unwrap()
    }

    pub async fn status(&self, capture_id: i64) -> String {
        self.value("status", capture_id).await
    }
}

/// The captures that claimed jobs are for, in their order.
pub fn captures(claimed: &[Claimed]) -> Vec<i64> {
    claimed.iter().map(|claimed| claimed.job.capture_id()).collect()
}

on_each_backend! {
    async fn the_most_urgent_and_oldest_job_goes_first(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add(1, Priority::Enrichment).await;
        queue.add(2, Priority::Person).await;
        queue.add(3, Priority::Planned).await;
        queue.add(4, Priority::Person).await;
        assert_eq!(captures(&queue.claim(3).await), [2, 4, 3]);
        assert_eq!(captures(&queue.claim(3).await), [1]);
        assert!(queue.claim(3).await.is_empty());
    }

    async fn many_workers_never_hold_the_same_job(backend: Backend) {
        let queue = std::sync::Arc::new(Queue::new(backend).await);
        for capture_id in 1..=40 {
            queue.add(capture_id, Priority::Person).await;
        }
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let queue = queue.clone();
            workers.spawn(async move {
                let mut held = Vec::new();
                loop {
                    let claimed = queue.claim(3).await;
                    if claimed.is_empty() {
                        return held;
                    }
                    held.extend(captures(&claimed));
                }
            });
        }
        let mut held: Vec<i64> = workers.join_all().await.concat();
        held.sort_unstable();
        assert_eq!(held, (1..=40).collect::<Vec<_>>());
    }

    async fn who_lost_a_job_can_end_it_in_no_way(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add(1, Priority::Person).await;
        let lost = queue.claim_one().await;
        queue.age_leases().await;
        assert_eq!(queue.rescue().await.0, 1);
        let held = queue.claim_one().await;
        assert_eq!(held.attempt, 2);

        let (db, clock, now) = (&queue.db, &queue.clock, queue.clock.now());
        let second = Duration::seconds(1);
        let attempts = [
            job::hold(db, &lost.lease).await,
            job::keep(db, &lost.lease, clock).await,
            job::finish(db, &lost.lease, now).await,
            job::fail(db, &lost.lease, "kind", "message", now).await,
            job::retry(db, &lost.lease, clock, second, "kind", "message").await,
            job::snooze(db, &lost.lease, clock, second, "message").await,
            job::hand_back(db, &lost.lease).await,
        ];
        for attempt in attempts {
            assert!(matches!(attempt, Err(JobError::Gone)), "{attempt:?}");
        }
        assert_eq!(job::heartbeat(db, clock, &[lost.lease]).await.unwrap(), 0);
        assert_eq!(queue.status(1).await, "running");
        job::finish(db, &held.lease, now).await.unwrap();
        assert_eq!(queue.status(1).await, "done");
    }

    async fn a_heartbeat_keeps_what_is_worked_on_and_nothing_else(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add(1, Priority::Person).await;
        queue.add(2, Priority::Person).await;
        let claimed = queue.claim(2).await;
        queue.age_leases().await;
        assert_eq!(job::heartbeat(&queue.db, &queue.clock, &[claimed[0].lease.clone()]).await.unwrap(), 1);
        assert_eq!(queue.rescue().await.0, 1);
        assert_eq!((queue.status(1).await, queue.status(2).await), ("running".into(), "pending".into()));
    }

    async fn a_job_that_loses_three_workers_is_parked_and_says_why(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add(1, Priority::Person).await;
        for lost in 1..=MAX_LOST_LEASES {
            queue.claim_one().await;
            queue.age_leases().await;
            let (rescued, parked) = queue.rescue().await;
            assert_eq!((rescued, parked.len()), (1, usize::from(lost == MAX_LOST_LEASES)));
        }
        assert_eq!(queue.status(1).await, "failed");
        assert_eq!(queue.value::<String>("error_kind", 1).await, "killed_worker");
        assert!(queue.claim(1).await.is_empty());
    }

    async fn a_snooze_costs_no_attempt_and_a_retry_costs_one(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add(1, Priority::Person).await;
        let (db, clock) = (&queue.db, &queue.clock);
        let due = Duration::seconds(-1);
        let first = queue.claim_one().await;
        job::snooze(db, &first.lease, clock, due, "no budget").await.unwrap();
        assert_eq!(queue.status(1).await, "scheduled");
        assert!(queue.claim(1).await.is_empty(), "what is not due is not claimed");
        assert_eq!(job::move_due(db, clock).await.unwrap(), 1);
        let second = queue.claim_one().await;
        assert_eq!(second.attempt, 1);
        job::retry(db, &second.lease, clock, due, "kind", "message").await.unwrap();
        assert_eq!(job::move_due(db, clock).await.unwrap(), 1);
        let third = queue.claim_one().await;
        assert_eq!(third.attempt, 2);
        job::hand_back(db, &third.lease).await.unwrap();
        assert_eq!(queue.claim_one().await.attempt, 2);
    }

    async fn a_job_of_another_version_is_put_aside_and_stops_nobody(backend: Backend) {
        let queue = Queue::new(backend).await;
        let sql = "INSERT INTO jobs (type, payload, status, priority, turn, attempt, max_attempts, snoozes, lost_leases, \
                   capture_id, created_at) VALUES ('FETCH_THE_FUTURE', '{}', 'pending', 0, 0, 0, 3, 0, 0, 9, ?)";
        queue.db.execute_raw(db::statement(&queue.db, sql, [queue.clock.now().into()])).await.unwrap();
        queue.add(1, Priority::Person).await;
        assert_eq!(captures(&queue.claim(5).await), [1]);
        assert_eq!(queue.status(9).await, "scheduled");
        assert_eq!(queue.value::<i32>("attempt", 9).await, 0, "a newer version still has all its attempts");
    }

    async fn what_is_cancelled_is_nobodys_any_more(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add(1, Priority::Person).await;
        let held = queue.claim_one().await;
        assert_eq!(job::cancel_of_session(&queue.db, 1, queue.clock.now()).await.unwrap(), 1);
        let ended = job::finish(&queue.db, &held.lease, queue.clock.now()).await;
        assert!(matches!(ended, Err(JobError::Gone)), "{ended:?}");
        assert_eq!(queue.status(1).await, "cancelled");
    }

    async fn finished_jobs_are_kept_as_long_as_asked(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add(1, Priority::Person).await;
        queue.add(2, Priority::Person).await;
        let held = queue.claim_one().await;
        let now = queue.clock.now();
        job::finish(&queue.db, &held.lease, now).await.unwrap();
        assert_eq!(job::prune(&queue.db, now - Duration::seconds(1)).await.unwrap(), 0);
        assert_eq!(job::prune(&queue.db, now + Duration::seconds(1)).await.unwrap(), 1);
        assert_eq!(queue.status(2).await, "pending");
    }
}
