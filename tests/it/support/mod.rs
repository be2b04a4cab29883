//! What the tests stand on.
//!
//! Every test runs on both pairs of backends: SQLite with the in-process store, and MariaDB with Redis. Write it once:
//!
//! ```ignore
//! on_each_backend! {
//!     async fn a_capture_is_joined_not_doubled(backend: Backend) {
//!         let database = backend.database().await;   // fresh, empty, its own
//!         let store = backend.store();               // its own keys
//!     }
//! }
//! ```
//!
//! This makes the tests `a_capture_is_joined_not_doubled::on_sqlite` and `…::on_mariadb`. `make test-quick` skips names that
//! contain `on_mariadb` or `on_redis`; `make test` runs everything through `tests/with-servers`, which sets
//! `TCA_TEST_MARIADB_URL` and `TCA_TEST_REDIS_URL`. Never sleep for a fixed time: wait for a condition with [`eventually`].
//!
//! The whole product is [`app::TestApp`]: its simulated Twitch, the product in this process or as four, and signed-in browsers
//! ([`browser::Browser`]). The program alone, as a process with nothing but its environment, is [`process::Process`].

pub mod app;
pub mod browser;
pub mod process;
pub mod redis_server;

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database};
use secrecy::SecretString;
use tca::store::Store;
use url::Url;
use uuid::Uuid;

/// How long [`eventually`] waits before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A time to live that no test outlives.
pub const LONG_ENOUGH: Duration = Duration::from_mins(1);

/// Makes one test for each pair of backends; see the head of this module.
macro_rules! on_each_backend {
    ($($(#[$attribute:meta])* async fn $name:ident($backend:ident: Backend) $body:block)+) => {$(
        $(#[$attribute])*
        mod $name {
            #[expect(clippy::allow_attributes, reason = "fulfilled in some tests only")]
            #[allow(unused_imports, reason = "a test may use nothing of the module around")]
            use super::*;

            async fn check($backend: $crate::support::Backend) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                check($crate::support::Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_mariadb() {
                check($crate::support::Backend::MariaDb).await;
            }
        }
    )+};
}

// Below the macro, which is known only to what follows it.
mod own_tests;

/// A pair of database and store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// SQLite in a file and the store in this process.
    Sqlite,
    /// MariaDB and Redis.
    MariaDb,
}

impl Backend {
    /// For `Settings::redis_url`. Each call has keys and wake-ups of its own: call it once per test and hand it around.
    pub fn redis_url(self) -> Option<SecretString> {
        (self == Self::MariaDb).then(redis_url)
    }

    /// A store of its own.
    pub fn store(self) -> Store {
        Store::open(self.redis_url().as_ref()).expect("the store's URL")
    }

    /// A fresh, empty database, removed when the value is dropped.
    pub async fn database(self) -> TestDatabase {
        match self {
            Self::Sqlite => TestDatabase::sqlite(),
            Self::MariaDb => TestDatabase::mariadb().await,
        }
    }
}

/// A database that belongs to one test.
pub struct TestDatabase {
    /// For `DatabaseSettings::url`.
    pub url: SecretString,
    _folder: Option<tempfile::TempDir>,
    remove: Option<(Url, String)>,
}

impl TestDatabase {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("tca.db").display()).into();
        Self { url, _folder: Some(folder), remove: None }
    }

    async fn mariadb() -> Self {
        let server = Url::parse(&required("TCA_TEST_MARIADB_URL")).expect("TCA_TEST_MARIADB_URL is a URL");
        let name = format!("tca_test_{}", Uuid::new_v4().simple());
        on_server(&server, &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await;
        let mut url = server.clone();
        url.set_path(&name);
        Self { url: String::from(url).into(), _folder: None, remove: Some((server, name)) }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some((server, name)) = self.remove.take() else { return };
        // A thread, because a drop cannot wait for a future of the runtime it may be running on.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(on_server(&server, &format!("DROP DATABASE IF EXISTS {name}")));
        });
        let removed = removal.join().is_ok();
        assert!(removed || std::thread::panicking(), "the test's database could not be removed");
    }
}

async fn on_server(server: &Url, statement: &str) {
    let connection = Database::connect(server.as_str()).await.expect("TCA_TEST_MARIADB_URL answers");
    connection.execute_unprepared(statement).await.expect(statement);
    connection.close().await.expect("the connection closes");
}

/// The test server's Redis, with keys and wake-ups of its own on every call.
pub fn redis_url() -> SecretString {
    with_own_prefix(&required("TCA_TEST_REDIS_URL"))
}

/// `url` with a prefix that nobody else uses.
pub fn with_own_prefix(url: &str) -> SecretString {
    let mut url = Url::parse(url).expect("the URL of Redis is a URL");
    url.query_pairs_mut().append_pair("prefix", &format!("tca-test-{}", Uuid::new_v4().simple()));
    String::from(url).into()
}

/// A store on Redis that is connected, listening for wake-ups included.
pub async fn connected(url: &SecretString) -> Store {
    let store = Store::open(Some(url)).expect("the store's URL");
    wait_until_connected(&store).await;
    store
}

/// Waits until `store` answers and its own wake-ups come back to it.
pub async fn wait_until_connected(store: &Store) {
    let mut probe = store.listen("connection-probe");
    eventually("the store answers", async || store.ping().await.is_ok()).await;
    eventually("wake-ups arrive", async || {
        while probe.try_recv().is_ok() {}
        store.wake("connection-probe").await.is_ok()
            && tokio::time::timeout(Duration::from_millis(100), probe.recv()).await.is_ok()
    })
    .await;
}

/// Asks `condition` again and again until it holds; panics naming `what` after [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !condition().await {
        assert!(since.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the test servers' addresses are no settings of the program")]
fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run the tests through `tests/with-servers`, as `make test` does, \
             or leave the servers out with `make test-quick`"
        )
    })
}
