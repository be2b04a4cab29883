//! Who is asking, in which language, and from which page.

use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, dev::Payload, http::header, web::Data};
use askama::Template;
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;

use super::{
    Gateway, cookies,
    error::Failure,
    view::{Message, Notice, Page, Theme},
};
use crate::{
    i18n::Lang,
    login::web_session::{self, SignedInUser, WebSessionId},
};

/// The person behind a request, signed in or not.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub lang: Lang,
    pub theme: Theme,
    /// Path and query as asked.
    pub path: String,
    pub now: DateTime<Utc>,
    /// The signed-in person and the session of this browser.
    pub user: Option<(SignedInUser, WebSessionId)>,
    /// The value that this browser's forms carry.
    pub csrf: String,
    message: Option<Message>,
}

impl Visitor {
    /// What can be said without asking the database: for error pages.
    pub fn unknown(request: &HttpRequest) -> Self {
        let gateway = request.app_data::<Data<Gateway>>();
        let now = gateway.map_or(DateTime::UNIX_EPOCH, |gateway| gateway.clock.now());
        let (lang, theme) = cookies::preferences(request);
        let lang = lang.unwrap_or_else(|| {
            let header = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
            Lang::from_accept_language(header.unwrap_or_default())
        });
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let csrf = gateway.map(|gateway| csrf_of(gateway, None)).unwrap_or_default();
        Self { lang, theme, path, now, user: None, csrf, message: None }
    }

    async fn recognise(request: &HttpRequest) -> Result<Self, Failure> {
        let mut visitor = Self::unknown(request);
        visitor.message = notice(request).map(|notice| notice.message(visitor.lang));
        let Some(gateway) = request.app_data::<Data<Gateway>>() else { return Ok(visitor) };
        // An error page may have to be shown before the database has answered.
        request.extensions_mut().insert(visitor.clone());
        if let Some(id) = cookies::web_session(request) {
            let found = web_session::find(&gateway.db, &gateway.store, &id, visitor.now).await?;
            // Somebody who was taken off the list of allowed logins is signed in no more.
            let is_allowed = |user: &SignedInUser| gateway.settings.access.allows(&user.login);
            if let Some(user) = found.filter(is_allowed) {
                visitor.csrf = csrf_of(gateway, Some(&id));
                visitor.user = Some((user, id));
            }
        }
        request.extensions_mut().insert(visitor.clone());
        Ok(visitor)
    }

    /// What every page needs.
    pub fn page(&self) -> Page {
        let page = Page::new(self.lang, self.path.clone(), self.csrf.clone(), self.now)
            .with_theme(self.theme)
            .with_message(self.message.clone());
        match &self.user {
            Some((user, _)) => page.signed_in(user.login.clone()),
            None => page,
        }
    }
}

/// The token of a browser's forms: bound to its web session, so that no other site and no other browser can know it.
pub fn csrf_of(gateway: &Gateway, id: Option<&WebSessionId>) -> String {
    let subject = id.map_or_else(|| "anonymous".to_owned(), WebSessionId::hash);
    gateway.secrets.csrf.as_ref().map(|keys| keys.sign(subject.as_bytes())).unwrap_or_default()
}

/// Whether a form's token is that of this browser.
pub fn csrf_fits(gateway: &Gateway, id: Option<&WebSessionId>, token: &str) -> bool {
    let subject = id.map_or_else(|| "anonymous".to_owned(), WebSessionId::hash);
    gateway.secrets.csrf.as_ref().is_some_and(|keys| keys.verify(subject.as_bytes(), token))
}

/// What the page before this one wants to be said: its name travels in the query.
fn notice(request: &HttpRequest) -> Option<Notice> {
    let query = url::form_urlencoded::parse(request.query_string().as_bytes());
    query.into_iter().find(|(name, _)| name == "said").and_then(|(_, value)| Notice::parse(&value))
}

impl FromRequest for Visitor {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::recognise(&request).await })
    }
}

/// Somebody signed in; anybody else is sent to sign in and comes back.
#[derive(Clone, Debug)]
pub struct Member {
    pub visitor: Visitor,
    pub user: SignedInUser,
}

impl Member {
    pub(super) fn of(visitor: Visitor) -> Result<Self, Failure> {
        match visitor.user.clone() {
            Some((user, _)) => Ok(Self { visitor, user }),
            None => Err(Failure::NotSignedIn { return_to: visitor.path }),
        }
    }

    pub fn lang(&self) -> Lang {
        self.visitor.lang
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.visitor.now
    }

    pub fn page(&self) -> Page {
        self.visitor.page()
    }
}

impl FromRequest for Member {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(Visitor::recognise(&request).await?) })
    }
}

/// Renders a page.
pub fn html(view: &impl Template) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(view.render()?))
}

/// Sends the browser on by GET, with something to say there.
pub fn see_other(path: &str, notice: Option<Notice>) -> HttpResponse {
    let location = match notice {
        None => path.to_owned(),
        Some(notice) => format!("{path}{}said={}", if path.contains('?') { '&' } else { '?' }, notice.as_str()),
    };
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
}
