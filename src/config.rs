//! The settings of one process: read once, handed down as values, never global.
//!
//! [`Settings`] is what the program uses. Where each value comes from (built-in defaults, files, environment, flags), how it is
//! parsed and which combinations are refused stands in the modules below; `config/default.toml` is the commented reference.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use crate::roles::{Role, RoleSet};

/// Which kind of installation this is; production refuses what is only convenient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppEnv {
    /// A developer's machine or a trial.
    Development,
    /// A real installation.
    Production,
    /// An automated test.
    Test,
}

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    pub env: AppEnv,
    pub roles: RoleSet,
    pub secrets: SecretSettings,
    pub database: DatabaseSettings,
    /// `None` means the in-process store.
    pub redis_url: Option<SecretString>,
    /// How long an analysis result may be served from the cache.
    pub cache_ttl: Duration,
    pub worker: WorkerSettings,
    pub twitch: TwitchSettings,
    /// Where the twitch-proxy role listens, for processes that do not run it.
    pub twitch_api_base_url: Url,
    /// Where the analysis role listens, for processes that do not run it.
    pub analysis_base_url: Url,
    pub bind_addr: IpAddr,
    pub ports: Ports,
    /// The address that browsers use.
    pub public_url: Url,
    /// Peers whose `X-Forwarded-For` is believed and that may read `/metrics`.
    pub trusted_proxies: Vec<IpNet>,
    pub log: LogSettings,
    pub access: AccessSettings,
    pub limits: LimitSettings,
    /// How long a stop may take before unfinished work is handed back.
    pub shutdown_grace: Duration,
}

/// Key material. A list rotates: the first entry writes, all of them read.
#[derive(Clone, Debug)]
pub struct SecretSettings {
    /// `APP_SESSION_SECRET`; with SQLite and no value it is made once and kept in `secret_file`.
    pub session: Vec<SecretString>,
    /// `TOKEN_KEY`; empty: derived from `session`.
    pub token: Vec<SecretString>,
    /// `INTERNAL_TOKEN`; `None`: derived from `session`.
    pub internal: Option<SecretString>,
}

/// Which database, and how many connections to it.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// `sqlite://…`, `mysql://…` or `mariadb://…`, with the password.
    pub url: SecretString,
    /// A read replica of it.
    pub read_url: Option<SecretString>,
    /// Upper bound of open connections.
    pub max_open: u32,
    /// How many stay open when idle; the others close after 60 s.
    pub max_idle: u32,
}

impl DatabaseSettings {
    /// The file of a SQLite database, `None` for MariaDB.
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        use secrecy::ExposeSecret;
        let path = self.url.expose_secret().strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
    }
}

#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Jobs at once.
    pub concurrency: u32,
    /// Between looks at the queue when no wake-up comes.
    pub poll_interval: Duration,
}

#[derive(Clone, Debug)]
pub struct TwitchSettings {
    pub client_id: Option<String>,
    pub client_secret: Option<SecretString>,
    pub redirect_url: Url,
    pub helix_url: Url,
    pub auth_url: Url,
    /// Lasting ceiling per bucket, all replicas together.
    pub requests_per_second: u32,
}

/// The port of each role, on [`Settings::bind_addr`]; 0 lets the system choose.
#[derive(Clone, Debug)]
pub struct Ports {
    pub gateway: u16,
    pub twitch_proxy: u16,
    pub worker: u16,
    pub analysis: u16,
    pub twitch_sim: u16,
}

impl Ports {
    /// The port of `role`.
    pub fn of(&self, role: Role) -> u16 {
        match role {
            Role::Gateway => self.gateway,
            Role::TwitchProxy => self.twitch_proxy,
            Role::Worker => self.worker,
            Role::Analysis => self.analysis,
        }
    }
}

#[derive(Clone, Debug)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,tca::job=debug`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Pretty,
    Json,
}

#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// Logins that may open `/ops`; lower case.
    pub ops_logins: Vec<String>,
    /// Logins that may use this instance; empty: everybody. Lower case.
    pub allowed_logins: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// Captures a user may start in any hour.
    pub captures_per_hour: u32,
    /// Largest chat that is captured, in accounts.
    pub max_chatters: u32,
    /// How long purged, expired and finished things are kept, in days.
    pub retention_days: u32,
}
