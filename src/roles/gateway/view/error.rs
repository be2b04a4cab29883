//! The one page for everything that goes wrong: what happened, what is safe, what to do next.

use askama::Template;

use super::Page;
use crate::i18n::Lang;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400: the request cannot be understood; the sentence says what about it, in the language of the page.
    BadRequest(String),
    /// 403: the `csrf` field does not fit.
    StaleForm,
    /// 404: nothing here, or somebody else's.
    NotFound,
    /// 405: the address exists, but not for this method.
    WrongMethod,
    /// 429: too many requests; go on after so many seconds.
    TooMany {
        /// Seconds until the next request is welcome.
        seconds: u64,
    },
    /// 500: our fault.
    Internal,
    /// 502: Twitch does not answer.
    TwitchAway,
    /// 503: a part of the site is away or it restarts.
    Unavailable,
}

impl ErrorKind {
    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::StaleForm => 403,
            Self::NotFound => 404,
            Self::WrongMethod => 405,
            Self::TooMany { .. } => 429,
            Self::Internal => 500,
            Self::TwitchAway => 502,
            Self::Unavailable => 503,
        }
    }

    const fn heading(&self, l: Lang) -> &'static str {
        match self {
            Self::BadRequest(_) => l.t("This request cannot be understood", "Cette demande n’est pas lisible"),
            Self::StaleForm => l.t(
                "This page was open for too long",
                "Cette page est restée ouverte trop longtemps",
            ),
            Self::NotFound => l.t(
                "This page does not exist, or it is not yours",
                "Cette page n’existe pas, ou n’est pas la vôtre",
            ),
            Self::WrongMethod => l.t("This address works another way", "Cette adresse s’utilise autrement"),
            Self::TooMany { .. } => l.t("Too many requests", "Trop de demandes"),
            Self::Internal => l.t(
                "Something went wrong on our side",
                "Quelque chose n’a pas fonctionné de notre côté",
            ),
            Self::TwitchAway => l.t("Twitch does not answer", "Twitch ne répond pas"),
            Self::Unavailable => l.t(
                "The site does not answer for a moment",
                "Le site ne répond pas pour le moment",
            ),
        }
    }

    fn what_is_safe(&self, l: Lang) -> String {
        let unchanged = l.t(
            "Nothing was changed; your captures are safe.",
            "Rien n’a été modifié ; vos captures sont en sécurité.",
        );
        match (self, l) {
            (Self::BadRequest(detail), _) if !detail.is_empty() => format!("{detail} {unchanged}"),
            (Self::TooMany { seconds }, Lang::En) => {
                format!("Go on in {}. Nothing is lost.", l.seconds(seconds))
            }
            (Self::TooMany { seconds }, Lang::Fr) => {
                format!("Vous pourrez continuer dans {}. Rien n’est perdu.", l.seconds(seconds))
            }
            (Self::NotFound, _) => l
                .t(
                    "It may have expired, or somebody else’s link brought you here.",
                    "Elle a peut-être expiré, ou le lien venait de quelqu’un d’autre.",
                )
                .to_owned(),
            (Self::Internal | Self::Unavailable, _) => l
                .t(
                    "Your captures are safe. Try again in a minute.",
                    "Vos captures sont en sécurité. Réessayez dans une minute.",
                )
                .to_owned(),
            (Self::TwitchAway, _) => l
                .t(
                    "Your captures are safe and can be read. Try again in a few minutes.",
                    "Vos captures sont en sécurité et restent lisibles. Réessayez dans quelques minutes.",
                )
                .to_owned(),
            _ => unchanged.to_owned(),
        }
    }
}

/// The error page.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// What every page needs.
    pub page: Page,
    /// What went wrong.
    pub kind: ErrorKind,
    /// Where the one next step leads; `None` for the start page. For [`ErrorKind::StaleForm`], the page of the form.
    pub way_on: Option<String>,
    /// What to quote when asking the operator.
    pub request_id: Option<String>,
}
