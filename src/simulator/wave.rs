//! A wave: many accounts of one making that come into a chat together.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{names, people::Person, world::World};

/// An order for a wave. `Wave::new` gives the usual one; change what a test is about.
#[derive(Clone, Debug)]
pub struct Wave {
    /// Login of the channel it goes to.
    pub channel: String,
    /// How many accounts.
    pub accounts: u32,
    /// When the first of them was created; none: five days before they arrive.
    pub created_at: Option<DateTime<Utc>>,
    /// How long it took to create them.
    pub created_within: Duration,
    /// Accounts created one directly after the other; a wave is made of such runs.
    pub longest_run: u32,
    /// When the first comes in, past instants too; none: now, plus `delay`.
    pub arrives_at: Option<DateTime<Utc>>,
    /// Time until the first comes in.
    pub delay: Duration,
    /// How long it takes until all are in.
    pub arrives_within: Duration,
    /// How long they stay; none: for good.
    pub stays: Option<Duration>,
}

/// A wave that was ordered.
#[derive(Clone, Debug, Serialize)]
pub struct WaveReport {
    /// Login of the channel.
    pub channel: String,
    /// When the first comes in.
    pub arrives_at: DateTime<Utc>,
    /// Its accounts, in the order of creation.
    pub account_ids: Vec<i64>,
}

/// One account of a wave and its stay.
pub(super) struct Guest {
    pub(super) person: Person,
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
}

impl Wave {
    /// `accounts` accounts made within six hours that come in within 90 seconds, now.
    pub fn new(channel: &str, accounts: u32) -> Self {
        Self {
            channel: channel.to_owned(),
            accounts,
            created_at: None,
            created_within: Duration::from_hours(6),
            longest_run: 12,
            arrives_at: None,
            delay: Duration::ZERO,
            arrives_within: Duration::from_secs(90),
            stays: None,
        }
    }

    pub(super) fn arrival(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.arrives_at.unwrap_or(now) + span(self.delay)
    }
}

/// The accounts of a wave; `turn` tells one wave from the next.
pub(super) fn plan(world: &World, order: &Wave, turn: u64) -> Vec<Guest> {
    let dice = world.dice().about("wave");
    let arrival = order.arrival(world.now());
    let within = span(order.created_within);
    let first = order.created_at.unwrap_or(arrival - TimeDelta::days(5));
    // Nobody comes in before being created.
    let first = first.min(arrival - within - TimeDelta::minutes(1));
    let calendar = world.crowd().calendar();
    let ids = ids(calendar.id_at(first), calendar.id_at(first + within), order, |bound, parts| {
        dice.below(bound, &[&[turn], parts].concat())
    });
    let mut taken = HashSet::new();
    let mut attempt = turn << 32;
    let mut free_name = || {
        loop {
            attempt += 1;
            let name = names::wave_name(dice, attempt);
            if world.number_of_login(&name.login).is_none() && taken.insert(name.login.clone()) {
                return name;
            }
        }
    };
    let guest = |(place, id): (u64, i64)| {
        let spread = u64::try_from(order.arrives_within.as_millis()).unwrap_or(u64::MAX);
        let delay = dice.below(spread.max(1), &[turn, place, 7]);
        let from = arrival + span(Duration::from_millis(if place == 0 { 0 } else { delay }));
        let until = order.stays.map_or(DateTime::<Utc>::MAX_UTC, |stays| from + span(stays));
        Guest { person: world.crowd().invent_with_id(free_name(), id), from, until }
    };
    (0..).zip(ids).map(guest).collect()
}

/// Runs of ids between `from` and `to`: inside a run the next id is 1 to 4 higher, the runs start anywhere.
fn ids(from: i64, to: i64, order: &Wave, below: impl Fn(u64, &[u64]) -> u64) -> Vec<i64> {
    let room = (to - from).unsigned_abs().max(1);
    let mut lengths = Vec::new();
    let mut left = u64::from(order.accounts);
    while left > 0 {
        let run = (1 + below(u64::from(order.longest_run.max(1)), &[left, 1])).min(left);
        lengths.push(run);
        left -= run;
    }
    let mut starts: Vec<u64> = (0..).zip(&lengths).map(|(run, _)| below(room, &[run, 2])).collect();
    starts.sort_unstable();
    let mut ids = Vec::new();
    let mut last = 0;
    for (start, length) in starts.into_iter().zip(lengths) {
        let mut id = from + i64::try_from(start).unwrap_or(0);
        for _ in 0..length {
            // A few spare ids, because some are taken by the crowd.
            id = id.max(last + 1);
            ids.push(id);
            last = id + 1;
            id += 2 + i64::try_from(below(3, &[id.unsigned_abs(), 3])).unwrap_or(0);
        }
    }
    ids
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, simulator::Options};

    #[test]
    fn a_wave_is_young_alike_and_comes_in_together() {
        let now = "2026-03-01T20:00:00Z".parse().unwrap();
        let clock = Clock::fixed(now);
        let world = World::new(Options { clock: clock.clone(), ..Options::default() });
        let before = world.chatters_at("petit_four_tv", now).unwrap();
        let mut order = Wave::new("petit_four_tv", 300);
        order.delay = Duration::from_mins(1);
        let report = world.start_wave(&order).unwrap();
        assert_eq!(world.chatters_at("petit_four_tv", now).unwrap(), before);

        clock.advance(TimeDelta::seconds(60 + 91));
        let after = world.chatters_at("petit_four_tv", clock.now()).unwrap();
        let ids: HashSet<i64> = report.account_ids.iter().copied().collect();
        let wave: Vec<_> = after.iter().filter(|person| ids.contains(&person.id)).collect();
        assert_eq!((ids.len(), wave.len()), (300, 300));
        let created = |pick: fn(std::slice::Iter<'_, &Person>) -> Option<DateTime<Utc>>| pick(wave.iter()).unwrap();
        let first = created(|wave| wave.map(|person| person.created_at).min());
        let last = created(|wave| wave.map(|person| person.created_at).max());
        assert!(last - first <= TimeDelta::hours(6) + TimeDelta::seconds(10), "{first} to {last}");
        assert!(wave.iter().all(|person| person.profile_image_url.contains("user-default")));
        let near = report.account_ids.windows(2).filter(|pair| pair[1] - pair[0] <= 8).count();
        assert!(near > 200, "{near} of 299 neighbours are close");
    }
}
