//! The HTTP side: which path leads where, and how an answer leaves, intact or spoilt on order.

use std::{net::TcpListener, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    body::SizedStream,
    dev::Server,
    http::{StatusCode, header},
    web,
};
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{
    bucket::Level,
    control,
    fault::{Fault, Faults, Route},
    helix, oauth,
    world::World,
};

/// What every handler needs.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) world: World,
    stop: CancellationToken,
}

/// A JSON answer before faults touch it.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    /// For the `Ratelimit-…` headers.
    pub(super) level: Option<Level>,
}

/// A call that has been written into the log and met its faults.
pub(super) struct Visit {
    pub(super) number: u64,
    pub(super) faults: Faults,
    content_type: &'static str,
}

/// Serves the simulator on `listener` until `stop` is cancelled.
pub async fn run(world: World, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    // Apart, because only the running server may travel between threads, not what it is built from.
    let server = start(world, listener, stop)?;
    server.await?;
    Ok(())
}

fn start(world: World, listener: TcpListener, stop: CancellationToken) -> std::io::Result<Server> {
    let desk = Desk { world, stop: stop.clone() };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(desk.clone()))
            .app_data(web::PayloadConfig::new(64 << 20))
            .service(web::scope("/oauth2").configure(oauth::routes))
            .service(web::scope("/helix").configure(helix::routes))
            .service(web::scope("/control").configure(control::routes))
            .route("/", web::get().to(|| async { see_other("/control") }))
    })
    .workers(2)
    .disable_signals()
    .shutdown_timeout(1)
    .shutdown_signal(stop.cancelled_owned())
    .listen(listener)?
    .run();
    Ok(server)
}

impl Desk {
    /// Logs a call and lets its latency pass; `Err` once the simulator stops, if the call was never to be answered.
    pub(super) async fn receive(&self, route: Route, request: &HttpRequest) -> Result<Visit, HttpResponse> {
        let target = match request.uri().path_and_query() {
            Some(target) => target.as_str().to_owned(),
            None => request.path().to_owned(),
        };
        let (number, faults) = self.world.begin_call(route, target);
        if let Some(latency) = faults.latency() {
            tokio::time::sleep(latency).await;
        }
        if faults.has(Fault::Hang) {
            self.stop.cancelled().await;
            return Err(HttpResponse::ServiceUnavailable().finish());
        }
        // id.twitch.tv names no charset, and there are clients that insist on that.
        let content_type = match route {
            Route::Authorize | Route::Token | Route::Validate | Route::Revoke => "application/json",
            _ => "application/json; charset=utf-8",
        };
        Ok(Visit { number, faults, content_type })
    }

    /// Notes the status in the log and sends the answer, spoilt if that was ordered.
    pub(super) fn send(&self, visit: &Visit, answer: Answer) -> HttpResponse {
        self.world.amend_call(visit.number, |call| call.status = Some(answer.status));
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        if let Some(level) = answer.level.filter(|_| !visit.faults.has(Fault::NoRateHeaders)) {
            response.insert_header(("Ratelimit-Limit", level.limit.to_string()));
            response.insert_header(("Ratelimit-Remaining", level.remaining.to_string()));
            let soon = visit.faults.has(Fault::MalformedReset);
            let reset = if soon { "soon".to_owned() } else { level.reset.to_string() };
            response.insert_header(("Ratelimit-Reset", reset));
        }
        if !answer.body.is_empty() {
            response.content_type(visit.content_type);
        }
        let mut body = answer.body;
        if visit.faults.has(Fault::InvalidJson) {
            body = format!("<!doctype html>{}", body.replace('"', "'"));
        }
        if visit.faults.has(Fault::CutBody) {
            return cut_short(&mut response, body);
        }
        response.body(body)
    }
}

/// Announces all of `body`, sends half and breaks the connection off.
fn cut_short(response: &mut actix_web::HttpResponseBuilder, body: String) -> HttpResponse {
    let announced = u64::try_from(body.len()).unwrap_or(u64::MAX).max(2);
    let mut bytes = web::Bytes::from(body);
    bytes.truncate(bytes.len() / 2);
    let half = stream::once(std::future::ready(Ok(bytes)));
    let end = stream::once(async {
        // The first half is on its way before the connection breaks.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    response.body(SizedStream::new(announced, Box::pin(half.chain(end))))
}

pub(super) fn see_other(to: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish()
}

/// An HTML page; `Err` is a template that cannot be rendered.
pub(super) fn page(html: Result<String, askama::Error>) -> HttpResponse {
    match html {
        Ok(html) => HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .insert_header(("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'"))
            .insert_header(("Cache-Control", "no-store"))
            .body(html),
        Err(error) => {
            tracing::error!(%error, "a page of the simulator cannot be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// The pairs of a query or form, in order and with repeats.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    pub(super) fn of_query(request: &HttpRequest) -> Self {
        Self::parse(request.query_string().as_bytes())
    }

    pub(super) fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The pairs of `other` after these.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The first value that is not empty.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
