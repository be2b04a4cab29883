//! Four workers over one queue while leases run out at random: nothing is lost, nothing is done twice.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use chrono::Duration;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tca::{
    db::{self, Tries},
    job::{self, Claimed, JobError, Priority},
};
use tokio::task::JoinSet;

use crate::queue::Queue;

const JOBS: i64 = 2_000;
const WORKERS: u64 = 4;

/// What the workers came to, all together.
#[derive(Debug, Default)]
struct Tally {
    finished: AtomicU64,
    refused: AtomicU64,
    rescued: AtomicU64,
    parked: AtomicU64,
}

struct Ring {
    queue: Queue,
    tally: Tally,
}

impl Ring {
    /// Finishes a job together with its effect; a worker whose lease is gone leaves none.
    async fn finish(&self, claimed: &Claimed) {
        let (db, id) = (&self.queue.db, claimed.lease.job_id);
        let mut tries = Tries::default();
        let result = loop {
            let result = match db::begin(db).await {
                Ok(txn) => {
                    let result = async {
                        job::finish(&txn, &claimed.lease, self.queue.clock.now()).await?;
                        db::execute(&txn, "INSERT INTO effects (job_id) VALUES (?)", [id.into()]).await?;
                        Ok(())
                    };
                    let result = result.await;
                    db::end(txn, result).await
                }
                Err(error) => Err(JobError::from(error)),
            };
            if !tries.once_more(&result).await {
                break result;
            }
        };
        match result {
            Ok(()) => self.tally.finished.fetch_add(1, Ordering::Relaxed),
            Err(JobError::Gone) => self.tally.refused.fetch_add(1, Ordering::Relaxed),
            Err(error) => panic!("job {id}: {error}"),
        };
    }

    async fn sweep(&self) {
        job::move_due(&self.queue.db, &self.queue.clock).await.unwrap();
        let mut tries = Tries::default();
        let (rescued, parked) = loop {
            let txn = db::begin(&self.queue.db).await.unwrap();
            let result = job::rescue(&txn, &self.queue.clock).await;
            let result = db::end(txn, result).await;
            if !tries.once_more(&result).await {
                break result.unwrap();
            }
        };
        self.tally.rescued.fetch_add(rescued as u64, Ordering::Relaxed);
        self.tally.parked.fetch_add(parked.len() as u64, Ordering::Relaxed);
    }

    /// Lets some leases run out, as if their workers had been silent, and the rest keep theirs.
    async fn age_some(&self, rng: &mut StdRng) {
        let sql = "UPDATE jobs SET lease_until = ? WHERE id = ? AND status = 'running'";
        let past = self.queue.clock.now() - Duration::minutes(1);
        let running = db::query(&self.queue.db, "SELECT id FROM jobs WHERE status = 'running'", []).await.unwrap();
        for row in running {
            if rng.random_bool(0.3) {
                let id: i64 = row.try_get("", "id").unwrap();
                let mut tries = Tries::default();
                loop {
                    let result = db::execute(&self.queue.db, sql, [past.into(), id.into()]).await;
                    if !tries.once_more(&result).await {
                        result.unwrap();
                        break;
                    }
                }
            }
        }
    }

    async fn alive(&self) -> bool {
        let sql = "SELECT id FROM jobs WHERE status IN ('pending', 'scheduled', 'running') LIMIT 1";
        !db::query(&self.queue.db, sql, []).await.unwrap().is_empty()
    }

    /// A worker that sometimes dies with its jobs, sometimes sleeps over them and sometimes puts them off.
    async fn work(self: Arc<Self>, mut rng: StdRng) {
        loop {
            let claimed = self.queue.claim(rng.random_range(1..=16)).await;
            if claimed.is_empty() && !self.alive().await {
                return;
            }
            if rng.random_bool(0.15) || claimed.is_empty() {
                self.age_some(&mut rng).await;
                self.sweep().await;
            }
            for job in claimed {
                match rng.random_range(0..100) {
                    0..3 => {}
                    3..6 => {
                        let (queue, lease) = (&self.queue, &job.lease);
                        let due = Duration::milliseconds(-1);
                        match job::snooze(&queue.db, lease, &queue.clock, due, "later").await {
                            // What cannot be put off now comes back when its lease has run out.
                            Ok(()) | Err(JobError::Gone | JobError::Db(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    _ => self.finish(&job).await,
                }
            }
        }
    }

    async fn count(&self, sql: &str) -> u64 {
        let rows = db::query(&self.queue.db, sql, []).await.unwrap();
        u64::try_from(rows[0].try_get_by_index::<i64>(0).unwrap()).unwrap()
    }
}

on_each_backend! {
    async fn workers_that_vanish_lose_nothing_and_do_nothing_twice(backend: Backend) {
        let seed: u64 = rand::rng().random();
        eprintln!("seed {seed}");
        let begun = std::time::Instant::now();
        let queue = Queue::new(backend).await;
        db::execute(&queue.db, "CREATE TABLE effects (job_id BIGINT NOT NULL PRIMARY KEY)", []).await.unwrap();
        for user in 0..4 {
            queue.add_for(user, (user * JOBS / 4 + 1)..=((user + 1) * JOBS / 4), Priority::Person).await;
        }
        let enqueued = begun.elapsed();
        let ring = Arc::new(Ring { queue, tally: Tally::default() });
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            workers.spawn(ring.clone().work(StdRng::seed_from_u64(seed.wrapping_add(worker))));
        }
        while let Some(ended) = workers.join_next().await {
            ended.unwrap();
        }
        eprintln!("{JOBS} jobs: enqueued in {enqueued:?}, all in {:?}, {:?}", begun.elapsed(), ring.tally);
        let done = ring.count("SELECT COUNT(*) FROM jobs WHERE status = 'done'").await;
        let failed = ring.count("SELECT COUNT(*) FROM jobs WHERE status = 'failed' AND error_kind = 'killed_worker'").await;
        assert_eq!(done + failed, u64::try_from(JOBS).unwrap(), "every job came to an end");
        assert_eq!(failed, ring.tally.parked.load(Ordering::Relaxed), "a parked job is reported once");
        assert_eq!(done, ring.tally.finished.load(Ordering::Relaxed), "a job is finished once");
        assert_eq!(ring.count("SELECT COUNT(*) FROM effects").await, done);
        let matching = "SELECT COUNT(*) FROM effects e JOIN jobs j ON j.id = e.job_id WHERE j.status = 'done'";
        assert_eq!(ring.count(matching).await, done, "only what was finished has an effect");
        assert!(ring.tally.rescued.load(Ordering::Relaxed) > 0 && done > 0);
    }
}
