//! How often a failed call may be made a second time: when everything fails, retries only double the load. Pure.

use std::time::Duration;

use super::tally::{Counts, Tally};

/// Retries may be this part of the calls of the last minute: one in ten.
const CALLS_PER_RETRY: u32 = 10;
/// So many are always allowed, so that a quiet system may try again.
const FLOOR: u32 = 10;
const SLOT: Duration = Duration::from_secs(5);
const SLOTS: u64 = 12;

/// Counts calls and retries of the last minute.
#[derive(Debug)]
pub struct RetryBudget(Tally);

impl RetryBudget {
    pub fn new() -> Self {
        Self(Tally::new(SLOT, SLOTS))
    }

    /// A call is made for the first time.
    pub fn call(&mut self, now: Duration) {
        self.0.add(Counts { all: 1, marked: 0 }, now);
    }

    /// Whether a call may be made a second time; if so, that is counted.
    pub fn take(&mut self, now: Duration) -> bool {
        let counts = self.0.counts(now);
        let is_allowed = counts.marked < FLOOR.max(counts.all / CALLS_PER_RETRY);
        if is_allowed {
            self.0.add(Counts { all: 0, marked: 1 }, now);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_in_ten_may_be_repeated_and_a_few_always() {
        for (calls, allowed) in [(0, 10), (1, 10), (100, 10), (110, 11), (119, 11), (1_000, 100)] {
            let mut budget = RetryBudget::new();
            for _ in 0..calls {
                budget.call(Duration::ZERO);
            }
            let taken = (0..500).filter(|_| budget.take(Duration::from_secs(1))).count();
            assert_eq!(taken, allowed, "{calls} calls");
            assert!(!budget.take(Duration::from_secs(59)), "{calls} calls");
            assert!(budget.take(Duration::from_secs(61)), "a minute later");
        }
    }
}
