//! The rows of the channel lists: each channel with its last capture.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};

use super::count;
use crate::{
    capture::{self, Status},
    channel,
    job::{self, Standing},
    roles::gateway::{
        Gateway,
        error::Failure,
        view::{CaptureFailure, CaptureState, Channel, ListState, Progress, Running},
        visitor::Member,
    },
    session,
    twitch::TwitchError,
};

/// How far back the last capture of a channel is looked for.
const LOOK_BACK: Duration = Duration::days(60);
/// Captures looked through for it.
const MOST_CAPTURES: u64 = 2_000;

/// The channel list with what is known of each.
#[derive(Debug)]
pub struct Rows {
    pub channels: Vec<Channel>,
    pub list: ListState,
    /// Where each of the user's visible sessions is analysed, by session.
    pub analysis_urls: HashMap<i64, String>,
}

/// Reads the member's channels; with `refresh` from Twitch even where the stored list is young.
pub async fn read(gateway: &Gateway, member: &Member, refresh: bool) -> Result<Rows, Failure> {
    let owner = channel::Owner {
        user_id: member.user.user_id,
        twitch_user_id: member.user.twitch_user_id,
        login: member.user.login.clone(),
        display_name: member.user.display_name.clone(),
    };
    let listed = channel::list(&gateway.db, &gateway.twitch, &gateway.clock, &owner, refresh).await?;
    let analysis_urls = analysis_urls(gateway, member).await?;
    let mut states = last_captures(gateway, member, &analysis_urls).await?;
    let channels = listed
        .channels
        .into_iter()
        .map(|channel| Channel {
            broadcaster_id: channel.id.to_string(),
            state: states.remove(&channel.id.0).unwrap_or(CaptureState::Never),
            login: channel.login,
            display_name: channel.display_name,
            viewers: channel.stream.map(|stream| stream.viewers.into()),
            is_own: channel.is_own,
        })
        .collect();
    let list = match (listed.read_at, &listed.problem) {
        (_, Some(TwitchError::SignInAgain | TwitchError::MissingScope { .. })) => ListState::SignInAgain,
        (Some(at), None) => ListState::Read(at),
        (Some(at), Some(_)) => ListState::Stale(at),
        (None, _) => ListState::Unread,
    };
    Ok(Rows { channels, list, analysis_urls })
}

async fn analysis_urls(gateway: &Gateway, member: &Member) -> Result<HashMap<i64, String>, Failure> {
    let visible = session::list_visible(&gateway.db, member.user.user_id, member.now()).await?.into_iter();
    Ok(visible.map(|session| (session.id, analysis_url(&session))).collect())
}

/// The page that shows a session.
pub fn analysis_url(session: &session::Model) -> String {
    match session.status {
        session::Status::Active => "/analysis".to_owned(),
        _ => format!("/analysis/saved/{}", session.session_uuid),
    }
}

async fn last_captures(
    gateway: &Gateway,
    member: &Member,
    analysis_urls: &HashMap<i64, String>,
) -> Result<HashMap<i64, CaptureState>, Failure> {
    let since = member.now() - LOOK_BACK;
    let mut captures = capture::list_recent(&gateway.db, member.user.user_id, since, MOST_CAPTURES).await?;
    // What was erased is not spoken of again.
    captures.retain(|capture| analysis_urls.contains_key(&capture.session_id));
    let running: Vec<i64> =
        captures.iter().filter(|capture| capture.status == Status::Running).map(|capture| capture.id).collect();
    let standings = job::standings(&gateway.db, &running).await?;
    let mut last = HashMap::new();
    for capture in captures {
        let url = analysis_urls.get(&capture.session_id).map(String::as_str).unwrap_or_default();
        last.entry(capture.broadcaster_id)
            .or_insert_with(|| state(&capture, standings.get(&capture.id), url, gateway, member.now()));
    }
    Ok(last)
}

/// A capture as the pages show it.
pub fn state(
    capture: &capture::Model,
    standing: Option<&Standing>,
    analysis_url: &str,
    gateway: &Gateway,
    now: DateTime<Utc>,
) -> CaptureState {
    let ended = capture.finished_at.unwrap_or(capture.created_at);
    match capture.status {
        Status::Running => CaptureState::Running(progress(capture, standing, now)),
        Status::Complete => CaptureState::Done {
            at: capture.captured_at.unwrap_or(ended),
            accounts: count(capture.chatters_count),
            url: format!("{analysis_url}?broadcaster_id={}", capture.broadcaster_id),
        },
        Status::Failed => CaptureState::Failed {
            at: ended,
            why: why(capture.error_kind.as_deref(), gateway.settings.limits.max_chatters.into()),
        },
        Status::Cancelled => CaptureState::Cancelled { at: ended },
    }
}

fn progress(capture: &capture::Model, standing: Option<&Standing>, now: DateTime<Utc>) -> Progress {
    let seconds_to = |at: DateTime<Utc>| u64::try_from((at - now).num_seconds()).unwrap_or(0).max(1);
    let running = match standing {
        Some(Standing::Waiting { until }) => Running::Waiting { seconds: seconds_to(*until) },
        Some(Standing::Retrying { until }) => Running::Retrying { until: *until },
        Some(Standing::Queued) if capture.pages == 0 => Running::Queued,
        _ => Running::Reading,
    };
    let total = capture.expected_count.map(count);
    Progress {
        capture_id: capture.id.to_string(),
        seen: count(capture.chatters_count),
        total,
        seconds_left: seconds_left(capture, total, now),
        running,
    }
}

/// At the pace so far; nothing is promised before the second page.
fn seconds_left(capture: &capture::Model, total: Option<u64>, now: DateTime<Utc>) -> Option<u64> {
    let seen = count(capture.chatters_count);
    let elapsed_ms = u64::try_from((now - capture.created_at).num_milliseconds()).ok()?;
    if capture.pages < 2 || seen == 0 {
        return None;
    }
    let rest = total?.saturating_sub(seen);
    Some((rest * elapsed_ms / seen).div_ceil(1_000).max(1))
}

fn why(kind: Option<&str>, max: u64) -> CaptureFailure {
    match kind {
        Some("sign_in_again") => CaptureFailure::LoginExpired,
        Some("missing_scope") => CaptureFailure::ScopeMissing,
        Some("not_moderator") => CaptureFailure::NotModerator,
        Some("too_large") => CaptureFailure::TooLarge { max },
        Some("twitch_unavailable" | "bad_pages" | "not_found" | "rejected") => CaptureFailure::TwitchAway,
        _ => CaptureFailure::Ours,
    }
}
