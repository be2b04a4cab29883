//! When accounts were created, and which ids Twitch was handing out on that day.
//!
//! Two curves over the days from 2007 to 2036. `weight` says how many of the accounts one meets in a chat were created on a
//! day, `first_id` which id was the first of that day.
//!
//! Real: the number of accounts per day up to May 2018 (`data/creation_days.csv`) and the ids up to December 2017
//! (`data/id_knots.csv`). Invented: the level of each year (`LEVELS`; the file holds streamers, whose first years are over),
//! the ups and downs after 2018 (those of six years earlier), the ids after 2017 (`LATER_IDS`), and the wobble of the ids
//! between two knots, which keeps an account datable by its id to about two days, as is the case on Twitch.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

use super::chance::{Dice, Shuffle};

const CREATION_DAYS: &str = include_str!("data/creation_days.csv");
const ID_KNOTS: &str = include_str!("data/id_knots.csv");

const FIRST_DAY: (i32, u32, u32) = (2007, 5, 22);
const DAYS: usize = 10_817;
const SECONDS_A_DAY: i64 = 86_400;
/// Six years in whole weeks, so that a borrowed day is the same day of the week.
const BORROWED_FROM: usize = 2_191;

/// Relative number of accounts per year among the people of today's chats, from 2007 on; the last one stays. Invented.
const LEVELS: [i64; 21] = [1, 3, 7, 12, 28, 40, 50, 55, 60, 68, 74, 80, 92, 140, 125, 98, 88, 82, 80, 78, 76];

/// Ids after the last real knot. Invented, in the order of magnitude of ids seen in public.
const LATER_IDS: [(i64, i32, u32, u32); 12] = [
    (400_000_000, 2018, 12, 15),
    (480_000_000, 2020, 1, 1),
    (625_000_000, 2021, 1, 1),
    (755_000_000, 2022, 1, 1),
    (872_000_000, 2023, 1, 1),
    (1_010_000_000, 2024, 1, 1),
    (1_230_000_000, 2025, 1, 1),
    (1_400_000_000, 2026, 1, 1),
    (1_550_000_000, 2027, 1, 1),
    (1_700_000_000, 2028, 1, 1),
    (2_200_000_000, 2032, 1, 1),
    (2_800_000_000, 2037, 1, 1),
];

/// The id and the creation instant of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) id: i64,
    /// Seconds since 1970.
    pub(super) at: i64,
}

/// The two curves, as running sums per day.
pub(super) struct Calendar {
    first_day: NaiveDate,
    weight: Vec<i64>,
    first_id: Vec<i64>,
}

impl Calendar {
    pub(super) fn new() -> Self {
        let (year, month, day) = FIRST_DAY;
        let first_day = NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
        Self { first_day, weight: running_weights(first_day), first_id: first_ids(first_day) }
    }

    /// The account at position `cell` of 2^[`Shuffle::BITS`] accounts in order of creation. Ids and instants rise with it.
    pub(super) fn birth(&self, cell: u32) -> Birth {
        let total = self.weight.last().copied().unwrap_or(1);
        let target = (i64::from(cell) * 2 + 1) * (total >> (Shuffle::BITS + 1));
        let day = self.weight.partition_point(|sum| *sum <= target) - 1;
        let part = target - self.weight[day];
        let whole = self.weight[day + 1] - self.weight[day];
        let ids = self.first_id[day + 1] - self.first_id[day];
        let later = part * ids / whole;
        Birth { id: self.first_id[day] + later, at: self.midnight(day) + later * SECONDS_A_DAY / ids }
    }

    /// The position whose account has this `id`, if there is one.
    pub(super) fn cell_of(&self, id: i64) -> Option<u32> {
        let day = self.day_of_id(id)?;
        let part = id - self.first_id[day];
        let whole = self.first_id[day + 1] - self.first_id[day];
        let day_weight = self.weight[day + 1] - self.weight[day];
        let target = self.weight[day] + part * day_weight / whole;
        let cell = target / (self.weight.last()? >> Shuffle::BITS);
        let near = u32::try_from(cell).ok()?;
        // Divisions round down, so the cell may be a neighbour of the one computed.
        (near.saturating_sub(1)..=near + 1)
            .filter(|cell| *cell < 1 << Shuffle::BITS)
            .find(|cell| self.birth(*cell).id == id)
    }

    /// The instant at which `id` was handed out, in seconds since 1970.
    pub(super) fn instant_of(&self, id: i64) -> Option<i64> {
        let day = self.day_of_id(id)?;
        let whole = self.first_id[day + 1] - self.first_id[day];
        Some(self.midnight(day) + (id - self.first_id[day]) * SECONDS_A_DAY / whole)
    }

    /// The id that was next at this instant; instants outside the calendar count as its ends.
    pub(super) fn id_at(&self, at: DateTime<Utc>) -> i64 {
        let since = at.timestamp() - self.midnight(0);
        let day = usize::try_from(since.max(0) / SECONDS_A_DAY).unwrap_or(0).min(DAYS - 1);
        let into = since.clamp(0, self.midnight(DAYS) - self.midnight(0) - 1) % SECONDS_A_DAY;
        let whole = self.first_id[day + 1] - self.first_id[day];
        self.first_id[day] + into * whole / SECONDS_A_DAY
    }

    fn day_of_id(&self, id: i64) -> Option<usize> {
        let day = self.first_id.partition_point(|first| *first <= id).checked_sub(1)?;
        (day < DAYS).then_some(day)
    }

    fn midnight(&self, day: usize) -> i64 {
        let since_1970 = (self.first_day - NaiveDate::default()).num_days();
        (since_1970 + count(day)) * SECONDS_A_DAY
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn day_number(first_day: NaiveDate, day: NaiveDate) -> Option<usize> {
    usize::try_from((day - first_day).num_days()).ok()
}

/// Accounts in the file within `half` days of each day, borrowed from six years earlier where the file has ended.
fn sums_around(counts: &[i64], day: usize, half: usize) -> i64 {
    let mut day = day;
    while day + half >= counts.len() {
        day -= BORROWED_FROM;
    }
    counts[day.saturating_sub(half)..=day + half].iter().sum()
}

fn running_weights(first_day: NaiveDate) -> Vec<i64> {
    let mut counts: Vec<i64> = Vec::new();
    for (day, accounts) in rows(CREATION_DAYS) {
        let (Ok(day), Ok(accounts)) = (day.parse::<NaiveDate>(), accounts.parse::<i64>()) else {
            continue;
        };
        let Some(number) = day_number(first_day, day) else {
            continue;
        };
        counts.resize(counts.len().max(number + 1), 0);
        counts[number] += accounts;
    }
    // The early years are too thin to tell a quiet month from a busy one.
    let thin = 1_300;
    let mut sum = 0;
    let mut running = vec![0];
    for day in 0..DAYS {
        let month = sums_around(&counts, day, 15) * 365;
        let year = sums_around(&counts, day, 182) * 31;
        let shape = if day < thin || year == 0 { 1_000 } else { month * 1_000 / year };
        sum += (level(first_day, day) * shape.clamp(500, 1_800)).max(1) << 6;
        running.push(sum);
    }
    running
}

/// The level of the year, changing from day to day rather than at New Year; times 365.
fn level(first_day: NaiveDate, day: usize) -> i64 {
    let date = first_day + TimeDelta::days(count(day));
    let at = |year: i32| {
        let index = usize::try_from(year - FIRST_DAY.0).unwrap_or(0);
        LEVELS[index.min(LEVELS.len() - 1)]
    };
    let into = i64::from(date.ordinal0()).min(364);
    let (before, after, into) = if into < 182 {
        (at(date.year() - 1), at(date.year()), into + 183)
    } else {
        (at(date.year()), at(date.year() + 1), into - 182)
    };
    before * (365 - into) + after * into
}

fn first_ids(first_day: NaiveDate) -> Vec<i64> {
    let mut knots = vec![(1_000, 0)];
    for (id, day) in rows(ID_KNOTS) {
        let (Ok(id), Ok(day)) = (id.parse(), day.parse::<NaiveDate>()) else {
            continue;
        };
        knots.extend(day_number(first_day, day).map(|day| (id, day)));
    }
    for (id, year, month, day) in LATER_IDS {
        let day = NaiveDate::from_ymd_opt(year, month, day).and_then(|day| day_number(first_day, day));
        knots.extend(day.map(|day| (id, day)));
    }
    let dice = Dice::new(0).about("ids a week");
    let mut first_id = vec![1_000];
    for pair in knots.windows(2) {
        let ((from_id, from), (to_id, to)) = (pair[0], pair[1]);
        // Busy and quiet weeks: each gets 30 to 170 % of an even share.
        let share = |day: usize| i64::try_from(30 + dice.below(141, &[day as u64 / 7])).unwrap_or(100);
        let all: i64 = (from..to).map(share).sum();
        let mut given = 0;
        for day in from..to {
            given += share(day);
            first_id.push(from_id + (to_id - from_id) * given / all);
        }
    }
    first_id.truncate(DAYS + 1);
    first_id
}

/// The two columns of a data file without its comments.
fn rows(file: &str) -> impl Iterator<Item = (&str, &str)> {
    file.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_strictly_rise_with_the_instant_of_creation() {
        let calendar = Calendar::new();
        let mut last = Birth { id: 0, at: 0 };
        for cell in 0..1 << Shuffle::BITS {
            let birth = calendar.birth(cell);
            assert!(birth.id > last.id && birth.at >= last.at, "{last:?} then {birth:?}");
            last = birth;
        }
    }

    #[test]
    fn an_id_leads_back_to_its_account() {
        let calendar = Calendar::new();
        for cell in (0..1 << Shuffle::BITS).step_by(97) {
            let birth = calendar.birth(cell);
            assert_eq!(calendar.cell_of(birth.id), Some(cell));
            assert_eq!(calendar.cell_of(birth.id + 1), None);
            assert_eq!(calendar.instant_of(birth.id), Some(birth.at));
        }
        assert_eq!(calendar.cell_of(0), None);
        assert_eq!(calendar.cell_of(i64::MAX), None);
    }

    #[test]
    fn an_id_dates_an_account_to_about_two_days() {
        let calendar = Calendar::new();
        let knots: Vec<(i64, i64)> = rows(ID_KNOTS)
            .map(|(id, day)| {
                let midnight = day.parse::<NaiveDate>().unwrap().and_hms_opt(0, 0, 0).unwrap();
                (id.parse().unwrap(), midnight.and_utc().timestamp())
            })
            .collect();
        let mut errors = Vec::new();
        for birth in (0..1 << Shuffle::BITS).step_by(501).map(|cell| calendar.birth(cell)) {
            let pair = knots.windows(2).find(|pair| (pair[0].0..pair[1].0).contains(&birth.id));
            let Some([(from_id, from), (to_id, to)]) = pair else { continue };
            let guess = from + (birth.id - from_id) * (to - from) / (to_id - from_id);
            errors.push((guess - birth.at).abs() / 3_600);
        }
        errors.sort_unstable();
        let median = errors[errors.len() / 2];
        assert!((12..72).contains(&median), "median {median} h");
    }

    #[test]
    fn the_calendar_ends_with_2036_and_meets_the_real_knots() {
        let calendar = Calendar::new();
        assert_eq!((calendar.weight.len(), calendar.first_id.len()), (DAYS + 1, DAYS + 1));
        let at = "2037-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(calendar.midnight(DAYS), at.timestamp());
        let knot = "2017-12-15T00:00:00Z".parse().unwrap();
        assert_eq!(calendar.id_at(knot), 185_271_946);
    }
}
