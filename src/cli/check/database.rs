//! The database: reached, new enough, at this program's schema, with room for the pool.

use std::collections::HashMap;

use sea_orm::{DatabaseConnection, DbErr};
use secrecy::ExposeSecret as _;

use super::{Finding, PATIENCE};
use crate::{
    config::DatabaseSettings,
    db::{self, SchemaState},
};

const PART: &str = "database";
const REPLICA: &str = "read replica";
const SCHEMA: &str = "schema";
/// The first MariaDB that knows `SKIP LOCKED`.
const OLDEST: (u32, u32) = (10, 6);

/// Looks at the database and, where there is one, at its replica.
pub async fn look(settings: &DatabaseSettings) -> Vec<Finding> {
    let mut findings = bounded(PART, Box::pin(primary(settings))).await;
    if let Some(url) = &settings.read_url {
        let replica = DatabaseSettings { url: url.clone(), read_url: None, ..settings.clone() };
        findings.extend(bounded(REPLICA, Box::pin(server(REPLICA, &replica))).await);
    }
    findings
}

async fn bounded(part: &'static str, look: impl Future<Output = Result<Vec<Finding>, DbErr>>) -> Vec<Finding> {
    let advice = "look at DATABASE_URL (or DB_HOST and the others) and whether the database runs";
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![Finding::fail(part, error.to_string(), advice)],
        Err(_) => vec![Finding::fail(part, format!("no answer within {} s", PATIENCE.as_secs()), advice)],
    }
}

async fn primary(settings: &DatabaseSettings) -> Result<Vec<Finding>, DbErr> {
    let Some(file) = settings.sqlite_file() else {
        let mut findings = server(PART, settings).await?;
        let db = connect(settings).await?;
        findings.push(schema(db::schema_state(&db).await?, false));
        db.close().await?;
        return Ok(findings);
    };
    // Opening a SQLite database would make it.
    if !file.exists() {
        return Ok(vec![Finding::ok(PART, format!("SQLite; {} is made at the first start", file.display()))]);
    }
    let db = connect(settings).await?;
    let state = db::schema_state(&db).await?;
    db.close().await?;
    Ok(vec![Finding::ok(PART, format!("SQLite, {}", file.display())), schema(state, true)])
}

async fn connect(settings: &DatabaseSettings) -> Result<DatabaseConnection, DbErr> {
    db::connect(&DatabaseSettings { max_open: 1, max_idle: 0, ..settings.clone() }).await
}

/// Looks at a MariaDB server through a connection as the roles have it.
async fn server(part: &'static str, settings: &DatabaseSettings) -> Result<Vec<Finding>, DbErr> {
    let url = url::Url::parse(settings.url.expose_secret()).ok();
    let host = url.as_ref().and_then(url::Url::host_str).unwrap_or("localhost").to_owned();
    let address = (host.trim_matches(['[', ']']), url.as_ref().and_then(url::Url::port).unwrap_or(3306));
    // The pool tries a server that refuses again and again, and then says only that it took too long.
    let reached = tokio::net::TcpStream::connect(address).await;
    reached.map_err(|error| DbErr::Custom(format!("{host}:{} does not answer: {error}", address.1)))?;
    let db = connect(settings).await?;
    let sql = "SHOW VARIABLES WHERE Variable_name IN \
               ('version', 'tx_isolation', 'transaction_isolation', 'max_connections')";
    let mut variables: HashMap<String, String> = HashMap::new();
    for row in db::query(&db, sql, []).await? {
        variables.insert(row.try_get_by_index::<String>(0)?.to_lowercase(), row.try_get_by_index(1)?);
    }
    db.close().await?;
    let value = |name: &str| variables.get(name).map(String::as_str);
    let mut findings = vec![version(part, value("version").unwrap_or_default(), &host)];
    let isolation = value("tx_isolation").or_else(|| value("transaction_isolation")).unwrap_or_default();
    if isolation != "READ-COMMITTED" {
        let advice = "something between tca and the server changes connections; remove it";
        findings.push(Finding::warn(part, format!("transactions run at {isolation}, not READ-COMMITTED"), advice));
    }
    let most = value("max_connections").and_then(|most| most.parse().ok());
    findings.extend(most.and_then(|most| pool(part, settings.max_open, most)));
    Ok(findings)
}

/// Judges what a server says of its version, such as `10.11.6-MariaDB-0+deb12u1`.
fn version(part: &'static str, text: &str, host: &str) -> Finding {
    // Old clients were led to believe in a MySQL 5.5.5.
    let number = text.trim_start_matches("5.5.5-");
    let mut digits = number.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (digits.next().unwrap_or(0), digits.next().unwrap_or(0));
    let (major, minor) = OLDEST;
    if !text.to_lowercase().contains("mariadb") {
        let advice = format!("use MariaDB {major}.{minor} or later");
        return Finding::warn(part, format!("{host} is not a MariaDB but {text}, which is not tested"), advice);
    }
    let short = number.split('-').next().unwrap_or(number);
    if found < OLDEST {
        let advice = format!("upgrade the server to {major}.{minor} or later, for SKIP LOCKED");
        return Finding::fail(part, format!("MariaDB {short} at {host} is too old"), advice);
    }
    Finding::ok(part, format!("MariaDB {short} at {host}"))
}

/// Whether the server takes as many connections as one process may open.
fn pool(part: &'static str, max_open: u32, max_connections: u32) -> Option<Finding> {
    (max_open > max_connections).then(|| {
        let finding = format!("the pool may open {max_open} connections, the server takes {max_connections}");
        Finding::warn(part, finding, "lower DB_MAX_OPEN_CONNS or raise max_connections")
    })
}

fn schema(state: SchemaState, migrates_itself: bool) -> Finding {
    match state {
        SchemaState::Current => Finding::ok(SCHEMA, "up to date"),
        SchemaState::Pending(pending) if migrates_itself => {
            Finding::ok(SCHEMA, format!("{} migrations, applied at the next start", pending.len()))
        }
        SchemaState::Pending(pending) => {
            let finding = format!("{} migrations are pending; the roles wait for them", pending.len());
            Finding::warn(SCHEMA, finding, "run `tca migrate`")
        }
        SchemaState::GoSystem => Finding::fail(
            SCHEMA,
            "these are the tables of the Go system",
            "use a new, empty database; `tca import-go` brings the data across",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn a_server_that_is_too_old_is_told_from_one_that_is_not_mariadb() {
        let state = |text| version(PART, text, "db").state;
        assert_eq!(state("10.11.6-MariaDB-0+deb12u1"), State::Ok);
        assert_eq!(state("5.5.5-10.6.0-MariaDB"), State::Ok);
        assert_eq!(state("11.4.2-MariaDB-ubu2404"), State::Ok);
        assert_eq!(state("10.5.28-MariaDB"), State::Fail);
        assert_eq!(state("8.0.36"), State::Warn);
        assert_eq!(version(PART, "10.11.6-MariaDB-0+deb12u1", "db").text, "MariaDB 10.11.6 at db");
    }

    #[test]
    fn a_pool_larger_than_the_server_is_worth_a_look() {
        assert_eq!(pool(PART, 50, 151), None);
        assert_eq!(pool(PART, 200, 151).unwrap().state, State::Warn);
    }

    #[test]
    fn pending_migrations_matter_only_where_nobody_applies_them() {
        let pending = || SchemaState::Pending(vec!["m1".to_owned()]);
        assert_eq!(schema(pending(), true).state, State::Ok);
        assert_eq!(schema(pending(), false).state, State::Warn);
        assert_eq!(schema(SchemaState::GoSystem, false).state, State::Fail);
    }
}
