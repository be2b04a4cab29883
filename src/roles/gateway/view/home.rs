//! The pages for people who are not signed in: what this is, setting it up, and the two ways a login can end without one.

use askama::Template;

use super::Page;

/// `/` for somebody who is not signed in.
#[derive(Template)]
#[template(path = "home_signed_out.html")]
pub struct HomeSignedOut {
    /// What every page needs.
    pub page: Page,
    /// Where the button leads: `/auth/login`, with the way back if there is one.
    pub login_url: String,
    /// How long an active session lives after its last capture.
    pub session_hours: u64,
}

/// `/` while the program has no Twitch credentials.
#[derive(Template)]
#[template(path = "home_setup.html")]
pub struct HomeSetup {
    /// What every page needs.
    pub page: Page,
    /// The address to register at Twitch.
    pub redirect_url: String,
}

/// The person refused the permissions at Twitch.
#[derive(Template)]
#[template(path = "consent_refused.html")]
pub struct ConsentRefused {
    /// What every page needs.
    pub page: Page,
    /// Where to try again.
    pub login_url: String,
}

/// The person is not on the list of those who may sign in here.
#[derive(Template)]
#[template(path = "not_allowed.html")]
pub struct NotAllowed {
    /// What every page needs.
    pub page: Page,
    /// Whom Twitch says it is.
    pub login: String,
    /// Whom to ask, as the operator wrote it: a name or an address.
    pub contact: Option<String>,
}

/// `/privacy`: what is kept, and for how long.
#[derive(Template)]
#[template(path = "privacy.html")]
pub struct Privacy {
    /// What every page needs.
    pub page: Page,
    /// How long an active session lives after its last capture.
    pub session_hours: u64,
    /// How many sessions one person may save.
    pub saved_max: u64,
    /// After how many days erased and expired sessions, finished jobs and log entries leave the database too.
    pub retention_days: u64,
    /// Whom to ask, as the operator wrote it: a name or an address.
    pub contact: Option<String>,
}
