//! Captures, confirmations, errors and the pages before somebody signs in.

use super::*;

pub(super) fn captures(lang: Lang, add: &mut impl FnMut(&str, askama::Result<String>)) {
    let running = |running, total| CaptureState::Running(progress(running, total));
    let failed = |why| CaptureState::Failed { at: ago(2), why };
    for (name, state) in [
        ("capture", running(Running::Reading, Some(3100))),
        ("capture_unmeasured", running(Running::Reading, None)),
        ("capture_queued", running(Running::Queued, None)),
        ("capture_waiting", running(Running::Waiting { seconds: 90 }, Some(1000))),
        ("capture_retrying", running(Running::Retrying { until: now() }, None)),
        ("capture_done", done(2, 3020)),
        ("capture_never", CaptureState::Never),
        ("capture_cancelled", CaptureState::Cancelled { at: ago(3) }),
        ("capture_failed", failed(CaptureFailure::NotModerator)),
        ("capture_failed_login", failed(CaptureFailure::LoginExpired)),
        ("capture_failed_scope", failed(CaptureFailure::ScopeMissing)),
        (
            "capture_failed_large",
            failed(CaptureFailure::TooLarge { max: 200_000 }),
        ),
        ("capture_failed_away", failed(CaptureFailure::TwitchAway)),
        ("capture_failed_ours", failed(CaptureFailure::Ours)),
    ] {
        add(name, capture(lang, state).render());
    }
}

pub(super) fn confirmations(lang: Lang, add: &mut impl FnMut(&str, askama::Result<String>)) {
    let oldest = || Some("Raid of 3 Oct".to_owned());
    for (name, act) in [
        (
            "confirm_delete",
            Act::DeleteSession {
                name: HOSTILE.into(),
                captures: 7,
            },
        ),
        (
            "confirm_purge",
            Act::PurgeActive {
                captures: 8,
                accounts: 3204,
            },
        ),
        (
            "confirm_save",
            Act::SaveOverOldest {
                max: 10,
                oldest: HOSTILE.into(),
            },
        ),
        (
            "confirm_resume",
            Act::Resume {
                name: HOSTILE.into(),
                active_captures: 3,
                oldest: None,
            },
        ),
        (
            "confirm_resume_full",
            Act::Resume {
                name: "x".into(),
                active_captures: 3,
                oldest: oldest(),
            },
        ),
        ("confirm_disconnect", Act::Disconnect { running: 0 }),
        ("confirm_disconnect_running", Act::Disconnect { running: 2 }),
    ] {
        add(name, confirm(lang, act).render());
    }
}

pub(super) fn signed_out_pages(lang: Lang, add: &mut impl FnMut(&str, askama::Result<String>)) {
    let login_url = || "/auth/login".to_owned();
    let home = HomeSignedOut {
        page: signed_out(lang, "/").with_theme(Theme::Dark),
        login_url: login_url(),
        session_hours: 24,
    };
    add("home_signed_out", home.render());
    let redirect_url = "https://tca.example.org/auth/callback".to_owned();
    add(
        "home_setup",
        HomeSetup {
            page: signed_out(lang, "/"),
            redirect_url,
        }
        .render(),
    );
    add(
        "consent_refused",
        ConsentRefused {
            page: signed_out(lang, "/"),
            login_url: login_url(),
        }
        .render(),
    );
    for (name, contact) in [("not_allowed", Some(HOSTILE.to_owned())), ("not_allowed_bare", None)] {
        add(
            name,
            NotAllowed {
                page: signed_out(lang, "/"),
                login: "somebody".into(),
                contact,
            }
            .render(),
        );
    }
    let privacy = Privacy {
        page: signed_out(lang, "/privacy"),
        session_hours: 24,
        saved_max: 10,
        retention_days: 30,
        contact: Some(HOSTILE.into()),
    };
    add("privacy", privacy.render());
    for (name, kind) in [
        ("error_400", ErrorKind::BadRequest(HOSTILE.into())),
        ("error_403", ErrorKind::StaleForm),
        ("error_404", ErrorKind::NotFound),
        ("error_405", ErrorKind::WrongMethod),
        ("error_429", ErrorKind::TooMany { seconds: 40 }),
        ("error_500", ErrorKind::Internal),
        ("error_502", ErrorKind::TwitchAway),
        ("error_503", ErrorKind::Unavailable),
    ] {
        add(name, error(lang, kind).render());
    }
}

fn capture(lang: Lang, state: CaptureState) -> CapturePage {
    CapturePage {
        page: page(lang, "/captures/812"),
        broadcaster_id: "4021".into(),
        login: "nocturne_fm".into(),
        state,
    }
}

fn confirm(lang: Lang, act: Act) -> Confirm {
    Confirm {
        page: page(lang, "/sessions/delete"),
        act,
        fields: vec![("session_uuid".into(), "6f1d".into())],
        csv_url: Some("/sessions/export/6f1d?format=csv".into()),
    }
}

pub(super) fn error(lang: Lang, kind: ErrorKind) -> ErrorPage {
    ErrorPage {
        page: page(lang, "/nowhere"),
        kind,
        way_on: None,
        request_id: Some("01J9-7f".into()),
    }
}

fn signed_out(lang: Lang, path: &str) -> Page {
    Page::new(lang, path, "tok-4f3a", now())
}
