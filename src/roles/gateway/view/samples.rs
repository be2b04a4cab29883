//! Every page in every state worth looking at, filled with invented people, for the tests and for looking at them.

use askama::Template;
use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone as _, Utc};

use super::*;

/// The display name of somebody who means no good.
pub(super) const HOSTILE: &str = "<svg onload=alert(1)>\"'&";

pub(super) fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 14, 20, 45, 0).unwrap()
}

fn ago(minutes: i64) -> DateTime<Utc> {
    now() - TimeDelta::minutes(minutes)
}

pub(super) fn page(lang: Lang, path: &str) -> Page {
    Page::new(lang, path, "tok-4f3a", now()).signed_in("mirabelle_mod")
}

fn channel(login: &str, viewers: Option<u64>, state: CaptureState) -> Channel {
    Channel {
        broadcaster_id: "4021".into(),
        login: login.into(),
        display_name: login.to_uppercase(),
        viewers,
        is_own: login == "mirabelle_mod",
        state,
    }
}

fn progress(running: Running, total: Option<u64>) -> Progress {
    Progress {
        capture_id: "812".into(),
        seen: 1900,
        total,
        seconds_left: total.map(|_| 2),
        running,
    }
}

fn done(minutes: i64, accounts: u64) -> CaptureState {
    CaptureState::Done {
        at: ago(minutes),
        accounts,
        url: "/analysis?broadcaster_id=4021".into(),
    }
}

fn live_channels() -> Vec<Channel> {
    let waiting = progress(Running::Waiting { seconds: 24 }, Some(418));
    vec![
        channel(
            "nocturne_fm",
            Some(3020),
            CaptureState::Running(progress(Running::Reading, Some(3100))),
        ),
        channel("lapinvert_live", Some(2140), done(3, 2686)),
        channel(
            "tanguy_et_les_ours",
            Some(418),
            CaptureState::Running(Progress {
                capture_id: "813".into(),
                seen: 0,
                ..waiting
            }),
        ),
        channel("mirabelle_mod", Some(64), done(15, 71)),
        Channel {
            display_name: HOSTILE.into(),
            ..channel("hostile_one", Some(1), CaptureState::Never)
        },
    ]
}

fn offline_channels() -> Vec<Channel> {
    let queued = Progress {
        capture_id: "814".into(),
        ..progress(Running::Queued, None)
    };
    vec![
        channel("atelier_zinc", None, done(1300, 912)),
        channel(
            "le_phare_rose",
            None,
            CaptureState::Failed {
                at: ago(60),
                why: CaptureFailure::NotModerator,
            },
        ),
        channel("radio_cagette", None, CaptureState::Never),
        channel("oncle_pixel", None, CaptureState::Cancelled { at: ago(200) }),
        channel("sardine_express", None, CaptureState::Running(queued)),
        channel(
            "petit_four_tv",
            None,
            CaptureState::Failed {
                at: ago(9),
                why: CaptureFailure::LoginExpired,
            },
        ),
    ]
}

fn channels(lang: Lang) -> Channels {
    Channels {
        page: page(lang, "/channels").with_message(Notice::CaptureStarted.message(lang)),
        list: ListState::Read(ago(1)),
        total: 140,
        query: String::new(),
        live: live_channels(),
        offline: offline_channels(),
        pager: Pager {
            current: 2,
            last: 9,
            url_prefix: "/channels?page=".into(),
        },
    }
}

fn channels_alone(lang: Lang) -> Channels {
    Channels {
        page: page(lang, "/channels?q=x&live=0"),
        list: ListState::Stale(ago(15)),
        total: 1,
        live: Vec::new(),
        offline: vec![channel("mirabelle_mod", None, CaptureState::Never)],
        pager: Pager {
            current: 1,
            last: 1,
            url_prefix: "/channels?page=".into(),
        },
        ..channels(lang)
    }
}

fn channels_search(lang: Lang) -> Channels {
    Channels {
        query: HOSTILE.into(),
        list: ListState::Unread,
        live: Vec::new(),
        offline: Vec::new(),
        ..channels_alone(lang)
    }
}

fn active() -> ActiveSession {
    ActiveSession {
        captures: 8,
        accounts: 3204,
        channels: vec!["lapinvert_live".into(), "nocturne_fm".into()],
        expires_at: now() + TimeDelta::hours(23),
    }
}

fn dashboard(lang: Lang) -> Dashboard {
    let recent = |login: &str, minutes, accounts| RecentCapture {
        login: login.into(),
        at: ago(minutes),
        accounts,
        url: "/analysis?broadcaster_id=4021".into(),
    };
    Dashboard {
        page: page(lang, "/"),
        list: ListState::Read(ago(0)),
        channels: live_channels(),
        live_total: 5,
        channel_total: 140,
        active: Some(active()),
        saved: 9,
        saved_max: 10,
        recent: vec![
            recent("lapinvert_live", 3, 2686),
            recent("mirabelle_mod", 15, 71),
            recent("atelier_zinc", 2000, 912),
        ],
    }
}

fn dashboard_first(lang: Lang) -> Dashboard {
    Dashboard {
        list: ListState::Stale(ago(15)),
        channels: vec![channel("lapinvert_live", Some(2140), CaptureState::Never)],
        live_total: 1,
        active: None,
        saved: 0,
        recent: Vec::new(),
        ..dashboard(lang)
    }
}

fn dashboard_away(lang: Lang) -> Dashboard {
    Dashboard {
        list: ListState::Unread,
        channels: Vec::new(),
        live_total: 0,
        channel_total: 0,
        ..dashboard(lang)
    }
}

fn days() -> Vec<(NaiveDate, u64)> {
    let last = now().date_naive();
    let count = |back: u64| match back {
        5 => 62,
        4 => 84,
        _ => (back * 7 + back / 3) % 5,
    };
    (0..60)
        .rev()
        .map(|back| (last - chrono::Days::new(back), count(back)))
        .collect()
}

fn quarters() -> Vec<QuarterCount> {
    let count = |at: i32| u64::try_from(80 - (at - 34).abs() * 2).unwrap_or(0) + u64::try_from(at % 3).unwrap_or(0);
    let quarter = |at: i32| QuarterCount {
        year: 2011 + at / 4,
        quarter: u8::try_from(at % 4 + 1).unwrap(),
        count: if at == 63 { 166 } else { count(at) },
    };
    (0..64).map(quarter).collect()
}

fn summary() -> Summary {
    let busy = |back: u64, count: u64| BusyDay {
        date: now().date_naive() - chrono::Days::new(back),
        count,
        logins: (0..count.min(120))
            .map(|n| format!("amber_otter{:04}", n * 937 % 9999))
            .collect(),
    };
    let renamer = |login: &str, display_name: &str, changes, previous: &[&str]| Renamer {
        twitch_user_id: "77".into(),
        login: login.into(),
        display_name: display_name.into(),
        changes,
        previous: previous.iter().map(ToString::to_string).collect(),
    };
    Summary {
        accounts: 2686,
        captures: 7,
        channels: 2,
        profiles_read: 1240,
        profiles_gone: 2,
        quarters: quarters(),
        days: days(),
        busiest: vec![
            busy(4, 184),
            busy(5, 62),
            busy(2418, 9),
            busy(2131, 8),
            busy(900, 7),
            busy(1900, 5),
        ],
        renamers: vec![
            renamer("vortex_nul", "Vortex_Nul", 4, &["v0rtex_n", "vrtx_77", "hugo_off"]),
            renamer("mimosa_bis", HOSTILE, 3, &["mimosa_ter", "mimoza"]),
        ],
        renamers_total: 61,
    }
}

fn analysis(lang: Lang) -> Analysis {
    let chip = |id: &str, login: &str, captures, is_selected| ChannelChip {
        broadcaster_id: id.into(),
        login: login.into(),
        captures,
        is_selected,
    };
    let line = |login: &str, minutes, status, accounts, new_accounts| CaptureLine {
        capture_id: "812".into(),
        login: login.into(),
        at: ago(minutes),
        status,
        accounts,
        new_accounts,
    };
    Analysis {
        page: page(lang, "/analysis?broadcaster_id=4021"),
        source: Source::Active {
            expires_at: Some(now() + TimeDelta::hours(23)),
        },
        channels: vec![
            chip("4021", "lapinvert_live", 5, true),
            chip("4022", "nocturne_fm", 2, false),
            chip("4023", "atelier_zinc", 1, false),
        ],
        summary: Some(summary()),
        captures: vec![
            line("nocturne_fm", 1, CaptureStatus::Running, 0, 0),
            line("lapinvert_live", 3, CaptureStatus::Complete, 2686, 412),
            line("lapinvert_live", 13, CaptureStatus::Failed, 0, 0),
            line("lapinvert_live", 23, CaptureStatus::Cancelled, 0, 0),
            line("lapinvert_live", 33, CaptureStatus::Complete, 2274, 2274),
        ],
        captures_total: 140,
    }
}

fn analysis_saved(lang: Lang) -> Analysis {
    let mut view = analysis(lang);
    view.page.path = "/analysis/saved/6f1d".into();
    view.source = Source::Saved {
        uuid: "6f1d".into(),
        name: Some(HOSTILE.into()),
        saved_at: ago(5000),
    };
    view.captures
        .retain(|capture| capture.status == CaptureStatus::Complete);
    for chip in &mut view.channels {
        chip.is_selected = false;
    }
    if let Some(summary) = &mut view.summary {
        summary.profiles_read = summary.accounts;
        summary.busiest.clear();
        summary.renamers.clear();
        summary.days.iter_mut().for_each(|(_, count)| *count = 0);
    }
    view
}

fn analysis_away(lang: Lang) -> Analysis {
    Analysis {
        summary: None,
        ..analysis(lang)
    }
}

fn analysis_empty(lang: Lang) -> Analysis {
    Analysis {
        source: Source::Active { expires_at: None },
        channels: Vec::new(),
        summary: None,
        captures: Vec::new(),
        captures_total: 0,
        ..analysis(lang)
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

fn sessions(lang: Lang) -> Sessions {
    let saved = |name: Option<&str>, days: i64, channels: &[&str]| SavedSession {
        uuid: "6f1d2c".into(),
        name: name.map(Into::into),
        saved_at: now() - TimeDelta::days(days),
        channels: channels.iter().map(ToString::to_string).collect(),
        captures: 7,
        accounts: 3204,
        kept_until: (days > 10).then(|| now() + TimeDelta::days(20)),
    };
    Sessions {
        page: page(lang, "/sessions").with_message(Notice::SessionSaved.message(lang)),
        active: Some(active()),
        saved: vec![
            saved(None, 2, &["lapinvert_live"]),
            saved(
                Some(HOSTILE),
                12,
                &["a_one", "b_two", "c_three", "d_four", "e_five", "f_six"],
            ),
        ],
        saved_max: 2,
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

fn history(lang: Lang) -> AccountHistory {
    let name = |kind, name: &str, previous: Option<&str>, days, source| NameLine {
        kind,
        name: name.into(),
        previous: previous.map(Into::into),
        seen_at: now() - TimeDelta::days(days),
        source,
    };
    let presence = |n: i64| Presence {
        channel: "lapinvert_live".into(),
        at: ago((12 - n) * 60),
        was_here: n % 4 != 1,
    };
    AccountHistory {
        page: page(lang, "/accounts/77/history"),
        twitch_user_id: "77".into(),
        login: "vortex_nul".into(),
        display_name: HOSTILE.into(),
        opened_at: Some(now() - TimeDelta::days(2300)),
        names: vec![
            name(NameKind::Login, "vortex_nul", Some("hugo_off"), 3, NameSource::Capture),
            name(NameKind::DisplayName, HOSTILE, Some("Hugo"), 30, NameSource::Profile),
            name(NameKind::Login, "hugo_off", None, 257, NameSource::Capture),
        ],
        presence: (0..12).map(presence).collect(),
    }
}

fn error(lang: Lang, kind: ErrorKind) -> ErrorPage {
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

/// Renders everything: a file name and its HTML.
pub(super) fn all(lang: Lang) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut add = |name: &str, html: askama::Result<String>| pages.push((name.to_owned(), html.unwrap()));
    add("dashboard", dashboard(lang).render());
    add("dashboard_first", dashboard_first(lang).render());
    add("dashboard_away", dashboard_away(lang).render());
    add("channels", channels(lang).render());
    add("channels_alone", channels_alone(lang).render());
    add("channels_search", channels_search(lang).render());
    add("analysis", analysis(lang).render());
    add("analysis_saved", analysis_saved(lang).render());
    add("analysis_away", analysis_away(lang).render());
    add("analysis_empty", analysis_empty(lang).render());
    add("sessions", sessions(lang).render());
    add(
        "sessions_empty",
        Sessions {
            active: None,
            saved: Vec::new(),
            saved_max: 10,
            ..sessions(lang)
        }
        .render(),
    );
    add(
        "sessions_none_active",
        Sessions {
            active: None,
            saved_max: 10,
            ..sessions(lang)
        }
        .render(),
    );
    add("account_history", history(lang).render());
    add(
        "account_history_bare",
        AccountHistory {
            opened_at: None,
            names: Vec::new(),
            presence: Vec::new(),
            ..history(lang)
        }
        .render(),
    );
    captures(lang, &mut add);
    confirmations(lang, &mut add);
    signed_out_pages(lang, &mut add);
    let settings = Settings {
        page: page(lang, "/settings").with_message(Message::failure("Oh.").with_link("x", "/x")),
        login: "mirabelle_mod".into(),
        scopes: vec!["user:read:moderated_channels".into()],
        validated_at: Some(ago(20)),
    };
    add("settings", settings.render());
    for notice in Notice::ALL {
        let page = page(lang, "/channels").with_message(notice.message(lang));
        add(
            notice.as_str(),
            ErrorPage {
                page,
                ..error(lang, ErrorKind::NotFound)
            }
            .render(),
        );
    }
    pages
}

fn captures(lang: Lang, add: &mut impl FnMut(&str, askama::Result<String>)) {
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

fn confirmations(lang: Lang, add: &mut impl FnMut(&str, askama::Result<String>)) {
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

fn signed_out_pages(lang: Lang, add: &mut impl FnMut(&str, askama::Result<String>)) {
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
