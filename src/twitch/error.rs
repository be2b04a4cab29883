//! Why Twitch could not be asked or said no; the same whether the gate is in this process or behind HTTP.

use std::time::Duration;

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

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }
}
