//! `/` and `/privacy`.

use actix_web::{HttpResponse, web::Data};
use chrono::Duration;

use super::{channel_rows, count, sessions};
use crate::{
    capture,
    roles::Role,
    roles::gateway::{
        Gateway,
        error::Failure,
        view::{Dashboard, HomeSetup, HomeSignedOut, Privacy, RecentCapture},
        visitor::{Member, Visitor, html},
    },
    session,
};

/// Live channels on the start page.
const MOST_LIVE: usize = 8;
/// Channels offered to somebody who has not captured anything while nobody is live.
const MOST_OFFERED: usize = 3;

pub async fn show(visitor: Visitor, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    if visitor.user.is_some() {
        return dashboard(&Member::of(visitor)?, &gateway).await;
    }
    let twitch = &gateway.settings.twitch;
    // Where another process is the twitch-proxy role, the secret is there and not here.
    let lacks_secret = gateway.settings.roles.contains(Role::TwitchProxy) && twitch.client_secret.is_none();
    if twitch.client_id.is_none() || lacks_secret {
        let redirect_url = twitch.redirect_url.to_string();
        return html(&HomeSetup { page: visitor.page(), redirect_url });
    }
    html(&HomeSignedOut { page: visitor.page(), login_url: "/auth/login".to_owned(), session_hours: session_hours() })
}

fn session_hours() -> u64 {
    u64::try_from(session::LIFETIME.num_hours()).unwrap_or(24)
}

async fn dashboard(member: &Member, gateway: &Gateway) -> Result<HttpResponse, Failure> {
    let rows = channel_rows::read(gateway, member, false).await?;
    let live_total = rows.channels.iter().filter(|channel| channel.viewers.is_some()).count();
    let channel_total = rows.channels.len() as u64;
    let shown = if live_total > 0 { live_total.min(MOST_LIVE) } else { MOST_OFFERED };
    let channels = rows.channels.into_iter().take(shown).collect();
    let since = member.now() - Duration::days(7);
    let finished = capture::list_recent(&gateway.db, member.user.user_id, since, 50).await?;
    let recent = finished
        .iter()
        .filter(|capture| capture.status == capture::Status::Complete)
        .filter_map(|capture| {
            let url = rows.analysis_urls.get(&capture.session_id)?;
            Some(RecentCapture {
                login: capture.broadcaster_login.clone(),
                at: capture.captured_at?,
                accounts: count(capture.chatters_count),
                url: format!("{url}?broadcaster_id={}", capture.broadcaster_id),
            })
        })
        .take(5)
        .collect();
    let active = sessions::active_session(gateway, member).await?;
    let saved = session::list_saved(&gateway.db, member.user.user_id).await?.len() as u64;
    html(&Dashboard {
        page: member.page(),
        list: rows.list,
        channels,
        live_total: live_total as u64,
        channel_total,
        active,
        saved,
        saved_max: session::MAX_SAVED as u64,
        recent,
    })
}

pub async fn privacy(visitor: Visitor, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    html(&Privacy {
        page: visitor.page(),
        session_hours: session_hours(),
        saved_max: session::MAX_SAVED as u64,
        retention_days: gateway.settings.limits.retention_days.into(),
        contact: None,
    })
}
