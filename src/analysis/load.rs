//! Loads what a summary is computed from. The cost follows the distinct accounts, not the observations.

use std::collections::HashMap;

use sea_orm::{DatabaseConnection, DbErr, Value};

use super::{
    Filter,
    summary::{AccountFact, Broadcaster, Facts},
};
use crate::{db, session, twitch::TwitchUserId};

pub(super) async fn facts(db: &DatabaseConnection, session: &session::Model, filter: &Filter) -> Result<Facts, DbErr> {
    Ok(Facts {
        accounts: accounts(db, session.id, filter).await?,
        broadcasters: broadcasters(db, session.id).await?,
        renames: renames(db, session, filter).await?,
    })
}

async fn accounts(db: &DatabaseConnection, session_id: i64, filter: &Filter) -> Result<Vec<AccountFact>, DbErr> {
    let (condition, channels) = filter.condition("a.broadcaster_id");
    let sql = format!(
        "SELECT DISTINCT u.twitch_user_id, u.login, u.display_name, u.created_at, u.last_fetched_at IS NOT NULL AS is_read \
         FROM session_accounts a JOIN twitch_users u ON u.twitch_user_id = a.twitch_user_id \
         WHERE a.session_id = ?{condition}"
    );
    let mut values: Vec<Value> = vec![session_id.into()];
    values.extend(channels);
    let rows = db::query(db, &sql, values).await?;
    rows.iter()
        .map(|row| {
            Ok(AccountFact {
                id: TwitchUserId(row.try_get("", "twitch_user_id")?),
                login: row.try_get("", "login")?,
                display_name: row.try_get("", "display_name")?,
                created_at: row.try_get("", "created_at")?,
                is_read: row.try_get::<i32>("", "is_read")? != 0,
            })
        })
        .collect()
}

async fn broadcasters(db: &DatabaseConnection, session_id: i64) -> Result<Vec<Broadcaster>, DbErr> {
    let sql = "SELECT broadcaster_id, COUNT(*) AS n FROM session_accounts WHERE session_id = ? GROUP BY broadcaster_id";
    let mut accounts = HashMap::new();
    for row in db::query(db, sql, [session_id.into()]).await? {
        let id: i64 = row.try_get("", "broadcaster_id")?;
        accounts.insert(id, u64::try_from(row.try_get::<i64>("", "n")?).unwrap_or(0));
    }
    // A broadcaster may have been renamed between two captures: the latest login is the one to show.
    let sql = "SELECT broadcaster_id, broadcaster_login FROM captures \
               WHERE session_id = ? AND status = 'complete' ORDER BY captured_at, id";
    let mut found: HashMap<i64, Broadcaster> = HashMap::new();
    for row in db::query(db, sql, [session_id.into()]).await? {
        let id: i64 = row.try_get("", "broadcaster_id")?;
        let channel = found.entry(id).or_insert_with(|| Broadcaster {
            broadcaster_id: TwitchUserId(id),
            broadcaster_login: String::new(),
            capture_count: 0,
            account_count: accounts.get(&id).copied().unwrap_or(0),
        });
        channel.broadcaster_login = row.try_get("", "broadcaster_login")?;
        channel.capture_count += 1;
    }
    let mut broadcasters: Vec<Broadcaster> = found.into_values().collect();
    broadcasters.sort_unstable_by(|a, b| a.broadcaster_login.cmp(&b.broadcaster_login));
    Ok(broadcasters)
}

/// Changes of login recorded since the user's own first capture of the account: earlier ones they could not have seen.
async fn renames(
    db: &DatabaseConnection,
    session: &session::Model,
    filter: &Filter,
) -> Result<HashMap<TwitchUserId, u32>, DbErr> {
    let (condition, channels) = filter.condition("a.broadcaster_id");
    let sql = format!(
        "SELECT n.twitch_user_id, COUNT(*) AS renames FROM twitch_user_names n \
         WHERE n.login <> n.new_login \
         AND EXISTS (SELECT 1 FROM session_accounts a WHERE a.session_id = ? AND a.twitch_user_id = n.twitch_user_id{condition}) \
         AND n.detected_at >= (SELECT MIN(b.first_seen) FROM session_accounts b JOIN sessions s ON s.id = b.session_id \
                               WHERE s.user_id = ? AND b.twitch_user_id = n.twitch_user_id) \
         GROUP BY n.twitch_user_id"
    );
    let mut values: Vec<Value> = vec![session.id.into()];
    values.extend(channels);
    values.push(session.user_id.into());
    let mut renames = HashMap::new();
    for row in db::query(db, &sql, values).await? {
        let count: i64 = row.try_get("", "renames")?;
        renames.insert(TwitchUserId(row.try_get("", "twitch_user_id")?), u32::try_from(count).unwrap_or(u32::MAX));
    }
    Ok(renames)
}
