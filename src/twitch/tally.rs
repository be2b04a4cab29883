//! How many calls there were lately, and how many of them were of a certain kind. Pure: time is an argument.

use std::{collections::VecDeque, time::Duration};

/// Counts over a window that moves on slot by slot, so that its size does not grow with the calls.
#[derive(Debug)]
pub struct Tally {
    slot: Duration,
    slots_kept: u64,
    slots: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    number: u64,
    counts: Counts,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub all: u32,
    /// Those of the kind in question.
    pub marked: u32,
}

impl Tally {
    /// A window of `slots_kept` slots, the present one among them.
    pub fn new(slot: Duration, slots_kept: u64) -> Self {
        Self { slot, slots_kept, slots: VecDeque::new() }
    }

    /// Counts `counts` at `now`, a time since some fixed moment.
    pub fn add(&mut self, counts: Counts, now: Duration) {
        let number = self.number(now);
        self.forget(number);
        match self.slots.back_mut() {
            // Somebody may have read the time before somebody else and come later.
            Some(last) if last.number >= number => last.counts = last.counts.plus(counts),
            _ => self.slots.push_back(Slot { number, counts }),
        }
    }

    /// What was counted in the window that ends at `now`.
    pub fn counts(&mut self, now: Duration) -> Counts {
        self.forget(self.number(now));
        self.slots.iter().fold(Counts::default(), |sum, slot| sum.plus(slot.counts))
    }

    pub fn clear(&mut self) {
        self.slots.clear();
    }

    fn number(&self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos() / self.slot.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    fn forget(&mut self, number: u64) {
        while self.slots.front().is_some_and(|slot| slot.number.saturating_add(self.slots_kept) <= number) {
            self.slots.pop_front();
        }
    }
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self { all: self.all.saturating_add(other.all), marked: self.marked.saturating_add(other.marked) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut tally = Tally::new(Duration::from_secs(1), 10);
        let one = Counts { all: 1, marked: 0 };
        for second in 0..15 {
            tally.add(one, Duration::from_secs(second));
        }
        tally.add(Counts { all: 0, marked: 3 }, Duration::from_secs(13));
        for (millis, all, marked) in [(14_000, 10, 3), (14_999, 10, 3), (20_000, 4, 3), (23_999, 1, 3), (24_000, 0, 0)]
        {
            assert_eq!(tally.counts(Duration::from_millis(millis)), Counts { all, marked }, "{millis}");
        }
        tally.add(one, Duration::from_secs(30));
        tally.clear();
        assert_eq!(tally.counts(Duration::from_secs(30)), Counts::default());
    }
}
