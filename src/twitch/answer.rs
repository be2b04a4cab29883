//! Reads Twitch's answers: a failing status becomes a [`TwitchError`], a body becomes values. Pure.
//!
//! The gate and the client of a gate elsewhere both read the same bodies here, so they cannot come to differ.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Channel, Chatter, Profile, Stream, TwitchError, TwitchUserId};

/// Longest text of Twitch that is passed on.
const MAX_MESSAGE: usize = 200;

/// Twitch's own words in an error answer. Helix says `{"error","status","message"}`, id.twitch.tv `{"status","message"}`.
pub fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        message: String,
    }
    let text = serde_json::from_slice::<Body>(body).map_or_else(|_| String::new(), |body| body.message);
    text.chars().filter(|char| !char.is_control()).take(MAX_MESSAGE).collect()
}

/// Whether a 401 means that the token itself is not good, so that a fresh one may help.
pub fn is_bad_token(status: u16, body: &[u8]) -> bool {
    status == 401 && matches!(refusal(status, body), TwitchError::SignInAgain)
}

/// What an answer that is not a success means. Texts: dev.twitch.tv/docs/api/reference and Chatterino's reading of them.
pub fn refusal(status: u16, body: &[u8]) -> TwitchError {
    let message = message(body);
    let lower = message.to_lowercase();
    match status {
        401 if lower.starts_with("missing scope") => {
            let scope = message.split_once(':').map_or("", |(_, scope)| scope).trim().to_owned();
            TwitchError::MissingScope { scope }
        }
        // "The ID in user_id must match the user ID found in the request's OAuth token.": no other token of this user helps.
        401 if lower.contains("must match") => TwitchError::Rejected { status, message },
        401 => TwitchError::SignInAgain,
        403 => TwitchError::NotModerator,
        404 => TwitchError::NotFound,
        // The gate waits 429s out; one that comes this far has no moment told with it.
        429 => TwitchError::Busy { retry_after: std::time::Duration::from_secs(5) },
        500.. => TwitchError::unavailable(format!("status {status} {message}").trim_end()),
        _ => TwitchError::Rejected { status, message },
    }
}

/// The list in an answer of Helix.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pagination: Pagination,
    #[serde(default)]
    pub total: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
struct Pagination {
    #[serde(default)]
    cursor: Option<String>,
}

impl<T> List<T> {
    /// The cursor of the page that follows. At the end Twitch leaves `pagination` empty.
    pub fn next(&self) -> Option<&str> {
        self.pagination.cursor.as_deref().filter(|cursor| !cursor.is_empty())
    }
}

/// Reads a body that should be JSON of this form.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, TwitchError> {
    serde_json::from_slice(body).map_err(|error| TwitchError::unavailable(format!("unreadable answer: {error}")))
}

#[derive(Debug, Deserialize)]
pub struct RawChatter {
    #[serde(rename = "user_id")]
    id: TwitchUserId,
    #[serde(rename = "user_login")]
    login: String,
    #[serde(rename = "user_name")]
    name: String,
}

impl From<RawChatter> for Chatter {
    fn from(raw: RawChatter) -> Self {
        Self { id: raw.id, login: raw.login.to_lowercase(), display_name: raw.name }
    }
}

#[derive(Debug, Deserialize)]
pub struct RawUser {
    pub id: TwitchUserId,
    login: String,
    display_name: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    broadcaster_type: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    profile_image_url: String,
    #[serde(default)]
    created_at: String,
}

impl TryFrom<RawUser> for Profile {
    type Error = TwitchError;

    fn try_from(raw: RawUser) -> Result<Self, TwitchError> {
        let created_at = if raw.created_at.is_empty() { None } else { Some(instant(&raw.created_at)?) };
        Ok(Self {
            id: raw.id,
            login: raw.login.to_lowercase(),
            display_name: raw.display_name,
            created_at,
            account_type: raw.r#type,
            broadcaster_type: raw.broadcaster_type,
            // Accounts without a picture of their own get one of Twitch's, whose address says so.
            has_picture: !raw.profile_image_url.is_empty() && !raw.profile_image_url.contains("user-default-pictures"),
            has_description: !raw.description.trim().is_empty(),
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct RawChannel {
    #[serde(rename = "broadcaster_id")]
    id: TwitchUserId,
    #[serde(rename = "broadcaster_login")]
    login: String,
    #[serde(rename = "broadcaster_name")]
    name: String,
}

impl From<RawChannel> for Channel {
    fn from(raw: RawChannel) -> Self {
        Self { id: raw.id, login: raw.login.to_lowercase(), display_name: raw.name }
    }
}

#[derive(Debug, Deserialize)]
pub struct RawStream {
    user_id: TwitchUserId,
    viewer_count: u32,
    started_at: String,
    #[serde(default)]
    title: String,
}

impl TryFrom<RawStream> for Stream {
    type Error = TwitchError;

    fn try_from(raw: RawStream) -> Result<Self, TwitchError> {
        let started_at = instant(&raw.started_at)?;
        Ok(Self { user_id: raw.user_id, viewers: raw.viewer_count, started_at, title: raw.title })
    }
}

/// An instant as Twitch writes it: whole seconds today, fractions in older answers.
fn instant(text: &str) -> Result<DateTime<Utc>, TwitchError> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.with_timezone(&Utc).trunc_subsecs(6))
        .map_err(|error| TwitchError::unavailable(format!("unreadable time: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(message: &str) -> Vec<u8> {
        serde_json::json!({"error": "x", "status": 0, "message": message}).to_string().into_bytes()
    }

    #[test]
    fn every_refusal_is_told_apart_by_what_can_be_done() {
        let table = [
            (401, "Missing scope: moderator:read:chatters", "missing_scope"),
            (401, "Invalid OAuth token", "sign_in_again"),
            (401, "OAuth token is missing", "sign_in_again"),
            (401, "", "sign_in_again"),
            (401, "The ID in user_id must match the user ID found in the request's OAuth token.", "rejected"),
            (403, "The user in moderator_id is not one of the broadcaster's moderators.", "not_moderator"),
            (404, "", "not_found"),
            (429, "Request limit exceeded", "busy"),
            (400, "Missing required parameter \"broadcaster_id\"", "rejected"),
            (302, "", "rejected"),
            (500, "", "unavailable"),
            (503, "", "unavailable"),
        ];
        for (status, message, kind) in table {
            assert_eq!(refusal(status, &body(message)).kind(), kind, "{status} {message}");
        }
        let scope = "moderator:read:chatters".to_owned();
        assert_eq!(refusal(401, &body("Missing scope: moderator:read:chatters")), TwitchError::MissingScope { scope });
        assert_eq!(refusal(401, b"<html>"), TwitchError::SignInAgain);
    }

    #[test]
    fn only_a_bad_token_is_worth_a_fresh_one() {
        assert!(is_bad_token(401, &body("Invalid OAuth token")));
        assert!(!is_bad_token(401, &body("Missing scope: x")));
        assert!(!is_bad_token(
            401,
            &body("The ID in moderator_id must match the user ID in the request's OAuth token")
        ));
        assert!(!is_bad_token(403, &body("Invalid OAuth token")));
    }

    #[test]
    fn the_last_page_has_an_empty_pagination() {
        let page = |json: &str| parse::<List<RawChatter>>(json.as_bytes());
        let last = page(r#"{"data":[],"pagination":{},"total":7}"#).unwrap();
        assert_eq!((last.next(), last.total), (None, Some(7)));
        assert_eq!(page(r#"{"data":[],"pagination":{"cursor":""}}"#).unwrap().next(), None);
        assert_eq!(page(r#"{"data":[],"pagination":{"cursor":"c"}}"#).unwrap().next(), Some("c"));
        let not_a_number = r#"{"data":[{"user_id":"x","user_login":"A","user_name":"A"}]}"#;
        assert_eq!(page(not_a_number).unwrap_err().kind(), "unavailable");
        assert_eq!(page("{}").unwrap_err().kind(), "unavailable");
    }

    #[test]
    fn a_profile_tells_a_picture_of_its_own_from_a_default_one() {
        let profile = |picture: &str, created_at: &str| {
            let json = serde_json::json!({"id": "1", "login": "Ab", "display_name": "Ab", "description": " ",
                "profile_image_url": picture, "created_at": created_at});
            Profile::try_from(parse::<RawUser>(json.to_string().as_bytes()).unwrap())
        };
        let own =
            profile("https://static-cdn.jtvnw.net/jtv_user_pictures/1-300x300.png", "2016-12-14T20:32:28Z").unwrap();
        assert!(own.has_picture && !own.has_description);
        assert_eq!(own.login, "ab");
        let default = profile("https://static-cdn.jtvnw.net/user-default-pictures-uv/x.png", "").unwrap();
        assert!(!default.has_picture && default.created_at.is_none());
        assert!(profile("", "2016-12-14T20:32:28.56758831Z").unwrap().created_at.is_some());
        assert!(profile("", "yesterday").is_err());
    }
}
