//! `/oauth2/…`: consent, tokens, validation, revocation, with the statuses and texts of id.twitch.tv.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{self, Bytes, Data},
};
use askama::Template;
use serde_json::{Value, json};

use super::{
    fault::Route,
    ledger::{CodeRefusal, Tokens},
    people::Person,
    server::{Answer, Desk, Fields, page},
    world::World,
};

/// The scopes Twitch knows; asking for another one is an error.
const SCOPES: &str = include_str!("data/scopes.txt");

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/authorize", web::get().to(ask))
        .route("/authorize", web::post().to(decide))
        .route("/token", web::post().to(token))
        .route("/validate", web::get().to(validate))
        .route("/revoke", web::post().to(revoke));
}

/// Status and message of a refusal.
type Refusal = (u16, &'static str);

fn refused((status, message): Refusal) -> Answer {
    Answer { status, body: json!({ "status": status, "message": message }).to_string(), level: None }
}

fn accepted(body: String) -> Answer {
    Answer { status: 200, body, level: None }
}

#[derive(Template)]
#[template(path = "simulator/consent.html")]
struct ConsentPage<'a> {
    client_id: &'a str,
    redirect_uri: &'a str,
    state: &'a str,
    scope: &'a str,
    scopes: Vec<&'a str>,
    people: Vec<Person>,
}

/// What the application asks for, once client and redirect address are known to be good.
struct Request<'a> {
    client_id: &'a str,
    redirect_uri: &'a str,
    state: Option<&'a str>,
    scope: &'a str,
}

impl<'a> Request<'a> {
    fn read(world: &World, fields: &'a Fields) -> Result<Self, Refusal> {
        let client_id = fields.first("client_id").ok_or((400, "missing client id"))?;
        world.check_client(client_id, None).ok_or((400, "invalid client"))?;
        let redirect_uri = fields.first("redirect_uri").ok_or((400, "missing redirect uri"))?;
        if !world.allows_redirect(redirect_uri) {
            return Err((400, "Parameter redirect_uri does not match registeredURI"));
        }
        Ok(Self {
            client_id,
            redirect_uri,
            state: fields.first("state"),
            scope: fields.first("scope").unwrap_or_default(),
        })
    }

    fn scopes(&self) -> Vec<&'a str> {
        self.scope.split_whitespace().collect()
    }

    /// Sends the browser back with these parameters and the state.
    fn back(&self, parameters: &[(&str, &str)]) -> HttpResponse {
        let Ok(mut to) = url::Url::parse(self.redirect_uri) else {
            return HttpResponse::BadRequest().finish();
        };
        let state = self.state.map(|state| ("state", state));
        to.query_pairs_mut().extend_pairs(parameters.iter().copied().chain(state));
        HttpResponse::Found().insert_header((header::LOCATION, to.as_str())).finish()
    }

    fn back_with_error(&self, error: &str, description: &str) -> HttpResponse {
        self.back(&[("error", error), ("error_description", description)])
    }
}

async fn ask(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let visit = match desk.receive(Route::Authorize, &request).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let fields = Fields::of_query(&request);
    let wanted = match planned(visit.faults.status()).and_then(|()| Request::read(&desk.world, &fields)) {
        Ok(wanted) => wanted,
        Err(refusal) => return desk.send(&visit, refused(refusal)),
    };
    let response = if fields.first("response_type") != Some("code") {
        wanted.back_with_error("unsupported_response_type", "Invalid response type")
    } else if let Some(unknown) = wanted.scopes().into_iter().find(|scope| !is_known_scope(scope)) {
        wanted.back_with_error("invalid_scope", &format!("invalid scope requested: '{unknown}'"))
    } else {
        page(
            ConsentPage {
                client_id: wanted.client_id,
                redirect_uri: wanted.redirect_uri,
                state: wanted.state.unwrap_or_default(),
                scope: wanted.scope,
                scopes: wanted.scopes(),
                people: desk.world.players(),
            }
            .render(),
        )
    };
    desk.world.amend_call(visit.number, |call| call.status = Some(response.status().as_u16()));
    response
}

async fn decide(desk: Data<Desk>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let visit = match desk.receive(Route::Authorize, &request).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let fields = Fields::parse(&body);
    let wanted = match Request::read(&desk.world, &fields) {
        Ok(wanted) => wanted,
        Err(refusal) => return desk.send(&visit, refused(refusal)),
    };
    if fields.first("refuse").is_some() {
        let response = wanted.back_with_error("access_denied", "The user denied you access");
        desk.world.amend_call(visit.number, |call| call.status = Some(302));
        return response;
    }
    let login = fields.first("person").or_else(|| fields.first("other")).unwrap_or_default();
    let Ok(user) = desk.world.number(login) else {
        return desk.send(&visit, refused((400, "nobody of that login lives in the simulator")));
    };
    let scopes = wanted.scopes().into_iter().map(str::to_owned).collect();
    let code = desk.world.issue_code(wanted.client_id, wanted.redirect_uri, user, scopes);
    desk.world.amend_call(visit.number, |call| call.status = Some(302));
    wanted.back(&[("code", &code), ("scope", wanted.scope)])
}

fn is_known_scope(scope: &str) -> bool {
    SCOPES.lines().any(|known| known == scope)
}

fn planned(status: Option<u16>) -> Result<(), Refusal> {
    match status {
        Some(429) => Err((429, "Too Many Requests")),
        Some(status @ 500..) => Err((status, "internal server error")),
        Some(status) => Err((status, "refused by a planned fault")),
        None => Ok(()),
    }
}

async fn token(desk: Data<Desk>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let visit = match desk.receive(Route::Token, &request).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let fields = Fields::parse(&body).and(Fields::of_query(&request));
    let tokens = planned(visit.faults.status()).and_then(|()| exchange(&desk.world, &fields));
    desk.send(&visit, tokens.map_or_else(refused, |tokens| accepted(spelled(&tokens))))
}

fn exchange(world: &World, fields: &Fields) -> Result<Tokens, Refusal> {
    let client_id = fields.first("client_id").ok_or((400, "missing client id"))?;
    let secret = fields.first("client_secret");
    match world.check_client(client_id, secret) {
        None => return Err((400, "invalid client")),
        Some(false) if secret.is_none() => return Err((400, "missing client secret")),
        Some(false) => return Err((403, "invalid client secret")),
        Some(true) => {}
    }
    match fields.first("grant_type").unwrap_or_default() {
        "authorization_code" => {
            let code = fields.first("code").ok_or((400, "missing code"))?;
            let redirect_uri = fields.first("redirect_uri").ok_or((400, "missing redirect uri"))?;
            world.redeem(code, client_id, redirect_uri).map_err(|refusal| match refusal {
                CodeRefusal::Invalid => (400, "Invalid authorization code"),
                CodeRefusal::OtherRedirect => (400, "Parameter redirect_uri does not match registeredURI"),
            })
        }
        "refresh_token" => {
            let refresh_token = fields.first("refresh_token").ok_or((400, "missing refresh token"))?;
            let tokens = world.refresh(refresh_token, client_id);
            tokens.ok_or((400, "Invalid refresh token"))
        }
        "client_credentials" => Ok(world.grant_app(client_id)),
        _ => Err((400, "Invalid grant type")),
    }
}

/// Absent, not empty: no refresh token for applications, no scope where none was asked for.
fn spelled(tokens: &Tokens) -> String {
    let mut body = json!({
        "access_token": tokens.access_token,
        "expires_in": tokens.expires_in.num_seconds(),
        "token_type": "bearer",
    });
    if let Some(refresh_token) = &tokens.refresh_token {
        body["refresh_token"] = json!(refresh_token);
    }
    if !tokens.scopes.is_empty() {
        body["scope"] = json!(tokens.scopes);
    }
    body.to_string()
}

async fn validate(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let visit = match desk.receive(Route::Validate, &request).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let seen = planned(visit.faults.status()).and_then(|()| describe(&desk.world, &request));
    desk.send(&visit, seen.map_or_else(refused, |body| accepted(body.to_string())))
}

fn describe(world: &World, request: &HttpRequest) -> Result<Value, Refusal> {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.ok_or((401, "missing authorization token"))?;
    let token = given.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("oauth") || scheme.eq_ignore_ascii_case("bearer");
        known.then_some(token)
    });
    let access = token.and_then(|token| world.look_up_token(token));
    let access = access.ok_or((401, "invalid access token"))?;
    let expires_in = (access.expires_at - world.now()).num_seconds();
    Ok(match access.user {
        Some(user) => json!({
            "client_id": access.client_id,
            "login": world.name_at(user, world.now()).login,
            "scopes": access.scopes,
            "user_id": world.id_of(user).to_string(),
            "expires_in": expires_in,
        }),
        None => json!({ "client_id": access.client_id, "scopes": null, "expires_in": expires_in }),
    })
}

async fn revoke(desk: Data<Desk>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let visit = match desk.receive(Route::Revoke, &request).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let fields = Fields::parse(&body).and(Fields::of_query(&request));
    let revoked = planned(visit.faults.status()).and_then(|()| {
        let client_id = fields.first("client_id").ok_or((400, "missing client id"))?;
        let token = fields.first("token").ok_or((400, "missing oauth token"))?;
        desk.world.check_client(client_id, None).ok_or((404, "client does not exist"))?;
        desk.world.revoke_token(token, client_id).then_some(()).ok_or((400, "Invalid token"))
    });
    desk.send(&visit, revoked.map_or_else(refused, |()| accepted(String::new())))
}
