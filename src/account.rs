//! Twitch accounts: each stored once, shared by all sessions; their names over time; their profiles.
//!
//! Two sources show names: a page of a chat ([`note_seen`]) and a profile ([`store_profiles`]). Both carry the instant at which
//! Twitch said so, because answers overtake each other: an older sighting never overwrites a newer one, and a change is
//! recorded by the one transaction that makes it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use crate::{
    db,
    twitch::{Chatter, Profile, TwitchUserId},
};

pub mod history;

/// What is stored about one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: TwitchUserId,
    pub login: String,
    pub display_name: String,
    /// When the account was opened; `None` until its profile was read, and for accounts Twitch no longer shows.
    pub created_at: Option<DateTime<Utc>>,
    pub account_type: String,
    pub broadcaster_type: String,
    /// Twitch was asked and did not know the account.
    pub is_missing: bool,
    pub last_fetched_at: Option<DateTime<Utc>>,
}

/// A name as some answer of Twitch showed it.
struct Sighting<'a> {
    id: i64,
    login: &'a str,
    display_name: &'a str,
}

struct KnownName {
    login: String,
    display_name: String,
    named_at: DateTime<Utc>,
}

/// One account, if it was ever seen.
pub async fn find(db: &impl ConnectionTrait, id: TwitchUserId) -> Result<Option<Account>, DbErr> {
    let sql = "SELECT twitch_user_id, login, display_name, created_at, account_type, broadcaster_type, is_missing, \
               last_fetched_at FROM twitch_users WHERE twitch_user_id = ?";
    let rows = db::query(db, sql, [id.0.into()]).await?;
    rows.first().map(read).transpose()
}

fn read(row: &QueryResult) -> Result<Account, DbErr> {
    Ok(Account {
        id: TwitchUserId(row.try_get("", "twitch_user_id")?),
        login: row.try_get("", "login")?,
        display_name: row.try_get("", "display_name")?,
        created_at: row.try_get("", "created_at")?,
        account_type: row.try_get("", "account_type")?,
        broadcaster_type: row.try_get("", "broadcaster_type")?,
        is_missing: row.try_get("", "is_missing")?,
        last_fetched_at: row.try_get("", "last_fetched_at")?,
    })
}

/// Stores the accounts of one page of a chat, new ones and new names; returns those whose name changed.
pub async fn note_seen(
    txn: &impl ConnectionTrait,
    chatters: &[Chatter],
    read_at: DateTime<Utc>,
) -> Result<Vec<i64>, DbErr> {
    let sightings: Vec<Sighting> = chatters
        .iter()
        .map(|chatter| Sighting { id: chatter.id.0, login: &chatter.login, display_name: &chatter.display_name })
        .collect();
    note_names(txn, &sightings, read_at, "capture").await
}

/// Stores the profiles that Twitch returned for `asked`; those it left out are marked missing, so that nobody asks again.
/// Returns all ids whose stored data changed.
pub async fn store_profiles(
    txn: &impl ConnectionTrait,
    asked: &[TwitchUserId],
    profiles: &[Profile],
    read_at: DateTime<Utc>,
) -> Result<Vec<i64>, DbErr> {
    let sightings: Vec<Sighting> = profiles
        .iter()
        .map(|profile| Sighting { id: profile.id.0, login: &profile.login, display_name: &profile.display_name })
        .collect();
    note_names(txn, &sightings, read_at, "enrichment").await?;
    update_profiles(txn, profiles, read_at).await?;

    let missing: Vec<i64> =
        asked.iter().filter(|id| profiles.iter().all(|profile| profile.id != **id)).map(|id| id.0).collect();
    if !missing.is_empty() {
        let sql = format!(
            "UPDATE twitch_users SET is_missing = ?, last_fetched_at = ? WHERE twitch_user_id IN ({})",
            db::placeholders(missing.len())
        );
        let mut values: Vec<Value> = vec![true.into(), read_at.into()];
        values.extend(missing.iter().map(|id| (*id).into()));
        db::execute(txn, &sql, values).await?;
    }
    Ok(asked.iter().map(|id| id.0).collect())
}

/// Writes the profile columns of up to a few hundred accounts in one statement. The rows exist: names were noted before.
async fn update_profiles(
    txn: &impl ConnectionTrait,
    profiles: &[Profile],
    read_at: DateTime<Utc>,
) -> Result<(), DbErr> {
    const COLUMNS: &str = "twitch_user_id, login, display_name, named_at, created_at, account_type, broadcaster_type, \
                           has_picture, has_description, is_missing, last_fetched_at";
    // Locks are taken in the order of the ids, so that two writers of overlapping sets do not wait for each other.
    let mut profiles: Vec<&Profile> = profiles.iter().collect();
    profiles.sort_unstable_by_key(|profile| profile.id);
    profiles.dedup_by_key(|profile| profile.id);
    for chunk in profiles.chunks(db::ROWS_PER_INSERT) {
        let rows = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; chunk.len()].join(", ");
        let updates = db::on_conflict_update(
            txn,
            "twitch_user_id",
            &[
                "created_at",
                "account_type",
                "broadcaster_type",
                "has_picture",
                "has_description",
                "is_missing",
                "last_fetched_at",
            ],
        );
        let sql = format!("INSERT INTO twitch_users ({COLUMNS}) VALUES {rows} {updates}");
        let mut values: Vec<Value> = Vec::with_capacity(chunk.len() * 11);
        for profile in chunk {
            values.extend([
                profile.id.0.into(),
                profile.login.clone().into(),
                profile.display_name.clone().into(),
                read_at.into(),
                profile.created_at.into(),
                profile.account_type.clone().into(),
                profile.broadcaster_type.clone().into(),
                profile.has_picture.into(),
                profile.has_description.into(),
                false.into(),
                read_at.into(),
            ]);
        }
        db::execute(txn, &sql, values).await?;
    }
    Ok(())
}

async fn note_names(
    txn: &impl ConnectionTrait,
    sightings: &[Sighting<'_>],
    read_at: DateTime<Utc>,
    source: &'static str,
) -> Result<Vec<i64>, DbErr> {
    let mut by_id: Vec<&Sighting> = sightings.iter().collect();
    by_id.sort_unstable_by_key(|sighting| sighting.id);
    by_id.dedup_by_key(|sighting| sighting.id);

    let mut changed = Vec::new();
    for chunk in by_id.chunks(db::ROWS_PER_INSERT) {
        let known = known_names(txn, chunk).await?;
        let new: Vec<&Sighting> = chunk.iter().copied().filter(|sighting| !known.contains_key(&sighting.id)).collect();
        insert_new(txn, &new, read_at).await?;
        for sighting in chunk {
            let Some(name) = known.get(&sighting.id) else { continue };
            let differs = name.login != sighting.login || name.display_name != sighting.display_name;
            if differs && name.named_at < read_at && rename(txn, sighting, name, read_at, source).await? {
                changed.push(sighting.id);
            }
        }
    }
    Ok(changed)
}

async fn known_names(
    txn: &impl ConnectionTrait,
    sightings: &[&Sighting<'_>],
) -> Result<HashMap<i64, KnownName>, DbErr> {
    let sql = format!(
        "SELECT twitch_user_id, login, display_name, named_at FROM twitch_users WHERE twitch_user_id IN ({})",
        db::placeholders(sightings.len())
    );
    let values: Vec<Value> = sightings.iter().map(|sighting| sighting.id.into()).collect();
    let rows = db::query(txn, &sql, values).await?;
    rows.iter()
        .map(|row| {
            let name = KnownName {
                login: row.try_get("", "login")?,
                display_name: row.try_get("", "display_name")?,
                named_at: row.try_get("", "named_at")?,
            };
            Ok((row.try_get("", "twitch_user_id")?, name))
        })
        .collect()
}

async fn insert_new(txn: &impl ConnectionTrait, new: &[&Sighting<'_>], read_at: DateTime<Utc>) -> Result<(), DbErr> {
    if new.is_empty() {
        return Ok(());
    }
    let rows = vec!["(?, ?, ?, ?)"; new.len()].join(", ");
    // Another capture may store the same accounts at the same moment.
    let sql = format!(
        "{} INTO twitch_users (twitch_user_id, login, display_name, named_at) VALUES {rows}",
        db::insert_or_ignore(txn)
    );
    let values: Vec<Value> = new
        .iter()
        .flat_map(|sighting| [sighting.id.into(), sighting.login.into(), sighting.display_name.into(), read_at.into()])
        .collect();
    db::execute(txn, &sql, values).await.map(drop)
}

/// Changes the name only from the one just read, so that of two transactions that see the same change one records it.
async fn rename(
    txn: &impl ConnectionTrait,
    sighting: &Sighting<'_>,
    known: &KnownName,
    read_at: DateTime<Utc>,
    source: &'static str,
) -> Result<bool, DbErr> {
    let sql = "UPDATE twitch_users SET login = ?, display_name = ?, named_at = ? \
               WHERE twitch_user_id = ? AND login = ? AND display_name = ? AND named_at = ?";
    let values = [
        sighting.login.into(),
        sighting.display_name.into(),
        read_at.into(),
        sighting.id.into(),
        known.login.clone().into(),
        known.display_name.clone().into(),
        known.named_at.into(),
    ];
    if db::execute(txn, sql, values).await?.rows_affected() != 1 {
        return Ok(false);
    }
    let sql = "INSERT INTO twitch_user_names (twitch_user_id, login, display_name, new_login, new_display_name, source, \
               detected_at) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = [
        sighting.id.into(),
        known.login.clone().into(),
        known.display_name.clone().into(),
        sighting.login.into(),
        sighting.display_name.into(),
        source.into(),
        read_at.into(),
    ];
    db::execute(txn, sql, values).await?;
    Ok(true)
}
