//! The three cookies: the web session, a sign-in under way, and preferences. All are `HttpOnly` and `SameSite=Lax` (Strict would
//! drop them on the way back from Twitch); with https also `Secure` and bound to this host by the prefix `__Host-`.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
    web::Data,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Gateway, view::Theme};
use crate::{
    i18n::Lang,
    login::{
        attempt::{self, Attempt},
        web_session::{ABSOLUTE_LIMIT, WebSessionId},
    },
};

const SESSION: &str = "tca_session";
const LOGIN: &str = "tca_login";
const PREFERENCES: &str = "tca_preferences";

fn is_https(gateway: &Gateway) -> bool {
    gateway.settings.public_url.scheme() == "https"
}

fn name(gateway: &Gateway, base: &str) -> String {
    if is_https(gateway) { format!("__Host-{base}") } else { base.to_owned() }
}

fn build(gateway: &Gateway, base: &str, value: String, seconds: i64) -> Cookie<'static> {
    Cookie::build(name(gateway, base), value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(is_https(gateway))
        .max_age(Duration::seconds(seconds))
        .finish()
}

fn read(request: &HttpRequest, base: &str) -> Option<String> {
    let gateway = request.app_data::<Data<Gateway>>()?;
    request.cookie(&name(gateway, base)).map(|cookie| cookie.value().to_owned())
}

/// The web session that the browser shows, if it has the form of one.
pub fn web_session(request: &HttpRequest) -> Option<WebSessionId> {
    WebSessionId::parse(&read(request, SESSION)?)
}

/// The cookie of a web session.
pub fn for_web_session(gateway: &Gateway, id: &WebSessionId) -> Cookie<'static> {
    build(gateway, SESSION, id.secret().to_owned(), ABSOLUTE_LIMIT.num_seconds())
}

/// Takes the web session away from the browser.
pub fn no_web_session(gateway: &Gateway) -> Cookie<'static> {
    build(gateway, SESSION, String::new(), 0)
}

/// The sign-in that this browser began, if the cookie is one of ours, untouched.
pub fn login_attempt(request: &HttpRequest) -> Option<Attempt> {
    let gateway = request.app_data::<Data<Gateway>>()?;
    let value = read(request, LOGIN)?;
    let (body, signature) = value.split_once('.')?;
    let keys = gateway.secrets.cookie.as_ref()?;
    if !keys.verify(body.as_bytes(), signature) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
}

/// The cookie of a sign-in; `None` where this process has no key to sign it.
pub fn for_login_attempt(gateway: &Gateway, attempt: &Attempt) -> Option<Cookie<'static>> {
    let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(attempt).ok()?);
    let signature = gateway.secrets.cookie.as_ref()?.sign(body.as_bytes());
    Some(build(gateway, LOGIN, format!("{body}.{signature}"), attempt::LIFETIME.num_seconds()))
}

/// Forgets a sign-in, so that its answer is taken once.
pub fn no_login_attempt(gateway: &Gateway) -> Cookie<'static> {
    build(gateway, LOGIN, String::new(), 0)
}

/// The language and colours that were chosen, if any were.
pub fn preferences(request: &HttpRequest) -> (Option<Lang>, Theme) {
    let value = read(request, PREFERENCES).unwrap_or_default();
    let (lang, theme) = value.split_once('.').unwrap_or_default();
    (Lang::parse(lang), Theme::parse(theme).unwrap_or_default())
}

/// The cookie of a choice.
pub fn for_preferences(gateway: &Gateway, lang: Option<Lang>, theme: Theme) -> Cookie<'static> {
    let value = format!("{}.{}", lang.map_or("", Lang::as_str), theme.as_str());
    build(gateway, PREFERENCES, value, 365 * 24 * 3_600)
}
