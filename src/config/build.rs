//! Makes [`Settings`] of the values: section by section, so that every section's problems are found.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    AccessSettings, AppEnv, DatabaseSettings, Inputs, LimitSettings, LogFormat, LogSettings, Ports, SecretSettings,
    Settings, TwitchSettings, WorkerSettings, database,
    reader::{Invalid, Reader, fixed},
    rules,
};
use crate::roles::{Role, RoleSet};

/// The shortest secret that keys are derived from, in bytes.
const MIN_SECRET: usize = 32;

/// The settings, or `Invalid` with the problems in `reader`.
pub fn build(reader: &mut Reader, inputs: &Inputs) -> Result<Settings, Invalid> {
    let env = app_env(reader);
    let is_production = matches!(env, Ok(AppEnv::Production));
    let roles = RoleSet::new(inputs.roles.iter().copied());
    // Every section is read before the first `?`, so that none hides the problems of the next.
    let database = database::read(reader, &roles);
    let secrets = secrets(reader, is_production, database.as_ref().ok());
    let redis_url = reader.server_url("redis.url");
    let cache_ttl = reader.span("cache.ttl");
    let worker = worker(reader);
    let proxy_url = reader.url("roles.twitch_proxy_url");
    let analysis_url = reader.url("roles.analysis_url");
    let bind_addr = reader.address("server.bind_addr");
    let ports = ports(reader, &roles);
    let public_url = public_url(reader, ports.as_ref().ok());
    let twitch = twitch(reader, public_url.as_ref().ok());
    let trusted_proxies = reader.networks("server.trusted_proxies");
    let shutdown_grace = reader.span("server.shutdown_grace");
    let log = log(reader, inputs.is_terminal);
    let access = access(reader);
    let limits = limits(reader);
    rules::check(
        reader,
        &rules::Facts {
            needs: inputs.needs,
            is_production,
            roles: &roles,
            database: database.as_ref().ok(),
            public_url: public_url.as_ref().ok(),
        },
    );
    if !reader.problems.is_empty() {
        return Err(Invalid);
    }
    Ok(Settings {
        env: env?,
        roles,
        secrets: secrets?,
        database: database?,
        redis_url: redis_url?.map(SecretString::from),
        cache_ttl: fixed(cache_ttl)?,
        worker: worker?,
        twitch: twitch?,
        twitch_api_base_url: fixed(proxy_url)?,
        analysis_base_url: fixed(analysis_url)?,
        bind_addr: fixed(bind_addr)?,
        ports: ports?,
        public_url: public_url?,
        trusted_proxies: fixed(trusted_proxies)?,
        log: log?,
        access: access?,
        limits: limits?,
        shutdown_grace: fixed(shutdown_grace)?,
    })
}

fn app_env(reader: &mut Reader) -> Result<AppEnv, Invalid> {
    Ok(match reader.choice("app.env")?.as_deref() {
        Some("production") => AppEnv::Production,
        Some("test") => AppEnv::Test,
        _ => AppEnv::Development,
    })
}

fn secrets(
    reader: &mut Reader,
    is_production: bool,
    database: Option<&DatabaseSettings>,
) -> Result<SecretSettings, Invalid> {
    let session = reader.secrets("secrets.session", MIN_SECRET);
    let token = reader.secrets("secrets.token_key", 1);
    let internal = reader.parsed("secrets.internal_token", |text, _| {
        // It travels in a header.
        let can_travel = text.bytes().all(|b| b.is_ascii_graphic());
        if can_travel {
            Ok(SecretString::from(text))
        } else {
            Err("only visible ASCII characters are possible".to_owned())
        }
    });
    let secret_file = database.and_then(DatabaseSettings::secret_file);
    let may_be_made = !is_production && database.is_some_and(|database| database.sqlite_file().is_some());
    if let Some(file) = secret_file.as_ref().filter(|_| may_be_made) {
        reader.compute("secrets.session", format!("(made at first start, kept in {})", file.display()));
    }
    Ok(SecretSettings { session: session?, token: token?, internal: internal?, secret_file, may_be_made })
}

fn worker(reader: &mut Reader) -> Result<WorkerSettings, Invalid> {
    let concurrency = reader.number("worker.concurrency");
    let poll_interval = reader.span("worker.poll_interval");
    Ok(WorkerSettings { concurrency: fixed(concurrency)?, poll_interval: fixed(poll_interval)? })
}

fn ports(reader: &mut Reader, roles: &RoleSet) -> Result<Ports, Invalid> {
    let gateway = reader.port("server.gateway_port");
    let twitch_proxy = reader.port("server.twitch_proxy_port");
    let worker = reader.port("server.worker_port");
    let analysis = reader.port("server.analysis_port");
    let twitch_sim = reader.port("simulator.port");
    let own = reader.port("server.port")?;
    let mut ports = Ports {
        gateway: fixed(gateway)?,
        twitch_proxy: fixed(twitch_proxy)?,
        worker: fixed(worker)?,
        analysis: fixed(analysis)?,
        twitch_sim: fixed(twitch_sim)?,
    };
    let mut running = roles.iter();
    if let (Some(own), Some(role), None) = (own, running.next(), running.next()) {
        match role {
            Role::Gateway => ports.gateway = own,
            Role::Worker => ports.worker = own,
            Role::Analysis => ports.analysis = own,
            Role::TwitchProxy => ports.twitch_proxy = own,
        }
    }
    let taken: Vec<u16> = roles.iter().map(|role| ports.of(role)).collect();
    for (at, role) in roles.iter().enumerate() {
        if taken[at] != 0 && taken[..at].contains(&taken[at]) {
            return Err(
                reader.refuse(port_key(role), format!("{} is the port of another role of this process", taken[at]))
            );
        }
    }
    Ok(ports)
}

/// The setting of a role's port.
fn port_key(role: Role) -> &'static str {
    match role {
        Role::Gateway => "server.gateway_port",
        Role::Worker => "server.worker_port",
        Role::Analysis => "server.analysis_port",
        Role::TwitchProxy => "server.twitch_proxy_port",
    }
}

fn public_url(reader: &mut Reader, ports: Option<&Ports>) -> Result<Url, Invalid> {
    if let Some(url) = reader.url("server.public_url")? {
        let is_bare =
            url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        return if is_bare {
            Ok(url)
        } else {
            Err(reader.refuse("server.public_url", "must end after host and port; the pages live at the top"))
        };
    }
    let port = ports.map_or(8080, |ports| ports.gateway);
    let url = Url::parse(&format!("http://localhost:{port}")).ok().ok_or(Invalid)?;
    reader.compute("server.public_url", bare(&url));
    Ok(url)
}

fn twitch(reader: &mut Reader, public_url: Option<&Url>) -> Result<TwitchSettings, Invalid> {
    let client_id = reader.text("twitch.client_id");
    let client_secret = reader.secret("twitch.client_secret");
    let redirect_url = reader.url("twitch.redirect_url");
    let helix_url = reader.url("twitch.helix_url");
    let auth_url = reader.url("twitch.auth_url");
    let requests_per_second = reader.number("twitch.requests_per_second");
    let redirect_url = if let Some(url) = redirect_url? {
        url
    } else {
        let url = public_url.and_then(|url| url.join("auth/callback").ok()).ok_or(Invalid)?;
        reader.compute("twitch.redirect_url", url.as_str());
        url
    };
    Ok(TwitchSettings {
        client_id: client_id?,
        client_secret: client_secret?,
        redirect_url,
        helix_url: fixed(helix_url)?,
        auth_url: fixed(auth_url)?,
        requests_per_second: fixed(requests_per_second)?,
    })
}

fn log(reader: &mut Reader, is_terminal: bool) -> Result<LogSettings, Invalid> {
    let level = reader.log_filter("log.level");
    let format = match reader.choice("log.format")?.as_deref() {
        Some("pretty") => LogFormat::Pretty,
        None if is_terminal => LogFormat::Pretty,
        Some(_) | None => LogFormat::Json,
    };
    reader.compute("log.format", if format == LogFormat::Pretty { "pretty" } else { "json" });
    Ok(LogSettings { level: fixed(level)?, format })
}

fn access(reader: &mut Reader) -> Result<AccessSettings, Invalid> {
    let ops_logins = reader.logins("access.ops_logins");
    let allowed_logins = reader.logins("access.allowed_logins");
    Ok(AccessSettings { ops_logins: fixed(ops_logins)?, allowed_logins: fixed(allowed_logins)? })
}

fn limits(reader: &mut Reader) -> Result<LimitSettings, Invalid> {
    let captures_per_hour = reader.number("limits.captures_per_hour");
    let max_chatters = reader.number("limits.max_chatters");
    let retention_days = reader.number("limits.retention_days");
    Ok(LimitSettings {
        captures_per_hour: fixed(captures_per_hour)?,
        max_chatters: fixed(max_chatters)?,
        retention_days: fixed(retention_days)?,
    })
}

fn bare(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

impl DatabaseSettings {
    /// Where the session secret is kept when nobody gives one: beside the file of a SQLite database.
    pub fn secret_file(&self) -> Option<std::path::PathBuf> {
        let is_in_memory =
            self.url.expose_secret().contains(":memory:") || self.url.expose_secret().contains("mode=memory");
        self.sqlite_file().filter(|_| !is_in_memory).map(|file| file.with_extension("secret"))
    }
}
