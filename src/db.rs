//! The database: connections to MariaDB or SQLite, transactions that survive contention, the schema's state.
//!
//! Both engines run the same statements. What differs between them is decided here: isolation and time zone of a MariaDB
//! connection, journal and write lock of SQLite, who may migrate, whose clock counts for leases.

use std::{
    fs::{DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    time::Duration,
};

use chrono::{DateTime, Utc};
use migration::{MigrationStatus, Migrator, MigratorTrait};
use rand::Rng;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    IsolationLevel, QueryResult, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    Value,
    sqlx::{Executor as _, mysql::MySqlDatabaseError},
};
use secrecy::ExposeSecret;

use crate::{clock::Clock, config::DatabaseSettings};

/// How long a statement waits for a free connection before the caller is told that the database is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A transaction that lost to another one is run again this often.
const MAX_TRIES: u32 = 8;
/// Most rows of one INSERT; SQLite takes 32,766 bound values a statement.
pub const ROWS_PER_INSERT: usize = 1_000;

/// Opens the pool without waiting for the server: the first statement connects.
pub async fn connect(settings: &DatabaseSettings) -> Result<DatabaseConnection, DbErr> {
    let url = settings.url.expose_secret();
    if let Some(file) = settings.sqlite_file()
        && let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty())
    {
        // What stands in it is nobody else's business on this machine.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| DbErr::Custom(format!("cannot make the folder {}: {error}", folder.display())))?;
    }
    let mut options = ConnectOptions::new(url.replacen("mariadb://", "mysql://", 1));
    options
        .max_connections(settings.max_open)
        .min_connections(if settings.sqlite_file().is_some() { 1 } else { settings.max_idle.min(settings.max_open) })
        .idle_timeout(Duration::from_mins(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy(true)
        .sqlx_logging(false);
    options.map_sqlx_mysql_opts(|options| {
        // Without READ COMMITTED, a claim's gap locks stop producers. The zone keeps every stored instant in UTC.
        options.timezone(Some("+00:00".to_owned())).charset("utf8mb4").collation("utf8mb4_bin")
    });
    // sea-orm's own `after_connect` runs once for the whole pool, and at once: a server that is away would end the program.
    options.map_sqlx_mysql_pool_opts(|pool| {
        pool.after_connect(|connection, _| {
            Box::pin(async move {
                let sql = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
                connection.execute(sql).await.map(drop)
            })
        })
    });
    options.map_sqlx_sqlite_opts(|options| {
        options
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(ACQUIRE_TIMEOUT)
            .journal_mode(sea_orm::sqlx::sqlite::SqliteJournalMode::Wal)
            .synchronous(sea_orm::sqlx::sqlite::SqliteSynchronous::Full)
    });
    Database::connect(options).await
}

/// Runs a block in one write transaction and commits it; runs the whole of it again after a deadlock, a lock time-out or a
/// changed snapshot. The block must therefore have no effect outside the transaction. `?` and `return` leave the block only.
///
/// A macro, because the future of an async closure that borrows cannot be shown to be `Send` (rust-lang/rust#100013), and
/// jobs are spawned.
macro_rules! write_txn {
    ($db:expr, |$txn:ident| $body:expr) => {{
        let mut tries = $crate::db::Tries::default();
        loop {
            let result = match $crate::db::begin($db).await {
                Ok(owned) => {
                    let $txn = &owned;
                    let result = async { $body }.await;
                    $crate::db::end(owned, result).await
                }
                Err(error) => Err(error.into()),
            };
            if !tries.once_more(&result).await {
                break result;
            }
        }
    }};
}
pub(crate) use write_txn;

/// Counts the runs of one [`write_txn`].
#[derive(Debug, Default)]
pub struct Tries(u32);

impl Tries {
    /// Whether to run the transaction again; waits a moment if so.
    pub async fn once_more<T, E: AsDbErr>(&mut self, result: &Result<T, E>) -> bool {
        self.0 += 1;
        let contention = matches!(result, Err(error) if error.as_db_err().is_some_and(is_contention));
        if !contention || self.0 >= MAX_TRIES {
            return false;
        }
        metrics::counter!("tca_db_tx_retries_total").increment(1);
        let pause = rand::rng().random_range(1..=10u64 << self.0.min(6));
        tokio::time::sleep(Duration::from_millis(pause)).await;
        true
    }
}

/// Begins a write transaction: READ COMMITTED on MariaDB; on SQLite the write lock is taken at once, because taking it later
/// fails on a stale snapshot where waiting would have done.
pub async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = if db.get_database_backend() == DbBackend::Sqlite {
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() }
    } else {
        TransactionOptions { isolation_level: Some(IsolationLevel::ReadCommitted), ..Default::default() }
    };
    db.begin_with_options(options).await
}

/// Commits where `result` is fine, else rolls back and hands the error on.
pub async fn end<T, E: From<DbErr>>(txn: DatabaseTransaction, result: Result<T, E>) -> Result<T, E> {
    match result {
        Ok(value) => {
            txn.commit().await?;
            Ok(value)
        }
        Err(error) => {
            // The cause is what the caller must see; a failed rollback ends with the connection.
            drop(txn.rollback().await);
            Err(error)
        }
    }
}

/// Gives [`write_txn`] sight of the database error inside a module's own error.
pub trait AsDbErr {
    /// The database error, where that is what failed.
    fn as_db_err(&self) -> Option<&DbErr>;
}

impl AsDbErr for DbErr {
    fn as_db_err(&self) -> Option<&DbErr> {
        Some(self)
    }
}

/// Whether another transaction was in the way, so that trying again may succeed.
fn is_contention(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    let Some(error) = error.as_database_error() else { return false };
    match error.try_downcast_ref::<MySqlDatabaseError>() {
        // Lock wait time-out, deadlock, row changed since read, and a write set that another node refused.
        Some(error) => matches!(error.number(), 1205 | 1213 | 1020 | 1047),
        // Busy (5) and locked (6), with their extended codes in the higher bytes.
        None => error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 6)),
    }
}

/// Whether the database as a whole is what failed, not the statement: away, restarting, read-only, overloaded, not migrated yet.
pub fn is_temporary(error: &DbErr) -> bool {
    if is_contention(error) {
        return true;
    }
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            let Some(error) = error.as_database_error() else { return true };
            let number = error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number);
            // Too many connections, shutting down, no such table, killed, lost, read-only.
            matches!(number, Some(1040 | 1053 | 1146 | 1927 | 1152 | 1290 | 1836))
                || error.message().starts_with("no such table")
        }
        _ => false,
    }
}

/// A statement with `?` for every value, for either engine.
pub fn statement(db: &impl ConnectionTrait, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}

/// Runs a statement.
pub async fn execute(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value> + Send,
) -> Result<ExecResult, DbErr> {
    db.execute_raw(statement(db, sql, values)).await
}

/// All rows of a query.
pub async fn query(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value> + Send,
) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(statement(db, sql, values)).await
}

/// `?, ?, ?` for `count` values.
pub fn placeholders(count: usize) -> String {
    let mut list = "?, ".repeat(count);
    list.truncate(list.len().saturating_sub(2));
    list
}

/// The start of an INSERT that passes over rows that are already there.
pub fn insert_or_ignore(db: &impl ConnectionTrait) -> &'static str {
    if db.get_database_backend() == DbBackend::Sqlite { "INSERT OR IGNORE" } else { "INSERT IGNORE" }
}

/// The end of an INSERT that replaces `columns` of rows that are already there, by `key` (column names, comma-separated).
pub fn on_conflict_update(db: &impl ConnectionTrait, key: &str, columns: &[&str]) -> String {
    let on_sqlite = db.get_database_backend() == DbBackend::Sqlite;
    let set: Vec<String> =
        columns
            .iter()
            .map(|column| {
                if on_sqlite { format!("{column} = excluded.{column}") } else { format!("{column} = VALUES({column})") }
            })
            .collect();
    let set = set.join(", ");
    if on_sqlite {
        format!("ON CONFLICT ({key}) DO UPDATE SET {set}")
    } else {
        format!("ON DUPLICATE KEY UPDATE {set}")
    }
}

/// The end of a SELECT whose rows this transaction is about to change: locks them on MariaDB; on SQLite the transaction
/// already holds the one write lock.
pub fn for_update(db: &impl ConnectionTrait) -> &'static str {
    if db.get_database_backend() == DbBackend::Sqlite { "" } else { " FOR UPDATE" }
}

/// Makes the acts of one user follow each other for the rest of the transaction.
pub async fn lock_user(txn: &impl ConnectionTrait, user_id: i64) -> Result<(), DbErr> {
    let sql = format!("SELECT id FROM users WHERE id = ?{}", for_update(txn));
    query(txn, &sql, [user_id.into()]).await.map(drop)
}

/// The database's own clock, by which leases are measured; on SQLite every process is on one host and `clock` serves.
pub async fn now(db: &impl ConnectionTrait, clock: &Clock) -> Result<DateTime<Utc>, DbErr> {
    if db.get_database_backend() == DbBackend::Sqlite {
        return Ok(clock.now());
    }
    let row = query(db, "SELECT UTC_TIMESTAMP(6) AS at", []).await?;
    let row = row.first().ok_or_else(|| DbErr::RecordNotFound("the database's clock".to_owned()))?;
    row.try_get("", "at")
}

/// What stands between this program and the database's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Every migration of this program is applied.
    Current,
    /// These are not applied yet.
    Pending(Vec<String>),
    /// The tables are those of the Go system.
    GoSystem,
}

/// Compares the schema with this program; changes nothing.
pub async fn schema_state(db: &DatabaseConnection) -> Result<SchemaState, DbErr> {
    let manager = migration::SchemaManager::new(db);
    if !manager.has_table("seaql_migrations").await? {
        // The Go system keeps chatters by their text id and knows no leases.
        if manager.has_table("capture_chatters").await? && !manager.has_column("jobs", "lease_token").await? {
            return Ok(SchemaState::GoSystem);
        }
    }
    let pending: Vec<String> = Migrator::get_pending_migrations_read_only(db)
        .await?
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    Ok(if pending.is_empty() { SchemaState::Current } else { SchemaState::Pending(pending) })
}

/// All migrations of this program, oldest first, and whether each is applied; changes nothing.
pub async fn migrations(db: &DatabaseConnection) -> Result<Vec<(String, bool)>, DbErr> {
    let all = Migrator::get_migration_with_status_read_only(db).await?;
    Ok(all
        .iter()
        .map(|migration| (migration.name().to_owned(), migration.status() == MigrationStatus::Applied))
        .collect())
}

/// Applies every pending migration, one process at a time, and returns the names of those applied.
pub async fn migrate(settings: &DatabaseSettings) -> Result<Vec<String>, DbErr> {
    // One connection, so that MariaDB's lock and the work are on the same one.
    let db = connect(&DatabaseSettings { max_open: 1, max_idle: 1, ..settings.clone() }).await?;
    let result = match settings.sqlite_file() {
        Some(file) => {
            let lock = lock_beside(file).await?;
            let result = apply_pending(&db).await;
            drop(lock);
            result
        }
        None => {
            let rows = query(&db, "SELECT GET_LOCK('tca.migrate', 600) AS got", []).await?;
            if rows.first().map_or(Ok(None), |row| row.try_get::<Option<i64>>("", "got"))? != Some(1) {
                return Err(DbErr::Custom("another migration has been running for ten minutes".to_owned()));
            }
            let result = apply_pending(&db).await;
            query(&db, "SELECT RELEASE_LOCK('tca.migrate') AS released", []).await?;
            result
        }
    };
    db.close().await?;
    result
}

async fn apply_pending(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let SchemaState::Pending(pending) = schema_state(db).await? else {
        return Ok(Vec::new());
    };
    Migrator::up(db, None).await?;
    Ok(pending)
}

/// Holds a lock file beside a SQLite database: whoever comes second waits until the first has finished or died.
async fn lock_beside(database: PathBuf) -> Result<File, DbErr> {
    let path = database.with_extension("migrating");
    let failed = |error: std::io::Error| DbErr::Custom(format!("cannot lock {}: {error}", path.display()));
    let file = File::create(&path).map_err(failed)?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.map_err(|error| DbErr::Custom(error.to_string()))?.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_separated_and_not_terminated() {
        assert_eq!(placeholders(0), "");
        assert_eq!(placeholders(1), "?");
        assert_eq!(placeholders(3), "?, ?, ?");
    }
}
