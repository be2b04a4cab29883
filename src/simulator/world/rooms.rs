//! Chats, moderators, streams and waves: the part of [`World`] that is about channels.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{Error, World};
use crate::simulator::{
    cast::WANDERERS,
    people::{FIRST_KEPT, Person, instant},
    room::{self, Member, Page, Rhythm, Room},
    wave::{self, Wave, WaveReport},
};

/// A running stream.
#[derive(Clone, Debug)]
pub struct Live {
    /// Title of the stream.
    pub title: String,
    /// What is played.
    pub game: String,
    /// Two letters.
    pub language: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

/// A channel as the control page lists it.
#[derive(Clone, Debug, Serialize)]
pub struct RoomReport {
    /// Login of the broadcaster.
    pub channel: String,
    /// Twitch user id of the broadcaster.
    pub broadcaster_id: i64,
    /// People in the chat.
    pub chatters: usize,
    /// Whether a stream runs.
    pub is_live: bool,
}

impl World {
    /// Makes `moderator` a moderator of `channel`, or ends that.
    pub fn set_moderator(&self, moderator: &str, channel: &str, is_moderator: bool) -> Result<(), Error> {
        let (moderator, channel) = (self.number(moderator)?, self.number(channel)?);
        self.set_moderator_number(moderator, channel, is_moderator);
        Ok(())
    }

    pub(in crate::simulator) fn set_moderator_number(&self, moderator: u32, channel: u32, is_moderator: bool) {
        let id = self.id_of(channel);
        let mut state = self.state();
        let channels = state.moderates.entry(moderator).or_default();
        if is_moderator {
            channels.insert(id, channel);
        } else {
            channels.remove(&id);
        }
    }

    /// Whether `user` may read the chat of `channel`: as its broadcaster or a moderator.
    pub(in crate::simulator) fn may_moderate(&self, user: u32, channel: u32) -> bool {
        let id = self.id_of(channel);
        let state = self.state();
        user == channel || state.moderates.get(&user).is_some_and(|channels| channels.contains_key(&id))
    }

    /// Ids and numbers of the channels `user` moderates whose id is above `after`, lowest first.
    pub(in crate::simulator) fn moderated_after(&self, user: u32, after: i64) -> Vec<(i64, u32)> {
        let state = self.state();
        let above = |channels: &std::collections::BTreeMap<i64, u32>| {
            channels.range(after.saturating_add(1)..).map(|(id, number)| (*id, *number)).collect()
        };
        state.moderates.get(&user).map(above).unwrap_or_default()
    }

    /// Begins or ends a stream.
    pub fn set_live(&self, channel: &str, live: Option<Live>) -> Result<(), Error> {
        let number = self.number(channel)?;
        let mut state = self.state();
        match live {
            Some(live) => state.live.insert(number, live),
            None => state.live.remove(&number),
        };
        Ok(())
    }

    /// Number, stream and viewers of every live channel, most viewers first.
    pub(in crate::simulator) fn live_streams(&self) -> Vec<(u32, Live, usize)> {
        let live: Vec<_> = {
            let state = self.state();
            state.live.iter().map(|(number, live)| (*number, live.clone())).collect()
        };
        let mut streams: Vec<_> = live
            .into_iter()
            // Some in the chat have the stream closed.
            .map(|(number, live)| (number, live, self.chat_size(number) * 88 / 100))
            .collect();
        streams.sort_by_key(|(number, _, viewers)| (std::cmp::Reverse(*viewers), *number));
        streams
    }

    /// Moves people into a chat, or out of it, from now on.
    pub fn move_chatters(&self, channel: &str, logins: &[&str], present: bool) -> Result<(), Error> {
        let room = self.number(channel)?;
        let numbers = logins.iter().map(|login| self.number(login)).collect::<Result<Vec<_>, _>>()?;
        let now = self.now();
        self.with_room(room, |room| {
            for number in numbers {
                room.order(number, present, now);
            }
        });
        Ok(())
    }

    /// From now on exactly `size` people are in the chat and nobody moves, until something else is ordered.
    pub fn set_room_size(&self, channel: &str, size: u32) -> Result<(), Error> {
        let number = self.number(channel)?;
        let now = self.now();
        let born = |member: &Member| member.1 <= now.timestamp();
        let size_wanted = usize::try_from(size).unwrap_or(usize::MAX);
        let known = self.with_room(number, |room| {
            let mut seen = HashSet::new();
            let known = room.known_members().filter(|member| born(member) && seen.insert(member.0));
            known.take(size_wanted).collect::<Vec<_>>()
        });
        let mut members = known;
        while members.len() < size_wanted {
            let fresh = self.next_member().ok_or_else(|| Error::Invalid(format!("no room holds {size} people")))?;
            members.extend(Some(fresh).filter(born));
        }
        self.with_room(number, |room| {
            room.empty(now);
            room.let_back(&members, now);
            room.add_crowd(members, Rhythm::Steady, now);
        });
        Ok(())
    }

    /// Adds people who come and go, about `present` of them at a time, and always did.
    pub fn add_living_crowd(&self, channel: &str, present: u32) -> Result<(), Error> {
        let number = self.number(channel)?;
        self.add_living_crowd_to(number, present);
        Ok(())
    }

    pub(in crate::simulator) fn add_living_crowd_to(&self, room_number: u32, present: u32) {
        // Counted by who was there at a fixed date, so that a later start finds the same people plus the newly joined.
        let counted_at = 1_767_225_600;
        let known = Room::knowing(present);
        let room = u64::from(room_number);
        let wandering = known * 35 / 100;
        let mut counted = 0;
        let mut members: Vec<Member> = Vec::new();
        let mut add = |member: Member| {
            if self.suits(room, member) {
                members.push(member);
                counted += u32::from(member.1 < counted_at);
            }
            counted
        };
        // Twice as many as needed, because not all of them are born or suit the room.
        let share = u64::from(wandering) * 2_000 / u64::from(WANDERERS);
        for number in (0..WANDERERS).filter(|n| self.dice().below(1_000, &[room, u64::from(*n), 1]) < share) {
            if add((number, self.crowd().birth(number).at)) >= wandering {
                break;
            }
        }
        while let Some(member) = self.next_member() {
            if add(member) >= known {
                break;
            }
        }
        self.with_room(room_number, |room| room.add_crowd(members, Rhythm::Living, DateTime::<Utc>::MIN_UTC));
    }

    pub(in crate::simulator) fn add_stays(&self, channel: u32, stays: impl IntoIterator<Item = room::Stay>) {
        self.with_room(channel, |room| room.add_stays(stays));
    }

    /// Channels attract old or new accounts more than others do.
    fn suits(&self, room: u64, (number, born): Member) -> bool {
        let year = chrono::Datelike::year(&instant(born));
        let kept = match self.dice().below(3, &[room, 2]) {
            1 if year < 2016 => 45,
            2 if year > 2020 => 55,
            _ => 100,
        };
        self.dice().below(100, &[room, u64::from(number), 3]) < kept
    }

    /// Takes the next unused number of the crowd.
    pub(in crate::simulator) fn next_member(&self) -> Option<Member> {
        let number = {
            let mut state = self.state();
            let number = state.next_number;
            if number >= FIRST_KEPT {
                return None;
            }
            state.next_number += 1;
            number
        };
        Some((number, self.crowd().birth(number).at))
    }

    /// Sends a wave of accounts into a chat.
    pub fn start_wave(&self, order: &Wave) -> Result<WaveReport, Error> {
        let room = self.number(&order.channel)?;
        let turn = self.state().waves.len();
        let plan = wave::plan(self, order, turn as u64);
        let mut stays = Vec::with_capacity(plan.len());
        let mut account_ids = Vec::with_capacity(plan.len());
        for guest in plan {
            let number = self.keep(guest.person)?;
            account_ids.push(self.id_of(number));
            stays.push(room::Stay { number, from: guest.from, until: guest.until });
        }
        let report = WaveReport { channel: order.channel.clone(), arrives_at: order.arrival(self.now()), account_ids };
        self.with_room(room, |room| room.add_stays(stays));
        self.state().waves.push(report.clone());
        Ok(report)
    }

    /// Lets up to `people` of one chat come over into another at `at`, past instants too; they leave again within the hour.
    pub fn send_raid(&self, from: &str, to: &str, people: u32, at: DateTime<Utc>) -> Result<(), Error> {
        let (from, to) = (self.number(from)?, self.number(to)?);
        let raiders = self.with_room(from, |room| room.present_at(at));
        let stay = |number: u32| {
            let dice = |bound, part| {
                let roll = self.dice().below(bound, &[u64::from(to), u64::from(number), part]);
                TimeDelta::seconds(i64::try_from(roll).unwrap_or(0))
            };
            let begins = at + dice(90, 5);
            room::Stay { number, from: begins, until: begins + TimeDelta::minutes(8) + dice(50 * 60, 6) }
        };
        let count = usize::try_from(people).unwrap_or(usize::MAX);
        self.add_stays(to, raiders.into_iter().filter(|number| *number != from && *number != to).take(count).map(stay));
        Ok(())
    }

    /// All waves so far, planned ones too.
    pub fn waves(&self) -> Vec<WaveReport> {
        self.state().waves.clone()
    }

    /// Everybody in the chat at `at`, named as they were then, in the order in which Helix lists them.
    pub fn chatters_at(&self, channel: &str, at: DateTime<Utc>) -> Result<Vec<Person>, Error> {
        let number = self.number(channel)?;
        let present = self.with_room(number, |room| room.present_at(at));
        Ok(present.into_iter().map(|number| self.person_at(number, at)).collect())
    }

    /// One page of the list Helix gives out.
    pub(in crate::simulator) fn chatters_page(
        &self,
        channel: u32,
        after: Option<(u64, u32)>,
        first: usize,
        overlap: usize,
    ) -> Page {
        let now = self.now();
        let list = self.with_room(channel, |room| room.list(now));
        room::page(&list, after, first, overlap)
    }

    pub(in crate::simulator) fn chat_size(&self, channel: u32) -> usize {
        let now = self.now();
        self.with_room(channel, |room| room.list(now).len())
    }

    /// Followers of a channel, newest first: a share of those who know its chat.
    pub(in crate::simulator) fn followers(&self, channel: u32) -> Vec<(i64, u32)> {
        let now = self.now().timestamp();
        let room = u64::from(channel);
        let known: HashSet<Member> = self.with_room(channel, |room| room.known_members().collect());
        let follows = |(number, born): Member| {
            let chance = self.dice().roll(&[room, u64::from(number), 4]);
            let ago = i64::try_from((chance >> 8) % (6 * 31_536_000)).unwrap_or(0);
            (born < now && chance % 10 < 6).then(|| ((now / 86_400 * 86_400 - ago).max(born), number))
        };
        let mut followers: Vec<_> = known.into_iter().filter_map(follows).collect();
        followers.sort_unstable_by(|a, b| b.cmp(a));
        followers
    }

    fn with_room<T>(&self, channel: u32, act: impl FnOnce(&mut Room) -> T) -> T {
        let dice = self.dice().about("room");
        let mut state = self.state();
        act(state.rooms.entry(channel).or_insert_with(|| Room::new(dice, channel)))
    }

    /// The channels with somebody in their chat, the largest first, at most `limit`.
    pub fn rooms(&self, limit: usize) -> Vec<RoomReport> {
        let numbers: Vec<u32> = self.state().rooms.keys().copied().collect();
        let mut rooms: Vec<_> = numbers.into_iter().map(|number| (self.chat_size(number), number)).collect();
        rooms.sort_unstable_by(|a, b| b.cmp(a));
        let report = |(chatters, number): (usize, u32)| RoomReport {
            channel: self.name_at(number, self.now()).login,
            broadcaster_id: self.id_of(number),
            chatters,
            is_live: self.state().live.contains_key(&number),
        };
        rooms.into_iter().take(limit).map(report).collect()
    }

    pub(in crate::simulator) fn live_since(&self, minutes: i64, title: &str, game: &str, language: &str) -> Live {
        Live {
            title: title.to_owned(),
            game: game.to_owned(),
            language: language.to_owned(),
            started_at: self.now() - TimeDelta::minutes(minutes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, simulator::Options};

    fn world_at(start: &str) -> World {
        World::new(Options { clock: Clock::fixed(start.parse().unwrap()), ..Options::default() })
    }

    #[test]
    fn a_later_start_finds_the_same_people_in_the_past() {
        let (early, late) = (world_at("2026-06-01T12:00:00Z"), world_at("2026-06-09T07:00:00Z"));
        let then = "2026-05-28T20:00:00Z".parse().unwrap();
        for channel in ["atelier_zinc", "karnaval_tv", "petit_four_tv"] {
            assert_eq!(early.chatters_at(channel, then).unwrap(), late.chatters_at(channel, then).unwrap());
        }
    }

    #[test]
    fn a_room_of_a_given_size_holds_exactly_as_many_and_keeps_its_past() {
        let world = world_at("2026-06-01T12:00:00Z");
        let before = world.chatters_at("oncle_pixel", world.now() - TimeDelta::minutes(1)).unwrap();
        for size in [200_000, 0, 7] {
            world.set_room_size("oncle_pixel", size).unwrap();
            let there = world.chatters_at("oncle_pixel", world.now()).unwrap();
            let ids: HashSet<i64> = there.iter().map(|person| person.id).collect();
            assert_eq!(ids.len(), usize::try_from(size).unwrap());
            assert!(there.iter().all(|person| person.created_at <= world.now()));
        }
        assert_eq!(world.chatters_at("oncle_pixel", world.now() - TimeDelta::minutes(1)).unwrap(), before);
    }

    #[test]
    fn a_raid_brings_people_of_another_chat_who_leave_again() {
        let world = world_at("2026-06-01T12:00:00Z");
        let then: DateTime<Utc> = "2026-05-28T20:00:00Z".parse().unwrap();
        let count = |minutes| world.chatters_at("petit_four_tv", then + TimeDelta::minutes(minutes)).unwrap().len();
        let (before, quiet) = (count(-1), count(2));
        world.send_raid("oncle_pixel", "petit_four_tv", 100, then).unwrap();
        assert_eq!(count(-1), before);
        assert!((quiet + 90..=quiet + 100).contains(&count(2)), "{} after {quiet}", count(2));
        assert!(count(61) < quiet + 60, "{}", count(61));
    }

    #[test]
    fn channels_share_some_of_their_people() {
        let world = world_at("2026-06-01T12:00:00Z");
        let ids = |channel| -> HashSet<i64> {
            world.chatters_at(channel, world.now()).unwrap().iter().map(|person| person.id).collect()
        };
        let (rabbit, night) = (ids("lapinvert_live"), ids("nocturne_fm"));
        let shared = rabbit.intersection(&night).count();
        assert!((20..rabbit.len() / 3).contains(&shared), "{shared} of {}", rabbit.len());
    }
}
