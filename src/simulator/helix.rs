//! `/helix/…`: the gate every call passes (token, client, points, planned faults) and the statuses and texts it refuses with.
//!
//! What the single routes answer stands in `helix/answers.rs`. A text marked "own words" is not known from Twitch.

mod answers;
mod cursor;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{self, Data},
};
use serde_json::{Value, json};

use super::{
    bucket::Level,
    fault::{Faults, Route},
    server::{Answer, Desk, Fields, Visit},
    world::{Fare, Refused, World},
};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/users", web::get().to(|desk, request| serve(desk, request, Route::Users)))
        .route("/chat/chatters", web::get().to(|desk, request| serve(desk, request, Route::Chatters)))
        .route("/moderation/channels", web::get().to(|desk, request| serve(desk, request, Route::ModeratedChannels)))
        .route("/streams", web::get().to(|desk, request| serve(desk, request, Route::Streams)))
        .route("/channels/followers", web::get().to(|desk, request| serve(desk, request, Route::Followers)))
        .default_service(web::to(async || HttpResponse::NotFound().json(problem(404, ""))));
}

/// Status and message of a refusal.
struct Refusal {
    status: u16,
    message: String,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn malformed(parameter: &str, why: &str) -> Self {
        Self::new(400, format!("The parameter \"{parameter}\" was malformed: {why}"))
    }
}

/// One admitted call.
struct Call<'a> {
    world: &'a World,
    fare: &'a Fare,
    query: &'a Fields,
    faults: &'a Faults,
}

fn problem(status: u16, message: &str) -> Value {
    let error = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    json!({ "error": error.unwrap_or_default(), "status": status, "message": message })
}

async fn serve(desk: Data<Desk>, request: HttpRequest, route: Route) -> HttpResponse {
    let visit = match desk.receive(route, &request).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let (level, outcome) = admitted(&desk, &request, route, &visit);
    let answer = match outcome {
        Ok(body) => Answer { status: 200, body: body.to_string(), level },
        Err(Refusal { status, message }) => Answer { status, body: problem(status, &message).to_string(), level },
    };
    desk.send(&visit, answer)
}

/// The level of the bucket, if the call got as far as one, and what is answered.
fn admitted(
    desk: &Desk,
    request: &HttpRequest,
    route: Route,
    visit: &Visit,
) -> (Option<Level>, Result<Value, Refusal>) {
    let fare = match identify(&desk.world, request) {
        Ok(fare) => fare,
        Err(refusal) => return (None, Err(refusal)),
    };
    desk.world.amend_call(visit.number, |call| call.bucket = Some(fare.bucket.clone()));
    let level = match desk.world.take_point(&fare.bucket) {
        Ok(level) => level,
        Err(level) => {
            return (Some(level), Err(Refusal::new(429, "Request limit exceeded")));
        }
    };
    if let Some((level, refusal)) = ordered_refusal(&visit.faults, level, desk) {
        return (level, Err(refusal));
    }
    let query = Fields::of_query(request);
    let call = Call { world: &desk.world, fare: &fare, query: &query, faults: &visit.faults };
    (Some(level), answers::answer(&call, route))
}

fn identify(world: &World, request: &HttpRequest) -> Result<Fare, Refusal> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let given = text(header::AUTHORIZATION.as_str()).ok_or_else(|| Refusal::new(401, "OAuth token is missing"))?;
    let token = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or_else(|| Refusal::new(401, "Invalid OAuth token"))?;
    let client_id = text("client-id").ok_or_else(|| Refusal::new(401, "Client ID is missing"))?;
    world.admit(token, client_id).map_err(|refused| match refused {
        Refused::BadToken => Refusal::new(401, "Invalid OAuth token"),
        Refused::OtherClient => Refusal::new(401, "Client ID and OAuth token do not match"),
    })
}

/// The refusal a planned fault asks for. Errors of the server itself carry no limits.
fn ordered_refusal(faults: &Faults, level: Level, desk: &Desk) -> Option<(Option<Level>, Refusal)> {
    if let Some(seconds) = faults.bucket_empty() {
        let reset = desk.world.now().timestamp() + i64::from(seconds);
        let empty = Level { remaining: 0, reset, ..level };
        return Some((Some(empty), Refusal::new(429, "Request limit exceeded")));
    }
    if faults.has(super::Fault::EndpointLimit) {
        let left = Level { remaining: level.remaining.max(1), ..level };
        return Some((Some(left), Refusal::new(429, "The endpoint's own limit is exceeded")));
    }
    let status = faults.status()?;
    let message = match status {
        401 => "Invalid OAuth token",
        403 => answers::NOT_A_MODERATOR,
        429 => "Request limit exceeded",
        _ => "",
    };
    Some(((status < 500).then_some(level), Refusal::new(status, message)))
}
