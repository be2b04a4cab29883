//! Why Twitch could not be asked or said no; the same whether the gate is in this process or behind HTTP.

use std::time::Duration;

use crate::wire::{Code, Problem};

/// What went wrong, told apart by what the caller can do about it. Never holds a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TwitchError {
    /// No usable token of this user is left: they must sign in again.
    #[error("the sign-in with Twitch is no longer valid")]
    SignInAgain,
    /// The user's token lacks a permission: they must sign in again and grant it.
    #[error("a Twitch permission is missing: {scope}")]
    MissingScope {
        /// Which, where Twitch names it.
        scope: String,
    },
    /// The user is neither the broadcaster nor a moderator of this channel.
    #[error("not a moderator of this channel")]
    NotModerator,
    /// Twitch does not know what was asked for.
    #[error("not known to Twitch")]
    NotFound,
    /// The rate limit is used up for longer than a call may wait.
    #[error("the rate limit towards Twitch is used up; retry in {} s", retry_after.as_secs())]
    Busy {
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// Twitch (or the way to it) does not work at the moment: 5xx, time-out, network, a cut or unreadable answer.
    #[error("Twitch does not answer properly: {reason}")]
    Unavailable {
        /// For the log and the operator.
        reason: String,
    },
    /// Twitch refuses this request, and will refuse it again.
    #[error("Twitch refuses the request ({status}): {message}")]
    Rejected {
        /// Twitch's HTTP status.
        status: u16,
        /// Twitch's own words.
        message: String,
    },
    /// This installation has no Twitch application: `TWITCH_CLIENT_ID` and `TWITCH_CLIENT_SECRET` are not set.
    #[error("no Twitch application is configured")]
    NotConfigured,
}

impl TwitchError {
    /// A stable word for logs, metrics, job rows and the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SignInAgain => "sign_in_again",
            Self::MissingScope { .. } => "missing_scope",
            Self::NotModerator => "not_moderator",
            Self::NotFound => "not_found",
            Self::Busy { .. } => "busy",
            Self::Unavailable { .. } => "unavailable",
            Self::Rejected { .. } => "rejected",
            Self::NotConfigured => "not_configured",
        }
    }

    /// Whether asking again later may succeed without anybody doing anything.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unavailable { .. })
    }

    /// The error as it crosses a process border.
    pub fn to_problem(&self) -> Problem {
        let plain = |code| Problem::new(code, "");
        match self {
            Self::SignInAgain => plain(Code::SignInAgain),
            Self::MissingScope { scope } => Problem::new(Code::MissingScope, scope),
            Self::NotModerator => plain(Code::NotModerator),
            Self::NotFound => plain(Code::NotFound),
            Self::Busy { retry_after } => {
                let millis = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
                Problem { retry_after_ms: Some(millis), ..plain(Code::Busy) }
            }
            Self::Unavailable { reason } => Problem::new(Code::Unavailable, reason),
            Self::Rejected { status, message } => {
                Problem { twitch_status: Some(*status), ..Problem::new(Code::Rejected, message) }
            }
            Self::NotConfigured => plain(Code::NotConfigured),
        }
    }

    /// The error as it was on the other side of a process border.
    pub fn from_problem(problem: &Problem) -> Self {
        let detail = || problem.detail.clone();
        match problem.code {
            Code::SignInAgain => Self::SignInAgain,
            Code::MissingScope => Self::MissingScope { scope: detail() },
            Code::NotModerator => Self::NotModerator,
            Code::NotFound => Self::NotFound,
            Code::Busy => Self::Busy { retry_after: problem.retry_after().unwrap_or(Duration::from_secs(5)) },
            Code::Unavailable => Self::Unavailable { reason: detail() },
            Code::Rejected => {
                Self::Rejected { status: problem.twitch_status.unwrap_or(problem.status), message: detail() }
            }
            Code::BadRequest => Self::Rejected { status: problem.status, message: detail() },
            Code::NotConfigured => Self::NotConfigured,
            // Faults of this installation: they pass when somebody mends it.
            Code::Unauthorized | Code::Internal => {
                Self::Unavailable { reason: format!("the twitch-proxy role: {}", problem.code.title()) }
            }
        }
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_crosses_a_process_border_stays_what_it_was() {
        let text = || "text".to_owned();
        for error in [
            TwitchError::SignInAgain,
            TwitchError::MissingScope { scope: text() },
            TwitchError::NotModerator,
            TwitchError::NotFound,
            TwitchError::Busy { retry_after: Duration::from_millis(31_500) },
            TwitchError::Unavailable { reason: text() },
            TwitchError::Rejected { status: 400, message: text() },
            TwitchError::NotConfigured,
        ] {
            let json = serde_json::to_string(&error.to_problem()).unwrap();
            let problem: Problem = serde_json::from_str(&json).unwrap();
            assert_eq!(TwitchError::from_problem(&problem), error);
            assert_eq!(serde_json::to_value(problem.code).unwrap(), error.kind());
        }
    }

    #[test]
    fn retry_after_is_rounded_up() {
        let busy = TwitchError::Busy { retry_after: Duration::from_millis(31_500) };
        assert_eq!(busy.to_problem().retry_after_seconds(), Some(32));
    }
}
