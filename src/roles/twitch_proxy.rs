//! The twitch-proxy role: internal JSON over the gate. Bodies and statuses are Twitch's own; what the gate itself refuses is
//! a problem with a code (`wire`).
//!
//! Only the routes stand here. The server around them is that of every role, `roles/internal_api.rs`.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    error::{InternalError, JsonPayloadError},
    http::{
        StatusCode,
        header::{AUTHORIZATION, RETRY_AFTER},
    },
    middleware::from_fn,
    web,
};
use secrecy::SecretString;

use super::internal_api::require_token;
use crate::{
    twitch::{Gate, GateAnswer, Identity, Query, Route, TwitchClient, TwitchError, TwitchUserId},
    wire::{CACHE_HEADER, Code, DisconnectRequest, PROBLEM_JSON, Problem, SignInRequest, USER_HEADER, ValidateRequest},
};

/// Most ids and logins together, as at Twitch.
const MAX_VALUES: usize = 100;
/// Longer than any id, login or cursor of Twitch's.
const MAX_VALUE_LENGTH: usize = 1_024;

/// The routes of the role; all need the internal token.
pub fn routes(config: &mut web::ServiceConfig, gate: &Arc<Gate>) {
    config.service(
        web::scope("").app_data(web::Data::from(gate.clone())).wrap(from_fn(require_token)).configure(configure),
    );
}

/// The routes alone; they need a `web::Data<Gate>` and somebody to check the internal token.
pub fn configure(config: &mut web::ServiceConfig) {
    let unreadable = |error: JsonPayloadError, _: &HttpRequest| {
        let answer = problem(&Problem::new(Code::BadRequest, error.to_string()));
        InternalError::from_response(error, answer).into()
    };
    config
        .app_data(web::JsonConfig::default().limit(16 << 10).error_handler(unreadable))
        .route("/chatters", web::get().to(chatters))
        .route("/users", web::get().to(users))
        .route("/moderated-channels", web::get().to(moderated_channels))
        .route("/streams", web::get().to(streams))
        .route("/sign-in", web::post().to(sign_in))
        .route("/disconnect", web::post().to(disconnect))
        .route("/validate", web::post().to(validate))
        .route("/ping", web::get().to(ping))
        .default_service(web::to(|| async { problem(&Problem::new(Code::NotFound, "no such route")) }));
}

/// What the parameters of a route may be.
struct Allowed {
    /// One number each, required.
    ids: &'static [&'static str],
    /// Numbers that may be repeated.
    id_lists: &'static [&'static str],
    /// Other texts that may be repeated.
    text_lists: &'static [&'static str],
    /// One text each, optional.
    texts: &'static [&'static str],
}

async fn chatters(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    const ALLOWED: Allowed = Allowed {
        ids: &["broadcaster_id", "moderator_id"],
        id_lists: &[],
        text_lists: &[],
        texts: &["first", "after"],
    };
    answer(&request, &gate, Route::Chatters, &ALLOWED).await
}

async fn users(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    const ALLOWED: Allowed = Allowed { ids: &[], id_lists: &["id"], text_lists: &["login"], texts: &[] };
    answer(&request, &gate, Route::Users, &ALLOWED).await
}

async fn moderated_channels(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    const ALLOWED: Allowed = Allowed { ids: &["user_id"], id_lists: &[], text_lists: &[], texts: &[] };
    answer(&request, &gate, Route::ModeratedChannels, &ALLOWED).await
}

async fn streams(request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    const ALLOWED: Allowed =
        Allowed { ids: &[], id_lists: &["user_id"], text_lists: &["user_login"], texts: &["first", "after"] };
    answer(&request, &gate, Route::Streams, &ALLOWED).await
}

async fn sign_in(body: web::Json<SignInRequest>, gate: web::Data<Gate>) -> HttpResponse {
    let client = TwitchClient::Direct(gate.into_inner());
    match client.sign_in(&body.code, &body.redirect_uri).await {
        Ok(signed_in) => HttpResponse::Ok().json(signed_in),
        Err(error) => refused(&error),
    }
}

async fn disconnect(body: web::Json<DisconnectRequest>, gate: web::Data<Gate>) -> HttpResponse {
    match TwitchClient::Direct(gate.into_inner()).disconnect(body.user_id).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => refused(&error),
    }
}

async fn validate(body: web::Json<ValidateRequest>, gate: web::Data<Gate>) -> HttpResponse {
    match TwitchClient::Direct(gate.into_inner()).validate(body.user_id).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => refused(&error),
    }
}

async fn ping(gate: web::Data<Gate>) -> HttpResponse {
    match TwitchClient::Direct(gate.into_inner()).ping().await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => refused(&error),
    }
}

async fn answer(request: &HttpRequest, gate: &Gate, route: Route, allowed: &Allowed) -> HttpResponse {
    let query = match read_query(request.query_string(), allowed) {
        Ok(query) => query,
        Err(detail) => return problem(&Problem::new(Code::BadRequest, detail)),
    };
    let identity = match identity(request, route, &query) {
        Ok(identity) => identity,
        Err(refusal) => return problem(&refusal),
    };
    match gate.call(&identity, route, query).await {
        Ok(answer) => pass_on(answer),
        Err(error) => refused(&error),
    }
}

/// The parameters, checked: Twitch is not troubled with what it would refuse, and unknown ones are a caller's mistake.
fn read_query(text: &str, allowed: &Allowed) -> Result<Query, String> {
    let mut query = Query::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let find = |names: &[&'static str]| names.iter().copied().find(|known| *known == name);
        let is_number = value.parse::<TwitchUserId>().is_ok();
        let (name, is_list) = if let Some(name) = find(allowed.ids).or_else(|| find(allowed.id_lists)) {
            if !is_number {
                return Err(format!("{name} is not a Twitch user id"));
            }
            (name, allowed.id_lists.contains(&name))
        } else if let Some(name) = find(allowed.text_lists).or_else(|| find(allowed.texts)) {
            if value.is_empty() || value.len() > MAX_VALUE_LENGTH || value.chars().any(char::is_control) {
                return Err(format!("{name} is empty or too long"));
            }
            (name, allowed.text_lists.contains(&name))
        } else {
            return Err("unknown parameter".to_owned());
        };
        if name == "first" && !value.parse::<u32>().is_ok_and(|first| (1..=1_000).contains(&first)) {
            return Err("first is not a number from 1 to 1000".to_owned());
        }
        if !is_list && query.iter().any(|(other, _)| *other == name) {
            return Err(format!("{name} is given twice"));
        }
        query.push((name, value.into_owned()));
    }
    if let Some(missing) = allowed.ids.iter().find(|name| !query.iter().any(|(given, _)| given == *name)) {
        return Err(format!("{missing} is missing"));
    }
    let is_value = |name: &str| allowed.id_lists.contains(&name) || allowed.text_lists.contains(&name);
    if query.iter().filter(|(name, _)| is_value(name)).count() > MAX_VALUES {
        return Err(format!("more than {MAX_VALUES} values"));
    }
    Ok(query)
}

/// Whose token is used: the one brought along, the stored one of the user named, or the application's.
fn identity(request: &HttpRequest, route: Route, query: &Query) -> Result<Identity, Problem> {
    if let Some(value) = request.headers().get(AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            let token = token.trim();
            (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| SecretString::from(token))
        });
        return token
            .map(Identity::Bearer)
            .ok_or_else(|| Problem::new(Code::SignInAgain, "Authorization is not a Bearer token"));
    }
    if let Some(value) = request.headers().get(USER_HEADER) {
        let user = value.to_str().ok().and_then(|value| value.parse().ok());
        return user
            .map(Identity::User)
            .ok_or_else(|| Problem::new(Code::BadRequest, format!("{USER_HEADER} is not a number")));
    }
    match route {
        Route::Users | Route::Streams if query.is_empty() => {
            Err(Problem::new(Code::BadRequest, "nothing is asked for"))
        }
        Route::Users | Route::Streams => Ok(Identity::App),
        Route::Chatters | Route::ModeratedChannels => {
            let detail = format!("a Bearer token or {USER_HEADER} is needed");
            Err(Problem::new(Code::SignInAgain, detail))
        }
    }
}

/// Twitch's answer as it is, with what it says about its limits.
fn pass_on(answer: GateAnswer) -> HttpResponse {
    let mut response = response(answer.status);
    response
        .content_type("application/json")
        .insert_header((CACHE_HEADER, if answer.is_hit { "HIT" } else { "MISS" }))
        // Rounded up: what was read is never taken for newer than it is.
        .insert_header(("Age", answer.age.as_millis().div_ceil(1_000).to_string()));
    let rate = answer.rate;
    let headers = [
        ("Ratelimit-Limit", rate.limit.map(i64::from)),
        ("Ratelimit-Remaining", rate.remaining.map(i64::from)),
        ("Ratelimit-Reset", rate.reset),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            response.insert_header((name, value.to_string()));
        }
    }
    response.body(answer.body)
}

fn refused(error: &TwitchError) -> HttpResponse {
    tracing::debug!(%error, kind = error.kind(), "not done");
    problem(&error.to_problem())
}

fn problem(problem: &Problem) -> HttpResponse {
    let mut response = response(problem.status);
    if let Some(seconds) = problem.retry_after_seconds() {
        response.insert_header((RETRY_AFTER, seconds.to_string()));
    }
    let body = serde_json::to_vec(problem).unwrap_or_default();
    response.content_type(PROBLEM_JSON).body(body)
}

fn response(status: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: Allowed = Allowed { ids: &[], id_lists: &["id"], text_lists: &["login"], texts: &[] };
    const CHATTERS: Allowed = Allowed {
        ids: &["broadcaster_id", "moderator_id"],
        id_lists: &[],
        text_lists: &[],
        texts: &["first", "after"],
    };

    #[test]
    fn parameters_are_checked_before_twitch_is_asked() {
        let good = read_query("broadcaster_id=1&moderator_id=2&after=eyJ%3D&first=1000", &CHATTERS).unwrap();
        assert_eq!(good[2], ("after", "eyJ=".to_owned()));
        for bad in [
            "",
            "broadcaster_id=1",
            "broadcaster_id=x&moderator_id=2",
            "broadcaster_id=1&broadcaster_id=3&moderator_id=2",
            "broadcaster_id=1&moderator_id=2&first=1001",
            "broadcaster_id=1&moderator_id=2&after=",
            "broadcaster_id=1&moderator_id=2&path=../x",
        ] {
            assert!(read_query(bad, &CHATTERS).is_err(), "{bad}");
        }
        let ids = |count: u32| (1..=count).map(|id| format!("id={id}")).collect::<Vec<_>>().join("&");
        assert!(read_query(&format!("{}&login=a", ids(99)), &USERS).is_ok());
        assert!(read_query(&format!("{}&login=a", ids(100)), &USERS).is_err());
    }

    #[test]
    fn without_a_token_only_public_things_are_asked() {
        let request = |header: Option<(&'static str, &'static str)>| {
            header.map_or_else(actix_web::test::TestRequest::get, |header| {
                actix_web::test::TestRequest::get().insert_header(header)
            })
        };
        let some = vec![("id", "1".to_owned())];
        let of = |header, route| identity(&request(header).to_http_request(), route, &some);
        assert!(matches!(of(None, Route::Users), Ok(Identity::App)));
        assert_eq!(of(None, Route::Chatters).unwrap_err().status, 401);
        assert!(matches!(of(Some(("X-TCA-User", "7")), Route::Chatters), Ok(Identity::User(7))));
        assert_eq!(of(Some(("X-TCA-User", "x")), Route::Chatters).unwrap_err().status, 400);
        assert!(matches!(of(Some(("Authorization", "bearer abc")), Route::Chatters), Ok(Identity::Bearer(_))));
        assert_eq!(of(Some(("Authorization", "Basic abc")), Route::Users).unwrap_err().status, 401);
        assert_eq!(identity(&request(None).to_http_request(), Route::Users, &Query::new()).unwrap_err().status, 400);
    }
}
