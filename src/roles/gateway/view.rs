//! What the pages show: one struct with ready values for each template in `templates/`, of the same name.
//!
//! Handlers fill these and render them; nothing here reads a database, asks for the time or knows a domain type. Instants are
//! UTC, counts are `u64`, Twitch ids are text. Words stand in the templates, in both languages side by side; the few sentences
//! that more than one page says are typed functions here ([`Notice`], [`CaptureFailure`]).

mod account;
mod analysis;
mod capture;
mod channels;
mod chart;
mod confirm;
mod dashboard;
mod error;
mod home;
mod message;
mod opened;
#[cfg(test)]
mod samples;
mod sessions;
mod settings;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use self::{
    account::{AccountHistory, NameKind, NameLine, NameSource, Presence},
    analysis::{Analysis, BusyDay, CaptureLine, CaptureStatus, ChannelChip, QuarterCount, Renamer, Source, Summary},
    capture::{CaptureFailure, CapturePage, CaptureState, Progress, Running},
    channels::{Channel, Channels, ListState, Pager},
    chart::{Bar, BarChart, Grid},
    confirm::{Act, Confirm},
    dashboard::{ActiveSession, Dashboard, RecentCapture},
    error::{ErrorKind, ErrorPage},
    home::{ConsentRefused, HomeSetup, HomeSignedOut, NotAllowed, Privacy},
    message::{Message, Notice, Tone},
    sessions::{SavedSession, Sessions},
    settings::Settings,
};
use super::assets;
use crate::i18n::Lang;

/// Colours: as the system says, or as the person chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Whatever the system prefers.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// Every theme, in the order of the buttons.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// The value in forms and in the preference cookie; also the class on `html`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Reads the value of a form or of the cookie.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }

    const fn color_scheme(self) -> &'static str {
        match self {
            Self::Auto => "light dark",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    const fn label(self, lang: Lang) -> &'static str {
        match self {
            Self::Auto => lang.t("Auto", "Auto"),
            Self::Light => lang.t("Light", "Clair"),
            Self::Dark => lang.t("Dark", "Sombre"),
        }
    }
}

/// What every page needs, whatever it shows.
#[derive(Clone, Debug)]
pub struct Page {
    /// The language of the page.
    pub lang: Lang,
    /// The colours of the page.
    pub theme: Theme,
    /// Path and query of this page, for the way back from `/preferences` and to mark the place in the navigation.
    pub path: String,
    /// The value of the hidden `csrf` field of every form; signed-out pages have one too.
    pub csrf: String,
    /// The Twitch login of the person signed in, if any.
    pub login: Option<String>,
    /// What just happened, said on top of the page.
    pub message: Option<Message>,
    /// The instant of the answer.
    pub now: DateTime<Utc>,
    /// Whether what is under way refreshes by itself; false with `?live=0`.
    pub live: bool,
}

impl Page {
    /// A page with automatic colours, nobody signed in and nothing to tell.
    pub fn new(lang: Lang, path: impl Into<String>, csrf: impl Into<String>, now: DateTime<Utc>) -> Self {
        let path = path.into();
        let live = !path.split(['?', '&']).any(|part| part == "live=0");
        Self {
            lang,
            theme: Theme::Auto,
            path,
            csrf: csrf.into(),
            login: None,
            message: None,
            now,
            live,
        }
    }

    /// The same page for somebody signed in.
    #[must_use]
    pub fn signed_in(mut self, login: impl Into<String>) -> Self {
        self.login = Some(login.into());
        self
    }

    /// The same page in chosen colours.
    #[must_use]
    pub fn with_theme(mut self, theme: Theme) -> Self {
        self.theme = theme;
        self
    }

    /// The same page with a message on top.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Option<Message>>) -> Self {
        self.message = message.into();
        self
    }

    /// The language by value, for templates.
    const fn l(&self) -> Lang {
        self.lang
    }

    /// The main navigation; a new page of the site gets its line here.
    const fn nav(&self) -> [NavItem; 4] {
        let l = self.lang;
        [
            NavItem::new("/", "home", l.t("Overview", "Accueil")),
            NavItem::new("/channels", "chan", l.t("Channels", "Chaînes")),
            NavItem::new("/analysis", "chart", l.t("Analysis", "Analyse")),
            NavItem::new("/sessions", "box", l.t("Sessions", "Sessions")),
        ]
    }

    #[expect(clippy::unused_self, reason = "templates reach functions through the page")]
    fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    fn place(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Whether this page stands in the part of the site that begins with `root`.
    fn is_in(&self, root: &str) -> bool {
        let place = self.place();
        place == root || (root != "/" && place.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')))
    }

    /// This page with `live=0` added or taken away.
    fn live_toggle(&self) -> String {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let mut parts: Vec<&str> = query
            .split('&')
            .filter(|part| !part.is_empty() && *part != "live=0")
            .collect();
        if self.live {
            parts.push("live=0");
        }
        if parts.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", parts.join("&"))
        }
    }
}

/// One link of the main navigation.
struct NavItem {
    root: &'static str,
    icon: &'static str,
    label: &'static str,
}

impl NavItem {
    const fn new(root: &'static str, icon: &'static str, label: &'static str) -> Self {
        Self { root, icon, label }
    }
}
