//! `/analysis` and `/analysis/saved/{uuid}`: what a session saw.

use askama::Template;
use chrono::{DateTime, NaiveDate, Utc};

use super::{BarChart, Page, channels::other_name, sessions::session_title};
use crate::i18n::Lang;

/// Logins shown of one day; the rest is in the exports.
const LOGINS_SHOWN: usize = 100;

/// Which session is shown.
#[derive(Clone, Debug)]
pub enum Source {
    /// The active one.
    Active {
        /// When it will be erased; `None` while it is empty.
        expires_at: Option<DateTime<Utc>>,
    },
    /// A saved one.
    Saved {
        /// Its uuid.
        uuid: String,
        /// The name somebody gave it.
        name: Option<String>,
        /// When it was saved.
        saved_at: DateTime<Utc>,
    },
}

/// One channel of the session.
#[derive(Clone, Debug)]
pub struct ChannelChip {
    /// Its Twitch id, digits only.
    pub broadcaster_id: String,
    /// Its login.
    pub login: String,
    /// Complete captures of it in this session.
    pub captures: u64,
    /// Whether the filter names it.
    pub is_selected: bool,
}

/// The accounts opened in one quarter of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarterCount {
    /// The year.
    pub year: i32,
    /// 1 to 4.
    pub quarter: u8,
    /// How many accounts.
    pub count: u64,
}

/// One of the days on which most accounts were opened.
#[derive(Clone, Debug)]
pub struct BusyDay {
    /// The UTC day.
    pub date: NaiveDate,
    /// How many accounts.
    pub count: u64,
    /// Their logins, as many as are known; the page shows the first hundred.
    pub logins: Vec<String>,
}

impl BusyDay {
    fn shown(&self) -> &[String] {
        &self.logins[..self.logins.len().min(LOGINS_SHOWN)]
    }

    fn hidden(&self) -> u64 {
        self.count.saturating_sub(self.shown().len() as u64)
    }
}

/// An account that changed its login often.
#[derive(Clone, Debug)]
pub struct Renamer {
    /// Its Twitch id.
    pub twitch_user_id: String,
    /// Its login now.
    pub login: String,
    /// Its display name now.
    pub display_name: String,
    /// Changes of login that this person's captures saw.
    pub changes: u64,
    /// Earlier logins, the latest first; may be left empty.
    pub previous: Vec<String>,
}

impl Renamer {
    fn other_name(&self) -> Option<&str> {
        other_name(&self.login, &self.display_name)
    }
}

/// How a capture of the list stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureStatus {
    /// Complete.
    Complete,
    /// Under way.
    Running,
    /// Failed.
    Failed,
    /// Cancelled.
    Cancelled,
}

impl CaptureStatus {
    const fn tag(self) -> (&'static str, &'static str) {
        match self {
            Self::Complete => ("calm", "calm"),
            Self::Running => ("wait", "wait"),
            Self::Failed => ("bad", "stop"),
            Self::Cancelled => ("wait", "x"),
        }
    }

    const fn word(self, l: Lang) -> &'static str {
        match self {
            Self::Complete => l.t("Complete", "Complète"),
            Self::Running => l.t("Under way", "En cours"),
            Self::Failed => l.t("Failed", "Échouée"),
            Self::Cancelled => l.t("Cancelled", "Annulée"),
        }
    }
}

/// One capture of the session.
#[derive(Clone, Debug)]
pub struct CaptureLine {
    /// Its id, as in `/captures/{id}`.
    pub capture_id: String,
    /// The channel's login.
    pub login: String,
    /// When it was complete, or when it began.
    pub at: DateTime<Utc>,
    /// How it stands.
    pub status: CaptureStatus,
    /// Accounts in it; 0 unless it is complete.
    pub accounts: u64,
    /// Of those, accounts this session had not seen before.
    pub new_accounts: u64,
}

/// The numbers, within the filter.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Distinct accounts.
    pub accounts: u64,
    /// Complete captures.
    pub captures: u64,
    /// Channels with a complete capture.
    pub channels: u64,
    /// Accounts whose profile was read, so that the opening date is known.
    pub profiles_read: u64,
    /// Accounts whose profile Twitch no longer gives (closed or suspended).
    pub profiles_gone: u64,
    /// Accounts by quarter opened; gaps are filled.
    pub quarters: Vec<QuarterCount>,
    /// Accounts opened on each of the last 60 UTC days, oldest first, days without any included.
    pub days: Vec<(NaiveDate, u64)>,
    /// The ten days on which most were opened, the busiest first.
    pub busiest: Vec<BusyDay>,
    /// Accounts with three changes of login or more, at most 50.
    pub renamers: Vec<Renamer>,
    /// How many of those there are in all.
    pub renamers_total: u64,
}

impl Summary {
    fn opened_lately(&self) -> u64 {
        self.days.iter().map(|(_, count)| count).sum()
    }

    /// Whether profiles are still being read.
    fn is_reading(&self) -> bool {
        self.profiles_read + self.profiles_gone < self.accounts
    }

    fn profiles_done(&self) -> u64 {
        (self.profiles_read + self.profiles_gone).min(self.accounts)
    }

    fn bar(&self, day: &BusyDay) -> String {
        let most = self.busiest.iter().map(|day| day.count).max().unwrap_or(1).max(1);
        format!("{}%", (day.count * 100 / most).max(1))
    }

    fn day_chart(&self, l: Lang) -> BarChart {
        BarChart::last_days(l, &self.days)
    }

    fn quarter_chart(&self, l: Lang) -> BarChart {
        BarChart::by_quarter(l, &self.quarters)
    }
}

/// The pages `/analysis` and `/analysis/saved/{uuid}`.
#[derive(Template)]
#[template(path = "analysis.html")]
pub struct Analysis {
    /// What every page needs.
    pub page: Page,
    /// Which session is shown.
    pub source: Source,
    /// The channels of the session, most captured first.
    pub channels: Vec<ChannelChip>,
    /// The numbers; `None` when the analysis does not answer.
    pub summary: Option<Summary>,
    /// The captures within the filter, newest first, at most 20.
    pub captures: Vec<CaptureLine>,
    /// How many captures within the filter there are in all.
    pub captures_total: u64,
}

impl Analysis {
    fn base(&self) -> String {
        match &self.source {
            Source::Active { .. } => "/analysis".to_owned(),
            Source::Saved { uuid, .. } => format!("/analysis/saved/{uuid}"),
        }
    }

    fn is_filtered(&self) -> bool {
        self.channels.iter().any(|channel| channel.is_selected)
    }

    fn shown_channels(&self) -> Vec<&ChannelChip> {
        let all = !self.is_filtered();
        self.channels
            .iter()
            .filter(|channel| all || channel.is_selected)
            .collect()
    }

    fn shown_logins(&self) -> Vec<&str> {
        self.shown_channels()
            .iter()
            .map(|channel| channel.login.as_str())
            .collect()
    }

    /// The channels in words: `one_channel`, "a and b", "all 12 channels".
    fn scope(&self, l: Lang) -> String {
        let shown = self.shown_logins();
        match shown.len() {
            0..=3 => l.list(&shown),
            n if !self.is_filtered() => match l {
                Lang::En => format!("all {} channels", l.n(n)),
                Lang::Fr => format!("les {} chaînes", l.n(n)),
            },
            n => l.count(n, "channel", "channels", "chaîne", "chaînes"),
        }
    }

    /// The address with this channel added to the filter, or taken out of it.
    fn chip_url(&self, chip: &ChannelChip) -> String {
        let toggled = |other: &&ChannelChip| other.is_selected != (other.broadcaster_id == chip.broadcaster_id);
        let picked: Vec<&ChannelChip> = self.channels.iter().filter(toggled).collect();
        let picked = if picked.len() == self.channels.len() {
            Vec::new()
        } else {
            picked
        };
        with_query(&self.base(), &ids(&picked))
    }

    /// The export of what is shown, in `csv`, `json`, `ndjson` or `logins`.
    fn export_url(&self, format: &str) -> String {
        let base = match &self.source {
            Source::Active { .. } => "/analysis/export".to_owned(),
            Source::Saved { uuid, .. } => format!("/sessions/export/{uuid}"),
        };
        let mut query = vec![format!("format={format}")];
        if self.is_filtered() {
            query.extend(ids(&self.shown_channels()));
        }
        with_query(&base, &query)
    }

    /// The one channel shown, so that it can be captured again from here.
    fn only_channel(&self) -> Option<&ChannelChip> {
        match self.shown_channels().as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    fn saved_title(&self, l: Lang) -> Option<String> {
        match &self.source {
            Source::Active { .. } => None,
            Source::Saved { name, saved_at, .. } => Some(session_title(name.as_deref(), *saved_at, l)),
        }
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self.source {
            Source::Active { expires_at } => expires_at,
            Source::Saved { .. } => None,
        }
    }

    fn latest(&self) -> Option<&CaptureLine> {
        self.captures
            .iter()
            .find(|capture| capture.status == CaptureStatus::Complete)
    }

    fn is_running(&self) -> bool {
        self.captures
            .iter()
            .any(|capture| capture.status == CaptureStatus::Running)
            || self.summary.as_ref().is_some_and(Summary::is_reading)
    }

    fn is_empty(&self) -> bool {
        self.latest().is_none() && self.summary.as_ref().is_none_or(|summary| summary.captures == 0)
    }
}

fn ids(channels: &[&ChannelChip]) -> Vec<String> {
    channels
        .iter()
        .map(|channel| format!("broadcaster_id={}", channel.broadcaster_id))
        .collect()
}

fn with_query(base: &str, query: &[String]) -> String {
    if query.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", query.join("&"))
    }
}
