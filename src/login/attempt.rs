//! One attempt to sign in, from the redirect to Twitch until Twitch sends the browser back.
//!
//! Twitch has no PKCE (twitchdev/issues#1097), so the `state` binds the answer to the browser that asked: it travels through
//! Twitch and, sealed, in a cookie of that browser. Nothing is stored on the server until the sign-in has succeeded.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// How long a person may take at Twitch.
pub const LIFETIME: Duration = Duration::minutes(10);

/// What the browser's cookie remembers of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Sent to Twitch and back.
    pub state: String,
    /// Where the person wanted to go; a path of this site.
    pub return_to: String,
    begun_at: DateTime<Utc>,
}

impl Attempt {
    /// Begins an attempt. `return_to` is replaced by the channel list unless it is a plain path of this site.
    pub fn begin(return_to: &str, now: DateTime<Utc>) -> Self {
        let mut bytes = [0u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        let return_to = if is_own_path(return_to) { return_to } else { "/channels" };
        Self { state: URL_SAFE_NO_PAD.encode(bytes), return_to: return_to.to_owned(), begun_at: now }
    }

    /// Whether Twitch's answer belongs to this attempt and came in time.
    pub fn accepts(&self, state: &str, now: DateTime<Utc>) -> bool {
        let in_time = now >= self.begun_at && now - self.begun_at <= LIFETIME;
        in_time && bool::from(self.state.as_bytes().ct_eq(state.as_bytes()))
    }
}

/// Whether a text can only lead to a page of this site: one leading slash, no second one, no backslash, no control characters.
pub fn is_own_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 512
        && !path.chars().any(|character| character.is_control() || character == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::minutes(minute)
    }

    #[test]
    fn only_the_same_state_in_time_is_accepted() {
        let attempt = Attempt::begin("/sessions", at(0));
        assert!(attempt.accepts(&attempt.state, at(10)));
        assert!(!attempt.accepts(&attempt.state, at(11)));
        assert!(!attempt.accepts(&attempt.state, at(-1)));
        assert!(!attempt.accepts("", at(1)));
        assert!(!attempt.accepts(&Attempt::begin("/sessions", at(0)).state, at(1)));
    }

    #[test]
    fn the_way_back_never_leaves_this_site() {
        for bad in
            ["//evil.example", "/\\evil.example", "https:evil.example", "evil", "", "/a\r\nSet-Cookie: x", "/\t/evil"]
        {
            assert_eq!(Attempt::begin(bad, at(0)).return_to, "/channels", "{bad:?}");
        }
        assert_eq!(Attempt::begin("/analysis?broadcaster_id=1", at(0)).return_to, "/analysis?broadcaster_id=1");
    }
}
