//! How many empty jobs a second go through the queue, as a worker takes and ends them: up to N are claimed in one transaction,
//! then each is finished in a transaction of its own, N at once (a worker claims as many as it has free slots). There is no
//! finishing in groups, because each job's end belongs to the transaction of what the job wrote.
//!
//! `make bench`. SQLite always, in a temporary folder; MariaDB where `TCA_TEST_MARIADB_URL` is set.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measuring program")]

use std::time::Instant;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use tca::{
    clock::Clock,
    config::DatabaseSettings,
    db::{self, Tries},
    job::{self, Job, JobError, Lease, NewJob, Priority},
};
use tokio::task::JoinSet;

const JOBS: i64 = 1_000;
const USERS: i64 = 10;
const BATCHES: [u32; 3] = [1, 8, 50];

#[tokio::main]
async fn main() {
    #[expect(clippy::disallowed_methods, reason = "the test server's address is no setting of the program")]
    let server = std::env::var("TCA_TEST_MARIADB_URL");
    match server {
        Ok(server) => on_mariadb(&server).await,
        Err(_) => println!("MariaDB: not measured, TCA_TEST_MARIADB_URL is not set"),
    }
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("bench.db").display());
    measure("SQLite", &file).await;
}

async fn on_mariadb(server: &str) {
    let admin = Database::connect(server).await.unwrap();
    let name = format!("tca_bench_{}", uuid::Uuid::new_v4().simple());
    admin.execute_unprepared(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await.unwrap();
    measure("MariaDB", &format!("{server}/{name}")).await;
    admin.execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
}

async fn measure(engine: &str, url: &str) {
    let settings = DatabaseSettings { url: url.into(), read_url: None, max_open: 10, max_idle: 10 };
    db::migrate(&settings).await.unwrap();
    let db = db::connect(&settings).await.unwrap();
    for (round, batch) in (0..).zip(BATCHES) {
        let begun = Instant::now();
        enqueue(&db, round * JOBS).await;
        println!("{engine:8} enqueue, in one transaction: {:6.0} jobs/s", rate(begun));
        let begun = Instant::now();
        let mut done = 0;
        loop {
            let claimed = job::claim(&db, &Clock::System, "bench", batch).await.unwrap();
            if claimed.is_empty() {
                break;
            }
            let mut running = JoinSet::new();
            for claimed in claimed {
                running.spawn(finish(db.clone(), claimed.lease));
            }
            done += running.join_all().await.len();
        }
        assert_eq!(i64::try_from(done), Ok(JOBS));
        println!("{engine:8} claim up to {batch:2}, finish each: {:6.0} jobs/s", rate(begun));
    }
    db.close().await.unwrap();
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn rate(begun: Instant) -> f64 {
    JOBS as f64 / begun.elapsed().as_secs_f64()
}

async fn enqueue(db: &DatabaseConnection, from: i64) {
    let txn = db::begin(db).await.unwrap();
    for n in from..from + JOBS {
        let job = Job::FetchChatters { capture_id: n };
        let new = NewJob { job, priority: Priority::Person, user_id: n % USERS, session_id: 1 };
        job::enqueue(&txn, new, Clock::System.now()).await.unwrap();
    }
    txn.commit().await.unwrap();
}

async fn finish(db: DatabaseConnection, lease: Lease) {
    let mut tries = Tries::default();
    loop {
        let result: Result<(), JobError> = async {
            let txn = db::begin(&db).await?;
            let result = job::finish(&txn, &lease, Clock::System.now()).await;
            db::end(txn, result).await
        }
        .await;
        if !tries.once_more(&result).await {
            return result.unwrap();
        }
    }
}
