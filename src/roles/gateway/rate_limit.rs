//! How often one visitor may do what costs much: signing in, capturing, exporting. Kept in each gateway by itself: an attacker
//! gains a factor of the replicas, which these limits allow for.

use std::{net::IpAddr, num::NonZeroU32};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};

use super::error::Failure;

/// The limits of one gateway.
#[derive(Debug)]
pub struct VisitorLimits {
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
    exports: DefaultKeyedRateLimiter<i64>,
}

impl Default for VisitorLimits {
    fn default() -> Self {
        let per_minute = |count: u32| Quota::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        Self {
            sign_ins: DefaultKeyedRateLimiter::keyed(per_minute(60)),
            exports: DefaultKeyedRateLimiter::keyed(per_minute(60)),
        }
    }
}

impl VisitorLimits {
    /// A step of a sign-in from this household.
    pub fn sign_in(&self, household: IpAddr) -> Result<(), Failure> {
        check(&self.sign_ins, &household)
    }

    /// An export by this user (`users.id`).
    pub fn export(&self, user_id: i64) -> Result<(), Failure> {
        check(&self.exports, &user_id)
    }
}

fn check<K: std::hash::Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Failure> {
    // Keys whose time has passed are forgotten now and then, or every visitor ever seen would stay.
    if limiter.len() > 10_000 {
        limiter.retain_recent();
    }
    limiter.check_key(key).map_err(|refused| {
        let wait = refused.wait_time_from(governor::clock::DefaultClock::default().now());
        Failure::TooMany { seconds: wait.as_secs() + 1 }
    })
}
