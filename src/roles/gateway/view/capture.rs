//! A capture: its progress within a channel's row, and the page that follows it.

use askama::Template;
use chrono::{DateTime, Utc};

use super::Page;
use crate::i18n::Lang;

/// How far a capture is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Its id, as in `/captures/{id}`.
    pub capture_id: String,
    /// Accounts stored so far.
    pub seen: u64,
    /// About how many Twitch announced; it moves while the list is read.
    pub total: Option<u64>,
    /// About how many seconds are left, when that can be told.
    pub seconds_left: Option<u64>,
    /// What it is doing.
    pub running: Running,
}

/// What an unfinished capture is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// Waiting for its turn.
    Queued,
    /// Reading pages.
    Reading,
    /// Twitch limits our requests; it goes on after so many seconds.
    Waiting {
        /// Seconds until the next attempt.
        seconds: u64,
    },
    /// Twitch does not answer; attempts go on until that instant.
    Retrying {
        /// The last attempt.
        until: DateTime<Utc>,
    },
}

impl Progress {
    /// Whether the bar can show a share; otherwise it is indeterminate.
    pub(super) fn is_measured(&self) -> bool {
        self.running != Running::Queued && self.total.is_some_and(|total| total > 0)
    }

    /// Twitch's total may lag behind what was read.
    pub(super) fn max(&self) -> u64 {
        self.total.unwrap_or(0).max(self.seen)
    }

    /// The visible sentence with the numbers.
    pub(super) fn sentence(&self, l: Lang) -> String {
        match (self.running, self.total) {
            (Running::Queued, _) => l
                .t(
                    "Waiting for its turn; it starts by itself.",
                    "En file d’attente ; elle démarre seule.",
                )
                .to_owned(),
            (_, Some(total)) if total > 0 => match l {
                Lang::En => format!("{} of about {} accounts", l.n(self.seen), l.n(self.max())),
                Lang::Fr => format!("{} comptes sur environ {}", l.n(self.seen), l.n(self.max())),
            },
            _ => match l {
                Lang::En => format!("{} so far", l.accounts(self.seen)),
                Lang::Fr => format!("{} jusqu’ici", l.accounts(self.seen)),
            },
        }
    }

    /// What the person should know: how long it takes, or what it waits for.
    pub(super) fn hint(&self, l: Lang) -> String {
        let may_leave = l.t("You can leave this page.", "Vous pouvez quitter cette page.");
        match self.running {
            Running::Waiting { seconds } => match l {
                Lang::En => format!(
                    "Twitch limits our requests. We go on in {}; nothing is lost.",
                    l.seconds(seconds)
                ),
                Lang::Fr => format!(
                    "Twitch limite nos demandes. Reprise dans {} ; rien n’est perdu.",
                    l.seconds(seconds)
                ),
            },
            Running::Retrying { until } => match l {
                Lang::En => format!(
                    "Twitch does not answer. We try again by ourselves until {} UTC.",
                    l.time(until)
                ),
                Lang::Fr => format!("Twitch ne répond pas. Nous réessayons jusqu’à {} UTC.", l.time(until)),
            },
            Running::Queued => may_leave.to_owned(),
            Running::Reading => match (self.seconds_left, l) {
                (Some(left), Lang::En) => format!("About {} left. {may_leave}", l.seconds(left)),
                (Some(left), Lang::Fr) => format!("Encore {} environ. {may_leave}", l.seconds(left)),
                (None, _) => may_leave.to_owned(),
            },
        }
    }
}

/// Why a capture failed, in terms a person can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureFailure {
    /// Twitch no longer accepts the login (401).
    LoginExpired,
    /// A permission is missing (401 with a scope).
    ScopeMissing,
    /// The person is no longer a moderator there (403).
    NotModerator,
    /// Twitch did not answer for too long.
    TwitchAway,
    /// More accounts than this site takes in one capture.
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// Anything on our side.
    Ours,
}

impl CaptureFailure {
    /// The word beside the shape.
    pub(super) const fn tag(self, l: Lang) -> &'static str {
        match self {
            Self::LoginExpired | Self::ScopeMissing | Self::NotModerator => l.t("Twitch refused", "Twitch a refusé"),
            Self::TwitchAway => l.t("Twitch did not answer", "Twitch n’a pas répondu"),
            Self::TooLarge { .. } => l.t("Too large", "Trop grand"),
            Self::Ours => l.t("Capture failed", "Capture échouée"),
        }
    }

    /// What happened and what to do.
    pub fn sentence(self, l: Lang, channel: &str) -> String {
        match self {
            Self::LoginExpired => l
                .t(
                    "Twitch no longer accepts your login. Sign in again; your captures are safe.",
                    "Twitch n’accepte plus votre connexion. Reconnectez-vous ; vos captures sont en sécurité.",
                )
                .to_owned(),
            Self::ScopeMissing => l
                .t(
                    "Twitch needs your agreement again to show who is in chat. Sign in again.",
                    "Twitch redemande votre accord pour lire qui est dans le chat. Reconnectez-vous.",
                )
                .to_owned(),
            Self::NotModerator => match l {
                Lang::En => {
                    format!("You are no longer a moderator of {channel}. Ask for the role, then try again.")
                }
                Lang::Fr => {
                    format!("Vous n’êtes plus modérateur de {channel}. Demandez le rôle, puis réessayez.")
                }
            },
            Self::TwitchAway => l
                .t(
                    "Twitch did not answer for too long. Try again in a few minutes.",
                    "Twitch n’a pas répondu pendant trop longtemps. Réessayez dans quelques minutes.",
                )
                .to_owned(),
            Self::TooLarge { max } => match l {
                Lang::En => format!(
                    "{channel} holds more than {} accounts, the limit of this site.",
                    l.n(max)
                ),
                Lang::Fr => format!("{channel} dépasse {} comptes, la limite de ce site.", l.n(max)),
            },
            Self::Ours => l
                .t(
                    "Something went wrong on our side. Try again; the operator can read why.",
                    "Quelque chose n’a pas fonctionné de notre côté. Réessayez ; l’exploitant peut en lire la raison.",
                )
                .to_owned(),
        }
    }

    /// Whether signing in again is the way out.
    pub(super) const fn needs_login(self) -> bool {
        matches!(self, Self::LoginExpired | Self::ScopeMissing)
    }
}

/// The last capture of a channel.
#[derive(Clone, Debug)]
pub enum CaptureState {
    /// There is none.
    Never,
    /// It is under way.
    Running(Progress),
    /// It is complete.
    Done {
        /// When it was complete.
        at: DateTime<Utc>,
        /// How many accounts it holds.
        accounts: u64,
        /// The analysis that shows it.
        url: String,
    },
    /// It failed.
    Failed {
        /// When it failed.
        at: DateTime<Utc>,
        /// Why.
        why: CaptureFailure,
    },
    /// Somebody cancelled it.
    Cancelled {
        /// When.
        at: DateTime<Utc>,
    },
}

impl CaptureState {
    pub(super) const fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }
}

/// `/captures/{id}`: one capture under way, failed or cancelled. A complete one answers 303 to its analysis instead, but can
/// be shown too.
#[derive(Template)]
#[template(path = "capture.html")]
pub struct CapturePage {
    /// What every page needs.
    pub page: Page,
    /// The channel's Twitch id.
    pub broadcaster_id: String,
    /// The channel's login.
    pub login: String,
    /// How it stands.
    pub state: CaptureState,
}
