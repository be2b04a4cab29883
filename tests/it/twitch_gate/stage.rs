//! A simulated Twitch, a gate in front of it, and the role in front of that.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_web::{App, HttpServer, web};
use sea_orm::DatabaseConnection;
use secrecy::SecretString;
use tca::{
    clock::Clock,
    config::{DatabaseSettings, SecretSettings, TwitchSettings},
    db,
    roles::twitch_proxy,
    secrets::{Secrets, TokenCipher},
    simulator::{self, Fault, PlannedFault, Route, World, cast},
    store::Store,
    twitch::{Gate, ProxyClient, REQUIRED_SCOPES, SignedIn, TwitchClient, TwitchUserId},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use crate::support::{Backend, TestDatabase};

pub const REDIRECT: &str = "http://localhost:8080/auth/callback";

pub struct Stage {
    pub world: World,
    pub clock: Clock,
    pub client: TwitchClient,
    pub gate: Arc<Gate>,
    settings: TwitchSettings,
    pub db: DatabaseConnection,
    pub store: Store,
    stop: CancellationToken,
    _end: DropGuard,
    _database: TestDatabase,
}

impl Stage {
    pub async fn new(backend: Backend) -> Self {
        Self::at(backend, Clock::System).await
    }

    /// A stage, and a Twitch, whose time is that of `clock`.
    pub async fn at(backend: Backend, clock: Clock) -> Self {
        // The second test of the process finds the provider installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (world, stop) = (
            World::new(simulator::Options { clock: clock.clone(), ..simulator::Options::default() }),
            CancellationToken::new(),
        );
        let url = serve_world(&world, &stop);
        let settings = TwitchSettings {
            client_id: Some("demo".to_owned()),
            client_secret: Some("demo-secret".into()),
            redirect_url: REDIRECT.parse().unwrap(),
            helix_url: url.join("helix").unwrap(),
            auth_url: url.join("oauth2").unwrap(),
            requests_per_second: 10,
        };
        let database = backend.database().await;
        let database_settings =
            DatabaseSettings { url: database.url.clone(), read_url: None, max_open: 5, max_idle: 2 };
        db::migrate(&database_settings).await.unwrap();
        let db = db::connect(&database_settings).await.unwrap();
        let store = backend.store();
        let gate = Arc::new(gate(&settings, &db, &store, &clock));
        let client = TwitchClient::Direct(gate.clone());
        let end = stop.clone().drop_guard();
        Self { world, clock, client, gate, settings, db, store, stop, _end: end, _database: database }
    }

    /// Another process in front of the same database and store.
    pub fn replica(&self) -> TwitchClient {
        TwitchClient::Direct(Arc::new(gate(&self.settings, &self.db, &self.store, &self.clock)))
    }

    /// The way through the role.
    pub fn proxied(&self) -> TwitchClient {
        let token = SecretString::from("token");
        TwitchClient::Proxied(ProxyClient::new(&self.serve_role(), token, self.clock.clone()).unwrap())
    }

    /// Serves the role's routes; what checks the internal token is the server's and not here.
    pub fn serve_role(&self) -> Url {
        let (listener, url) = listener();
        let (gate, stop) = (web::Data::from(self.gate.clone()), self.stop.clone());
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || App::new().app_data(gate.clone()).configure(twitch_proxy::configure);
                let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1);
                server.shutdown_signal(stop.cancelled_owned()).listen(listener).unwrap().run().await.unwrap();
            });
        });
        url
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    pub fn id(&self, login: &str) -> TwitchUserId {
        TwitchUserId(self.world.person(login).unwrap().id)
    }

    pub fn fault(&self, route: Route, fault: Fault, count: u32) {
        self.world.plan_fault(PlannedFault { route, fault, skip: 0, count });
    }

    pub fn calls(&self, route: Route) -> usize {
        self.world.calls_after(0).iter().filter(|call| call.route == route).count()
    }

    /// When the calls of a route came in, in order.
    pub fn moments(&self, route: Route) -> Vec<Duration> {
        let calls = self.world.calls_after(0);
        calls.iter().filter(|call| call.route == route).map(|call| call.at).collect()
    }

    /// A code as the browser brings it back from the consent page.
    pub async fn code(&self, login: &str, scopes: &[&str]) -> String {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let scope = scopes.join(" ");
        let form = [
            ("client_id", "demo"),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", scope.as_str()),
            ("state", "state"),
            ("person", login),
        ];
        let answer = client.post(format!("{}/authorize", self.settings.auth_url)).form(&form).send().await.unwrap();
        let back = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        back.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned()
    }

    pub async fn sign_in(&self, login: &str) -> SignedIn {
        let code = self.code(login, &REQUIRED_SCOPES).await;
        self.client.sign_in(&code, REDIRECT).await.unwrap()
    }

    pub async fn hero(&self) -> (i64, TwitchUserId) {
        let signed_in = self.sign_in(cast::HERO).await;
        (signed_in.user_id, signed_in.twitch_user_id)
    }

    /// The tokens as the database holds them.
    pub async fn stored_tokens(&self, user: i64) -> Option<(String, String)> {
        let sql = "SELECT access_token, refresh_token FROM twitch_tokens WHERE user_id = ?";
        let rows = db::query(&self.db, sql, [user.into()]).await.unwrap();
        let row = rows.first()?;
        Some((row.try_get("", "access_token").unwrap(), row.try_get("", "refresh_token").unwrap()))
    }
}

fn gate(settings: &TwitchSettings, db: &DatabaseConnection, store: &Store, clock: &Clock) -> Gate {
    Gate::new(settings, db.clone(), store.clone(), clock.clone(), cipher()).unwrap()
}

fn cipher() -> TokenCipher {
    let secrets = SecretSettings {
        session: vec!["a secret of thirty-two bytes or more".into()],
        token: Vec::new(),
        internal: None,
        secret_file: None,
        may_be_made: false,
    };
    Secrets::derive(&secrets).tokens.unwrap()
}

fn listener() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    (listener, url)
}

fn serve_world(world: &World, stop: &CancellationToken) -> Url {
    let (listener, url) = listener();
    let (world, stop) = (world.clone(), stop.clone());
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move { simulator::run(world, listener, stop).await.unwrap() });
    });
    url
}
