//! The page that stands before everything that cannot be undone: it names what goes and what stays.
//!
//! `GET` of the same address shows it, the form posts to it.

use askama::Template;

use super::Page;
use crate::i18n::Lang;

/// What is about to be done.
#[derive(Clone, Debug)]
pub enum Act {
    /// A saved session is deleted.
    DeleteSession {
        /// Its name or date.
        name: String,
        /// How many captures go with it.
        captures: u64,
    },
    /// The active session is erased.
    PurgeActive {
        /// How many captures go with it.
        captures: u64,
        /// How many accounts it holds.
        accounts: u64,
    },
    /// The active session is saved although the place is full.
    SaveOverOldest {
        /// How many may be saved.
        max: u64,
        /// The name or date of the session that goes.
        oldest: String,
    },
    /// A saved session becomes the active one, in place of one that is not empty and is saved first.
    Resume {
        /// The name or date of the session resumed.
        name: String,
        /// How many captures the active session holds.
        active_captures: u64,
        /// The name or date of the saved session that goes to make room, if the place is full.
        oldest: Option<String>,
    },
    /// Twitch is disconnected.
    Disconnect {
        /// Captures under way that end with it.
        running: u64,
    },
}

impl Act {
    /// Where the form posts to.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::DeleteSession { .. } => "/sessions/delete",
            Self::PurgeActive { .. } => "/sessions/purge",
            Self::SaveOverOldest { .. } => "/sessions/save",
            Self::Resume { .. } => "/sessions/resume",
            Self::Disconnect { .. } => "/auth/disconnect",
        }
    }

    const fn back(&self) -> &'static str {
        match self {
            Self::Disconnect { .. } => "/settings",
            _ => "/sessions",
        }
    }

    /// Whether something goes for good.
    const fn erases(&self) -> bool {
        !matches!(self, Self::Resume { oldest: None, .. })
    }

    fn heading(&self, l: Lang) -> String {
        match (self, l) {
            (Self::DeleteSession { name, .. }, Lang::En) => format!("Delete “{name}”?"),
            (Self::DeleteSession { name, .. }, Lang::Fr) => format!("Supprimer « {name} » ?"),
            (Self::PurgeActive { .. }, _) => l
                .t("Erase the active session?", "Effacer la session active ?")
                .to_owned(),
            (Self::SaveOverOldest { oldest, .. }, Lang::En) => format!("Save, and erase “{oldest}”?"),
            (Self::SaveOverOldest { oldest, .. }, Lang::Fr) => format!("Enregistrer, et effacer « {oldest} » ?"),
            (Self::Resume { name, .. }, Lang::En) => format!("Resume “{name}”?"),
            (Self::Resume { name, .. }, Lang::Fr) => format!("Reprendre « {name} » ?"),
            (Self::Disconnect { .. }, _) => l.t("Disconnect Twitch?", "Déconnecter Twitch ?").to_owned(),
        }
    }

    fn what_goes(&self, l: Lang) -> String {
        match (self, l) {
            (Self::DeleteSession { captures, .. }, Lang::En) => {
                format!("{} will be gone for good, with the accounts seen in them.", l.captures(captures))
            }
            (Self::DeleteSession { captures, .. }, Lang::Fr) => {
                format!("{} {} pour de bon, avec les comptes vus.", l.captures(captures), vanish(*captures))
            }
            (Self::PurgeActive { captures, accounts }, Lang::En) => {
                format!("{} with {} will be gone for good.", l.captures(captures), l.accounts(accounts))
            }
            (Self::PurgeActive { captures, accounts }, Lang::Fr) => {
                format!("{} avec {} {} pour de bon.", l.captures(captures), l.accounts(accounts), vanish(*captures))
            }
            (Self::SaveOverOldest { max, oldest }, Lang::En) => {
                format!("You keep {max} sessions, the most. Saving this one erases “{oldest}”, the oldest.")
            }
            (Self::SaveOverOldest { max, oldest }, Lang::Fr) => format!(
                "Vous gardez déjà {max} sessions. Enregistrer celle-ci effacera « {oldest} », la plus ancienne."
            ),
            (Self::Resume { active_captures, oldest, .. }, _) => resume_goes(*active_captures, oldest.as_deref(), l),
            (Self::Disconnect { running: 0 }, _) => l
                .t(
                    "The permission goes back to Twitch and every browser is logged out. No new capture is possible.",
                    "L’autorisation est rendue à Twitch et chaque navigateur est déconnecté. Plus aucune capture n’est possible.",
                )
                .to_owned(),
            (Self::Disconnect { running }, Lang::En) => format!(
                "The permission goes back to Twitch, every browser is logged out, and {} under way will end.",
                l.captures(running)
            ),
            (Self::Disconnect { running }, Lang::Fr) => format!(
                "L’autorisation est rendue à Twitch, chaque navigateur est déconnecté, et {} en cours prendra fin.",
                l.captures(running)
            ),
        }
    }

    fn what_stays(&self, l: Lang) -> &'static str {
        match self {
            Self::DeleteSession { .. } => l.t(
                "The active session and your other saved sessions stay as they are.",
                "La session active et vos autres sessions enregistrées restent intactes.",
            ),
            Self::PurgeActive { .. } => l.t(
                "Your saved sessions stay as they are.",
                "Vos sessions enregistrées restent intactes.",
            ),
            Self::SaveOverOldest { .. } | Self::Resume { .. } => l.t(
                "Your other saved sessions stay as they are.",
                "Vos autres sessions enregistrées restent intactes.",
            ),
            Self::Disconnect { .. } => l.t(
                "Your captures and sessions stay, and are there when you sign in again.",
                "Vos captures et vos sessions restent ; vous les retrouverez en vous reconnectant.",
            ),
        }
    }

    const fn verb(&self, l: Lang) -> &'static str {
        match self {
            Self::DeleteSession { .. } => l.t("Delete the session", "Supprimer la session"),
            Self::PurgeActive { .. } => l.t("Erase the active session", "Effacer la session active"),
            Self::SaveOverOldest { .. } => l.t("Erase the oldest and save", "Effacer la plus ancienne et enregistrer"),
            Self::Resume { .. } => l.t("Resume the session", "Reprendre la session"),
            Self::Disconnect { .. } => l.t("Disconnect Twitch", "Déconnecter Twitch"),
        }
    }

    const fn keep(&self, l: Lang) -> &'static str {
        match self {
            Self::SaveOverOldest { .. } => l.t(
                "Keep the oldest, do not save",
                "Garder la plus ancienne, ne pas enregistrer",
            ),
            Self::Resume { .. } => l.t("Leave it as it is", "Ne rien changer"),
            Self::Disconnect { .. } => l.t("Stay connected", "Rester connecté"),
            Self::DeleteSession { .. } | Self::PurgeActive { .. } => l.t("Keep it", "La garder"),
        }
    }
}

/// The French verb for what goes.
fn vanish(captures: u64) -> &'static str {
    Lang::Fr.plural(captures, "", "", "disparaîtra", "disparaîtront")
}

fn resume_goes(active_captures: u64, oldest: Option<&str>, l: Lang) -> String {
    let captures = l.captures(active_captures);
    match (oldest, l) {
        (None, Lang::En) => format!("The active session ({captures}) is saved first; nothing is lost."),
        (None, Lang::Fr) => format!("La session active ({captures}) est d’abord enregistrée ; rien n’est perdu."),
        (Some(oldest), Lang::En) => format!(
            "The active session ({captures}) is saved first. There is no place left, so this erases “{oldest}”, the oldest."
        ),
        (Some(oldest), Lang::Fr) => format!(
            "La session active ({captures}) est d’abord enregistrée. Il n’y a plus de place : cela effacera « {oldest} », la plus ancienne."
        ),
    }
}

/// A confirmation, at the address of the act it confirms.
#[derive(Template)]
#[template(path = "confirm.html")]
pub struct Confirm {
    /// What every page needs.
    pub page: Page,
    /// What is about to be done.
    pub act: Act,
    /// Hidden fields besides `csrf`: name and value, such as `session_uuid`.
    pub fields: Vec<(String, String)>,
    /// The CSV of what goes, offered beside.
    pub csv_url: Option<String>,
}
