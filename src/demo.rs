//! `tca demo`: every role in one process, a Twitch of its own, and a past to look at, in a temporary folder.
//!
//! Nothing of the person's real installation is touched: of the environment only ports, addresses and log settings are read
//! ([`ENVIRONMENT`]), of the settings files none. The past is made by the functions that make it in earnest (`past.rs`), from
//! the chats that the simulator says there were; what happened in them is told in `story.rs`.

mod past;
mod ports;
mod story;

use std::{
    collections::BTreeMap,
    net::{IpAddr, TcpListener},
};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use ports::Moved;
pub use story::{LIVE_ROOM, WAVE_WITHIN};

use crate::{
    clock::Clock,
    config::{self, Inputs, Needs, Problems, Settings},
    db,
    serve::{self, Listeners},
    simulator::{self, Options, World},
};

/// The variables that hold for the demo, too. The others belong to a real installation.
pub const ENVIRONMENT: [&str; 10] = [
    "GATEWAY_PORT",
    "TWITCH_PROXY_PORT",
    "WORKER_PORT",
    "ANALYSIS_PORT",
    "TWITCH_SIM_PORT",
    "BIND_ADDR",
    "PUBLIC_URL",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "SHUTDOWN_GRACE",
];

/// Why the demo did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Settings(#[from] Problems),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// A demo whose ports are bound and whose folder is made; dropping it removes the folder.
#[derive(Debug)]
pub struct Demo {
    settings: Settings,
    listeners: Listeners,
    twitch_listener: TcpListener,
    moved: Vec<Moved>,
    folder: TempDir,
}

impl Demo {
    /// Binds the ports and makes the folder.
    pub fn open(env: &BTreeMap<String, String>, is_terminal: bool) -> Result<Self, OpenError> {
        let folder =
            tempfile::Builder::new().prefix("tca-demo-").tempdir().context("cannot make a temporary folder")?;
        let mut inputs = Inputs {
            env: own_environment(env),
            config_dir: folder.path().join("config"),
            roles: Vec::new(),
            flags: Vec::new(),
            is_terminal,
            needs: Needs::Roles,
        };
        let wanted = config::load(&inputs)?;
        let claimed = ports::claim(&wanted, &inputs.env)?;
        inputs.flags = claimed.flags;
        let public_url = config::load(&inputs)?.public_url;
        let file = folder.path().join("tca.db");
        inputs.flags.extend(twitch_flags(wanted.bind_addr, &public_url, claimed.twitch_port));
        inputs.flags.push(("database.url".to_owned(), format!("sqlite://{}", file.display())));
        let mut settings = config::load(&inputs)?;
        settings.secrets.ensure_session().context("cannot prepare the secrets")?;
        let listeners = Listeners::bound(claimed.roles);
        Ok(Self { settings, listeners, twitch_listener: claimed.twitch, moved: claimed.moved, folder })
    }

    /// The settings the demo runs with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The address to open in a browser, without the slash at its end.
    pub fn url(&self) -> &str {
        self.settings.public_url.as_str().trim_end_matches('/')
    }

    /// Where the simulated Twitch is directed.
    pub fn control_url(&self) -> String {
        self.settings.twitch.auth_url.join("/control").map_or_else(|_| String::new(), |url| url.to_string())
    }

    /// The ports that were taken, and what was chosen instead.
    pub fn moved(&self) -> &[Moved] {
        &self.moved
    }

    /// Makes the sample data, and the Twitch in which they happened.
    pub async fn fill(&self) -> anyhow::Result<World> {
        let world = World::new(Options::default());
        world.add_redirect_uri(self.settings.twitch.redirect_url.as_str());
        db::migrate(&self.settings.database).await.context("cannot make the database")?;
        let db = db::connect(&self.settings.database).await.context("cannot open the database")?;
        story::tell(&db, &world).await.context("cannot make the sample data")?;
        db.close().await.context("cannot close the database")?;
        Ok(world)
    }

    /// Runs everything until `stop`, then removes the folder. The wave comes some time after this call.
    pub async fn run(self, world: World, stop: CancellationToken) -> anyhow::Result<()> {
        story::send_wave(&world).context("cannot plan the wave")?;
        // Twitch stays until the roles have ended: what they finish may still ask it.
        let twitch_stop = CancellationToken::new();
        let twitch = async {
            let ended = simulator::run(world, self.twitch_listener, twitch_stop.clone()).await;
            stop.cancel();
            ended
        };
        let roles = async {
            let ended = serve::serve(self.settings, self.listeners, Clock::System, stop.clone()).await;
            twitch_stop.cancel();
            ended
        };
        let (roles, twitch) = tokio::join!(roles, twitch);
        let removed = self.folder.close().context("cannot remove the demo's folder");
        roles?;
        twitch.context("the simulated Twitch failed")?;
        removed
    }
}

/// What of the environment holds for the demo; its log tells of trouble only, so that what it prints stays readable.
fn own_environment(env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = env.iter().filter(|(name, _)| ENVIRONMENT.contains(&name.as_str()));
    let mut own: BTreeMap<String, String> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    own.entry("LOG_LEVEL".to_owned()).or_insert_with(|| "warn".to_owned());
    own
}

/// The settings that lead to the simulator. Browsers go to its sign-in too, so that is on the host they know.
fn twitch_flags(bind_addr: IpAddr, public_url: &Url, port: u16) -> [(String, String); 4] {
    let host = public_url.host_str().unwrap_or("localhost");
    let own = match bind_addr {
        IpAddr::V4(address) if address.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(address) if address.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    [
        ("twitch.helix_url", format!("http://{own}:{port}/helix")),
        ("twitch.auth_url", format!("http://{host}:{port}/oauth2")),
        ("twitch.client_id", "demo".to_owned()),
        ("twitch.client_secret", "demo-secret".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const FREE: [(&str, &str); 5] = [
        ("GATEWAY_PORT", "0"),
        ("TWITCH_PROXY_PORT", "0"),
        ("WORKER_PORT", "0"),
        ("ANALYSIS_PORT", "0"),
        ("TWITCH_SIM_PORT", "0"),
    ];

    #[test]
    fn a_real_installation_is_not_touched() {
        let mut given = FREE.to_vec();
        given.extend([
            ("DATABASE_URL", "mysql://root@db/real"),
            ("DB_HOST", "db"),
            ("REDIS_URL", "redis://real:6379"),
            ("TWITCH_CLIENT_ID", "real"),
            ("TWITCH_HELIX_URL", "https://api.twitch.tv/helix"),
            ("APP_ENV", "production"),
            ("APP_SESSION_SECRET", "short"),
            ("ALLOWED_LOGINS", "somebody"),
        ]);
        let demo = Demo::open(&environment(&given), false).unwrap();
        let settings = demo.settings();
        assert_eq!(settings.database.sqlite_file().unwrap().parent(), Some(demo.folder.path()));
        assert!(settings.redis_url.is_none() && settings.access.allowed_logins.is_empty());
        assert_eq!(settings.env, config::AppEnv::Development);
        assert_eq!(settings.twitch.client_id.as_deref(), Some("demo"));
        assert_eq!(settings.twitch.client_secret.as_ref().unwrap().expose_secret(), "demo-secret");
        assert!(settings.twitch.helix_url.as_str().starts_with("http://127.0.0.1:"));
        assert_eq!(settings.log.level, "warn");
    }

    #[test]
    fn addresses_follow_the_ports_that_were_found() {
        let demo = Demo::open(&environment(&FREE), false).unwrap();
        let port = demo.settings.ports.gateway;
        assert_ne!(port, 0);
        assert_eq!(demo.url(), format!("http://localhost:{port}"));
        assert_eq!(demo.settings.twitch.redirect_url.as_str(), format!("http://localhost:{port}/auth/callback"));
        assert!(demo.control_url().ends_with("/control"));
        let folder = demo.folder.path().to_owned();
        drop(demo);
        assert!(!Path::new(&folder).exists());
    }

    #[test]
    fn a_public_address_leads_to_the_sign_in_as_well() {
        let url: Url = "http://192.168.1.5:8080".parse().unwrap();
        let flags = twitch_flags("0.0.0.0".parse().unwrap(), &url, 8090);
        assert_eq!(flags[0].1, "http://127.0.0.1:8090/helix");
        assert_eq!(flags[1].1, "http://192.168.1.5:8090/oauth2");
    }

    #[test]
    fn wrong_settings_are_all_named() {
        let wrong = environment(&[("GATEWAY_PORT", "many"), ("BIND_ADDR", "here")]);
        match Demo::open(&wrong, false) {
            Err(OpenError::Settings(problems)) => assert_eq!(problems.0.len(), 2, "{problems}"),
            other => panic!("{other:?}"),
        }
    }
}
