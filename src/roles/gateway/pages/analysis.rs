//! `/analysis`, `/analysis/saved/{uuid}` and their exports.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Path},
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{captures::note, count, filter, parameter};
use crate::{
    analysis::{self as questions, AnalysisError, Filter, export},
    audit::Event,
    capture,
    roles::gateway::{
        Gateway,
        error::Failure,
        view::{Analysis, BusyDay, CaptureLine, CaptureStatus, ChannelChip, QuarterCount, Renamer, Source, Summary},
        visitor::{Member, html},
    },
    session,
};

/// Captures listed on the page.
const MOST_CAPTURES: u64 = 20;

pub async fn active(request: HttpRequest, member: Member, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let filter = filter(&request)?;
    let found = session::find_active(&gateway.db, member.user.user_id, member.now()).await?;
    let Some(session) = found else {
        let nothing = Source::Active { expires_at: None };
        return html(&page(&member, nothing, Vec::new(), Some(Summary::default()), (Vec::new(), 0)));
    };
    let source = Source::Active { expires_at: session.expires_at };
    show(&gateway, &member, &session, source, &filter).await
}

pub async fn saved(
    request: HttpRequest,
    uuid: Path<String>,
    member: Member,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Failure> {
    let filter = filter(&request)?;
    let session = session::load_owned(&gateway.db, member.user.user_id, &uuid, member.now()).await?;
    let source = match session.status {
        session::Status::Active => Source::Active { expires_at: session.expires_at },
        _ => Source::Saved {
            uuid: session.session_uuid.clone(),
            name: session.name.clone(),
            saved_at: session.updated_at,
        },
    };
    show(&gateway, &member, &session, source, &filter).await
}

async fn show(
    gateway: &Gateway,
    member: &Member,
    session: &session::Model,
    source: Source,
    filter: &Filter,
) -> Result<HttpResponse, Failure> {
    let captures = captures(gateway, session, filter).await?;
    let answer = match gateway.analysis.summary(&session.session_uuid, filter).await {
        Ok(summary) => Some(summary),
        Err(AnalysisError::NotFound) => return Err(Failure::NotFound),
        // The captures and their exports do not need it: the page says that the numbers are away.
        Err(error @ AnalysisError::Unavailable(_)) => {
            tracing::warn!(%error, "a page is shown without its summary");
            None
        }
    };
    let chips = answer.as_ref().map(|summary| chips(summary, filter)).unwrap_or_default();
    let summary = answer.map(|summary| numbers(summary, filter));
    html(&page(member, source, chips, summary, captures))
}

fn page(
    member: &Member,
    source: Source,
    channels: Vec<ChannelChip>,
    summary: Option<Summary>,
    (captures, captures_total): (Vec<CaptureLine>, u64),
) -> Analysis {
    Analysis { page: member.page(), source, channels, summary, captures, captures_total }
}

fn chips(summary: &questions::Summary, filter: &Filter) -> Vec<ChannelChip> {
    let mut chips: Vec<ChannelChip> = summary
        .broadcasters
        .iter()
        .map(|channel| ChannelChip {
            broadcaster_id: channel.broadcaster_id.to_string(),
            login: channel.broadcaster_login.clone(),
            captures: channel.capture_count,
            is_selected: filter.channels().contains(&channel.broadcaster_id),
        })
        .collect();
    chips.sort_by(|a, b| b.captures.cmp(&a.captures).then_with(|| a.login.cmp(&b.login)));
    chips
}

fn numbers(summary: questions::Summary, filter: &Filter) -> Summary {
    let within = summary.broadcasters.iter().filter(|channel| filter.admits(channel.broadcaster_id));
    let quarter = |quarter: &questions::summary::QuarterCount| QuarterCount {
        year: quarter.year,
        quarter: u8::try_from(quarter.quarter).unwrap_or(1),
        count: quarter.count,
    };
    let read = summary.total_accounts.saturating_sub(summary.unread_accounts);
    Summary {
        accounts: summary.total_accounts,
        captures: within.clone().map(|channel| channel.capture_count).sum(),
        channels: within.count() as u64,
        profiles_read: summary.dated_accounts,
        profiles_gone: read.saturating_sub(summary.dated_accounts),
        quarters: summary.quarters.iter().map(quarter).collect(),
        days: summary.recent_days.iter().map(|day| (day.date, day.count)).collect(),
        busiest: summary
            .top_days
            .into_iter()
            .map(|day| BusyDay { date: day.date, count: day.count, logins: day.logins })
            .collect(),
        renamers_total: summary.suspicious_renames_count,
        renamers: summary
            .suspicious_accounts
            .into_iter()
            .map(|account| Renamer {
                twitch_user_id: account.twitch_user_id.to_string(),
                login: account.login,
                display_name: account.display_name,
                changes: account.rename_count.into(),
                previous: Vec::new(),
            })
            .collect(),
    }
}

async fn captures(
    gateway: &Gateway,
    session: &session::Model,
    filter: &Filter,
) -> Result<(Vec<CaptureLine>, u64), Failure> {
    let (found, total) = capture::list_of_session(&gateway.db, session.id, filter.channels(), MOST_CAPTURES).await?;
    let line = |capture: capture::Model| {
        let (status, accounts) = match capture.status {
            capture::Status::Complete => (CaptureStatus::Complete, count(capture.chatters_count)),
            capture::Status::Running => (CaptureStatus::Running, 0),
            capture::Status::Failed => (CaptureStatus::Failed, 0),
            capture::Status::Cancelled => (CaptureStatus::Cancelled, 0),
        };
        CaptureLine {
            capture_id: capture.id.to_string(),
            login: capture.broadcaster_login,
            at: capture.captured_at.unwrap_or(capture.created_at),
            status,
            accounts,
            new_accounts: count(capture.new_users_count),
        }
    };
    Ok((found.into_iter().map(line).collect(), total))
}

pub async fn export_active(
    request: HttpRequest,
    member: Member,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Failure> {
    let found = session::find_active(&gateway.db, member.user.user_id, member.now()).await?;
    export(&request, &member, gateway, found.ok_or(Failure::NotFound)?).await
}

pub async fn export_saved(
    request: HttpRequest,
    uuid: Path<String>,
    member: Member,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, Failure> {
    let session = session::load_owned(&gateway.db, member.user.user_id, &uuid, member.now()).await?;
    export(&request, &member, gateway, session).await
}

async fn export(
    request: &HttpRequest,
    member: &Member,
    gateway: Data<Gateway>,
    session: session::Model,
) -> Result<HttpResponse, Failure> {
    let unknown = Failure::BadRequest(
        "The format must be csv, json, ndjson, logins or commands.",
        "Le format doit être csv, json, ndjson, logins ou commands.",
    );
    let named = parameter(request, "format").unwrap_or_else(|| "csv".to_owned());
    let format: export::Format = named.parse().map_err(|()| unknown)?;
    let filter = filter(request)?;
    let slot = gateway.limits.export(member.user.user_id)?;
    note(&gateway, member, Event::Exported, Some(json!({ "format": format.as_str() }))).await;

    // A cut answer is told apart from a complete one: where the database fails half-way, the connection breaks.
    let (pieces, answer) = mpsc::channel(4);
    let name = format!("tca-{}.{}", session.session_uuid, format.extension());
    let now = member.now();
    actix_web::rt::spawn(async move {
        let written = export::write(&gateway.db, &session, &filter, format, now, &pieces).await;
        if let Err(error) = written {
            tracing::warn!(%error, "an export ended early");
            // The reader may be what went away.
            drop(pieces.send(Err(error)).await);
        }
        drop(slot);
    });
    let body = futures_util::stream::unfold(answer, |mut answer| async move { Some((answer.recv().await?, answer)) });
    let disposition = match format {
        // Shown in the browser, so that it can be copied without script.
        export::Format::Logins | export::Format::Commands => "inline".to_owned(),
        _ => format!("attachment; filename=\"{name}\""),
    };
    Ok(HttpResponse::Ok()
        .content_type(format.content_type())
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .streaming(body))
}
