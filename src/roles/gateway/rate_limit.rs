//! How often one visitor may do what costs much: signing in, capturing, exporting. Kept in each gateway by itself: an attacker
//! gains a factor of the replicas, which these limits allow for.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};

use super::error::Failure;

/// Exports of one user at the same time.
const EXPORTS_AT_ONCE: u32 = 3;

/// The limits of one gateway.
#[derive(Debug)]
pub struct VisitorLimits {
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
    exports: DefaultKeyedRateLimiter<i64>,
    running_exports: Arc<Mutex<HashMap<i64, u32>>>,
}

impl Default for VisitorLimits {
    fn default() -> Self {
        let per_minute = |count: u32| Quota::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        Self {
            sign_ins: DefaultKeyedRateLimiter::keyed(per_minute(60)),
            exports: DefaultKeyedRateLimiter::keyed(per_minute(60)),
            running_exports: Arc::default(),
        }
    }
}

impl VisitorLimits {
    /// A step of a sign-in from this household.
    pub fn sign_in(&self, household: IpAddr) -> Result<(), Failure> {
        check(&self.sign_ins, &household)
    }

    /// An export by this user (`users.id`), who may have a few at once: each holds a connection to the database. Keep what is
    /// returned until it ends.
    pub fn export(&self, user_id: i64) -> Result<ExportSlot, Failure> {
        check(&self.exports, &user_id)?;
        let mut running = self.running_exports.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(user_id).or_default();
        if *count >= EXPORTS_AT_ONCE {
            return Err(Failure::TooMany { seconds: 10 });
        }
        *count += 1;
        Ok(ExportSlot { user_id, running: self.running_exports.clone() })
    }
}

/// The place of one running export; free again when dropped.
#[derive(Debug)]
pub struct ExportSlot {
    user_id: i64,
    running: Arc<Mutex<HashMap<i64, u32>>>,
}

impl Drop for ExportSlot {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.user_id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(&self.user_id);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_few_exports_at_once_and_gets_a_place_back() {
        let limits = VisitorLimits::default();
        let mut slots: Vec<ExportSlot> = (0..EXPORTS_AT_ONCE).map(|_| limits.export(1).unwrap()).collect();
        assert!(matches!(limits.export(1), Err(Failure::TooMany { .. })));
        assert!(limits.export(2).is_ok(), "another user is not affected");
        slots.pop();
        assert!(limits.export(1).is_ok());
    }
}
