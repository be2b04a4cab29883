//! `/` for somebody signed in: what needs them now.

use askama::Template;
use chrono::{DateTime, Utc};

use super::{CaptureState, Channel, ListState, Page};

/// The active session in numbers.
#[derive(Clone, Debug)]
pub struct ActiveSession {
    /// Complete captures in it.
    pub captures: u64,
    /// Distinct accounts in it.
    pub accounts: u64,
    /// The logins of its channels.
    pub channels: Vec<String>,
    /// When it will be erased.
    pub expires_at: DateTime<Utc>,
}

/// A complete capture of the last days.
#[derive(Clone, Debug)]
pub struct RecentCapture {
    /// The channel's login.
    pub login: String,
    /// When it was complete.
    pub at: DateTime<Utc>,
    /// How many accounts it holds.
    pub accounts: u64,
    /// The analysis that shows it.
    pub url: String,
}

/// The page `/` for somebody signed in.
#[derive(Template)]
#[template(path = "dashboard.html")]
pub struct Dashboard {
    /// What every page needs.
    pub page: Page,
    /// Where the channel list comes from.
    pub list: ListState,
    /// Live channels by viewers, at most 8; three of any kind while there is no capture yet and nobody is live.
    pub channels: Vec<Channel>,
    /// How many channels are live.
    pub live_total: u64,
    /// How many channels there are.
    pub channel_total: u64,
    /// The active session, unless it is empty.
    pub active: Option<ActiveSession>,
    /// How many sessions are saved.
    pub saved: u64,
    /// How many may be.
    pub saved_max: u64,
    /// The latest complete captures, newest first, at most 5.
    pub recent: Vec<RecentCapture>,
}

impl Dashboard {
    fn is_running(&self) -> bool {
        self.channels.iter().any(|channel| channel.state.is_running())
    }

    fn is_first_visit(&self) -> bool {
        self.active.is_none() && self.recent.is_empty() && !self.is_running()
    }
}
