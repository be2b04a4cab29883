//! The channels a user may look at: their own and those they moderate, as last read from Twitch.
//!
//! The list is kept in the database, so that a page still has something to show while Twitch does not answer.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Value};

use crate::{
    clock::Clock,
    db,
    twitch::{Stream, TwitchClient, TwitchError, TwitchUserId},
};

/// How old the stored list may be before a page reads it again.
const FRESH_FOR: Duration = Duration::minutes(1);

/// One channel of a user's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub id: TwitchUserId,
    pub login: String,
    pub display_name: String,
    pub is_own: bool,
    /// The broadcast, where the channel is live and Twitch told.
    pub stream: Option<Stream>,
}

/// A user's channels and how current they are.
#[derive(Clone, Debug, Default)]
pub struct ChannelList {
    /// Live ones by viewers, then the others by login.
    pub channels: Vec<Channel>,
    /// When the list was read; `None` if that never succeeded.
    pub read_at: Option<DateTime<Utc>>,
    /// Why it could not be read again just now.
    pub problem: Option<TwitchError>,
    /// Whether Twitch told which of them are live.
    pub live_known: bool,
}

/// The person whose channels are listed.
#[derive(Clone, Debug)]
pub struct Owner {
    pub user_id: i64,
    pub twitch_user_id: TwitchUserId,
    pub login: String,
    pub display_name: String,
}

/// The user's channels: from the database while fresh, else read from Twitch and stored; the stored list when Twitch fails.
pub async fn list(
    db: &DatabaseConnection,
    twitch: &TwitchClient,
    clock: &Clock,
    owner: &Owner,
    refresh: bool,
) -> Result<ChannelList, DbErr> {
    let now = clock.now();
    let (mut channels, mut read_at) = stored(db, owner.user_id).await?;
    let mut problem = None;
    if refresh || read_at.is_none_or(|at| now - at > FRESH_FOR) {
        match twitch.moderated_channels(owner.user_id, owner.twitch_user_id).await {
            Ok(moderated) => {
                channels = with_own(owner, moderated);
                store(db, owner.user_id, &channels, now).await?;
                read_at = Some(now);
            }
            Err(error) => problem = Some(error),
        }
    }
    if channels.is_empty() {
        channels = with_own(owner, Vec::new());
    }
    let live_known = mark_live(twitch, &mut channels).await;
    sort(&mut channels);
    Ok(ChannelList { channels, read_at, problem, live_known })
}

/// One channel of the stored list.
pub async fn find(db: &impl ConnectionTrait, user_id: i64, id: TwitchUserId) -> Result<Option<Channel>, DbErr> {
    Ok(stored(db, user_id).await?.0.into_iter().find(|channel| channel.id == id))
}

async fn stored(db: &impl ConnectionTrait, user_id: i64) -> Result<(Vec<Channel>, Option<DateTime<Utc>>), DbErr> {
    let sql = "SELECT broadcaster_id, login, display_name, is_own, read_at FROM user_channels WHERE user_id = ?";
    let mut read_at = None;
    let mut channels = Vec::new();
    for row in db::query(db, sql, [user_id.into()]).await? {
        read_at = row.try_get("", "read_at")?;
        channels.push(Channel {
            id: TwitchUserId(row.try_get("", "broadcaster_id")?),
            login: row.try_get("", "login")?,
            display_name: row.try_get("", "display_name")?,
            is_own: row.try_get("", "is_own")?,
            stream: None,
        });
    }
    Ok((channels, read_at))
}

async fn store(db: &DatabaseConnection, user_id: i64, channels: &[Channel], now: DateTime<Utc>) -> Result<(), DbErr> {
    db::write_txn!(db, |txn| {
        db::execute(txn, "DELETE FROM user_channels WHERE user_id = ?", [user_id.into()]).await?;
        for chunk in channels.chunks(db::ROWS_PER_INSERT) {
            let rows = vec!["(?, ?, ?, ?, ?, ?)"; chunk.len()].join(", ");
            // Two pages opened at once store the same list.
            let sql = format!(
                "{} INTO user_channels (user_id, broadcaster_id, login, display_name, is_own, read_at) VALUES {rows}",
                db::insert_or_ignore(txn)
            );
            let values: Vec<Value> = chunk
                .iter()
                .flat_map(|channel| {
                    [
                        user_id.into(),
                        channel.id.0.into(),
                        channel.login.clone().into(),
                        channel.display_name.clone().into(),
                        channel.is_own.into(),
                        now.into(),
                    ]
                })
                .collect();
            db::execute(txn, &sql, values).await?;
        }
        Ok(())
    })
}

/// The own channel first: Twitch's list of moderated channels does not hold it.
fn with_own(owner: &Owner, moderated: Vec<crate::twitch::Channel>) -> Vec<Channel> {
    let own = Channel {
        id: owner.twitch_user_id,
        login: owner.login.clone(),
        display_name: owner.display_name.clone(),
        is_own: true,
        stream: None,
    };
    let others = moderated.into_iter().filter(|channel| channel.id != owner.twitch_user_id).map(|channel| Channel {
        id: channel.id,
        login: channel.login,
        display_name: channel.display_name,
        is_own: false,
        stream: None,
    });
    std::iter::once(own).chain(others).collect()
}

async fn mark_live(twitch: &TwitchClient, channels: &mut [Channel]) -> bool {
    let ids: Vec<TwitchUserId> = channels.iter().map(|channel| channel.id).collect();
    let Ok(streams) = twitch.streams(&ids).await else { return false };
    let mut streams: HashMap<TwitchUserId, Stream> =
        streams.into_iter().map(|stream| (stream.user_id, stream)).collect();
    for channel in channels {
        channel.stream = streams.remove(&channel.id);
    }
    true
}

fn sort(channels: &mut [Channel]) {
    channels.sort_by(|a, b| {
        let viewers = |channel: &Channel| channel.stream.as_ref().map(|stream| stream.viewers);
        viewers(b).cmp(&viewers(a)).then_with(|| a.login.cmp(&b.login))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(login: &str, viewers: Option<u32>) -> Channel {
        let stream = viewers.map(|viewers| Stream {
            user_id: TwitchUserId(1),
            viewers,
            started_at: DateTime::UNIX_EPOCH,
            title: String::new(),
        });
        Channel { id: TwitchUserId(1), login: login.into(), display_name: login.into(), is_own: false, stream }
    }

    #[test]
    fn live_channels_come_first_and_the_fullest_of_them_on_top() {
        let mut channels = vec![channel("b", None), channel("c", Some(5)), channel("a", None), channel("d", Some(0))];
        channels.push(channel("e", Some(900)));
        sort(&mut channels);
        let order: Vec<&str> = channels.iter().map(|channel| channel.login.as_str()).collect();
        assert_eq!(order, ["e", "c", "d", "a", "b"]);
    }
}
