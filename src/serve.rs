//! The composition root: opens what is shared, starts the chosen roles, waits, stops them in order.
//!
//! The choices between two implementations are made here and nowhere else: database, store, Twitch direct or proxied, analysis
//! local or remote. The first role to end, for whatever reason, stops the others.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use sea_orm::DatabaseConnection;
use secrecy::SecretString;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    analysis::{Analysis, AnalysisClient, RemoteAnalysis},
    capture::fetch,
    clock::Clock,
    config::{AppEnv, Settings},
    db,
    roles::{
        self, Role, RoleSet,
        gateway::{Gateway, VisitorLimits},
        internal_api::{self, ServerContext},
        readiness::Readiness,
        worker::Worker,
    },
    secrets::Secrets,
    store::Store,
    telemetry,
    twitch::{Gate, ProxyClient, TwitchClient},
};

/// How often histograms are folded together.
const TIDY_METRICS_EVERY: Duration = Duration::from_secs(5);
/// Longer than load balancers usually wait between two looks.
const UNREADY_FOR: Duration = Duration::from_secs(5);
/// For the servers of roles that nobody asks any more.
const LAST_GRACE: Duration = Duration::from_secs(3);

/// One listener for each role of this process, bound before anything starts.
#[derive(Debug)]
pub struct Listeners(Vec<(Role, TcpListener)>);

impl Listeners {
    /// Binds the ports; fails on one that is taken.
    pub fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let bind = |role: Role| {
            let address = SocketAddr::new(settings.bind_addr, settings.ports.of(role));
            let listener = TcpListener::bind(address)
                .with_context(|| format!("cannot listen on {address} for the role {role}; is another tca running?"))?;
            Ok((role, listener))
        };
        Ok(Self(settings.roles.iter().map(bind).collect::<anyhow::Result<_>>()?))
    }

    /// Listeners that are bound already.
    pub fn bound(listeners: Vec<(Role, TcpListener)>) -> Self {
        Self(listeners)
    }

    /// Where a role listens; differs from the settings where the port was left to the system.
    pub fn address(&self, role: Role) -> Option<SocketAddr> {
        self.0.iter().find(|(bound, _)| *bound == role).and_then(|(_, listener)| listener.local_addr().ok())
    }
}

/// What the roles of this process share.
#[derive(Clone, Debug)]
struct Shared {
    settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    clock: Clock,
    db: DatabaseConnection,
    store: Store,
    /// Present where this process runs the twitch-proxy role.
    gate: Option<Arc<Gate>>,
    twitch: TwitchClient,
    analysis: Analysis,
    analysis_client: AnalysisClient,
    server: ServerContext,
}

/// Runs the roles of `settings` on `listeners` until `stop`, then ends them in order within the grace: the gateway and the
/// worker first, then the roles that other processes ask while theirs are ending.
pub async fn serve(
    settings: Settings,
    listeners: Listeners,
    clock: Clock,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let shared = Shared::open(settings, clock, stop.clone()).await?;
    let grace = shared.settings.shutdown_grace;
    let phases =
        Phases { stop: stop.clone(), close_front: CancellationToken::new(), close_back: CancellationToken::new() };
    let (mut front, mut back) = (JoinSet::new(), JoinSet::new());
    back.spawn(prepare_schema(shared.clone(), phases.close_back.clone()));
    back.spawn(tidy_metrics(phases.close_back.clone()));
    for (role, listener) in listeners.0 {
        start(&mut front, &mut back, &shared, role, listener, &phases);
    }
    // The first to end, for whatever reason, ends the others.
    let first = tokio::select! {
        () = stop.cancelled() => None,
        Some(ended) = front.join_next() => Some(ended),
        Some(ended) = back.join_next() => Some(ended),
    };
    // A role that ended because it was asked to may be seen before the request is.
    let first = first.filter(|_| !stop.is_cancelled());
    stop.cancel();
    tokio::time::sleep(shared.unready_delay()).await;
    phases.close_front.cancel();
    end(&mut front, grace).await;
    phases.close_back.cancel();
    end(&mut back, LAST_GRACE).await;
    if let Some(gate) = &shared.gate {
        // A refreshed token that is not stored would be lost, and with it the sign-in.
        drop(tokio::time::timeout(Duration::from_secs(2), gate.settle()).await);
    }
    drop(tokio::time::timeout(Duration::from_secs(2), shared.db.close()).await);
    match first {
        None => Ok(()),
        Some(Ok(Err(error))) => Err(error),
        Some(Err(fault)) => Err(anyhow!(fault).context("a role stopped with a fault")),
        Some(Ok(Ok(()))) => Err(anyhow!("a role ended by itself")),
    }
}

/// What is told to the roles, in this order.
#[derive(Clone, Debug)]
struct Phases {
    /// Take nothing new; `/readyz` says so.
    stop: CancellationToken,
    /// The gateway's server ends with the requests under way.
    close_front: CancellationToken,
    /// Gateway and worker have ended: so may what they ask.
    close_back: CancellationToken,
}

async fn end(roles: &mut JoinSet<anyhow::Result<()>>, grace: Duration) {
    let all = async { while roles.join_next().await.is_some() {} };
    // A little more than the grace, which the roles keep themselves.
    if tokio::time::timeout(grace + Duration::from_secs(1), all).await.is_err() {
        tracing::warn!("some work did not end in time and is cut off");
        roles.abort_all();
    }
}

impl Shared {
    /// How long `/readyz` says "not ready" before a listener closes, so that a load balancer has looked. Somebody who pressed
    /// Ctrl-C on a laptop has no load balancer.
    fn unready_delay(&self) -> Duration {
        match self.settings.env {
            AppEnv::Production => UNREADY_FOR.min(self.settings.shutdown_grace / 4),
            AppEnv::Development | AppEnv::Test => Duration::ZERO,
        }
    }

    async fn open(settings: Settings, clock: Clock, stop: CancellationToken) -> anyhow::Result<Self> {
        let mut secrets = Secrets::derive(&settings.secrets);
        let internal = secrets.internal.clone().context("no secret to show between the roles")?;
        let db = db::connect(&settings.database).await.context("cannot prepare the database")?;
        let store = Store::open(settings.redis_url.as_ref()).context("cannot prepare the store")?;
        let mut settings = settings;
        // Both are for the twitch-proxy role only: no other process keeps them in memory.
        let cipher = secrets.tokens.take();
        let gate = if settings.roles.contains(Role::TwitchProxy) {
            let cipher = cipher.context("no key for the stored tokens")?;
            Some(Arc::new(Gate::new(&settings.twitch, db.clone(), store.clone(), clock.clone(), cipher)?))
        } else {
            settings.twitch.client_secret = None;
            None
        };
        let twitch = match &gate {
            Some(gate) => TwitchClient::Direct(gate.clone()),
            None => {
                let token = SecretString::from(internal.expose().to_owned());
                TwitchClient::Proxied(ProxyClient::new(&settings.twitch_api_base_url, token, clock.clone())?)
            }
        };
        let analysis = Analysis::new(db.clone(), store.clone(), clock.clone(), settings.cache_ttl);
        let analysis_client = if settings.roles.contains(Role::Analysis) {
            AnalysisClient::Local(analysis.clone())
        } else {
            let remote = RemoteAnalysis::new(settings.analysis_base_url.clone(), Arc::new(internal.clone()))?;
            AnalysisClient::Remote(remote)
        };
        let readiness = Arc::new(Readiness::new(db.clone(), store.clone(), twitch.clone(), stop));
        let server = ServerContext {
            readiness,
            internal_token: Arc::new(internal),
            trusted_proxies: settings.trusted_proxies.clone().into(),
            shutdown_grace: settings.shutdown_grace,
        };
        let (settings, secrets) = (Arc::new(settings), Arc::new(secrets));
        Ok(Self { settings, secrets, clock, db, store, gate, twitch, analysis, analysis_client, server })
    }
}

/// Starts one role and its server.
fn start(
    front: &mut JoinSet<anyhow::Result<()>>,
    back: &mut JoinSet<anyhow::Result<()>>,
    shared: &Shared,
    role: Role,
    listener: TcpListener,
    phases: &Phases,
) {
    let server = shared.server.clone();
    let threads = threads(role, &shared.settings.roles);
    let (close_front, close_back) = (phases.close_front.clone(), phases.close_back.clone());
    match role {
        Role::Gateway => {
            let gateway = Arc::new(gateway(shared));
            let routes = move |config: &mut _| roles::gateway::routes(config, &gateway);
            front.spawn(internal_api::serve(role, listener, server, threads, close_front, routes));
        }
        Role::Worker => {
            let worker = worker(shared);
            let stop = phases.stop.clone();
            front.spawn(async move {
                worker.run(stop).await;
                Ok(())
            });
            // Answers `/readyz` while the last jobs end.
            back.spawn(internal_api::serve(role, listener, server, threads, close_back, internal_api::no_routes));
        }
        Role::Analysis => {
            let analysis = Arc::new(shared.analysis.clone());
            let routes = move |config: &mut _| roles::analysis::routes(config, &analysis);
            back.spawn(internal_api::serve(role, listener, server, threads, close_back, routes));
        }
        Role::TwitchProxy => {
            // Opened for this role.
            let Some(gate) = shared.gate.clone() else { return };
            let routes = move |config: &mut _| roles::twitch_proxy::routes(config, &gate);
            back.spawn(internal_api::serve(role, listener, server, threads, close_back, routes));
        }
    }
}

/// The gateway gets a thread a core; the internal servers little, and more when they are alone.
fn threads(role: Role, roles: &RoleSet) -> usize {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    match role {
        Role::Gateway => cores,
        Role::Analysis | Role::TwitchProxy if roles.is_partial() => cores,
        Role::Worker | Role::Analysis | Role::TwitchProxy => 1,
    }
}

fn gateway(shared: &Shared) -> Gateway {
    Gateway {
        settings: shared.settings.clone(),
        secrets: shared.secrets.clone(),
        clock: shared.clock.clone(),
        db: shared.db.clone(),
        store: shared.store.clone(),
        twitch: shared.twitch.clone(),
        analysis: shared.analysis_client.clone(),
        limits: VisitorLimits::default(),
    }
}

fn worker(shared: &Shared) -> Worker {
    let context = fetch::Context {
        db: shared.db.clone(),
        twitch: shared.twitch.clone(),
        clock: shared.clock.clone(),
        max_chatters: shared.settings.limits.max_chatters,
        hand_back: CancellationToken::new(),
    };
    let readiness = shared.server.readiness.clone();
    Worker::new(context, shared.store.clone(), readiness, &shared.settings)
}

/// On SQLite this process brings the schema up to date; on MariaDB somebody runs `tca migrate`, and the roles wait.
async fn prepare_schema(shared: Shared, stop: CancellationToken) -> anyhow::Result<()> {
    if shared.settings.database.sqlite_file().is_some() {
        let applied = db::migrate(&shared.settings.database).await.context("cannot bring the schema up to date")?;
        if !applied.is_empty() {
            tracing::info!(migrations = applied.len(), "the schema is up to date");
        }
    }
    shared.server.readiness.wait_for_schema_aloud().await;
    // A first look, so that a container whose probes come late is known to have been ready.
    shared.server.readiness.report().await;
    stop.cancelled().await;
    Ok(())
}

async fn tidy_metrics(stop: CancellationToken) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TIDY_METRICS_EVERY) => telemetry::tidy_metrics(),
        }
    }
    Ok(())
}
