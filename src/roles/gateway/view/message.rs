//! The message on top of a page: what just happened, or what is wrong.

use crate::i18n::Lang;

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something was done.
    News,
    /// Something to know before going on.
    Caution,
    /// Something failed.
    Failure,
}

impl Tone {
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::News => "",
            Self::Caution => "watch",
            Self::Failure => "bad",
        }
    }

    pub(super) const fn icon(self) -> &'static str {
        match self {
            Self::News => "calm",
            Self::Caution => "watch",
            Self::Failure => "stop",
        }
    }

    /// Failures interrupt a screen reader, news wait for a pause.
    pub(super) const fn role(self) -> &'static str {
        match self {
            Self::News | Self::Caution => "status",
            Self::Failure => "alert",
        }
    }
}

/// A message in the language of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How it is meant.
    pub tone: Tone,
    /// The sentence in bold; a failure also begins the page's title with it.
    pub title: String,
    /// What follows it, possibly nothing.
    pub text: String,
    /// Where to go from here: label and address.
    pub link: Option<(String, String)>,
}

impl Message {
    /// News of one sentence.
    pub fn news(title: impl Into<String>) -> Self {
        Self {
            tone: Tone::News,
            title: title.into(),
            text: String::new(),
            link: None,
        }
    }

    /// A caution of one sentence.
    pub fn caution(title: impl Into<String>) -> Self {
        Self {
            tone: Tone::Caution,
            ..Self::news(title)
        }
    }

    /// A failure of one sentence.
    pub fn failure(title: impl Into<String>) -> Self {
        Self {
            tone: Tone::Failure,
            ..Self::news(title)
        }
    }

    /// The same message with more text.
    #[must_use]
    pub fn and(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// The same message with a way on.
    #[must_use]
    pub fn with_link(mut self, label: impl Into<String>, url: impl Into<String>) -> Self {
        self.link = Some((label.into(), url.into()));
        self
    }
}

/// Tone, title and text.
type Words = (Tone, &'static str, &'static str);

/// The known messages after a redirect, short enough to travel in a cookie or a query as [`Notice::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A capture was asked for.
    CaptureStarted,
    /// A capture of that channel is already under way; it was joined.
    CaptureJoined,
    /// A capture was cancelled.
    CaptureCancelled,
    /// The active session was saved.
    SessionSaved,
    /// A saved session was deleted.
    SessionDeleted,
    /// The active session was erased.
    SessionPurged,
    /// A saved session is active again.
    SessionResumed,
    /// There was nothing in the active session to save or to erase.
    NothingActive,
    /// The channel list was read again.
    ChannelsRefreshed,
    /// The channel list could not be read.
    ChannelsUnread,
    /// The Twitch connection was ended.
    Disconnected,
    /// This browser was signed out.
    LoggedOut,
    /// The login at Twitch did not come to an end.
    LoginFailed,
    /// Somebody has to sign in first.
    LoginNeeded,
}

impl Notice {
    /// Every notice.
    pub const ALL: [Self; 14] = [
        Self::CaptureStarted,
        Self::CaptureJoined,
        Self::CaptureCancelled,
        Self::SessionSaved,
        Self::SessionDeleted,
        Self::SessionPurged,
        Self::SessionResumed,
        Self::NothingActive,
        Self::ChannelsRefreshed,
        Self::ChannelsUnread,
        Self::Disconnected,
        Self::LoggedOut,
        Self::LoginFailed,
        Self::LoginNeeded,
    ];

    /// Its short name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CaptureStarted => "capture-started",
            Self::CaptureJoined => "capture-joined",
            Self::CaptureCancelled => "capture-cancelled",
            Self::SessionSaved => "session-saved",
            Self::SessionDeleted => "session-deleted",
            Self::SessionPurged => "session-purged",
            Self::SessionResumed => "session-resumed",
            Self::NothingActive => "nothing-active",
            Self::ChannelsRefreshed => "channels-refreshed",
            Self::ChannelsUnread => "channels-unread",
            Self::Disconnected => "disconnected",
            Self::LoggedOut => "logged-out",
            Self::LoginFailed => "login-failed",
            Self::LoginNeeded => "login-needed",
        }
    }

    /// Reads a short name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.as_str() == name)
    }

    /// The message in words.
    pub fn message(self, l: Lang) -> Message {
        let words = self
            .of_capture(l)
            .or_else(|| self.of_session(l))
            .unwrap_or_else(|| self.of_login(l));
        Message {
            tone: words.0,
            title: words.1.to_owned(),
            text: words.2.to_owned(),
            link: None,
        }
    }

    fn of_capture(self, l: Lang) -> Option<Words> {
        let words = match self {
            Self::CaptureStarted => (
                Tone::News,
                l.t("Capture started.", "Capture lancée."),
                l.t(
                    "The result will show here, then under Analysis. You can leave this page.",
                    "Le résultat s’affichera ici, puis dans Analyse. Vous pouvez quitter cette page.",
                ),
            ),
            Self::CaptureJoined => (
                Tone::News,
                l.t(
                    "This channel is already being captured.",
                    "Cette chaîne est déjà en cours de capture.",
                ),
                l.t("Here is how far it is.", "Voici où elle en est."),
            ),
            Self::CaptureCancelled => (
                Tone::News,
                l.t("Capture cancelled.", "Capture annulée."),
                l.t(
                    "Nothing half-done was kept; earlier captures are untouched.",
                    "Rien d’incomplet n’a été gardé ; les précédentes sont intactes.",
                ),
            ),
            Self::ChannelsRefreshed => (
                Tone::News,
                l.t("Channel list up to date.", "Liste des chaînes à jour."),
                "",
            ),
            Self::ChannelsUnread => (
                Tone::Failure,
                l.t(
                    "Twitch did not give the channel list.",
                    "Twitch n’a pas donné la liste des chaînes.",
                ),
                l.t(
                    "The last known list is shown. Try again in a minute.",
                    "La dernière liste connue est affichée. Réessayez dans une minute.",
                ),
            ),
            _ => return None,
        };
        Some(words)
    }

    fn of_session(self, l: Lang) -> Option<Words> {
        let words = match self {
            Self::SessionSaved => (Tone::News, l.t("Session saved.", "Session enregistrée."), ""),
            Self::SessionDeleted => (
                Tone::News,
                l.t("Session deleted.", "Session supprimée."),
                l.t(
                    "Its captures are gone for good.",
                    "Ses captures ont disparu pour de bon.",
                ),
            ),
            Self::SessionPurged => (
                Tone::News,
                l.t("Active session erased.", "Session active effacée."),
                l.t(
                    "Your saved sessions are untouched.",
                    "Vos sessions enregistrées sont intactes.",
                ),
            ),
            Self::SessionResumed => (
                Tone::News,
                l.t("Session resumed.", "Session reprise."),
                l.t("New captures go into it.", "Les nouvelles captures s’y ajoutent."),
            ),
            Self::NothingActive => (
                Tone::Caution,
                l.t("The active session is empty.", "La session active est vide."),
                l.t("Nothing was changed.", "Rien n’a été modifié."),
            ),
            _ => return None,
        };
        Some(words)
    }

    fn of_login(self, l: Lang) -> Words {
        match self {
            Self::Disconnected => (
                Tone::News,
                l.t("Twitch disconnected.", "Compte Twitch déconnecté."),
                l.t(
                    "The permission was given back and every login ended.",
                    "L’autorisation a été rendue et toutes vos connexions sont fermées.",
                ),
            ),
            Self::LoggedOut => (Tone::News, l.t("You are logged out.", "Vous êtes déconnecté."), ""),
            Self::LoginFailed => (
                Tone::Failure,
                l.t("The login did not come to an end.", "La connexion n’a pas abouti."),
                l.t(
                    "Nothing was stored. Please try again.",
                    "Rien n’a été enregistré. Veuillez réessayer.",
                ),
            ),
            _ => (
                Tone::Caution,
                l.t("Please sign in first.", "Connectez-vous d’abord."),
                l.t(
                    "You will come back to the page you asked for.",
                    "Vous reviendrez à la page demandée.",
                ),
            ),
        }
    }
}
