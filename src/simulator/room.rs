//! A chat: who is in it at an instant, and the pages in which Twitch lists them.
//!
//! Presence is a rule over time, not a state that is stepped: the same question about the past is always answered the same way,
//! so that samples seeded for last week agree with what was "there". Only what was ordered (a move, a wave, another size) is
//! remembered, with its instant.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use super::chance::Dice;

/// The lists of living rooms lag behind by up to this long, as Twitch's do.
const LIST_LAG: TimeDelta = TimeDelta::seconds(2);
/// In each slot of this length a person comes at most once.
const SLOT_SECONDS: i64 = 8 * 3_600;
/// How many people know a room in which, on average, 1,000 are present.
const KNOWING_PER_1000_PRESENT: u64 = 4_270;

/// An account number and when it was created.
pub(super) type Member = (u32, i64);

/// How the members of a crowd come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rhythm {
    /// All are there all the time.
    Steady,
    /// Regulars, occasional visitors and people who look in, each with hours of their own.
    Living,
}

#[derive(Clone)]
struct Crowd {
    members: Arc<[Member]>,
    rhythm: Rhythm,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// One stay that was ordered: a wave's account, a person moved in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) number: u32,
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
}

/// The list at one instant, in the order of paging.
type List = Arc<[(u64, u32)]>;

struct Snapshot {
    list: List,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// One channel's chat.
pub(super) struct Room {
    dice: Dice,
    crowds: Vec<Crowd>,
    stays: Vec<Stay>,
    /// Orders that overrule crowds and stays from their instant on.
    moves: HashMap<u32, Vec<(DateTime<Utc>, bool)>>,
    snapshot: Option<Snapshot>,
}

/// One page of the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) numbers: Vec<u32>,
    pub(super) total: usize,
    /// Position of the last person, if there are more.
    pub(super) next: Option<(u64, u32)>,
}

impl Room {
    pub(super) fn new(dice: Dice, broadcaster: u32) -> Self {
        Self {
            dice: Dice::new(dice.roll(&[u64::from(broadcaster)])),
            crowds: Vec::new(),
            stays: Vec::new(),
            moves: HashMap::new(),
            snapshot: None,
        }
    }

    /// How many people must know the room for `present` of them to be there on average.
    pub(super) fn knowing(present: u32) -> u32 {
        let knowing = u64::from(present) * KNOWING_PER_1000_PRESENT / 1_000;
        u32::try_from(knowing).unwrap_or(u32::MAX)
    }

    pub(super) fn add_crowd(&mut self, members: Vec<Member>, rhythm: Rhythm, from: DateTime<Utc>) {
        self.snapshot = None;
        self.crowds.push(Crowd { members: members.into(), rhythm, from, until: DateTime::<Utc>::MAX_UTC });
    }

    pub(super) fn add_stays(&mut self, stays: impl IntoIterator<Item = Stay>) {
        self.snapshot = None;
        self.stays.extend(stays);
    }

    /// From `at` on, `number` is there (or not), whatever the rule says.
    pub(super) fn order(&mut self, number: u32, present: bool, at: DateTime<Utc>) {
        self.snapshot = None;
        let orders = self.moves.entry(number).or_default();
        let place = orders.partition_point(|(from, _)| *from <= at);
        orders.insert(place, (at, present));
    }

    /// Everybody leaves at `at`, and nothing ordered before brings anybody back.
    pub(super) fn empty(&mut self, at: DateTime<Utc>) {
        self.snapshot = None;
        for crowd in &mut self.crowds {
            crowd.until = crowd.until.min(at);
        }
        for stay in &mut self.stays {
            stay.until = stay.until.min(at);
        }
        for orders in self.moves.values_mut() {
            orders.retain(|(from, _)| *from < at);
            orders.push((at, false));
        }
        self.moves.retain(|_, orders| !orders.is_empty());
    }

    /// Forgets the orders about these people after `at`, so that a crowd added then holds them.
    pub(super) fn let_back(&mut self, members: &[Member], at: DateTime<Utc>) {
        for (number, _) in members {
            if let Some(orders) = self.moves.get_mut(number) {
                orders.push((at, true));
            }
        }
    }

    /// Members of all crowds so far, the latest first.
    pub(super) fn known_members(&self) -> impl Iterator<Item = Member> {
        self.crowds.iter().rev().flat_map(|crowd| crowd.members.iter().copied())
    }

    /// Everybody present at `at`, in the order of paging.
    pub(super) fn present_at(&self, at: DateTime<Utc>) -> Vec<u32> {
        self.list_at(at).into_iter().map(|(_, number)| number).collect()
    }

    fn list_at(&self, at: DateTime<Utc>) -> Vec<(u64, u32)> {
        let ordered = |number: &u32| {
            let orders = self.moves.get(number)?;
            let place = orders.partition_point(|(from, _)| *from <= at);
            place.checked_sub(1).map(|last| orders[last].1)
        };
        let free = |number: &u32| self.moves.is_empty() || ordered(number).is_none();
        let mut numbers: Vec<u32> = Vec::new();
        for crowd in self.crowds.iter().filter(|crowd| crowd.from <= at && at < crowd.until) {
            let there = crowd.members.iter().filter(|(number, born)| match crowd.rhythm {
                Rhythm::Steady => true,
                Rhythm::Living => *born < at.timestamp() && self.is_their_hour(*number, at),
            });
            numbers.extend(there.map(|(number, _)| *number).filter(&free));
        }
        let stays = self.stays.iter().filter(|stay| stay.from <= at && at < stay.until);
        numbers.extend(stays.map(|stay| stay.number).filter(&free));
        numbers.extend(self.moves.keys().filter(|number| ordered(number) == Some(true)));
        let mut list: Vec<_> = numbers.into_iter().map(|number| (self.position(number), number)).collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    /// Where a person stands in the list: nothing but their number decides, so others coming and going moves nobody.
    fn position(&self, number: u32) -> u64 {
        self.dice.roll(&[u64::from(number), 0])
    }

    fn is_their_hour(&self, number: u32, at: DateTime<Utc>) -> bool {
        let who = u64::from(number);
        let habits = self.dice.roll(&[who, 1]);
        // Per mille of the slots in which they come, and seconds they stay.
        let (comes, shortest, longest) = match habits % 10 {
            0..3 => (850, SLOT_SECONDS / 2, SLOT_SECONDS),
            3..7 => (300, SLOT_SECONDS / 10, SLOT_SECONDS * 6 / 10),
            _ => (150, 120, 1_200),
        };
        let seconds = |bits: u64, bound: i64| i64::try_from(bits % bound.unsigned_abs().max(1)).unwrap_or(0);
        let shifted = at.timestamp() + seconds(habits >> 8, SLOT_SECONDS);
        let slot = shifted.div_euclid(SLOT_SECONDS);
        let chance = self.dice.roll(&[who, 2, slot.unsigned_abs()]);
        let stays = shortest + seconds(chance >> 12, longest - shortest);
        let start = seconds(chance >> 34, SLOT_SECONDS - stays);
        let into = shifted.rem_euclid(SLOT_SECONDS);
        chance % 1_000 < comes && (start..start + stays).contains(&into)
    }

    /// The list as Twitch would show it now: a little old, and the same for calls that follow each other closely.
    pub(super) fn list(&mut self, now: DateTime<Utc>) -> List {
        if let Some(snapshot) = &self.snapshot
            && (snapshot.from..snapshot.until).contains(&now)
        {
            return Arc::clone(&snapshot.list);
        }
        let list: List = self.list_at(now).into();
        self.snapshot = Some(Snapshot { list: Arc::clone(&list), from: now, until: self.next_change(now) });
        list
    }

    fn next_change(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let crowds = self.crowds.iter().flat_map(|crowd| {
            let living = crowd.rhythm == Rhythm::Living && crowd.until > now;
            [crowd.from, crowd.until, if living { now + LIST_LAG } else { crowd.until }]
        });
        let stays = self.stays.iter().flat_map(|stay| [stay.from, stay.until]);
        let moves = self.moves.values().flatten().map(|(at, _)| *at);
        let instants = crowds.chain(stays).chain(moves).filter(|at| *at > now);
        instants.min().unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// The people after position `after`, at most `first` of them; `overlap` starts so many people earlier (a planned fault).
pub(super) fn page(list: &[(u64, u32)], after: Option<(u64, u32)>, first: usize, overlap: usize) -> Page {
    let start = after.map_or(0, |after| list.partition_point(|entry| *entry <= after));
    let end = list.len().min(start.saturating_add(first));
    let shown = &list[start.saturating_sub(overlap)..end];
    Page {
        numbers: shown.iter().map(|(_, number)| *number).collect(),
        total: list.len(),
        next: (end < list.len()).then(|| list.get(end.wrapping_sub(1)).copied()).flatten(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn room(members: u32, rhythm: Rhythm) -> Room {
        let mut room = Room::new(Dice::new(1), 9);
        room.add_crowd((0..members).map(|n| (n, 0)).collect(), rhythm, at(-1_000_000));
        room
    }

    #[test]
    fn a_living_room_keeps_its_size_while_its_people_change() {
        let room = room(Room::knowing(1_000), Rhythm::Living);
        let morning: HashSet<u32> = room.present_at(at(0)).into_iter().collect();
        assert!((850..1_150).contains(&morning.len()), "{}", morning.len());
        let minute_later = room.present_at(at(60));
        let stayed = minute_later.iter().filter(|n| morning.contains(n)).count();
        assert!(stayed > 900 * morning.len() / 1_000, "{stayed}");
        let next_day = room.present_at(at(100_000));
        let again = next_day.iter().filter(|n| morning.contains(n)).count();
        assert!((300..950).contains(&again), "{again}");
        assert_eq!(room.present_at(at(0)).into_iter().collect::<HashSet<_>>(), morning);
    }

    #[test]
    fn orders_overrule_and_the_past_keeps_its_answer() {
        let mut room = room(10, Rhythm::Steady);
        room.order(3, false, at(10));
        room.order(50, true, at(10));
        assert_eq!(room.list(at(5)).len(), 10);
        let now: HashSet<u32> = room.present_at(at(10)).into_iter().collect();
        assert!(now.contains(&50) && !now.contains(&3) && now.len() == 10);
        room.empty(at(20));
        assert!(room.present_at(at(20)).is_empty());
        assert_eq!(room.present_at(at(19)).len(), 10);
    }

    #[test]
    fn a_stay_shows_up_in_a_cached_list_when_it_begins() {
        let mut room = room(10, Rhythm::Steady);
        room.add_stays([Stay { number: 90, from: at(30), until: at(40) }]);
        let sizes: Vec<_> = [0, 29, 30, 39, 40].map(|s| room.list(at(s)).len()).into();
        assert_eq!(sizes, [10, 10, 11, 11, 10]);
    }

    proptest! {
        #[test]
        fn paging_never_loses_somebody_who_stays(
            first in 1usize..40,
            restless in proptest::collection::vec((100u32..200, any::<bool>()), 0..200),
        ) {
            let mut room = room(100, Rhythm::Steady);
            let mut seen = Vec::new();
            let mut after = None;
            let mut orders = restless.into_iter();
            for turn in 0.. {
                for (number, present) in orders.by_ref().take(7) {
                    room.order(number, present, at(turn));
                }
                let shown = page(&room.list(at(turn)), after, first, 0);
                prop_assert!(shown.numbers.len() <= first);
                seen.extend(shown.numbers);
                after = shown.next;
                if after.is_none() {
                    break;
                }
            }
            let stayed: Vec<u32> = seen.iter().copied().filter(|n| *n < 100).collect();
            prop_assert_eq!(stayed.len(), 100);
            prop_assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len());
        }
    }
}
