//! Every page in every state worth looking at, filled with invented people, for the tests and for looking at them.

use askama::Template;
use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};

use super::*;

mod analysis;
mod single;

use analysis::*;
use single::*;

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
