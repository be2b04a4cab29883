//! What was asked of the simulator, call by call.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::fault::Route;

/// Older calls are forgotten.
const KEPT: usize = 200_000;

/// One call of an OAuth or Helix route.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// Counts from 1 over the life of the simulator.
    pub number: u64,
    /// When it arrived, on a monotonic clock since the simulator's start.
    #[serde(rename = "at_us", serialize_with = "as_microseconds")]
    pub at: Duration,
    /// The route.
    pub route: Route,
    /// `client:app` or `client:user id`; none for OAuth calls and for calls without a valid token.
    pub bucket: Option<String>,
    /// Path and query.
    pub target: String,
    /// The status answered; none while the call is unanswered.
    pub status: Option<u16>,
}

fn as_microseconds<S: serde::Serializer>(at: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(at.as_micros()).unwrap_or(u64::MAX))
}

#[derive(Debug)]
pub(super) struct CallLog {
    started: Instant,
    calls: VecDeque<Call>,
    last: u64,
}

impl CallLog {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), calls: VecDeque::new(), last: 0 }
    }

    /// Writes down a call that has just arrived; its number is for [`CallLog::amend`].
    pub(super) fn begin(&mut self, route: Route, target: String) -> u64 {
        self.last += 1;
        if self.calls.len() >= KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(Call {
            number: self.last,
            at: self.started.elapsed(),
            route,
            bucket: None,
            target,
            status: None,
        });
        self.last
    }

    pub(super) fn amend(&mut self, number: u64, change: impl FnOnce(&mut Call)) {
        if let Ok(index) = self.calls.binary_search_by_key(&number, |call| call.number) {
            change(&mut self.calls[index]);
        }
    }

    pub(super) fn after(&self, number: u64) -> Vec<Call> {
        let from = self.calls.partition_point(|call| call.number <= number);
        self.calls.range(from..).cloned().collect()
    }
}
