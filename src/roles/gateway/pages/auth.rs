//! Signing in and out. The token itself stays behind the gate; here it is only asked for and given up.

use actix_web::{HttpRequest, HttpResponse, cookie::Cookie, http::StatusCode, web::Data};
use askama::Template;

use super::{captures::note, parameter};
use crate::{
    audit::{self, Event},
    db, job,
    login::{self, attempt::Attempt, web_session},
    roles::gateway::{
        Gateway, client_ip, cookies,
        error::Failure,
        form::Posted,
        view::{Act, Confirm, ConsentRefused, NotAllowed, Notice},
        visitor::{Member, Visitor, html, see_other},
    },
    session,
    twitch::{REQUIRED_SCOPES, SignedIn, TwitchError},
};

fn limit(request: &HttpRequest, gateway: &Gateway) -> Result<(), Failure> {
    match client_ip::of(request, &gateway.settings.trusted_proxies) {
        Some(ip) => gateway.limits.sign_in(client_ip::household(ip)),
        None => Ok(()),
    }
}

fn with_cookies(mut answer: HttpResponse, cookies: &[Cookie<'static>]) -> Result<HttpResponse, Failure> {
    for cookie in cookies {
        answer.add_cookie(cookie).map_err(|error| Failure::Internal(error.to_string()))?;
    }
    Ok(answer)
}

/// Sends the browser to Twitch, and remembers in the browser what it was for.
pub async fn login(request: HttpRequest, visitor: Visitor, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    limit(&request, &gateway)?;
    let twitch = &gateway.settings.twitch;
    let Some(client_id) = &twitch.client_id else { return Ok(see_other("/", None)) };
    let attempt = Attempt::begin(&parameter(&request, "next").unwrap_or_default(), visitor.now);
    let mut url = twitch.auth_url.clone();
    url.set_path(&format!("{}/authorize", twitch.auth_url.path().trim_end_matches('/')));
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", twitch.redirect_url.as_str())
        .append_pair("scope", &REQUIRED_SCOPES.join(" "))
        .append_pair("state", &attempt.state);
    let cookie = cookies::for_login_attempt(&gateway, &attempt)
        .ok_or_else(|| Failure::Internal("no key to sign a sign-in with".to_owned()))?;
    with_cookies(see_other(url.as_str(), None), &[cookie])
}

/// Takes Twitch's answer, once, from the browser that asked.
pub async fn callback(request: HttpRequest, visitor: Visitor, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    limit(&request, &gateway)?;
    let not_ours = Failure::BadRequest(
        "This login was not begun in this browser, or it took longer than ten minutes. Begin again.",
        "Cette connexion n’a pas été commencée dans ce navigateur, ou a duré plus de dix minutes. Recommencez.",
    );
    let state = parameter(&request, "state").unwrap_or_default();
    let attempt = cookies::login_attempt(&request).filter(|attempt| attempt.accepts(&state, visitor.now));
    let Some(attempt) = attempt else { return Err(not_ours) };
    let forget = cookies::no_login_attempt(&gateway);
    let Some(code) = parameter(&request, "code") else {
        note_refusal(&gateway, &visitor, "refused at Twitch").await;
        let page = ConsentRefused { page: visitor.page(), login_url: "/auth/login".to_owned() };
        return with_cookies(html(&page)?, &[forget]);
    };
    match gateway.twitch.sign_in(&code, gateway.settings.twitch.redirect_url.as_str()).await {
        Ok(signed_in) => enter(&gateway, &visitor, &attempt, &signed_in, forget).await,
        Err(error @ (TwitchError::Busy { .. } | TwitchError::Unavailable { .. })) => Err(error.into()),
        Err(TwitchError::MissingScope { .. }) => {
            note_refusal(&gateway, &visitor, "a permission was not granted").await;
            let page = ConsentRefused { page: visitor.page(), login_url: "/auth/login".to_owned() };
            with_cookies(html(&page)?, &[forget])
        }
        Err(error) => {
            tracing::warn!(%error, "a sign-in failed");
            note_refusal(&gateway, &visitor, error.kind()).await;
            with_cookies(see_other("/", Some(Notice::LoginFailed)), &[forget])
        }
    }
}

async fn enter(
    gateway: &Gateway,
    visitor: &Visitor,
    attempt: &Attempt,
    signed_in: &SignedIn,
    forget: Cookie<'static>,
) -> Result<HttpResponse, Failure> {
    if !gateway.settings.access.allows(&signed_in.login) {
        note_refusal(gateway, visitor, "not on the list of allowed logins").await;
        // No token of somebody who may not use this instance is kept.
        if let Err(error) =
            login::release_unused_token(&gateway.db, &gateway.twitch, signed_in.user_id, visitor.now).await
        {
            tracing::warn!(%error, "the token of a refused sign-in could not be revoked");
        }
        let page = NotAllowed { page: visitor.page(), login: signed_in.login.clone(), contact: None };
        let answer =
            HttpResponse::build(StatusCode::FORBIDDEN).content_type("text/html; charset=utf-8").body(page.render()?);
        return with_cookies(answer, &[forget]);
    }
    // A new id for every sign-in; what this browser showed before is worth nothing afterwards.
    if let Some((_, old)) = &visitor.user {
        web_session::end(&gateway.db, &gateway.store, old).await?;
    }
    let id = web_session::create(&gateway.db, signed_in.user_id, visitor.now).await?;
    if login::connection(&gateway.db, signed_in.user_id).await?.is_none() {
        // A capture that ended between the two found nobody signed in and gave the token back. Twitch, which has just been
        // asked, does not ask the person again.
        web_session::end(&gateway.db, &gateway.store, &id).await?;
        return with_cookies(see_other("/auth/login", None), &[forget]);
    }
    let noted = audit::note(&gateway.db, Event::SignedIn, Some(signed_in.user_id), None, None, visitor.now).await;
    if let Err(error) = noted {
        tracing::warn!(%error, "a sign-in was not written to the audit log");
    }
    let answer = see_other(&attempt.return_to, None);
    with_cookies(answer, &[forget, cookies::for_web_session(gateway, &id)])
}

async fn note_refusal(gateway: &Gateway, visitor: &Visitor, reason: &str) {
    let details = serde_json::json!({ "reason": reason });
    let noted = audit::note(&gateway.db, Event::SignInRefused, None, None, Some(details), visitor.now).await;
    if let Err(error) = noted {
        tracing::warn!(%error, "a refused sign-in was not written to the audit log");
    }
}

/// Ends this browser's session; the token goes when nothing uses it any more.
pub async fn logout(posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let member = posted.member()?;
    if let Some((_, id)) = &posted.visitor.user {
        web_session::end(&gateway.db, &gateway.store, id).await?;
    }
    note(&gateway, &member, Event::SignedOut, None).await;
    let released = login::release_unused_token(&gateway.db, &gateway.twitch, member.user.user_id, member.now()).await;
    if let Err(error) = released {
        tracing::warn!(%error, "the token of somebody who left could not be revoked yet");
    }
    let mut answer = see_other("/", Some(Notice::LoggedOut));
    clear_site(&mut answer);
    with_cookies(answer, &[cookies::no_web_session(&gateway)])
}

/// What the browser kept of private pages goes too.
fn clear_site(answer: &mut HttpResponse) {
    use actix_web::http::header::{HeaderName, HeaderValue};
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\""));
}

pub async fn confirm_disconnect(member: Member, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let running = job::captures_under_way(&gateway.db, member.user.user_id).await?;
    html(&Confirm { page: member.page(), act: Act::Disconnect { running }, fields: Vec::new(), csv_url: None })
}

/// Ends everything that uses the token, then revokes it at Twitch.
pub async fn disconnect(posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let member = posted.member()?;
    let user_id = member.user.user_id;
    db::write_txn!(&gateway.db, |txn| session::cancel_work_of_user(txn, user_id, member.now()).await)?;
    web_session::end_all(&gateway.db, &gateway.store, user_id).await?;
    if let Err(error) = gateway.twitch.disconnect(user_id).await {
        tracing::warn!(%error, "a token could not be revoked yet; it is tried again every minute");
    }
    note(&gateway, &member, Event::Disconnected, None).await;
    let mut answer = see_other("/", Some(Notice::Disconnected));
    clear_site(&mut answer);
    with_cookies(answer, &[cookies::no_web_session(&gateway)])
}
