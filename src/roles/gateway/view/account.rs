//! `/accounts/{id}/history`: the names of one account and when it was here.

use askama::Template;
use chrono::{DateTime, Utc};

use super::{Page, channels::other_name};
use crate::i18n::Lang;

/// Which of the two names changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// The login.
    Login,
    /// The display name.
    DisplayName,
}

/// Who told us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameSource {
    /// A chat list of one of the person's captures.
    Capture,
    /// The account's Twitch profile.
    Profile,
}

/// One name and since when we know it.
#[derive(Clone, Debug)]
pub struct NameLine {
    /// Login or display name.
    pub kind: NameKind,
    /// The name.
    pub name: String,
    /// The name before it, if it is known.
    pub previous: Option<String>,
    /// When we first saw it.
    pub seen_at: DateTime<Utc>,
    /// Where we saw it.
    pub source: NameSource,
}

/// Whether the account was in one capture.
#[derive(Clone, Debug)]
pub struct Presence {
    /// The channel's login.
    pub channel: String,
    /// When the capture was complete.
    pub at: DateTime<Utc>,
    /// Whether the account was in it.
    pub was_here: bool,
}

/// The page `/accounts/{id}/history`.
#[derive(Template)]
#[template(path = "account_history.html")]
pub struct AccountHistory {
    /// What every page needs.
    pub page: Page,
    /// The account's Twitch id.
    pub twitch_user_id: String,
    /// Its login as last seen.
    pub login: String,
    /// Its display name as last seen.
    pub display_name: String,
    /// When it was opened, once its profile was read.
    pub opened_at: Option<DateTime<Utc>>,
    /// Names, newest first; the oldest is the one it had when it was first seen.
    pub names: Vec<NameLine>,
    /// The person's captures, oldest first; the last 120 are drawn.
    pub presence: Vec<Presence>,
}

/// The most cells drawn.
const CELLS: usize = 120;

/// One drawn cell; x and width in per cent.
struct Cell {
    x: String,
    width: String,
    is_filled: bool,
}

impl AccountHistory {
    fn other_name(&self) -> Option<&str> {
        other_name(&self.login, &self.display_name)
    }

    fn seen_in(&self) -> usize {
        self.presence.iter().filter(|presence| presence.was_here).count()
    }

    fn shown(&self) -> &[Presence] {
        &self.presence[self.presence.len().saturating_sub(CELLS)..]
    }

    #[expect(clippy::cast_precision_loss, reason = "at most 120 cells")]
    fn cells(&self) -> Vec<Cell> {
        let shown = self.shown();
        let step = 100.0 / shown.len().max(8) as f64;
        let cell = |(index, presence): (usize, &Presence)| Cell {
            x: format!("{:.2}%", index as f64 * step),
            width: format!("{:.2}%", step * 0.84),
            is_filled: presence.was_here,
        };
        shown.iter().enumerate().map(cell).collect()
    }

    fn login_count(&self) -> usize {
        self.names.iter().filter(|line| line.kind == NameKind::Login).count()
    }

    /// The finding: "Seen in 5 of 7 captures, 3 logins since 2 Mar 2026."
    fn sentence(&self, l: Lang) -> String {
        let (seen, all) = (self.seen_in(), self.presence.len());
        let presence = match l {
            Lang::En => format!("Seen in {} of {}", l.n(seen), l.captures(all)),
            Lang::Fr => format!("Vu dans {} sur {}", l.captures(seen), l.n(all)),
        };
        let Some(first) = self.names.iter().map(|line| line.seen_at).min() else {
            return format!("{presence}.");
        };
        let logins = l.count(self.login_count(), "login", "logins", "pseudo", "pseudos");
        match l {
            Lang::En => format!("{presence}, {logins} since {}.", l.date(first)),
            Lang::Fr => format!("{presence}, {logins} depuis le {}.", l.date(first)),
        }
    }
}
