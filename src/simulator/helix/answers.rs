//! What the Helix routes answer.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Call, Refusal, cursor};
use crate::simulator::{
    Live, Name,
    fault::{Fault, Route},
    people::{helix_time, instant},
};

pub(super) const NOT_A_MODERATOR: &str = "The user in moderator_id is not one of the broadcaster's moderators.";
/// Several ids and logins in one call.
const MOST_VALUES: usize = 100;

pub(super) fn answer(call: &Call<'_>, route: Route) -> Result<Value, Refusal> {
    match route {
        Route::Users => users(call),
        Route::Chatters => chatters(call),
        Route::ModeratedChannels => moderated_channels(call),
        Route::Streams => streams(call),
        Route::Followers => followers(call),
        Route::Authorize | Route::Token | Route::Validate | Route::Revoke => Err(Refusal::new(404, "")),
    }
}

impl Call<'_> {
    fn user_with_scope(&self, scope: &str) -> Result<u32, Refusal> {
        let user = self.fare.user.ok_or_else(|| Refusal::new(401, "Missing User OAUTH Token"))?;
        if self.fare.scopes.iter().any(|granted| granted == scope) {
            Ok(user)
        } else {
            Err(Refusal::new(401, format!("Missing scope: {scope}")))
        }
    }

    fn required_id(&self, name: &str) -> Result<i64, Refusal> {
        let value = self.query.first(name);
        let value = value.ok_or_else(|| Refusal::new(400, format!("Missing required parameter \"{name}\"")))?;
        numeric(value).ok_or_else(|| Refusal::malformed(name, "value must be a numeric"))
    }

    fn must_be_the_caller(&self, name: &str, user: u32) -> Result<(), Refusal> {
        if self.required_id(name)? == self.world.id_of(user) {
            return Ok(());
        }
        let message = format!("The ID in {name} must match the user ID found in the request's OAuth token.");
        Err(Refusal::new(401, message))
    }

    fn first(&self, default: usize, most: usize) -> Result<usize, Refusal> {
        let Some(value) = self.query.first("first") else {
            return Ok(default);
        };
        match value.parse::<usize>() {
            Ok(0) => Err(Refusal::malformed("first", "the value must be greater than or equal to 1")),
            Ok(first) if first > most => {
                Err(Refusal::malformed("first", &format!("the value must be less than or equal to {most}")))
            }
            Ok(first) => Ok(first),
            Err(_) => Err(Refusal::malformed("first", "value must be a numeric")),
        }
    }

    fn after(&self, route: Route, subject: i64) -> Result<Option<(u64, u32)>, Refusal> {
        cursor::read(self.query.first("after"), route.as_str(), subject)
    }

    /// `{}` at the end of the list, otherwise the cursor (or, by a planned fault, the one of this page again).
    fn pagination(&self, route: Route, subject: i64, next: Option<(u64, u32)>) -> Value {
        if self.faults.has(Fault::RepeatCursor) {
            let start = || cursor::write(route.as_str(), subject, (0, 0));
            return json!({ "cursor": self.query.first("after").map_or_else(start, str::to_owned) });
        }
        match next {
            Some(position) => json!({ "cursor": cursor::write(route.as_str(), subject, position) }),
            None => json!({}),
        }
    }

    fn values(&self, name: &str) -> Result<Vec<&str>, Refusal> {
        let values: Vec<&str> = self.query.all(name).filter(|value| !value.is_empty()).collect();
        if values.len() > MOST_VALUES {
            let why = format!("the number of values must be less than or equal to {MOST_VALUES}");
            return Err(Refusal::malformed(name, &why));
        }
        Ok(values)
    }
}

fn numeric(value: &str) -> Option<i64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(i64::MAX))
}

fn users(call: &Call<'_>) -> Result<Value, Refusal> {
    let (ids, logins) = (call.values("id")?, call.values("login")?);
    if ids.len() + logins.len() > MOST_VALUES {
        // Own words.
        return Err(Refusal::new(400, "The sum of id and login must be less than or equal to 100"));
    }
    let mut numbers = Vec::new();
    for id in &ids {
        let bad = || Refusal::new(400, "Invalid username(s), email(s), or ID(s). Bad Identifiers.");
        numbers.extend(call.world.number_of_id(numeric(id).ok_or_else(bad)?));
    }
    numbers.extend(logins.iter().filter_map(|login| call.world.number_of_login(login)));
    if ids.is_empty() && logins.is_empty() {
        let nobody = || Refusal::new(400, "Must provide an ID, Login or OAuth Token");
        numbers.push(call.fare.user.ok_or_else(nobody)?);
    }
    let mut seen = HashSet::new();
    numbers.retain(|number| seen.insert(*number) && !call.world.is_suspended(*number));
    let may_see_email = call.fare.scopes.iter().any(|scope| scope == "user:read:email");
    let now = call.world.now();
    let data: Vec<Value> = numbers
        .into_iter()
        .map(|number| {
            let own = call.fare.user == Some(number);
            json!(call.world.person_at(number, now).to_helix(own && may_see_email))
        })
        .collect();
    Ok(json!({ "data": data }))
}

fn chatters(call: &Call<'_>) -> Result<Value, Refusal> {
    let user = call.user_with_scope("moderator:read:chatters")?;
    let broadcaster = call.required_id("broadcaster_id")?;
    call.must_be_the_caller("moderator_id", user)?;
    let first = call.first(100, 1_000)?;
    let after = call.after(Route::Chatters, broadcaster)?;
    let channel = call.world.number_of_id(broadcaster);
    let channel = channel.filter(|channel| call.world.may_moderate(user, *channel));
    let channel = channel.ok_or_else(|| Refusal::new(403, NOT_A_MODERATOR))?;

    let overlap = if call.faults.has(Fault::DuplicateChatters) { 10 } else { 0 };
    let page = call.world.chatters_page(channel, after, first, overlap);
    let now = call.world.now();
    let data: Vec<Value> = page
        .numbers
        .iter()
        .map(|number| {
            let name = call.world.name_at(*number, now);
            json!({
                "user_id": call.world.id_of(*number).to_string(),
                "user_login": name.login,
                "user_name": name.display_name,
            })
        })
        .collect();
    let pagination = call.pagination(Route::Chatters, broadcaster, page.next);
    Ok(json!({ "data": data, "pagination": pagination, "total": page.total }))
}

fn moderated_channels(call: &Call<'_>) -> Result<Value, Refusal> {
    let user = call.user_with_scope("user:read:moderated_channels")?;
    call.must_be_the_caller("user_id", user)?;
    let first = call.first(20, 100)?;
    let own_id = call.world.id_of(user);
    let after = call.after(Route::ModeratedChannels, own_id)?;
    let after = after.map_or(0, |(id, _)| i64::try_from(id).unwrap_or(i64::MAX));
    let channels = call.world.moderated_after(user, after);
    let shown = &channels[..first.min(channels.len())];
    let more = shown.len() < channels.len();
    let next = shown.last().filter(|_| more).map(|(id, _)| (id.unsigned_abs(), 0));
    let now = call.world.now();
    let data: Vec<Value> = shown
        .iter()
        .map(|(id, number)| {
            let name = call.world.name_at(*number, now);
            json!({
                "broadcaster_id": id.to_string(),
                "broadcaster_login": name.login,
                "broadcaster_name": name.display_name,
            })
        })
        .collect();
    Ok(json!({ "data": data, "pagination": call.pagination(Route::ModeratedChannels, own_id, next) }))
}

fn streams(call: &Call<'_>) -> Result<Value, Refusal> {
    let (ids, logins) = (call.values("user_id")?, call.values("user_login")?);
    let (games, languages) = (call.values("game_id")?, call.values("language")?);
    let first = call.first(20, 100)?;
    let start = call.after(Route::Streams, 0)?.map_or(0, |(offset, _)| offset);
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let kind = call.query.first("type").unwrap_or("all");
    if !matches!(kind, "all" | "live") {
        return Err(Refusal::malformed("type", "value must be one of \"all\", \"live\""));
    }
    let now = call.world.now();
    let mut data = Vec::new();
    for (number, live, viewers) in call.world.live_streams() {
        let name = call.world.name_at(number, now);
        let id = call.world.id_of(number);
        let asked_for = (ids.is_empty() && logins.is_empty())
            || ids.iter().any(|asked| numeric(asked) == Some(id))
            || logins.iter().any(|asked| asked.eq_ignore_ascii_case(&name.login));
        let game_id = game_id(&live.game);
        let fits = (games.is_empty() || games.contains(&game_id.as_str()))
            && (languages.is_empty() || languages.contains(&live.language.as_str()));
        if !(asked_for && fits) {
            continue;
        }
        data.push(stream(id, &name, &live, viewers));
    }
    let end = start.saturating_add(first);
    let next = (end < data.len()).then_some((end as u64, 0));
    let data: Vec<Value> = data.into_iter().skip(start).take(first).collect();
    Ok(json!({ "data": data, "pagination": call.pagination(Route::Streams, 0, next) }))
}

fn stream(user_id: i64, name: &Name, live: &Live, viewers: usize) -> Value {
    let picture = format!("live_user_{}-{{width}}x{{height}}.jpg", name.login);
    json!({
        "id": (user_id + live.started_at.timestamp() * 16).to_string(),
        "user_id": user_id.to_string(),
        "user_login": name.login,
        "user_name": name.display_name,
        "game_id": game_id(&live.game),
        "game_name": live.game,
        "type": "live",
        "title": live.title,
        "viewer_count": viewers,
        "started_at": helix_time(live.started_at),
        "language": live.language,
        "thumbnail_url": format!("https://static-cdn.jtvnw.net/previews-ttv/{picture}"),
        "tag_ids": [],
        "tags": [if live.language == "fr" { "Français" } else { "English" }],
        "is_mature": false,
    })
}

/// An invented number for a game's name.
fn game_id(game: &str) -> String {
    let sum = game.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    (sum % 1_000_000).to_string()
}

/// Without the right to see them, only how many there are.
fn followers(call: &Call<'_>) -> Result<Value, Refusal> {
    let user = call.fare.user.ok_or_else(|| Refusal::new(401, "Missing User OAUTH Token"))?;
    let broadcaster = call.required_id("broadcaster_id")?;
    let first = call.first(20, 100)?;
    let after = call.after(Route::Followers, broadcaster)?;
    let only = call.query.first("user_id").and_then(numeric);
    let channel = call.world.number_of_id(broadcaster);
    let all = channel.map(|channel| call.world.followers(channel)).unwrap_or_default();
    let may_read = channel.is_some_and(|channel| call.world.may_moderate(user, channel))
        && call.user_with_scope("moderator:read:followers").is_ok();
    let total = all.len();
    if !may_read {
        return Ok(json!({ "data": [], "pagination": {}, "total": total }));
    }
    let after = after.map(|(at, number)| (i64::try_from(at).unwrap_or(i64::MAX), number));
    let mut rest = all
        .into_iter()
        .filter(|entry| after.is_none_or(|after| *entry < after))
        .filter(|(_, number)| only.is_none_or(|id| call.world.id_of(*number) == id))
        .peekable();
    let shown: Vec<(i64, u32)> = rest.by_ref().take(first).collect();
    let more = rest.peek().is_some();
    let next = shown.last().filter(|_| more).map(|(at, number)| (at.unsigned_abs(), *number));
    let now = call.world.now();
    let data: Vec<Value> = shown
        .iter()
        .map(|(at, number)| {
            let name = call.world.name_at(*number, now);
            json!({
                "followed_at": helix_time(instant(*at)),
                "user_id": call.world.id_of(*number).to_string(),
                "user_login": name.login,
                "user_name": name.display_name,
            })
        })
        .collect();
    let pagination = call.pagination(Route::Followers, broadcaster, next);
    Ok(json!({ "data": data, "pagination": pagination, "total": total }))
}
