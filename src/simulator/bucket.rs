//! Twitch's rate limit: a bucket of points per client and user (or client and app), refilled steadily.

use chrono::{DateTime, TimeDelta, Utc};

/// How large every bucket is and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Points added per minute.
    pub refill_per_minute: u32,
    /// Points in a full bucket.
    pub bucket_size: u32,
}

/// One bucket. Counted in millionths of a point, so that no fraction is lost between two calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    millionths: i64,
    as_of: DateTime<Utc>,
}

/// What the three `Ratelimit-…` headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) limit: u32,
    pub(super) remaining: i64,
    /// Epoch second at which the bucket is full.
    pub(super) reset: i64,
}

const POINT: i64 = 1_000_000;
const MICROSECONDS_A_MINUTE: i64 = 60_000_000;

impl Bucket {
    pub(super) fn full(rate: Rate, now: DateTime<Utc>) -> Self {
        Self { millionths: i64::from(rate.bucket_size) * POINT, as_of: now }
    }

    /// Takes one point; `Err` if there is none. Both tell what the bucket holds afterwards.
    pub(super) fn take(&mut self, rate: Rate, now: DateTime<Utc>) -> Result<Level, Level> {
        self.refill(rate, now);
        if self.millionths < POINT {
            return Err(self.level(rate));
        }
        self.millionths -= POINT;
        Ok(self.level(rate))
    }

    fn refill(&mut self, rate: Rate, now: DateTime<Utc>) {
        let size = i64::from(rate.bucket_size) * POINT;
        let elapsed = (now - self.as_of).num_microseconds().unwrap_or(i64::MAX).max(0);
        // A point is a million millionths and a second a million microseconds, so the rate a minute needs one division only.
        let added = elapsed.saturating_mul(i64::from(rate.refill_per_minute)) / 60;
        if added > 0 || self.millionths > size {
            self.millionths = self.millionths.saturating_add(added).min(size);
            self.as_of = now;
        }
    }

    fn level(&self, rate: Rate) -> Level {
        let missing = i64::from(rate.bucket_size) * POINT - self.millionths;
        let wait = match i64::from(rate.refill_per_minute) {
            0 => MICROSECONDS_A_MINUTE,
            refill => missing.saturating_mul(60) / refill,
        };
        let full_at = self.as_of + TimeDelta::microseconds(wait);
        Level {
            limit: rate.refill_per_minute,
            remaining: self.millionths / POINT,
            reset: full_at.timestamp() + i64::from(full_at.timestamp_subsec_micros() > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { refill_per_minute: 600, bucket_size: 800 };

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + millis).unwrap()
    }

    #[test]
    fn a_full_bucket_answers_its_size_and_then_refuses() {
        let mut bucket = Bucket::full(RATE, at(0));
        for left in (0..800).rev() {
            assert_eq!(bucket.take(RATE, at(0)).unwrap().remaining, left);
        }
        let empty = bucket.take(RATE, at(0)).unwrap_err();
        assert_eq!((empty.limit, empty.remaining), (600, 0));
        assert_eq!(empty.reset, 1_800_000_080);
    }

    #[test]
    fn points_come_back_steadily_even_when_asked_often() {
        let mut bucket = Bucket::full(RATE, at(0));
        while bucket.take(RATE, at(0)).is_ok() {}
        let granted = (0..10_000).step_by(7).filter(|t| bucket.take(RATE, at(*t)).is_ok()).count();
        assert_eq!(granted, 99);
    }

    #[test]
    fn a_smaller_bucket_and_another_rate_hold_at_once() {
        let mut bucket = Bucket::full(RATE, at(0));
        let small = Rate { refill_per_minute: 6, bucket_size: 2 };
        assert_eq!(bucket.take(small, at(1)).unwrap().remaining, 1);
        assert_eq!(bucket.take(small, at(1)).unwrap().remaining, 0);
        assert!(bucket.take(small, at(1)).is_err());
        assert!(bucket.take(small, at(10_001)).is_ok());
    }
}
