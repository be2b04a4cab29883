//! Starting, following and cancelling a capture.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde_json::json;

use super::{channel_rows, twitch_id};
use crate::{
    audit::{self, Event},
    capture::{self, RequestError, Status, Target},
    channel, job,
    roles::gateway::{
        Gateway,
        error::Failure,
        form::Posted,
        view::{CapturePage, Notice},
        visitor::{Member, html, see_other},
    },
    session,
};

/// Begins a capture, or joins the one under way, and shows its progress.
pub async fn request(posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let member = posted.member()?;
    let user_id = member.user.user_id;
    let broadcaster_id = twitch_id(posted.require("broadcaster_id")?)?;
    // The list knows the login better than the form; the form's serves a channel that is not on the list.
    let known = channel::find(&gateway.db, user_id, broadcaster_id).await?;
    let login = match known {
        Some(channel) => channel.login,
        None => login(posted.require("broadcaster_login")?)?,
    };
    let target = Target { broadcaster_id, broadcaster_login: login };
    let limits = &gateway.settings.limits;
    let requested = capture::request(&gateway.db, &gateway.clock, limits, user_id, &target).await;
    let requested = requested.map_err(|error| match error {
        RequestError::TooMany { next_at } => {
            Failure::TooMany { seconds: u64::try_from((next_at - member.now()).num_seconds()).unwrap_or(0).max(1) }
        }
        RequestError::Db(error) => error.into(),
    })?;
    if !requested.joined {
        let details = json!({ "broadcaster_id": broadcaster_id });
        note(&gateway, &member, Event::CaptureRequested, Some(details)).await;
    }
    // Also when joined: the job may have become more urgent. Only a hint; without it the worker's next look finds the job.
    drop(gateway.store.wake(job::TOPIC).await);
    let notice = if requested.joined { Notice::CaptureJoined } else { Notice::CaptureStarted };
    Ok(see_other(&format!("/captures/{}", requested.capture_id), Some(notice)))
}

/// A Twitch login: up to 25 letters, digits and low lines; older ones may be longer than today's rules allow.
fn login(text: &str) -> Result<String, Failure> {
    let login = text.trim().to_lowercase();
    let plausible = (1..=64).contains(&login.len())
        && login.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    plausible
        .then_some(login)
        .ok_or(Failure::BadRequest("This is not a Twitch login.", "Ce n’est pas un pseudo Twitch."))
}

pub async fn show(id: Path<i64>, member: Member, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let found = capture::find_owned(&gateway.db, member.user.user_id, *id).await?;
    let capture = found.ok_or(Failure::NotFound)?;
    let visible = session::list_visible(&gateway.db, member.user.user_id, member.now()).await?;
    let session = visible.into_iter().find(|session| session.id == capture.session_id).ok_or(Failure::NotFound)?;
    let url = channel_rows::analysis_url(&session);
    if capture.status == Status::Complete {
        return Ok(see_other(&format!("{url}?broadcaster_id={}", capture.broadcaster_id), None));
    }
    let standings = job::standings(&gateway.db, &[capture.id]).await?;
    let state = channel_rows::state(&capture, standings.get(&capture.id), &url, &gateway, member.now());
    html(&CapturePage {
        page: member.page(),
        broadcaster_id: capture.broadcaster_id.to_string(),
        login: capture.broadcaster_login,
        state,
    })
}

pub async fn cancel(posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let member = posted.member()?;
    let id: i64 = posted.require("capture_id")?.parse().map_err(|_not_a_number| Failure::NotFound)?;
    capture::find_owned(&gateway.db, member.user.user_id, id).await?.ok_or(Failure::NotFound)?;
    if capture::cancel(&gateway.db, member.user.user_id, id, member.now()).await? {
        note(&gateway, &member, Event::CaptureCancelled, None).await;
    }
    Ok(see_other("/channels", Some(Notice::CaptureCancelled)))
}

/// Writes down what somebody did; a failure must not undo it.
pub(super) async fn note(gateway: &Gateway, member: &Member, event: Event, details: Option<serde_json::Value>) {
    let noted = audit::note(&gateway.db, event, Some(member.user.user_id), None, details, member.now()).await;
    if let Err(error) = noted {
        tracing::warn!(%error, ?event, "not written to the audit log");
    }
}
