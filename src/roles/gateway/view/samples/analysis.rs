//! The analysis in its states.

use chrono::NaiveDate;

use super::*;

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

pub(super) fn analysis(lang: Lang) -> Analysis {
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

pub(super) fn analysis_saved(lang: Lang) -> Analysis {
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

pub(super) fn analysis_away(lang: Lang) -> Analysis {
    Analysis {
        summary: None,
        ..analysis(lang)
    }
}

pub(super) fn analysis_empty(lang: Lang) -> Analysis {
    Analysis {
        source: Source::Active { expires_at: None },
        channels: Vec::new(),
        summary: None,
        captures: Vec::new(),
        captures_total: 0,
        ..analysis(lang)
    }
}
