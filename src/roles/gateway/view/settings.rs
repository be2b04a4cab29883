//! `/settings`: language, colours and the connection to Twitch.

use askama::Template;
use chrono::{DateTime, Utc};

use super::Page;

/// The page `/settings`.
#[derive(Template)]
#[template(path = "settings.html")]
pub struct Settings {
    /// What every page needs.
    pub page: Page,
    /// The Twitch login connected.
    pub login: String,
    /// The scopes granted, as Twitch names them.
    pub scopes: Vec<String>,
    /// When Twitch last said that the permission still holds.
    pub validated_at: Option<DateTime<Utc>>,
}

impl Settings {
    fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }
}
