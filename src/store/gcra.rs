//! The generic cell rate algorithm: one decision over one bucket, without clock or storage.
//!
//! The in-process store calls [`take`] and [`close`]; `bucket.lua` says the same to Redis, line by line. The promise is a
//! ceiling: in any window `w` at most `burst + w / interval` grants. Three rules keep it when state or time is lost:
//!
//! - A bucket nobody knows (new, evicted, or Redis came back empty) starts with one grant and refills at its rate, so that
//!   losing the store never allows a second burst. Buckets are kept for [`KEPT_IDLE`] after they are full again, so an
//!   ordinary pause does not count as unknown.
//! - When the clock steps back, everything remembered moves back with it: nothing is granted twice, nobody waits for long.
//! - No wait is longer than that of a bucket which has just spent its whole burst, whatever was stored.

use std::time::Duration;

use super::{BucketLimit, Grant};

/// How long a full bucket is remembered.
pub(super) const KEPT_IDLE: Duration = Duration::from_hours(6);

/// What is remembered of a bucket. Instants are microseconds on the store's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// When the bucket will be full again ("theoretical arrival time"); `None`: it has granted nothing yet.
    full_at: Option<u64>,
    closed_until: u64,
    /// The latest instant this bucket has seen; tells a clock that went back.
    seen: u64,
}

impl Bucket {
    /// The instant after which the bucket says no more than an unknown one would, [`KEPT_IDLE`] aside.
    pub(super) fn settled_at(&self) -> u64 {
        self.full_at.unwrap_or(0).max(self.closed_until)
    }

    fn follow_clock(&mut self, now: u64) {
        let back = self.seen.saturating_sub(now);
        self.full_at = self.full_at.map(|at| at.saturating_sub(back));
        self.closed_until = self.closed_until.saturating_sub(back);
        self.seen = now;
    }
}

/// Asks for one grant at `now`.
pub(super) fn take(bucket: &mut Bucket, now: u64, limit: BucketLimit) -> Grant {
    let interval = micros(limit.interval);
    let room = interval.saturating_mul(u64::from(limit.burst.max(1)) - 1);
    bucket.follow_clock(now);
    let full_at = bucket.full_at.unwrap_or(now + room).min(now + room + interval);
    let open_at = full_at.saturating_sub(room).max(bucket.closed_until);
    if open_at > now {
        return Grant::After(Duration::from_micros(open_at - now));
    }
    bucket.full_at = Some(full_at.max(now) + interval);
    Grant::Now
}

/// Closes the bucket until `now + pause`, or as long as it already is.
pub(super) fn close(bucket: &mut Bucket, now: u64, pause: Duration) {
    bucket.follow_clock(now);
    bucket.closed_until = bucket.closed_until.max(now.saturating_add(micros(pause)));
}

/// Whole microseconds, at most some 30 years: far below what a double in Lua keeps exactly.
pub(super) fn micros(span: Duration) -> u64 {
    const MOST: u64 = 1_000_000_000_000_000;
    u64::try_from(span.as_micros()).unwrap_or(MOST).min(MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: BucketLimit = BucketLimit { interval: Duration::from_millis(100), burst: 5 };

    fn grants(bucket: &mut Bucket, now: u64) -> usize {
        (0..50).take_while(|_| take(bucket, now, LIMIT) == Grant::Now).count()
    }

    #[test]
    fn an_unknown_bucket_starts_with_one_and_refills_at_the_rate() {
        let mut bucket = Bucket::default();
        assert_eq!(grants(&mut bucket, 1_000_000), 1);
        assert_eq!(take(&mut bucket, 1_000_000, LIMIT), Grant::After(Duration::from_millis(100)));
        assert_eq!(grants(&mut bucket, 1_100_000), 1);
        assert_eq!(grants(&mut bucket, 1_400_000), 3);
        assert_eq!(grants(&mut bucket, 9_000_000), 5);
    }

    #[test]
    fn a_pause_is_only_prolonged() {
        let mut bucket = Bucket::default();
        close(&mut bucket, 1_000_000, Duration::from_secs(10));
        close(&mut bucket, 1_000_000, Duration::from_secs(1));
        assert_eq!(take(&mut bucket, 2_000_000, LIMIT), Grant::After(Duration::from_secs(9)));
        assert_eq!(take(&mut bucket, 11_000_000, LIMIT), Grant::Now);
    }

    #[test]
    fn a_clock_that_steps_back_neither_grants_again_nor_locks_up() {
        let mut bucket = Bucket::default();
        grants(&mut bucket, 3_600_000_000);
        assert_eq!(grants(&mut bucket, 3_700_000_000), 5);
        assert_eq!(take(&mut bucket, 100_000_000, LIMIT), Grant::After(Duration::from_millis(100)));
        assert_eq!(grants(&mut bucket, 100_100_000), 1);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_ceiling(steps in prop::collection::vec(0u64..300_000, 1..400)) {
            let (mut bucket, mut now, mut log) = (Bucket::default(), 1_000_000, Vec::new());
            for step in steps {
                now += step;
                if take(&mut bucket, now, LIMIT) == Grant::Now {
                    log.push(now);
                }
            }
            for (i, from) in log.iter().enumerate() {
                for (j, to) in log.iter().enumerate().skip(i) {
                    let ceiling = 5 + (to - from) / 100_000;
                    prop_assert!((j - i + 1) as u64 <= ceiling);
                }
            }
        }
    }
}
