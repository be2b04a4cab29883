//! `/sessions`, and what can be done with a session. Each act has a page that names what goes; the POST does it.

use actix_web::{HttpRequest, HttpResponse, web::Data};

use super::{captures::note, parameter};
use crate::{
    audit::Event,
    roles::gateway::{
        Gateway,
        error::Failure,
        form::Posted,
        view::{Act, ActiveSession, Confirm, Notice, SavedSession, Sessions},
        visitor::{Member, html, see_other},
    },
    session::{self, Blocked, MAX_SAVED, Outcome},
};

/// The hidden field with which a person agrees to lose exactly one session.
const AGREED: &str = "erase_session_uuid";

pub async fn show(member: Member, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let mut saved = Vec::new();
    for session in session::list_saved(&gateway.db, member.user.user_id).await? {
        let contents = session::contents(&gateway.db, session.id).await?;
        saved.push(SavedSession {
            uuid: session.session_uuid,
            name: session.name,
            saved_at: session.updated_at,
            channels: contents.channels,
            captures: contents.captures,
            accounts: contents.accounts,
            kept_until: session.expires_at,
        });
    }
    let active = active_session(&gateway, &member).await?;
    html(&Sessions { page: member.page(), active, saved, saved_max: MAX_SAVED as u64 })
}

/// The active session in numbers, unless it is empty.
pub(super) async fn active_session(gateway: &Gateway, member: &Member) -> Result<Option<ActiveSession>, Failure> {
    let found = session::find_active(&gateway.db, member.user.user_id, member.now()).await?;
    let Some(session) = found else { return Ok(None) };
    let contents = session::contents(&gateway.db, session.id).await?;
    Ok((contents.captures > 0).then(|| ActiveSession {
        captures: contents.captures,
        accounts: contents.accounts,
        channels: contents.channels,
        expires_at: session.expires_at.unwrap_or(member.now()),
    }))
}

/// A session's name, or its date, in the reader's language.
fn title(member: &Member, session: &session::Model) -> String {
    let l = member.lang();
    session.name.clone().unwrap_or_else(|| match l {
        crate::i18n::Lang::En => format!("Session of {} UTC", l.datetime(session.updated_at)),
        crate::i18n::Lang::Fr => format!("Session du {} UTC", l.datetime(session.updated_at)),
    })
}

fn confirm(
    member: &Member,
    act: Act,
    fields: Vec<(String, String)>,
    csv_url: Option<String>,
) -> Result<HttpResponse, Failure> {
    html(&Confirm { page: member.page(), act, fields, csv_url })
}

fn csv_of(session: &session::Model) -> String {
    format!("/sessions/export/{}?format=csv", session.session_uuid)
}

/// The page that says which session an eleventh one would erase.
fn ask_to_save(member: &Member, oldest: &session::Model) -> Result<HttpResponse, Failure> {
    let act = Act::SaveOverOldest { max: MAX_SAVED as u64, oldest: title(member, oldest) };
    confirm(member, act, vec![(AGREED.to_owned(), oldest.session_uuid.clone())], Some(csv_of(oldest)))
}

pub async fn confirm_save(member: Member, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let saved = session::list_saved(&gateway.db, member.user.user_id).await?;
    match saved.last() {
        Some(oldest) if saved.len() >= MAX_SAVED => ask_to_save(&member, oldest),
        _ => Ok(see_other("/sessions", None)),
    }
}

pub async fn save(posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let member = posted.member()?;
    match session::save(&gateway.db, member.user.user_id, posted.get(AGREED), member.now()).await? {
        Outcome::Done(_) => {
            note(&gateway, &member, Event::SessionSaved, None).await;
            Ok(see_other("/sessions", Some(Notice::SessionSaved)))
        }
        Outcome::Ask(Blocked::WouldDelete(oldest)) => ask_to_save(&member, &oldest),
        Outcome::NothingThere => Ok(see_other("/sessions", Some(Notice::NothingActive))),
    }
}

pub async fn confirm_purge(member: Member, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let found = session::find_active(&gateway.db, member.user.user_id, member.now()).await?;
    let Some(session) = found else { return Ok(see_other("/sessions", Some(Notice::NothingActive))) };
    let contents = session::contents(&gateway.db, session.id).await?;
    let act = Act::PurgeActive { captures: contents.captures, accounts: contents.accounts };
    confirm(&member, act, Vec::new(), Some("/analysis/export?format=csv".to_owned()))
}

pub async fn purge(posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let member = posted.member()?;
    let notice = match session::purge(&gateway.db, member.user.user_id, member.now()).await? {
        Outcome::Done(_) => {
            note(&gateway, &member, Event::SessionPurged, None).await;
            Notice::SessionPurged
        }
        _ => Notice::NothingActive,
    };
    Ok(see_other("/sessions", Some(notice)))
}

async fn named(request: &HttpRequest, member: &Member, gateway: &Gateway) -> Result<session::Model, Failure> {
    let uuid = parameter(request, "session_uuid").ok_or(Failure::NotFound)?;
    Ok(session::load_owned(&gateway.db, member.user.user_id, &uuid, member.now()).await?)
}

fn uuid_field(session: &session::Model) -> (String, String) {
    ("session_uuid".to_owned(), session.session_uuid.clone())
}

pub async fn confirm_delete(
    request: HttpRequest,
    member: Member,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Failure> {
    let session = named(&request, &member, &gateway).await?;
    let contents = session::contents(&gateway.db, session.id).await?;
    let act = Act::DeleteSession { name: title(&member, &session), captures: contents.captures };
    confirm(&member, act, vec![uuid_field(&session)], Some(csv_of(&session)))
}

pub async fn delete(posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let member = posted.member()?;
    let uuid = posted.require("session_uuid")?;
    session::delete(&gateway.db, member.user.user_id, uuid, member.now()).await?;
    note(&gateway, &member, Event::SessionDeleted, None).await;
    Ok(see_other("/sessions", Some(Notice::SessionDeleted)))
}

/// Says what resuming does to the active session; `oldest` is the one that would be erased to make room.
async fn ask_to_resume(
    member: &Member,
    gateway: &Gateway,
    session: &session::Model,
    oldest: Option<&session::Model>,
) -> Result<HttpResponse, Failure> {
    let active = active_session(gateway, member).await?;
    let act = Act::Resume {
        name: title(member, session),
        active_captures: active.map_or(0, |active| active.captures),
        oldest: oldest.map(|oldest| title(member, oldest)),
    };
    let mut fields = vec![uuid_field(session)];
    fields.extend(oldest.map(|oldest| (AGREED.to_owned(), oldest.session_uuid.clone())));
    confirm(member, act, fields, oldest.map(csv_of))
}

pub async fn confirm_resume(
    request: HttpRequest,
    member: Member,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Failure> {
    let session = named(&request, &member, &gateway).await?;
    ask_to_resume(&member, &gateway, &session, None).await
}

pub async fn resume(posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let member = posted.member()?;
    let (user_id, uuid) = (member.user.user_id, posted.require("session_uuid")?);
    match session::resume(&gateway.db, user_id, uuid, posted.get(AGREED), member.now()).await? {
        Outcome::Ask(Blocked::WouldDelete(oldest)) => {
            let session = session::load_owned(&gateway.db, user_id, uuid, member.now()).await?;
            ask_to_resume(&member, &gateway, &session, Some(&oldest)).await
        }
        _ => {
            note(&gateway, &member, Event::SessionResumed, None).await;
            Ok(see_other("/analysis", Some(Notice::SessionResumed)))
        }
    }
}
