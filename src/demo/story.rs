//! What happened before the demo begins, and what happens while somebody watches.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use sea_orm::DatabaseConnection;

use super::past::Past;
use crate::simulator::{Error, Person, Wave, World, cast::HERO};

/// The channel that the wave goes to while somebody watches.
pub const LIVE_ROOM: &str = "lapinvert_live";
/// By when the whole wave is in.
pub const WAVE_WITHIN: Duration = Duration::from_mins(2);
const WAVE_ACCOUNTS: u32 = 140;
const WAVE_DELAY: Duration = Duration::from_secs(75);
const WAVE_TAKES: Duration = Duration::from_secs(40);

/// A channel looked at again and again, so that changes of name were seen.
const BEARS: &str = "tanguy_et_les_ours";
/// When it was looked at, in days before today; Twitch lets people change their name every 60 days.
const SEASONS: [i64; 3] = [200, 134, 68];
/// When names changed, in days before today.
const RENAMED: [i64; 3] = [170, 100, 30];
/// People who change their name often, and what they are called one after the other.
const RESTLESS: [[&str; 3]; 4] = [
    ["brume_du_soir", "brume_et_the", "the_a_la_brume"],
    ["kestrel_on_ice", "kestrel_in_june", "kestrel_again"],
    ["un_ours_de_trop", "deux_ours_de_trop", "trois_ours_de_trop"],
    ["not_the_same_nils", "nils_once_more", "nils_for_now"],
];
/// People who did it once.
const ONCE: [&str; 6] =
    ["capitaine_marmotte", "quiet_otter_77", "la_petite_ourse", "pixel_et_tartine", "moss_and_fern", "grizzly_poli"];

/// Tells the past: four saved sessions and the one of today.
pub(super) async fn tell(db: &DatabaseConnection, world: &World) -> anyhow::Result<()> {
    let now = world.now();
    rename_people(world, now)?;
    let mut past = Past::begin(db, world, HERO, at(now, 201, 18, 50)).await?;
    seasons(&mut past, now).await?;
    quiet_afternoon(&mut past, now).await?;
    raid_evening(&mut past, world, now).await?;
    wave_evening(&mut past, world, now).await?;
    today(&mut past, now).await
}

/// Plans the wave that comes while somebody watches.
pub(super) fn send_wave(world: &World) -> Result<(), Error> {
    let order = Wave { delay: WAVE_DELAY, arrives_within: WAVE_TAKES, ..Wave::new(LIVE_ROOM, WAVE_ACCOUNTS) };
    world.start_wave(&order).map(drop)
}

/// An hour of the day, so many days ago (UTC).
fn at(now: DateTime<Utc>, days_ago: i64, hour: u32, minute: u32) -> DateTime<Utc> {
    let time = NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or_default();
    (now - TimeDelta::days(days_ago)).date_naive().and_time(time).and_utc()
}

fn season(now: DateTime<Utc>, days_ago: i64) -> DateTime<Utc> {
    at(now, days_ago, 19, 20)
}

fn today_at(now: DateTime<Utc>, minutes_ago: i64) -> DateTime<Utc> {
    now - TimeDelta::minutes(minutes_ago)
}

/// When the bears' channel was captured today, in minutes before now.
const BEARS_TODAY: [i64; 2] = [83, 19];

/// Renames some who are there whenever the bears' channel is captured.
fn rename_people(world: &World, now: DateTime<Utc>) -> anyhow::Result<()> {
    let mut looks: Vec<DateTime<Utc>> = SEASONS.map(|days_ago| season(now, days_ago)).into();
    looks.push(today_at(now, BEARS_TODAY[1]));
    let mut faithful: Vec<Person> = world.chatters_at(BEARS, looks[0])?;
    faithful.retain(|person| person.broadcaster_type.is_empty() && person.name.login != HERO);
    for look in &looks[1..] {
        let there: HashSet<i64> = world.chatters_at(BEARS, *look)?.iter().map(|person| person.id).collect();
        faithful.retain(|person| there.contains(&person.id));
    }
    let chains = RESTLESS.iter().map(<[&str; 3]>::as_slice).chain(ONCE.chunks(1));
    for (person, names) in faithful.iter().zip(chains) {
        let mut login = person.name.login.as_str();
        for (days_ago, new_name) in RENAMED.iter().rev().take(names.len()).rev().zip(names) {
            match world.rename_at(login, new_name, season(now, *days_ago)) {
                Ok(()) => login = new_name,
                // Somebody of the crowd is called so: this name stays theirs.
                Err(Error::Taken(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// One session, taken up again every other month.
async fn seasons(past: &mut Past<'_>, now: DateTime<Utc>) -> anyhow::Result<()> {
    let mut session: Option<String> = None;
    for days_ago in SEASONS {
        let look = season(now, days_ago);
        if let Some(uuid) = &session {
            past.resume(uuid, look - TimeDelta::minutes(1)).await?;
        }
        past.capture(BEARS, look).await?;
        session = Some(past.save(Some("The bears, every other month"), look + TimeDelta::minutes(4)).await?);
    }
    Ok(())
}

/// Two small chats, nothing to see; saved without a name.
async fn quiet_afternoon(past: &mut Past<'_>, now: DateTime<Utc>) -> anyhow::Result<()> {
    for (channel, hour, minute) in
        [("le_phare_rose", 15, 10), ("petit_four_tv", 15, 12), ("le_phare_rose", 15, 50), ("petit_four_tv", 15, 52)]
    {
        past.capture(channel, at(now, 9, hour, minute)).await?;
    }
    past.save(None, at(now, 9, 16, 5)).await.map(drop)
}

/// People of all ages come over from another channel: many at once, and ordinary.
async fn raid_evening(past: &mut Past<'_>, world: &World, now: DateTime<Utc>) -> anyhow::Result<()> {
    world.send_raid(LIVE_ROOM, BEARS, 310, at(now, 5, 20, 58))?;
    for (hour, minute) in [(20, 40), (21, 4), (21, 45)] {
        past.capture(BEARS, at(now, 5, hour, minute)).await?;
    }
    past.save(Some("Raid evening with the bears"), at(now, 5, 21, 50)).await.map(drop)
}

/// A wave comes into a chat and leaves again.
async fn wave_evening(past: &mut Past<'_>, world: &World, now: DateTime<Utc>) -> anyhow::Result<()> {
    let order = Wave {
        arrives_at: Some(at(now, 3, 21, 12)),
        stays: Some(Duration::from_mins(30)),
        ..Wave::new("karnaval_tv", 90)
    };
    world.start_wave(&order)?;
    for (hour, minute) in [(20, 50), (21, 20), (21, 55)] {
        past.capture("karnaval_tv", at(now, 3, hour, minute)).await?;
    }
    past.save(Some("A wave at karnaval_tv"), at(now, 3, 22, 3)).await.map(drop)
}

/// The active session, of the last hours.
async fn today(past: &mut Past<'_>, now: DateTime<Utc>) -> anyhow::Result<()> {
    let [early, late] = BEARS_TODAY;
    for (channel, minutes_ago) in
        [(LIVE_ROOM, 126), (BEARS, early), (LIVE_ROOM, 64), (HERO, 41), (BEARS, late), (LIVE_ROOM, 16)]
    {
        past.capture(channel, today_at(now, minutes_ago)).await?;
    }
    Ok(())
}
