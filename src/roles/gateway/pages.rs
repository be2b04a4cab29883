//! The handlers, one file a page.

pub mod accounts;
pub mod analysis;
pub mod auth;
pub mod captures;
mod channel_rows;
pub mod channels;
pub mod home;
pub mod preferences;
pub mod sessions;

use actix_web::HttpRequest;

use super::error::Failure;
use crate::{analysis::Filter, twitch::TwitchUserId};

/// The value of a parameter of the query.
fn parameter(request: &HttpRequest, name: &str) -> Option<String> {
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    query.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The channels that the query names, as `broadcaster_id=1&broadcaster_id=2`.
fn filter(request: &HttpRequest) -> Result<Filter, Failure> {
    let query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let named = query.filter(|(key, value)| key == "broadcaster_id" && !value.is_empty());
    let ids = named.map(|(_, id)| twitch_id(&id)).collect::<Result<Vec<_>, _>>()?;
    Ok(Filter::new(ids))
}

fn twitch_id(text: &str) -> Result<TwitchUserId, Failure> {
    text.trim().parse().map_err(|_not_a_number| {
        Failure::BadRequest("A Twitch account number is not one.", "Un numéro de compte Twitch n’est pas valide.")
    })
}

/// A count for a view.
fn count(number: i32) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
