//! `/channels`.

use actix_web::{HttpRequest, HttpResponse, web::Data};

use super::{channel_rows, parameter};
use crate::roles::gateway::{
    Gateway,
    error::Failure,
    form::Posted,
    view::{Channel, Channels, ListState, Notice, Pager},
    visitor::{Member, html, see_other},
};

/// Channels on one page.
const PER_PAGE: usize = 50;

pub async fn show(request: HttpRequest, member: Member, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let rows = channel_rows::read(&gateway, &member, false).await?;
    let total = rows.channels.len() as u64;
    let query = parameter(&request, "q").unwrap_or_default().trim().to_lowercase();
    let is_wanted = |channel: &Channel| {
        query.is_empty() || channel.login.contains(&query) || channel.display_name.to_lowercase().contains(&query)
    };
    let mut found: Vec<Channel> = rows.channels.into_iter().filter(is_wanted).collect();
    let last = found.len().div_ceil(PER_PAGE).max(1);
    let current = parameter(&request, "page").and_then(|page| page.parse().ok()).unwrap_or(1).clamp(1, last);
    let page: Vec<Channel> = found.drain(..).skip((current - 1) * PER_PAGE).take(PER_PAGE).collect();
    let (live, offline) = page.into_iter().partition(|channel| channel.viewers.is_some());
    let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    html(&Channels {
        page: member.page(),
        list: rows.list,
        total,
        live,
        offline,
        pager: Pager {
            current: current as u64,
            last: last as u64,
            url_prefix: if query.is_empty() {
                "/channels?page=".to_owned()
            } else {
                format!("/channels?q={encoded}&page=")
            },
        },
        query,
    })
}

pub async fn refresh(posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let rows = channel_rows::read(&gateway, &posted.member()?, true).await?;
    let notice =
        if matches!(rows.list, ListState::Read(_)) { Notice::ChannelsRefreshed } else { Notice::ChannelsUnread };
    Ok(see_other("/channels", Some(notice)))
}
