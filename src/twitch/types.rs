//! What Twitch tells, as values. Field names and limits: dev.twitch.tv/docs/api/reference.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The number of a Twitch account. Twitch writes it as a string of digits, and so does this program outside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TwitchUserId(pub i64);

/// A text that is no Twitch account number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Twitch user id: '{0}'")]
pub struct BadTwitchUserId(String);

impl fmt::Display for TwitchUserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TwitchUserId {
    type Err = BadTwitchUserId;

    fn from_str(text: &str) -> Result<Self, BadTwitchUserId> {
        let bad = || BadTwitchUserId(text.chars().take(32).collect());
        // `i64::from_str` would take a sign, and a leading zero would make two texts of one account.
        if text.is_empty() || text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        text.parse().map(Self).ok().ok_or_else(bad)
    }
}

impl TryFrom<String> for TwitchUserId {
    type Error = BadTwitchUserId;

    fn try_from(text: String) -> Result<Self, BadTwitchUserId> {
        text.parse()
    }
}

impl From<TwitchUserId> for String {
    fn from(id: TwitchUserId) -> Self {
        id.to_string()
    }
}

/// One account in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chatter {
    pub id: TwitchUserId,
    /// Lower case.
    pub login: String,
    pub display_name: String,
}

/// One page of the list of who is in a chat; up to 1,000 accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChattersPage {
    pub chatters: Vec<Chatter>,
    /// Twitch's own count of the whole list; it moves while the pages are read.
    pub total: Option<u32>,
    /// The cursor of the following page; `None` after the last.
    pub next: Option<String>,
    pub read_at: DateTime<Utc>,
}

/// What Twitch shows publicly about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub id: TwitchUserId,
    /// Lower case.
    pub login: String,
    pub display_name: String,
    pub created_at: Option<DateTime<Utc>>,
    /// `""`, `admin`, `global_mod` or `staff`.
    pub account_type: String,
    /// `""`, `affiliate` or `partner`.
    pub broadcaster_type: String,
    /// Whether the picture is one of the account's own, not one of Twitch's defaults.
    pub has_picture: bool,
    pub has_description: bool,
}

/// The profiles Twitch knows of those asked for; suspended and deleted accounts are simply missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles {
    pub profiles: Vec<Profile>,
    /// When Twitch said so; earlier than now when the answer came from a cache.
    pub read_at: DateTime<Utc>,
}

/// A channel that somebody moderates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub id: TwitchUserId,
    /// Lower case.
    pub login: String,
    pub display_name: String,
}

/// A channel's broadcast that is live now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The broadcaster.
    pub user_id: TwitchUserId,
    pub viewers: u32,
    pub started_at: DateTime<Utc>,
    pub title: String,
}

/// Somebody who has just signed in; their tokens are stored and stay behind the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// `users.id`.
    pub user_id: i64,
    pub twitch_user_id: TwitchUserId,
    /// Lower case.
    pub login: String,
    pub display_name: String,
    pub scopes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_digits_and_nothing_else() {
        assert_eq!("141981764".parse(), Ok(TwitchUserId(141_981_764)));
        for bad in ["", "0", "012", "+1", "-1", " 1", "1 ", "1.0", "abc", "9223372036854775808", "١"] {
            assert!(bad.parse::<TwitchUserId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_a_string_in_json() {
        let id = TwitchUserId(42);
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"42\"");
        assert_eq!(serde_json::from_str::<TwitchUserId>("\"42\"").unwrap(), id);
        assert!(serde_json::from_str::<TwitchUserId>("42").is_err());
    }
}
