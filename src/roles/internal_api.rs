//! What the servers of all roles share: health, readiness, metrics, the log line of a request, the internal token.

use std::{
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::{self, Next},
    web,
};
use anyhow::Context as _;
use ipnet::IpNet;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::readiness::Readiness;
use crate::{
    roles::Role,
    secrets::InternalToken,
    telemetry,
    wire::{self, Code, Problem},
};

/// What every server of this process is given.
#[derive(Clone, Debug)]
pub struct ServerContext {
    pub readiness: Arc<Readiness>,
    pub internal_token: Arc<InternalToken>,
    pub trusted_proxies: Arc<[IpNet]>,
    /// For requests that are under way when the process stops.
    pub shutdown_grace: Duration,
}

/// Serves one role until `stop`: its own routes, and those that all roles have.
pub async fn serve<F>(
    role: Role,
    listener: TcpListener,
    context: ServerContext,
    threads: usize,
    stop: CancellationToken,
    routes: F,
) -> anyhow::Result<()>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let grace = context.shutdown_grace.as_secs();
    let address = listener.local_addr().context("a listener without an address")?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(context.clone()))
            .app_data(web::Data::new(role))
            .wrap(middleware::from_fn(log_request))
            .route("/healthz", web::get().to(healthz))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics))
            .configure(routes.clone())
    })
    .workers(threads)
    .client_request_timeout(Duration::from_secs(10))
    .shutdown_timeout(grace)
    .disable_signals()
    .listen(listener)
    .with_context(|| format!("cannot serve {role} on {address}"))?
    .run();
    tracing::info!(%role, %address, "listening");
    let handle = server.handle();
    tokio::pin!(server);
    tokio::select! {
        ended = &mut server => return ended.with_context(|| format!("the server of {role} ended")),
        () = stop.cancelled() => {}
    }
    let ((), ended) = tokio::join!(handle.stop(true), server);
    ended.with_context(|| format!("the server of {role} did not end well"))
}

/// For a role that has no routes of its own.
pub fn no_routes(config: &mut web::ServiceConfig) {
    config.default_service(web::to(|| async { problem(Code::NotFound, "no such route") }));
}

async fn healthz(role: web::Data<Role>, context: web::Data<ServerContext>) -> HttpResponse {
    let ready_once = context.readiness.was_ready_once();
    HttpResponse::Ok().json(json!({ "status": "ok", "role": role.as_str(), "ready_once": ready_once }))
}

async fn readyz(role: web::Data<Role>, context: web::Data<ServerContext>) -> HttpResponse {
    let report = context.readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = report.body;
    body["role"] = role.as_str().into();
    HttpResponse::build(status).insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

async fn metrics(request: HttpRequest, context: web::Data<ServerContext>) -> HttpResponse {
    let peer = request.peer_addr().map(|address| address.ip().to_canonical());
    let near = peer.is_some_and(|ip| ip.is_loopback() || context.trusted_proxies.iter().any(|net| net.contains(&ip)));
    if !near && !shows_token(request.headers(), &context.internal_token) {
        return problem(Code::Unauthorized, "X-Internal-Token is missing or wrong");
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(telemetry::render_metrics())
}

fn shows_token(headers: &header::HeaderMap, token: &InternalToken) -> bool {
    let shown = headers.get(wire::INTERNAL_TOKEN_HEADER).and_then(|value| value.to_str().ok());
    shown.is_some_and(|shown| token.accepts(shown))
}

/// Middleware: only callers that show the internal token get further.
pub async fn require_token<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let context = request.app_data::<web::Data<ServerContext>>();
    if context.is_some_and(|context| shows_token(request.headers(), &context.internal_token)) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let refusal = problem(Code::Unauthorized, "X-Internal-Token is missing or wrong");
    Ok(request.into_response(refusal))
}

/// An error answer for machines.
pub fn problem(code: Code, detail: impl Into<String>) -> HttpResponse {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).content_type(wire::PROBLEM_JSON).json(Problem::new(code, detail))
}

/// Middleware: one line and one measurement a request, without its query.
async fn log_request<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let begun = Instant::now();
    let role = request.app_data::<web::Data<Role>>().map_or("unknown", |role| role.as_str());
    let method = request.method().clone();
    let path = request.path().to_owned();
    let quiet = matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics") || path.starts_with("/static/");
    let answer = next.call(request).await;
    let elapsed = begun.elapsed();
    let (status, route) = match &answer {
        Ok(answer) => (answer.status().as_u16(), answer.request().match_pattern()),
        Err(error) => (error.as_response_error().status_code().as_u16(), None),
    };
    let route = route.unwrap_or_else(|| "none".to_owned());
    metrics::histogram!(
        "tca_http_request_duration_seconds",
        "role" => role, "method" => method.to_string(), "route" => route, "status" => format!("{}xx", status / 100)
    )
    .record(elapsed.as_secs_f64());
    let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    if quiet {
        tracing::debug!(role, status, duration_ms, "{method} {path} in {duration_ms}ms");
    } else {
        tracing::info!(role, status, duration_ms, "{method} {path} in {duration_ms}ms");
    }
    answer
}
