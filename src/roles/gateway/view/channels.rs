//! `/channels`: the channels somebody may look at, each with its last capture and the button for the next.

use askama::Template;
use chrono::{DateTime, Utc};

use super::{CaptureState, Page};

/// One channel and its last capture.
#[derive(Clone, Debug)]
pub struct Channel {
    /// The channel's Twitch id.
    pub broadcaster_id: String,
    /// The channel's login.
    pub login: String,
    /// Its name as the streamer writes it; shown when it is more than the login in capitals.
    pub display_name: String,
    /// Viewers now; `None` when the channel is offline.
    pub viewers: Option<u64>,
    /// Whether it is the person's own channel.
    pub is_own: bool,
    /// Its last capture.
    pub state: CaptureState,
}

impl Channel {
    pub(super) fn other_name(&self) -> Option<&str> {
        other_name(&self.login, &self.display_name)
    }
}

/// The display name when it tells more than the login.
pub(super) fn other_name<'a>(login: &str, display_name: &'a str) -> Option<&'a str> {
    (!display_name.is_empty() && !display_name.eq_ignore_ascii_case(login)).then_some(display_name)
}

/// Where the channel list comes from.
#[derive(Clone, Copy, Debug)]
pub enum ListState {
    /// Read from Twitch then.
    Read(DateTime<Utc>),
    /// Could not be read now; this is what was read then.
    Stale(DateTime<Utc>),
    /// Could not be read, and never was before.
    Unread,
    /// Twitch no longer accepts this person's login: they must sign in again.
    SignInAgain,
}

/// Links to the pages of a long list.
#[derive(Clone, Debug)]
pub struct Pager {
    /// The page shown, from 1.
    pub current: u64,
    /// How many there are; nothing is shown for one.
    pub last: u64,
    /// The address of a page without its number: the number is appended, as in `/channels?q=x&page=`.
    pub url_prefix: String,
}

impl Pager {
    /// The pages to link: the first, the last and those around the current one.
    pub(super) fn numbers(&self) -> Vec<u64> {
        (1..=self.last).filter(|n| *n == 1 || *n == self.last || n.abs_diff(self.current) <= 1).collect()
    }
}

/// The page `/channels`.
#[derive(Template)]
#[template(path = "channels.html")]
pub struct Channels {
    /// What every page needs.
    pub page: Page,
    /// Where the list comes from.
    pub list: ListState,
    /// How many channels there are in all, whatever is searched.
    pub total: u64,
    /// What was searched; empty when nothing was.
    pub query: String,
    /// Live channels of this page, by viewers.
    pub live: Vec<Channel>,
    /// Offline channels of this page, by last capture.
    pub offline: Vec<Channel>,
    /// 50 a page.
    pub pager: Pager,
}

impl Channels {
    fn is_running(&self) -> bool {
        self.live.iter().chain(&self.offline).any(|channel| channel.state.is_running())
    }

    fn found(&self) -> usize {
        self.live.len() + self.offline.len()
    }

    /// Only the person's own channel: nobody made them a moderator yet.
    fn is_alone(&self) -> bool {
        self.query.is_empty() && self.total <= 1
    }
}
