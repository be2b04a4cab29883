//! The settings of one process: read once, handed down as values, never global.
//!
//! [`Settings`] is what the program uses. Where each value comes from (built-in defaults, files, environment, flags), how it is
//! parsed and which combinations are refused stands in the modules below; `config/default.toml` is the commented reference.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use crate::roles::{Role, RoleSet};

mod build;
mod database;
mod layers;
mod parse;
mod problem;
mod reader;
mod rules;
mod secret_file;
mod shown;
mod table;
#[cfg(test)]
mod tests;

pub use problem::{Problem, Problems};
pub use secret_file::SecretFileError;
pub use shown::{Row, table as shown_table};
pub use table::{Kind, Setting, TABLE};

/// Everything that settings are read from, as values: nothing here looks at the process around it.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The folder of the files; files that are not there are passed over.
    pub config_dir: PathBuf,
    /// `--role`; none means all.
    pub roles: Vec<Role>,
    /// Settings that win over all others, by key: `("database.url", "…")`.
    pub flags: Vec<(String, String)>,
    /// Whether log lines go to a terminal.
    pub is_terminal: bool,
    pub needs: Needs,
}

/// How much has to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// What the roles need to run.
    Roles,
    /// Nothing: what is set must be right. For commands that run no role.
    ValuesOnly,
}

/// What was read: shown even when it cannot be used.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Every setting with its value, redacted, and its source.
    pub rows: Vec<Row>,
    pub settings: Result<Settings, Problems>,
}

/// Reads all layers, checks everything, and says where each value comes from.
pub fn read(inputs: &Inputs) -> Reading {
    let mut problems = Vec::new();
    let merged = layers::merge(inputs, &mut problems);
    let mut reader = reader::Reader::new(merged, problems);
    let settings = build::build(&mut reader, inputs);
    let rows = shown::rows(&reader);
    Reading { rows, settings: settings.map_err(|reader::Invalid| Problems(reader.problems)) }
}

/// Reads the settings; all problems at once if there are any.
pub fn load(inputs: &Inputs) -> Result<Settings, Problems> {
    read(inputs).settings
}

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
    /// Where a session secret is kept that nobody gave: beside the file of a SQLite database.
    pub secret_file: Option<PathBuf>,
    /// Whether a missing session secret may be made: outside production, on SQLite.
    pub may_be_made: bool,
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

impl AccessSettings {
    /// Whether somebody may use this instance; `login` in lower case.
    pub fn allows(&self, login: &str) -> bool {
        self.allowed_logins.is_empty() || self.allowed_logins.iter().any(|allowed| allowed == login)
    }
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
