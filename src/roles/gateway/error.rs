//! What a handler can fail with, and the page that a person sees then.

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
};
use askama::Template;
use sea_orm::DbErr;
use uuid::Uuid;

use super::{
    view::{ErrorKind, ErrorPage},
    visitor::Visitor,
};
use crate::{analysis::AnalysisError, db, session::SessionError, twitch::TwitchError};

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody is signed in; after the sign-in the browser comes back here.
    #[error("not signed in")]
    NotSignedIn { return_to: String },
    /// The request cannot be understood; in English and French.
    #[error("bad request: {0}")]
    BadRequest(&'static str, &'static str),
    #[error("the form does not belong to this browser, or came from elsewhere")]
    StaleForm,
    #[error("not found")]
    NotFound,
    #[error("too many requests")]
    TooMany { seconds: u64 },
    #[error("a part of the system does not answer: {0}")]
    Unavailable(String),
    #[error("Twitch does not answer: {0}")]
    TwitchAway(String),
    #[error("{0}")]
    Internal(String),
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        if db::is_temporary(&error) { Self::Unavailable(error.to_string()) } else { Self::Internal(error.to_string()) }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotFound => Self::NotFound,
            SessionError::Db(error) => error.into(),
        }
    }
}

impl From<AnalysisError> for Failure {
    fn from(error: AnalysisError) -> Self {
        match error {
            AnalysisError::NotFound => Self::NotFound,
            AnalysisError::Unavailable(detail) => Self::Unavailable(detail),
        }
    }
}

impl From<TwitchError> for Failure {
    fn from(error: TwitchError) -> Self {
        Self::TwitchAway(error.to_string())
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl Failure {
    fn kind(&self, visitor: &Visitor) -> ErrorKind {
        match self {
            Self::NotSignedIn { .. } | Self::NotFound => ErrorKind::NotFound,
            Self::BadRequest(en, fr) => ErrorKind::BadRequest(visitor.lang.t(en, fr).to_owned()),
            Self::StaleForm => ErrorKind::StaleForm,
            Self::TooMany { seconds } => ErrorKind::TooMany { seconds: *seconds },
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::TwitchAway(_) => ErrorKind::TwitchAway,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}

/// The bare answer; [`render`] makes it a page.
impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotSignedIn { .. } => StatusCode::SEE_OTHER,
            Self::BadRequest(..) => StatusCode::BAD_REQUEST,
            Self::StaleForm => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TwitchAway(_) => StatusCode::BAD_GATEWAY,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// Middleware: failures become pages in the reader's language. The cause of a fault goes to the log, its number to the page.
pub async fn render<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let answer = next.call(request).await?;
    let Some(error) = answer.response().error() else { return Ok(answer.map_into_boxed_body()) };
    let status = error.as_response_error().status_code();
    let page = match error.as_error::<Failure>() {
        Some(failure) => page(answer.request(), failure),
        // What actix itself refuses: unreadable paths, bodies that are too large.
        None if status.is_client_error() => {
            let failure = Failure::BadRequest("The request could not be read.", "La demande n’a pas pu être lue.");
            page(answer.request(), &failure)
        }
        None => page(answer.request(), &Failure::Internal(error.to_string())),
    };
    let request = answer.request().clone();
    Ok(ServiceResponse::new(request, page))
}

fn page(request: &HttpRequest, failure: &Failure) -> HttpResponse {
    if let Failure::NotSignedIn { return_to } = failure {
        let next: String = url::form_urlencoded::byte_serialize(return_to.as_bytes()).collect();
        let location = format!("/auth/login?next={next}");
        return HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish();
    }
    // Two statements: reading cookies borrows the extensions too.
    let known = request.extensions().get::<Visitor>().cloned();
    let visitor = known.unwrap_or_else(|| Visitor::unknown(request));
    let kind = failure.kind(&visitor);
    let request_id = (kind.status() >= 500).then(|| Uuid::new_v4().simple().to_string());
    if let Some(request_id) = &request_id {
        tracing::error!(request.id = %request_id, error = %failure, "{} {} failed", request.method(), request.path());
    }
    let way_on = matches!(failure, Failure::StaleForm).then(|| referring_page(request)).flatten();
    let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(status);
    if let Failure::TooMany { seconds } = failure {
        answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    match (ErrorPage { page: visitor.page(), kind, way_on, request_id }).render() {
        Ok(html) => answer.content_type("text/html; charset=utf-8").body(html),
        Err(error) => {
            tracing::error!(%error, "the error page could not be rendered");
            answer.finish()
        }
    }
}

/// The page that held the form, if it is one of ours.
fn referring_page(request: &HttpRequest) -> Option<String> {
    let referer = request.headers().get(header::REFERER)?.to_str().ok()?;
    let url = url::Url::parse(referer).ok()?;
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    let own = url.host_str().map(|name| url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")));
    (own.as_deref() == Some(host)).then(|| url.path().to_owned())
}
