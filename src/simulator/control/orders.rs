//! The orders of the control page, one function each.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::Fields;
use crate::simulator::{Error, Fault, Live, PlannedFault, Rate, Route, World, wave::Wave};

/// What was done, in a sentence, and what a script may want to know beyond that.
pub(super) struct Outcome {
    pub(super) done: String,
    pub(super) extra: Option<Map<String, Value>>,
}

impl From<String> for Outcome {
    fn from(done: String) -> Self {
        Self { done, extra: None }
    }
}

pub(super) fn carry_out(world: &World, order: &str, fields: &Fields) -> Result<Outcome, Error> {
    match order {
        "people" => add_person(world, fields),
        "moderators" => set_moderator(world, fields),
        "chatters" => move_chatters(world, fields),
        "room-size" => set_room_size(world, fields),
        "rename" => rename(world, fields),
        "suspend" => suspend(world, fields),
        "live" => set_live(world, fields),
        "tokens/expire" => expire(world, fields),
        "tokens/grant" => grant(world, fields),
        "disconnect" => disconnect(world, fields),
        "wave" => start_wave(world, fields),
        "faults" => plan_fault(world, fields),
        "faults/clear" => {
            world.clear_faults();
            Ok(String::from("No fault is planned any more.").into())
        }
        "rate" => set_rate(world, fields),
        "redirect-uris" => add_redirect_uri(world, fields),
        other => Err(Error::Invalid(format!("there is no order {other:?}"))),
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Error> {
    fields.first(name).map(str::trim).ok_or_else(|| Error::Invalid(format!("{name} is missing")))
}

fn number<T: FromStr>(fields: &Fields, name: &str) -> Result<Option<T>, Error> {
    let Some(value) = fields.first(name) else {
        return Ok(None);
    };
    let parsed = value.trim().parse().ok();
    parsed.map(Some).ok_or_else(|| Error::Invalid(format!("{name}: {value:?} is no number that fits")))
}

fn required<T: FromStr>(fields: &Fields, name: &str) -> Result<T, Error> {
    number(fields, name)?.ok_or_else(|| Error::Invalid(format!("{name} is missing")))
}

pub(super) fn instant_in(fields: &Fields, name: &str) -> Result<Option<DateTime<Utc>>, Error> {
    let Some(value) = fields.first(name) else {
        return Ok(None);
    };
    let parsed = value.trim().parse().ok();
    parsed.map(Some).ok_or_else(|| Error::Invalid(format!("{name}: {value:?} is no RFC 3339 instant")))
}

fn list<'a>(fields: &'a Fields, name: &'a str) -> Vec<&'a str> {
    let separator = |letter: char| letter == ',' || letter.is_whitespace();
    fields.all(name).flat_map(|value| value.split(separator)).filter(|value| !value.is_empty()).collect()
}

fn add_person(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let created_at = instant_in(fields, "created_at")?.unwrap_or_else(|| world.now());
    let person = world.add_person(text(fields, "login")?, created_at)?;
    let done = format!("{} is on Twitch, with the id {}.", person.name.login, person.id);
    Ok(with(done, json!({ "user_id": person.id.to_string() })))
}

fn with(done: String, extra: Value) -> Outcome {
    let extra = match extra {
        Value::Object(extra) => Some(extra),
        _ => None,
    };
    Outcome { done, extra }
}

fn set_moderator(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let (moderator, channel) = (text(fields, "moderator")?, text(fields, "channel")?);
    let remove = fields.first("remove").is_some();
    world.set_moderator(moderator, channel, !remove)?;
    let verb = if remove { "no longer moderates" } else { "moderates" };
    Ok(format!("{moderator} {verb} {channel}.").into())
}

fn move_chatters(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let channel = text(fields, "channel")?;
    let logins = list(fields, "logins");
    let joins = match text(fields, "action")? {
        "join" => true,
        "leave" => false,
        other => {
            return Err(Error::Invalid(format!("action: {other:?} is neither join nor leave")));
        }
    };
    world.move_chatters(channel, &logins, joins)?;
    let verb = if joins { "joined" } else { "left" };
    Ok(format!("{} {verb} the chat of {channel}.", logins.len()).into())
}

fn set_room_size(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let channel = text(fields, "channel")?;
    let size: u32 = required(fields, "size")?;
    if fields.first("living").is_some() {
        world.add_living_crowd(channel, size)?;
        return Ok(format!("About {size} more come and go in the chat of {channel}.").into());
    }
    world.set_room_size(channel, size)?;
    Ok(format!("The chat of {channel} holds {size} people.").into())
}

fn rename(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let (login, new_login) = (text(fields, "login")?, text(fields, "new_login")?);
    let at = instant_in(fields, "at")?.unwrap_or_else(|| world.now());
    world.rename_at(login, new_login, at)?;
    Ok(format!("{login} is now called {new_login}.").into())
}

fn suspend(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let login = text(fields, "login")?;
    let lift = fields.first("lift").is_some();
    world.suspend(login, !lift)?;
    Ok(format!("{login} is {}suspended.", if lift { "no longer " } else { "" }).into())
}

fn set_live(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let channel = text(fields, "channel")?;
    let off = fields.first("off").is_some();
    let live = (!off).then(|| Live {
        title: fields.first("title").unwrap_or("On air").to_owned(),
        game: fields.first("game").unwrap_or("Just Chatting").to_owned(),
        language: fields.first("language").unwrap_or("fr").to_owned(),
        started_at: world.now(),
    });
    world.set_live(channel, live)?;
    Ok(format!("{channel} is {}.", if off { "off the air" } else { "live" }).into())
}

fn expire(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let expired = world.expire_tokens(fields.first("login"))?;
    Ok(with(format!("{expired} access tokens have expired."), json!({ "expired": expired })))
}

fn grant(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let login = text(fields, "login")?;
    let tokens = world.grant(login, &list(fields, "scopes"))?;
    let extra = json!({ "access_token": tokens.access_token, "refresh_token": tokens.refresh_token });
    Ok(with(format!("{login} granted access."), extra))
}

fn disconnect(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let login = text(fields, "login")?;
    let grants = world.disconnect(login)?;
    Ok(format!("{login} took back {grants} consents; their tokens are dead.").into())
}

fn start_wave(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let seconds = |name| number(fields, name).map(|n| n.map(Duration::from_secs));
    let minutes = |name| number::<u32>(fields, name).map(|n| n.map(|n| Duration::from_mins(n.into())));
    let mut wave = Wave::new(text(fields, "channel")?, required(fields, "accounts")?);
    wave.created_at = instant_in(fields, "created_at")?;
    wave.arrives_at = instant_in(fields, "arrives_at")?;
    wave.delay = seconds("delay_seconds")?.unwrap_or(wave.delay);
    wave.arrives_within = seconds("arrives_within_seconds")?.unwrap_or(wave.arrives_within);
    wave.created_within = minutes("created_within_minutes")?.unwrap_or(wave.created_within);
    wave.longest_run = number(fields, "longest_run")?.unwrap_or(wave.longest_run);
    wave.stays = minutes("stays_minutes")?;
    let report = world.start_wave(&wave)?;
    let done = format!("{} accounts come into the chat of {}.", report.account_ids.len(), report.channel);
    Ok(with(done, json!(report)))
}

fn plan_fault(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let planned = PlannedFault {
        route: text(fields, "route")?.parse::<Route>()?,
        fault: Fault::parse(text(fields, "fault")?, number(fields, "value")?)?,
        skip: number(fields, "skip")?.unwrap_or(0),
        count: number(fields, "count")?.unwrap_or(1),
    };
    world.plan_fault(planned);
    let (route, count, skip) = (planned.route.as_str(), planned.count, planned.skip);
    Ok(format!("After {skip} calls of {route}, {count} go wrong.").into())
}

fn set_rate(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let rate = Rate {
        refill_per_minute: required(fields, "refill_per_minute")?,
        bucket_size: required(fields, "bucket_size")?,
    };
    world.set_rate(rate);
    Ok(format!("{} points a minute, {} in a full bucket.", rate.refill_per_minute, rate.bucket_size).into())
}

fn add_redirect_uri(world: &World, fields: &Fields) -> Result<Outcome, Error> {
    let uri = text(fields, "uri")?;
    world.add_redirect_uri(uri);
    Ok(format!("{uri} is registered.").into())
}
