//! `/sessions`: the active session and the saved ones.

use askama::Template;
use chrono::{DateTime, Utc};

use super::{ActiveSession, Page};
use crate::i18n::Lang;

/// One saved session.
#[derive(Clone, Debug)]
pub struct SavedSession {
    /// Its uuid.
    pub uuid: String,
    /// The name somebody gave it; its date stands in when there is none.
    pub name: Option<String>,
    /// When it was saved.
    pub saved_at: DateTime<Utc>,
    /// The logins of its channels.
    pub channels: Vec<String>,
    /// Complete captures in it.
    pub captures: u64,
    /// Distinct accounts in it.
    pub accounts: u64,
    /// When it will be erased; `None` when it is kept until somebody deletes it.
    pub kept_until: Option<DateTime<Utc>>,
}

impl SavedSession {
    pub(super) fn title(&self, l: Lang) -> String {
        session_title(self.name.as_deref(), self.saved_at, l)
    }

    pub(super) fn channel_list(&self, l: Lang) -> String {
        channel_list(&self.channels, l)
    }
}

/// A session's name, or its date.
pub(super) fn session_title(name: Option<&str>, saved_at: DateTime<Utc>, l: Lang) -> String {
    match (name, l) {
        (Some(name), _) => name.to_owned(),
        (None, Lang::En) => format!("Session of {} UTC", l.datetime(saved_at)),
        (None, Lang::Fr) => format!("Session du {} UTC", l.datetime(saved_at)),
    }
}

/// Up to three channels by name, then how many more.
pub(super) fn channel_list(channels: &[String], l: Lang) -> String {
    if channels.len() <= 4 {
        return l.list(channels);
    }
    let mut shown: Vec<String> = channels[..3].to_vec();
    shown.push(l.count(channels.len() - 3, "other", "others", "autre", "autres"));
    l.list(&shown)
}

/// The page `/sessions`.
#[derive(Template)]
#[template(path = "sessions.html")]
pub struct Sessions {
    /// What every page needs.
    pub page: Page,
    /// The active session, unless it is empty.
    pub active: Option<ActiveSession>,
    /// The saved ones, newest first.
    pub saved: Vec<SavedSession>,
    /// How many may be saved.
    pub saved_max: u64,
}

impl Sessions {
    /// Whether saving one more erases the oldest.
    fn is_full(&self) -> bool {
        self.saved.len() as u64 >= self.saved_max
    }
}
