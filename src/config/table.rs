//! The one list of everything that can be set.
//!
//! A row names a setting in the files (`key`) and in the environment (`variable`). Fixed defaults stand in
//! `config/default.toml`, which is built into the program; `absent` says what happens where a default is computed or there
//! is none. How rows become [`Settings`](super::Settings) stands in `build.rs`.

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number within these bounds, both included.
    Number(u32, u32),
    /// A span: whole seconds, or a number with `ms`, `s`, `m`, `h` or `d`; bounds in milliseconds, both included.
    Span(u64, u64),
    /// An address of a network interface.
    Address,
    /// A URL with one of these schemes and a host.
    Url(&'static [&'static str]),
    /// The URL of a database or of the store; may hold a password.
    ServerUrl(&'static [&'static str]),
    /// Comma-separated texts; an array in the files.
    List,
    /// Comma-separated networks such as `10.0.0.0/8`; an array in the files.
    Networks,
    /// A filter of log lines.
    LogFilter,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The name in the files, with its section: `database.url`.
    pub key: &'static str,
    /// The name in the environment: `DATABASE_URL`.
    pub variable: &'static str,
    pub kind: Kind,
    /// Never shown; may be given as a file by `NAME_FILE`.
    pub secret: bool,
    /// What holds without a value, for rows without a fixed default.
    pub absent: &'static str,
    /// One line of explanation.
    pub doc: &'static str,
}

impl Setting {
    /// The row of `key`.
    pub fn find(key: &str) -> Option<&'static Self> {
        TABLE.iter().find(|row| row.key == key)
    }

    /// The variable that names a file with the value, for secrets.
    pub fn file_variable(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.variable))
    }

    /// Whether the value is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::Networks)
    }

    const fn new(key: &'static str, variable: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { key, variable, kind, secret: false, absent: "", doc }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn absent(self, absent: &'static str) -> Self {
        Self { absent, ..self }
    }
}

const PORT: Kind = Kind::Number(0, 65_535);
const HTTP: Kind = Kind::Url(&["http", "https"]);
const DATABASE: Kind = Kind::ServerUrl(&["sqlite", "mysql", "mariadb"]);
const REDIS: Kind = Kind::ServerUrl(&["redis", "rediss", "redis-sentinel"]);
const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;

/// Every setting, in the order in which they are shown.
pub const TABLE: &[Setting] = &[
    Setting::new(
        "app.env",
        "APP_ENV",
        Kind::Choice(&["development", "production", "test"]),
        "kind of installation; only from the environment, for it chooses a file",
    )
    .absent("development"),
    Setting::new(
        "secrets.session",
        "APP_SESSION_SECRET",
        Kind::List,
        "at least 32 bytes; the other keys derive from it",
    )
    .secret()
    .absent("with SQLite made once and kept beside the file"),
    Setting::new("secrets.token_key", "TOKEN_KEY", Kind::List, "encrypts the stored Twitch tokens")
        .secret()
        .absent("derived from secrets.session"),
    Setting::new("secrets.internal_token", "INTERNAL_TOKEN", Kind::Text, "what the roles show each other")
        .secret()
        .absent("derived from secrets.session"),
    Setting::new("database.url", "DATABASE_URL", DATABASE, "which database; wins over its parts")
        .secret()
        .absent("sqlite://data/tca.db"),
    Setting::new("database.host", "DB_HOST", Kind::Text, "MariaDB's host, instead of a URL").absent("none"),
    Setting::new("database.port", "DB_PORT", Kind::Number(1, 65_535), "MariaDB's port").absent("3306"),
    Setting::new("database.name", "DB_NAME", Kind::Text, "MariaDB's database").absent("none"),
    Setting::new("database.user", "DB_USER", Kind::Text, "MariaDB's user").absent("none"),
    Setting::new("database.password", "DB_PASSWORD", Kind::Text, "MariaDB's password").secret().absent("none"),
    Setting::new("database.read_url", "DATABASE_READ_URL", DATABASE, "a read replica").secret().absent("none"),
    Setting::new("database.max_open", "DB_MAX_OPEN_CONNS", Kind::Number(1, 10_000), "most connections of this process")
        .absent("by role: gateway 50, worker 20, analysis 30, twitch-proxy 5"),
    Setting::new("database.max_idle", "DB_MAX_IDLE_CONNS", Kind::Number(0, 10_000), "connections kept when idle")
        .absent("by role: gateway 10, worker 5, analysis 10, twitch-proxy 2"),
    Setting::new("redis.url", "REDIS_URL", REDIS, "the store shared by all processes")
        .secret()
        .absent("none: in-process store"),
    Setting::new("cache.ttl", "CACHE_TTL_SECONDS", Kind::Span(0, 30 * DAY), "how long an analysis may be served again"),
    Setting::new("worker.concurrency", "WORKER_CONCURRENCY", Kind::Number(1, 1_024), "jobs at once in one worker"),
    Setting::new(
        "worker.poll_interval",
        "JOB_POLL_INTERVAL",
        Kind::Span(10, 3_600 * SECOND),
        "between looks at the queue when no wake-up comes",
    ),
    Setting::new("twitch.client_id", "TWITCH_CLIENT_ID", Kind::Text, "the application registered at Twitch")
        .absent("none"),
    Setting::new("twitch.client_secret", "TWITCH_CLIENT_SECRET", Kind::Text, "its secret").secret().absent("none"),
    Setting::new("twitch.redirect_url", "TWITCH_REDIRECT_URL", HTTP, "where Twitch sends people back to")
        .absent("server.public_url + /auth/callback"),
    Setting::new("twitch.helix_url", "TWITCH_HELIX_URL", HTTP, "Twitch's API"),
    Setting::new("twitch.auth_url", "TWITCH_AUTH_URL", HTTP, "Twitch's sign-in"),
    Setting::new(
        "twitch.requests_per_second",
        "RATE_LIMIT_REQUESTS_PER_SECOND",
        Kind::Number(1, 1_000),
        "lasting ceiling towards Twitch per bucket, all replicas together",
    ),
    Setting::new("roles.twitch_proxy_url", "TWITCH_API_BASE_URL", HTTP, "where the twitch-proxy role is"),
    Setting::new("roles.analysis_url", "ANALYSIS_BASE_URL", HTTP, "where the analysis role is"),
    Setting::new("server.bind_addr", "BIND_ADDR", Kind::Address, "the interface to listen on"),
    Setting::new("server.gateway_port", "GATEWAY_PORT", PORT, "port of the gateway role"),
    Setting::new("server.twitch_proxy_port", "TWITCH_PROXY_PORT", PORT, "port of the twitch-proxy role"),
    Setting::new("server.worker_port", "WORKER_PORT", PORT, "port of the worker role"),
    Setting::new("server.analysis_port", "ANALYSIS_PORT", PORT, "port of the analysis role"),
    Setting::new("server.port", "APP_PORT", PORT, "port of the role, in a process with one role").absent("by role"),
    Setting::new("server.public_url", "PUBLIC_URL", HTTP, "the address that browsers use")
        .absent("http://localhost: and the gateway's port"),
    Setting::new("server.trusted_proxies", "TRUSTED_PROXIES", Kind::Networks, "whose X-Forwarded-For is believed"),
    Setting::new(
        "server.shutdown_grace",
        "SHUTDOWN_GRACE",
        Kind::Span(0, 3_600 * SECOND),
        "how long a stop may take before work is handed back",
    ),
    Setting::new("simulator.port", "TWITCH_SIM_PORT", PORT, "port of the Twitch simulator"),
    Setting::new("log.level", "LOG_LEVEL", Kind::LogFilter, "error, warn, info, debug, trace, or a filter"),
    Setting::new("log.format", "LOG_FORMAT", Kind::Choice(&["pretty", "json"]), "how log lines look")
        .absent("pretty on a terminal, else json"),
    Setting::new("access.ops_logins", "OPS_LOGINS", Kind::List, "Twitch logins that may open /ops"),
    Setting::new("access.allowed_logins", "ALLOWED_LOGINS", Kind::List, "Twitch logins that may sign in; empty: all"),
    Setting::new(
        "limits.captures_per_hour",
        "CAPTURES_PER_HOUR",
        Kind::Number(1, 1_000_000),
        "captures a user may start in any hour",
    ),
    Setting::new("limits.max_chatters", "MAX_CHATTERS", Kind::Number(1, 10_000_000), "largest chat that is captured"),
    Setting::new(
        "limits.retention_days",
        "RETENTION_DAYS",
        Kind::Number(1, 36_500),
        "how long purged, expired and finished things are kept",
    ),
];
