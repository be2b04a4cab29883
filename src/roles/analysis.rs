//! The analysis role: internal JSON over [`crate::analysis`].

use std::sync::Arc;

use actix_web::{HttpResponse, middleware::from_fn, web};
use serde::Deserialize;

use super::internal_api::{problem, require_token};
use crate::{
    analysis::{Analysis, Filter},
    twitch::{BadTwitchUserId, TwitchUserId},
    wire::{CACHE_HEADER, Code},
};

/// The routes of the role; all need the internal token.
pub fn routes(config: &mut web::ServiceConfig, analysis: &Arc<Analysis>) {
    config.service(
        web::scope("/sessions")
            .app_data(web::Data::from(analysis.clone()))
            .wrap(from_fn(require_token))
            .route("/{uuid}/summary", web::get().to(summary)),
    );
    config.default_service(web::to(|| async { problem(Code::NotFound, "no such route") }));
}

#[derive(Deserialize)]
struct Question {
    /// Comma-separated ids.
    broadcaster_id: Option<String>,
}

async fn summary(
    uuid: web::Path<String>,
    question: web::Query<Question>,
    analysis: web::Data<Analysis>,
) -> HttpResponse {
    let Ok(filter) = read_filter(question.broadcaster_id.as_deref()) else {
        return problem(Code::BadRequest, "broadcaster_id must be Twitch ids, separated by commas");
    };
    match analysis.summary(&uuid, &filter).await {
        Ok(Some(answer)) => HttpResponse::Ok()
            .content_type("application/json")
            .insert_header((CACHE_HEADER, if answer.hit { "HIT" } else { "MISS" }))
            .body(answer.json),
        Ok(None) => problem(Code::NotFound, "no such session"),
        Err(error) => {
            tracing::error!(%error, "a summary could not be computed");
            problem(Code::Internal, "the summary could not be computed")
        }
    }
}

fn read_filter(list: Option<&str>) -> Result<Filter, BadTwitchUserId> {
    let ids = list.unwrap_or_default().split(',').map(str::trim).filter(|id| !id.is_empty());
    Ok(Filter::new(ids.map(str::parse).collect::<Result<Vec<TwitchUserId>, _>>()?))
}
