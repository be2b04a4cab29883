//! `/control`: what a person or a script can do to the simulated Twitch.
//!
//! `GET /control` is a page that works without script. Each of its forms posts to a path that takes the same fields as JSON too
//! (`Content-Type: application/json`); JSON is then answered: `{"done": "…"}`, or 400 `{"error": "…"}`. Lists are comma-separated
//! text or JSON arrays; instants are RFC 3339.
//!
//! | POST to | fields |
//! |---|---|
//! | `/control/people` | `login`, `created_at`? (now) |
//! | `/control/moderators` | `moderator`, `channel`, `remove`? |
//! | `/control/chatters` | `channel`, `logins`, `action` = join or leave |
//! | `/control/room-size` | `channel`, `size`, `living`? (adds that many who come and go) |
//! | `/control/rename` | `login`, `new_login`, `at`? |
//! | `/control/suspend` | `login`, `lift`? |
//! | `/control/live` | `channel`, `off`?, `title`?, `game`?, `language`? |
//! | `/control/tokens/expire` | `login`? (all) |
//! | `/control/tokens/grant` | `login`, `scopes`; answers the tokens (JSON only) |
//! | `/control/disconnect` | `login` |
//! | `/control/wave` | `channel`, `accounts`, `delay_seconds`?, `arrives_within_seconds`? (90), `created_at`?, `created_within_minutes`? (360), `longest_run`? (12), `stays_minutes`? |
//! | `/control/faults` | `route`, `fault`, `count`? (1), `skip`? (0), `value`? |
//! | `/control/faults/clear` | |
//! | `/control/rate` | `refill_per_minute`, `bucket_size` |
//! | `/control/redirect-uris` | `uri` |
//!
//! | GET | answers |
//! |---|---|
//! | `/control/log?after=0` | calls with a higher number, oldest first |
//! | `/control/state` | people who can log in, largest chats, waves, rate, planned faults |
//! | `/control/chatters?channel=…&at=…` | who was there at that instant (now) |

mod orders;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{self, Bytes, Data},
};
use askama::Template;
use serde_json::{Value, json};

use self::orders::Outcome;
use super::{
    bucket::Rate,
    call_log::Call,
    fault::{PlannedFault, Route},
    people::{Person, helix_time},
    server::{Desk, Fields, page, see_other},
    wave::WaveReport,
    world::{Error, RoomReport},
};

const STYLE: &str = include_str!("data/style.css");
const ROOMS_SHOWN: usize = 30;
const CALLS_SHOWN: usize = 25;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("", web::get().to(show))
        .route("/style.css", web::get().to(style))
        .route("/log", web::get().to(log))
        .route("/state", web::get().to(state))
        .route("/chatters", web::get().to(chatters))
        .route("/{order:.*}", web::post().to(order));
}

#[derive(Template)]
#[template(path = "simulator/control.html")]
struct ControlPage {
    done: Option<String>,
    failed: Option<String>,
    now: String,
    people: Vec<Person>,
    rooms: Vec<RoomReport>,
    waves: Vec<WaveReport>,
    rate: Rate,
    faults: Vec<PlannedFault>,
    routes: [Route; 9],
    calls: Vec<Call>,
}

async fn show(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let world = &desk.world;
    let query = Fields::of_query(&request);
    let mut calls = world.calls_after(0);
    calls.reverse();
    calls.truncate(CALLS_SHOWN);
    page(
        ControlPage {
            done: query.first("done").map(str::to_owned),
            failed: query.first("failed").map(str::to_owned),
            now: helix_time(world.now()),
            people: world.players(),
            rooms: world.rooms(ROOMS_SHOWN),
            waves: world.waves(),
            rate: world.rate(),
            faults: world.planned_faults(),
            routes: Route::ALL,
            calls,
        }
        .render(),
    )
}

async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(STYLE)
}

async fn log(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let after = Fields::of_query(&request).first("after").and_then(|after| after.parse().ok());
    HttpResponse::Ok().json(json!({ "calls": desk.world.calls_after(after.unwrap_or(0)) }))
}

async fn state(desk: Data<Desk>) -> HttpResponse {
    let world = &desk.world;
    let rate = world.rate();
    HttpResponse::Ok().json(json!({
        "now": helix_time(world.now()),
        "people": world.players().iter().map(|person| json!(person.to_helix(false))).collect::<Vec<_>>(),
        "rooms": world.rooms(usize::MAX),
        "waves": world.waves(),
        "rate": { "refill_per_minute": rate.refill_per_minute, "bucket_size": rate.bucket_size },
        "faults": world.planned_faults(),
    }))
}

async fn chatters(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let query = Fields::of_query(&request);
    let present = orders::instant_in(&query, "at").and_then(|at| {
        let at = at.unwrap_or_else(|| desk.world.now());
        desk.world.chatters_at(query.first("channel").unwrap_or_default(), at)
    });
    match present {
        Ok(people) => {
            let people: Vec<Value> = people.iter().map(|person| json!(person.to_helix(false))).collect();
            HttpResponse::Ok().json(json!({ "total": people.len(), "chatters": people }))
        }
        Err(error) => HttpResponse::BadRequest().json(json!({ "error": error.to_string() })),
    }
}

async fn order(desk: Data<Desk>, request: HttpRequest, order: web::Path<String>, body: Bytes) -> HttpResponse {
    if !is_from_here(&request) {
        return HttpResponse::Forbidden().json(json!({ "error": "the form was on another site" }));
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_json =
        content_type.and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.starts_with("application/json"));
    let fields = if is_json { json_fields(&body) } else { Ok(Fields::parse(&body)) };
    // A room of 200,000 takes a moment; nothing else of this worker should wait for it.
    let world = desk.world.clone();
    let outcome = match fields {
        Ok(fields) => web::block(move || orders::carry_out(&world, &order, &fields)).await,
        Err(error) => Ok(Err(error)),
    };
    let outcome = outcome.unwrap_or_else(|stopped| Err(Error::Invalid(stopped.to_string())));
    match (outcome, is_json) {
        (Ok(Outcome { done, extra }), true) => {
            let mut body = json!({ "done": done });
            if let (Some(body), Some(extra)) = (body.as_object_mut(), extra) {
                body.extend(extra);
            }
            HttpResponse::Ok().json(body)
        }
        (Err(error), true) => HttpResponse::BadRequest().json(json!({ "error": error.to_string() })),
        (Ok(outcome), false) => back("done", &outcome.done),
        (Err(error), false) => back("failed", &error.to_string()),
    }
}

fn back(kind: &str, message: &str) -> HttpResponse {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair(kind, message);
    see_other(&format!("/control?{}", query.finish()))
}

/// Browsers name the site a form was on; scripts name none.
fn is_from_here(request: &HttpRequest) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return true;
    };
    let host = request.connection_info().host().to_owned();
    let origin = origin.to_str().unwrap_or_default();
    origin.split_once("://").is_some_and(|(_, from)| from == host)
}

/// A flat JSON object as fields: numbers and booleans as text, `false` and `null` left out, arrays as repeats.
fn json_fields(body: &[u8]) -> Result<Fields, Error> {
    if body.is_empty() {
        return Ok(Fields::from_pairs(Vec::new()));
    }
    let value: serde_json::Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| Error::Invalid(format!("not a JSON object: {error}")))?;
    let mut pairs = Vec::new();
    for (name, value) in value {
        let values = match value {
            Value::Array(values) => values,
            single => vec![single],
        };
        for value in values {
            match value {
                Value::Null | Value::Bool(false) => {}
                Value::String(text) => pairs.push((name.clone(), text)),
                other => pairs.push((name.clone(), other.to_string())),
            }
        }
    }
    Ok(Fields::from_pairs(pairs))
}
