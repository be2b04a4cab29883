//! `/accounts/{id}/history`: what this person's own captures saw of one account.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};

use crate::{
    account::{self, history},
    roles::gateway::{
        Gateway,
        error::Failure,
        view::{AccountHistory, NameKind, NameLine, NameSource, Presence},
        visitor::{Member, html},
    },
    twitch::TwitchUserId,
};

/// Captures looked at for the presence.
const MOST_CAPTURES: u32 = 120;

pub async fn history(id: Path<String>, member: Member, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let id: TwitchUserId = id.parse().map_err(|_not_a_number| Failure::NotFound)?;
    let user_id = member.user.user_id;
    let presence = history::presence(&gateway.db, user_id, id, MOST_CAPTURES).await?;
    let first_seen = history::first_seen_by(&gateway.db, user_id, id).await?;
    let account = account::find(&gateway.db, id).await?;
    // Seen by nobody, by somebody else only, or in what was erased: the answer is the same.
    let (Some(first_seen), Some(account), false) = (first_seen, account, presence.is_empty()) else {
        return Err(Failure::NotFound);
    };
    let changes = history::name_changes(&gateway.db, id, first_seen).await?;
    let mut names: Vec<NameLine> = changes.iter().map(line).collect();
    names.push(first_name(&changes, &account, first_seen));
    html(&AccountHistory {
        page: member.page(),
        twitch_user_id: id.to_string(),
        login: account.login,
        display_name: account.display_name,
        opened_at: account.created_at,
        names,
        presence: presence
            .into_iter()
            .map(|seen| Presence { channel: seen.broadcaster_login, at: seen.captured_at, was_here: seen.present })
            .collect(),
    })
}

fn line(change: &history::NameChange) -> NameLine {
    let (kind, name, previous) = if change.is_rename() {
        (NameKind::Login, &change.to_login, &change.from_login)
    } else {
        (NameKind::DisplayName, &change.to_display_name, &change.from_display_name)
    };
    let source = if change.source == "capture" { NameSource::Capture } else { NameSource::Profile };
    NameLine { kind, name: name.clone(), previous: Some(previous.clone()), seen_at: change.detected_at, source }
}

/// The login under which the account was first seen: what the oldest rename left, or what it is still called.
fn first_name(
    changes: &[history::NameChange],
    account: &account::Account,
    first_seen: chrono::DateTime<chrono::Utc>,
) -> NameLine {
    let oldest = changes.iter().rev().find(|change| change.is_rename());
    NameLine {
        kind: NameKind::Login,
        name: oldest.map_or_else(|| account.login.clone(), |change| change.from_login.clone()),
        previous: None,
        seen_at: first_seen,
        source: NameSource::Capture,
    }
}
