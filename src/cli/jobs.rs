//! `tca jobs`: lists the queue, runs failed jobs again, removes ended ones.
//!
//! Like `tca check` it writes no log lines: where those are JSON they would stand between the answers on stdout.

mod table;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use chrono::Duration as Span;
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use sea_orm::DatabaseConnection;

use super::{Failure, print};
use crate::{
    capture::{self, RetryError},
    clock::Clock,
    config::{DatabaseSettings, Settings},
    db::{self, SchemaState},
    job,
    store::Store,
    user,
};

/// How long Redis may take to be told; the workers look by themselves too.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two tries to tell it.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// What is to be done to the queue.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// Lists jobs, the newest first, and counts all of them.
    #[command(after_help = "Examples:\n  tca jobs list\n  tca jobs list --status failed --limit 20\n  tca jobs list \
        --status pending,running")]
    List(List),
    /// Puts a failed job, or all of them, back into the queue with all attempts; a failed capture runs again.
    #[command(after_help = "Examples:\n  tca jobs retry 42\n  tca jobs retry --failed\n\nA job is left out when its \
        session has ended or a capture of its channel is under way. What was cancelled is never retried.")]
    Retry(Retry),
    /// Removes jobs that ended (done, failed or cancelled) long ago; workers do it by themselves too.
    #[command(after_help = "Examples:\n  tca jobs prune\n  tca jobs prune --older-than 7")]
    Prune(Prune),
}

#[derive(Debug, Args)]
pub struct List {
    /// Only jobs with this status, or several with commas; may be repeated. Without it: all.
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',',
        value_parser = PossibleValuesParser::new(job::STATUSES))]
    statuses: Vec<String>,
    /// How many jobs are listed at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Retry {
    /// The number of the job, as `tca jobs list` shows it.
    #[arg(value_name = "ID")]
    id: Option<i64>,
    /// Every failed job.
    #[arg(long)]
    failed: bool,
}

#[derive(Debug, Args)]
pub struct Prune {
    /// Jobs that ended more than this many days ago. Without it: as long as the settings keep them (30 days by default).
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500))]
    older_than: Option<u32>,
}

/// Does it.
pub async fn run(settings: Settings, jobs: Jobs) -> Result<(), Failure> {
    let db = open(&settings.database).await?;
    let done = match jobs {
        Jobs::List(list) => show(&db, &list).await,
        Jobs::Retry(Retry { id: Some(id), .. }) => retry_one(&db, &settings, id).await,
        Jobs::Retry(_) => retry_failed(&db, &settings).await,
        Jobs::Prune(prune) => remove(&db, prune.older_than.unwrap_or(settings.limits.retention_days)).await,
    };
    let closed = db.close().await.context("cannot close the database");
    done?;
    Ok(closed?)
}

/// Opens the database where it is there and its schema is this program's; makes nothing.
async fn open(settings: &DatabaseSettings) -> anyhow::Result<DatabaseConnection> {
    if let Some(file) = settings.sqlite_file()
        && !file.exists()
    {
        return Err(anyhow!("there is no database at {} yet; `tca serve` makes it", file.display()));
    }
    let settings = DatabaseSettings { max_open: 1, max_idle: 0, ..settings.clone() };
    let db = db::connect(&settings).await.context("cannot prepare the database")?;
    match db::schema_state(&db).await.context("cannot read the schema of the database")? {
        SchemaState::Current => Ok(db),
        SchemaState::Pending(_) => Err(anyhow!("the schema is not up to date; run `tca migrate`")),
        SchemaState::GoSystem => Err(anyhow!("this database belongs to the Go system; its queue is not tca's")),
    }
}

async fn show(db: &DatabaseConnection, list: &List) -> anyhow::Result<()> {
    const FAILED: &str = "cannot read the queue";
    let jobs = job::list(db, &list.statuses, list.limit).await.context(FAILED)?;
    let counts = job::counts(db).await.context(FAILED)?;
    let captures: Vec<i64> = jobs.iter().filter_map(|job| job.capture_id).collect();
    let users: Vec<i64> = jobs.iter().filter_map(|job| job.user_id).collect();
    let channels = capture::channels_of(db, &captures).await.context(FAILED)?;
    let logins = user::logins(db, &users).await.context(FAILED)?;
    print(&table::table(&jobs, &channels, &logins));
    print(&table::sums(jobs.len(), &list.statuses, &counts));
    Ok(())
}

async fn retry_one(db: &DatabaseConnection, settings: &Settings, id: i64) -> anyhow::Result<()> {
    match capture::retry(db, id, Clock::System.now()).await {
        Ok(()) => {}
        Err(RetryError::Db(error)) => return Err(anyhow!(error).context(format!("cannot retry job {id}"))),
        Err(refused) => return Err(anyhow!("job {id} is not retried: {refused}")),
    }
    print(&format!("Job {id} is pending again.\n"));
    wake(settings).await;
    Ok(())
}

/// Retries the newest first, so that of several captures of one channel the latest one runs.
async fn retry_failed(db: &DatabaseConnection, settings: &Settings) -> anyhow::Result<()> {
    let ids = job::failed_ids(db).await.context("cannot read the queue")?;
    let (mut retried, mut left_out) = (0, Vec::new());
    let mut problem = None;
    for id in &ids {
        match capture::retry(db, *id, Clock::System.now()).await {
            Ok(()) => retried += 1,
            Err(RetryError::Db(error)) => {
                problem = Some(anyhow!(error).context(format!("cannot retry job {id}; stopped there")));
                break;
            }
            Err(refused) => left_out.push(format!("  job {id}: {refused}\n")),
        }
    }
    let pending = if retried == 1 { "is" } else { "are" };
    print(&format!("{retried} of {} failed jobs {pending} pending again", ids.len()));
    print(&match left_out.len() {
        0 => ".\n".to_owned(),
        count => format!("; {count} left out:\n{}", left_out.concat()),
    });
    if retried > 0 {
        wake(settings).await;
    }
    problem.map_or(Ok(()), Err)
}

async fn remove(db: &DatabaseConnection, days: u32) -> anyhow::Result<()> {
    let before = Clock::System.now() - Span::days(days.into());
    let removed = job::prune(db, before).await.context("cannot remove jobs")?;
    let (jobs, ago) = (if removed == 1 { "job" } else { "jobs" }, if days == 1 { "day" } else { "days" });
    print(&format!("Removed {removed} {jobs} that ended more than {days} {ago} ago.\n"));
    Ok(())
}

/// Tells the workers, where there is a Redis to tell them through. Whoever is not told looks by himself.
async fn wake(settings: &Settings) {
    let Some(url) = &settings.redis_url else { return };
    let told = tokio::time::timeout(PATIENCE, async {
        let store = Store::open(Some(url))?;
        while store.wake(job::TOPIC).await.is_err() {
            tokio::time::sleep(TRY_EVERY).await;
        }
        Ok::<_, crate::store::StoreError>(())
    });
    if !matches!(told.await, Ok(Ok(()))) {
        print("Redis does not answer: the workers find it at their next look (JOB_POLL_INTERVAL).\n");
    }
}
