//! The whole product against a simulated Twitch: in one process, or as four.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use reqwest::Method;
use sea_orm::{DatabaseConnection, QueryResult, TryGetable};
use secrecy::{ExposeSecret, SecretString};
use tca::{
    clock::Clock,
    config::{self, DatabaseSettings, Inputs, Needs, SecretSettings},
    db,
    roles::Role,
    secrets::Secrets,
    serve::{Listeners, serve},
    simulator::{self, Call, Fault, Options, PlannedFault, Rate, Route, World},
    telemetry,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    Backend, PATIENCE, TestDatabase,
    browser::Browser,
    eventually,
    process::{Environment, Process, free_port},
};

pub const SESSION_SECRET: &str = "the session secret of the tests and long enough";

/// How the product runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// All roles in the test's own process.
    AllInOne,
    /// Four processes of the real executable.
    Split,
}

/// What a test wants to be different before the product starts.
pub struct Plan {
    backend: Backend,
    topology: Topology,
    settings: Vec<(&'static str, String)>,
    redis_url: Option<SecretString>,
    clock: Clock,
}

impl Plan {
    pub fn topology(mut self, topology: Topology) -> Self {
        self.topology = topology;
        self
    }

    /// Another value of a setting, by its variable.
    pub fn set(mut self, variable: &'static str, value: &str) -> Self {
        self.settings.push((variable, value.to_owned()));
        self
    }

    /// Another store than the backend's own.
    pub fn redis(mut self, url: SecretString) -> Self {
        self.redis_url = Some(url);
        self
    }

    /// The time of the product (in one process) and of Twitch.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Starts everything and waits until it is ready.
    pub async fn start(self) -> TestApp {
        TestApp::start_as_planned(self).await
    }
}

/// A running product, and the Twitch it sees. Dropping it stops everything.
pub struct TestApp {
    pub backend: Backend,
    pub world: World,
    pub clock: Clock,
    pub env: Environment,
    pub folder: tempfile::TempDir,
    /// The processes of a split product, by role.
    pub processes: BTreeMap<Role, Process>,
    ports: BTreeMap<Role, u16>,
    stop: CancellationToken,
    threads: Vec<std::thread::JoinHandle<()>>,
    db: DatabaseConnection,
    database: TestDatabase,
}

impl TestApp {
    /// The product with the tests' usual settings.
    pub async fn start(backend: Backend, topology: Topology) -> Self {
        Self::plan(backend).topology(topology).start().await
    }

    /// A product to be changed before it starts; in one process unless told otherwise.
    pub fn plan(backend: Backend) -> Plan {
        Plan {
            backend,
            topology: Topology::AllInOne,
            settings: Vec::new(),
            redis_url: backend.redis_url(),
            clock: Clock::System,
        }
    }

    async fn start_as_planned(plan: Plan) -> Self {
        // The second test of the process finds the provider installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        telemetry::install_metrics();
        let stop = CancellationToken::new();
        let world = World::new(Options { clock: plan.clock.clone(), ..Options::default() });
        // Nothing waits for a limit unless the test is about it.
        world.set_rate(Rate { refill_per_minute: 6_000_000, bucket_size: 1_000_000 });
        let (twitch, simulator) = serve_world(&world, &stop);
        let database = plan.backend.database().await;
        let mut env = environment(&twitch, &database, plan.redis_url.as_ref());
        env.extend(plan.settings.into_iter().map(|(name, value)| (name.to_owned(), value)));

        let folder = tempfile::tempdir().unwrap();
        let settings = DatabaseSettings { url: database.url.clone(), read_url: None, max_open: 3, max_idle: 1 };
        if plan.backend == Backend::MariaDb && plan.topology == Topology::AllInOne {
            db::migrate(&settings).await.unwrap();
        }
        let db = db::connect(&settings).await.unwrap();
        let mut app = Self {
            backend: plan.backend,
            world,
            clock: plan.clock,
            env,
            folder,
            processes: BTreeMap::new(),
            ports: BTreeMap::new(),
            stop,
            threads: vec![simulator],
            db,
            database,
        };
        match plan.topology {
            Topology::AllInOne => app.serve_here(),
            Topology::Split => {
                if plan.backend == Backend::MariaDb {
                    app.migrate().await;
                }
                app.spawn_all();
            }
        }
        for role in Role::ALL {
            app.wait_until_ready(role).await;
        }
        app
    }

    fn serve_here(&mut self) {
        for variable in ["GATEWAY_PORT", "TWITCH_PROXY_PORT", "WORKER_PORT", "ANALYSIS_PORT"] {
            self.env.insert(variable.to_owned(), "0".to_owned());
        }
        let inputs = Inputs {
            env: self.env.clone(),
            config_dir: self.folder.path().join("no-files"),
            roles: Vec::new(),
            flags: Vec::new(),
            is_terminal: false,
            needs: Needs::Roles,
        };
        let mut settings = config::load(&inputs).unwrap_or_else(|problems| panic!("{problems}"));
        let listeners = Listeners::bind(&settings).unwrap();
        for role in Role::ALL {
            self.ports.insert(role, listeners.address(role).unwrap().port());
        }
        if !self.env.contains_key("PUBLIC_URL") {
            settings.public_url = self.url(Role::Gateway);
            settings.twitch.redirect_url = settings.public_url.join("auth/callback").unwrap();
        }
        let (clock, stop) = (self.clock.clone(), self.stop.clone());
        self.threads.push(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(serve(settings, listeners, clock, stop)).unwrap();
        }));
    }

    /// Gives every role a port, so that the processes know of each other.
    fn spawn_all(&mut self) {
        let variables = ["GATEWAY_PORT", "WORKER_PORT", "ANALYSIS_PORT", "TWITCH_PROXY_PORT"];
        for (role, variable) in Role::ALL.into_iter().zip(variables) {
            let port = free_port();
            self.ports.insert(role, port);
            self.env.insert(variable.to_owned(), port.to_string());
        }
        let base = |role: Role| format!("http://127.0.0.1:{}", self.ports[&role]);
        let (gateway, analysis, proxy) = (base(Role::Gateway), base(Role::Analysis), base(Role::TwitchProxy));
        self.env.entry("PUBLIC_URL".to_owned()).or_insert(gateway);
        self.env.insert("ANALYSIS_BASE_URL".to_owned(), analysis);
        self.env.insert("TWITCH_API_BASE_URL".to_owned(), proxy);
        for role in Role::ALL {
            let process = self.spawn(role);
            self.processes.insert(role, process);
        }
    }

    /// One more process of a role, on the role's own port.
    pub fn spawn(&self, role: Role) -> Process {
        Process::start(role.as_str(), &["serve", "--role", role.as_str()], &self.env, self.folder.path())
    }

    /// One more process of a role beside those that run, on another port.
    pub fn spawn_another(&self, role: Role) -> (Process, Url) {
        let (mut env, port) = (self.env.clone(), free_port());
        env.insert("APP_PORT".to_owned(), port.to_string());
        env.retain(|name, _| !name.ends_with("_PORT") || name == "APP_PORT");
        let process = Process::start("another", &["serve", "--role", role.as_str()], &env, self.folder.path());
        (process, format!("http://127.0.0.1:{port}/").parse().unwrap())
    }

    /// `tca migrate`.
    pub async fn migrate(&self) {
        let (code, log) = Process::run("migrate", &["migrate"], &self.env, self.folder.path()).await;
        assert_eq!(code, 0, "{log}");
    }

    /// Where a role listens.
    pub fn url(&self, role: Role) -> Url {
        format!("http://127.0.0.1:{}/", self.ports[&role]).parse().unwrap()
    }

    async fn wait_until_ready(&self, role: Role) {
        eventually(&format!("the {role} is ready"), async || self.probe(role, "readyz").await.0 == 200).await;
    }

    /// Status and JSON body of `/healthz` or `/readyz`; 0 while nobody listens.
    pub async fn probe(&self, role: Role, path: &str) -> (u16, serde_json::Value) {
        let client = http();
        let Ok(answer) = client.get(self.url(role).join(path).unwrap()).send().await else {
            return (0, serde_json::Value::Null);
        };
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// A new browser, signed in nowhere.
    pub fn browser(&self) -> Browser {
        let base = self.url(Role::Gateway);
        let public = self.env.get("PUBLIC_URL").map_or_else(|| base.clone(), |url| url.parse().unwrap());
        Browser::new(base, public)
    }

    /// A new browser in which `login` is signed in.
    pub async fn signed_in(&self, login: &str) -> Browser {
        let browser = self.browser();
        browser.sign_in_as(login).await;
        browser
    }

    /// The Twitch id of a login.
    pub fn id(&self, login: &str) -> i64 {
        self.world.person(login).unwrap_or_else(|| panic!("nobody is called {login}")).id
    }

    pub fn fault(&self, route: Route, fault: Fault, count: u32) {
        self.fault_after(0, route, fault, count);
    }

    /// The next `skip` calls go well, then `count` go wrong.
    pub fn fault_after(&self, skip: u32, route: Route, fault: Fault, count: u32) {
        self.world.plan_fault(PlannedFault { route, fault, skip, count });
    }

    /// The calls of a route that reached Twitch.
    pub fn calls(&self, route: Route) -> Vec<Call> {
        self.world.calls_after(0).into_iter().filter(|call| call.route == route).collect()
    }

    /// Asks for a capture as the page does: with the channel list's form.
    pub async fn capture(&self, browser: &Browser, channel: &str) -> i64 {
        let page = browser.get(&format!("/channels?q={channel}")).await;
        let form = page.form_with("/sessions/capture", &[("broadcaster_login", channel)]);
        let answer = browser.submit_form(&form, &[]).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        capture_id(&answer.location())
    }

    /// Asks for a capture and waits until it is complete.
    pub async fn complete_capture(&self, browser: &Browser, channel: &str) -> i64 {
        let id = self.capture(browser, channel).await;
        assert_eq!(self.wait_for_capture(id).await, "complete");
        id
    }

    /// How a capture ended.
    pub async fn wait_for_capture(&self, id: i64) -> String {
        let mut status = String::new();
        let what = format!("the capture {id} has ended");
        eventually_within(3 * PATIENCE, &what, async || {
            status = self.text(&format!("SELECT status FROM captures WHERE id = {id}")).await;
            status != "running"
        })
        .await;
        status
    }

    /// Waits until no job is left.
    pub async fn wait_until_enriched(&self) {
        let sql = "SELECT COUNT(*) FROM jobs WHERE status IN ('pending', 'scheduled', 'running')";
        eventually_within(3 * PATIENCE, "the queue is empty", async || self.number(sql).await == 0).await;
    }

    async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        db::query(&self.db, sql, []).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    async fn one<T: TryGetable>(&self, sql: &str) -> T {
        let rows = self.rows(sql).await;
        let row = rows.first().unwrap_or_else(|| panic!("no row: {sql}"));
        T::try_get_by(row, 0_usize).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// The number that a query answers.
    pub async fn number(&self, sql: &str) -> i64 {
        self.one(sql).await
    }

    /// The text that a query answers, empty for NULL.
    pub async fn text(&self, sql: &str) -> String {
        self.one::<Option<String>>(sql).await.unwrap_or_default()
    }

    /// The first column of a query; NULLs fall away.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.rows(sql).await;
        rows.iter().filter_map(|row| row.try_get_by_index::<Option<String>>(0).unwrap()).collect()
    }

    /// Changes the database behind the product's back; again where the product was in the way.
    pub async fn execute(&self, sql: &str) {
        eventually(sql, async || match db::execute(&self.db, sql, []).await {
            Ok(_) => true,
            Err(error) if error.to_string().contains("1213") => false,
            Err(error) => panic!("{sql}: {error}"),
        })
        .await;
    }

    /// The public name of the user's active session.
    pub async fn active_uuid(&self, login: &str) -> String {
        let sql = format!(
            "SELECT s.session_uuid FROM sessions s JOIN users u ON u.id = s.user_id \
             WHERE s.status = 'active' AND u.login = '{login}'"
        );
        self.text(&sql).await
    }

    /// What the roles show each other.
    pub fn internal_token() -> String {
        let secrets = SecretSettings {
            session: vec![SESSION_SECRET.into()],
            token: Vec::new(),
            internal: None,
            secret_file: None,
            may_be_made: false,
        };
        Secrets::derive(&secrets).internal.unwrap().expose().to_owned()
    }

    /// A GET of an internal route, with the internal token: status, headers, JSON.
    pub async fn internal(&self, role: Role, path: &str) -> (u16, reqwest::header::HeaderMap, serde_json::Value) {
        let url = self.url(role).join(path).unwrap();
        let request = http().request(Method::GET, url).header("X-Internal-Token", Self::internal_token());
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.json().await.unwrap_or_default())
    }

    pub fn database_url(&self) -> &SecretString {
        &self.database.url
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.processes.clear();
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            let ended = thread.join().is_ok();
            assert!(ended || std::thread::panicking(), "the product or the simulator did not end well");
        }
    }
}

/// An HTTP client that keeps no connection open.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build().unwrap()
}

/// The capture that a redirect names.
pub fn capture_id(location: &str) -> i64 {
    let id = location.strip_prefix("/captures/").and_then(|rest| rest.split('?').next());
    id.and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("{location} names no capture"))
}

/// As [`eventually`], with another patience.
pub async fn eventually_within(patience: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !condition().await {
        assert!(since.elapsed() < patience, "waited {patience:?} in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn environment(twitch: &Url, database: &TestDatabase, redis_url: Option<&SecretString>) -> Environment {
    let pairs = [
        ("APP_ENV", "test".to_owned()),
        ("APP_SESSION_SECRET", SESSION_SECRET.to_owned()),
        ("DATABASE_URL", database.url.expose_secret().to_owned()),
        ("DB_MAX_OPEN_CONNS", "8".to_owned()),
        ("TWITCH_CLIENT_ID", "demo".to_owned()),
        ("TWITCH_CLIENT_SECRET", "demo-secret".to_owned()),
        ("TWITCH_HELIX_URL", twitch.join("helix").unwrap().into()),
        ("TWITCH_AUTH_URL", twitch.join("oauth2").unwrap().into()),
        ("RATE_LIMIT_REQUESTS_PER_SECOND", "1000".to_owned()),
        ("CAPTURES_PER_HOUR", "10000".to_owned()),
        ("JOB_POLL_INTERVAL", "200ms".to_owned()),
        // Less than the reserve: work in hand is handed back at once.
        ("SHUTDOWN_GRACE", "2".to_owned()),
        ("LOG_FORMAT", "json".to_owned()),
        ("LOG_LEVEL", "info,tca=debug".to_owned()),
    ];
    let redis = redis_url.map(|url| ("REDIS_URL", url.expose_secret().to_owned()));
    pairs.into_iter().chain(redis).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Serves a simulated Twitch in a thread of its own.
fn serve_world(world: &World, stop: &CancellationToken) -> (Url, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let (world, stop) = (world.clone(), stop.clone());
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(simulator::run(world, listener, stop)).unwrap();
    });
    (url, thread)
}

/// Everything that a process of a folder has said.
pub fn logs_in(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect()
}
