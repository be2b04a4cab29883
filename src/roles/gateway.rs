//! The gateway role: the public web pages.
//!
//! A handler reads the request, makes one domain call and fills a view. Every route and every middleware stands on this screen.
//! State changes only by POST, through [`form::Posted`], which checks where the form came from.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    middleware::{Compress, from_fn},
    web::{self, get, post},
};
use sea_orm::DatabaseConnection;

use crate::{
    analysis::AnalysisClient, clock::Clock, config::Settings, secrets::Secrets, store::Store, twitch::TwitchClient,
};

pub mod assets;
mod client_ip;
mod cookies;
mod error;
mod form;
mod headers;
mod pages;
mod rate_limit;
pub mod view;
mod visitor;

pub use rate_limit::VisitorLimits;

/// What the pages work with.
#[derive(Debug)]
pub struct Gateway {
    pub settings: Arc<Settings>,
    pub secrets: Arc<Secrets>,
    pub clock: Clock,
    pub db: DatabaseConnection,
    pub store: Store,
    pub twitch: TwitchClient,
    pub analysis: AnalysisClient,
    pub limits: VisitorLimits,
}

/// All routes of the role.
pub fn routes(config: &mut web::ServiceConfig, gateway: &Arc<Gateway>) {
    use pages::{accounts, analysis, auth, captures, channels, home, preferences, sessions};
    config.app_data(web::Data::from(gateway.clone())).service(
        web::scope("")
            // The last one is the outermost: errors become pages before headers are added and the body is compressed.
            .wrap(from_fn(error::render))
            .wrap(from_fn(headers::add))
            .wrap(Compress::default())
            .route("/", get().to(home::show))
            .route("/privacy", get().to(home::privacy))
            .route("/settings", get().to(preferences::show))
            .route("/preferences", post().to(preferences::change))
            .route("/auth/login", get().to(auth::login))
            .route("/auth/callback", get().to(auth::callback))
            .route("/auth/logout", post().to(auth::logout))
            .route("/auth/disconnect", get().to(auth::confirm_disconnect))
            .route("/auth/disconnect", post().to(auth::disconnect))
            .route("/channels", get().to(channels::show))
            .route("/channels/refresh", post().to(channels::refresh))
            .route("/sessions/capture", post().to(captures::request))
            .route("/captures/cancel", post().to(captures::cancel))
            .route("/captures/{id}", get().to(captures::show))
            .route("/analysis", get().to(analysis::active))
            .route("/analysis/saved/{uuid}", get().to(analysis::saved))
            .route("/analysis/export", get().to(analysis::export_active))
            .route("/sessions/export/{uuid}", get().to(analysis::export_saved))
            .route("/sessions", get().to(sessions::show))
            .route("/sessions/save", get().to(sessions::confirm_save))
            .route("/sessions/save", post().to(sessions::save))
            .route("/sessions/purge", get().to(sessions::confirm_purge))
            .route("/sessions/purge", post().to(sessions::purge))
            .route("/sessions/delete", get().to(sessions::confirm_delete))
            .route("/sessions/delete", post().to(sessions::delete))
            .route("/sessions/resume", get().to(sessions::confirm_resume))
            .route("/sessions/resume", post().to(sessions::resume))
            .route("/accounts/{id}/history", get().to(accounts::history))
            .route("/static/{name}", get().to(asset))
            .default_service(web::to(nothing_here)),
    );
}

async fn asset(name: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, error::Failure> {
    assets::serve(&name, &request).ok_or(error::Failure::NotFound)
}

async fn nothing_here() -> Result<HttpResponse, error::Failure> {
    Err(error::Failure::NotFound)
}
