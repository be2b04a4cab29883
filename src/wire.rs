//! What the roles say to each other over HTTP when something cannot be done: a closed list of codes and one body.
//!
//! Servers and clients both use it, so an error that crosses a process border stays the error it was. The body is
//! `application/problem+json` (RFC 9457). What the codes mean for a module's own errors is decided in that module.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The media type of [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The header in which a role shows that it belongs to this installation.
pub const INTERNAL_TOKEN_HEADER: &str = "X-Internal-Token";
/// The header that names the user (`users.id`) on whose behalf Twitch is asked.
pub const USER_HEADER: &str = "X-TCA-User";
/// Whether an answer came from a cache: `HIT` or `MISS`.
pub const CACHE_HEADER: &str = "X-Cache";

/// Why an internal request was not done. Stable: clients act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request itself is wrong; a fault of the caller.
    BadRequest,
    /// No or a wrong internal token.
    Unauthorized,
    /// No such thing.
    NotFound,
    /// The user must sign in with Twitch again.
    SignInAgain,
    /// A Twitch permission is missing.
    MissingScope,
    /// The user does not moderate the channel.
    NotModerator,
    /// The rate limit is used up; see `Retry-After`.
    Busy,
    /// Twitch does not answer properly.
    Unavailable,
    /// Twitch refuses the request.
    Rejected,
    /// No Twitch application is configured.
    NotConfigured,
    /// A fault of this program, or its database does not answer.
    Internal,
}

impl Code {
    /// The HTTP status that goes with the code.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized | Self::SignInAgain => 401,
            Self::MissingScope | Self::NotModerator => 403,
            Self::NotFound => 404,
            Self::Rejected => 422,
            Self::Unavailable => 502,
            Self::Busy | Self::NotConfigured => 503,
            Self::Internal => 500,
        }
    }

    /// One line for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request is not valid",
            Self::Unauthorized => "The internal token is missing or wrong",
            Self::NotFound => "Not found",
            Self::SignInAgain => "The user must sign in with Twitch again",
            Self::MissingScope => "A Twitch permission is missing",
            Self::NotModerator => "The user does not moderate this channel",
            Self::Busy => "The rate limit is used up",
            Self::Unavailable => "Twitch does not answer properly",
            Self::Rejected => "Twitch refuses the request",
            Self::NotConfigured => "No Twitch application is configured",
            Self::Internal => "Internal error",
        }
    }
}

/// The body of an internal error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub title: String,
    pub status: u16,
    pub code: Code,
    /// What exactly; never a secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// When it is worth asking again; `Retry-After` says the same in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Twitch's own status, where Twitch refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twitch_status: Option<u16>,
}

impl Problem {
    /// A problem with the code's own status and title.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            retry_after_ms: None,
            twitch_status: None,
        }
    }

    /// The value of `Retry-After`: whole seconds, rounded up, at least 1.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_ms.map(|millis| millis.div_ceil(1_000).max(1))
    }

    /// When it is worth asking again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

/// The body of the internal `POST /sign-in` of the twitch-proxy role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignInRequest {
    pub code: String,
    pub redirect_uri: String,
}

/// The body of the internal `POST /disconnect` of the twitch-proxy role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DisconnectRequest {
    /// `users.id`.
    pub user_id: i64,
}

/// The body of the internal `POST /validate` of the twitch-proxy role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValidateRequest {
    /// `users.id`.
    pub user_id: i64,
}
