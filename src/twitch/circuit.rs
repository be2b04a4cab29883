//! The breaker and the budget of retries of one upstream, on the monotonic clock, with their metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant};

use super::{
    breaker::{Breaker, End, Pass, State},
    helix::{Answer, CallFailure},
    retry_budget::RetryBudget,
};

/// What stands between this process and one upstream; cheap to clone, all clones are one.
#[derive(Clone, Debug)]
pub struct Circuit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstream: &'static str,
    begun: Instant,
    breaker: Mutex<Breaker>,
    retries: Mutex<RetryBudget>,
}

impl Circuit {
    /// `upstream` is the name in metrics and logs.
    pub fn new(upstream: &'static str) -> Self {
        show(upstream, State::Closed);
        let (breaker, retries) = (Mutex::new(Breaker::new()), Mutex::new(RetryBudget::new()));
        Self(Arc::new(Inner { upstream, begun: Instant::now(), breaker, retries }))
    }

    /// Fails where a call would be refused anyway, before it waits for anything else.
    pub fn check(&self) -> Result<(), CallFailure> {
        let is_passable = self.breaker().is_passable(self.now());
        if is_passable { Ok(()) } else { Err(self.refuse()) }
    }

    /// Makes a call unless the upstream is left alone at the moment. An answer of 500 and above, and none, are failures.
    pub async fn pass(&self, call: impl Future<Output = Result<Answer, CallFailure>>) -> Result<Answer, CallFailure> {
        let pass = self.breaker().admit(self.now()).ok_or_else(|| self.refuse())?;
        self.tell();
        // Dropped with this future, it tells that the call was abandoned.
        let mut passage = Passage { circuit: self, pass, end: End::Abandoned };
        let result = call.await;
        let is_answered = result.as_ref().is_ok_and(|answer| answer.status < 500);
        passage.end = if is_answered { End::Answered } else { End::Failed };
        result
    }

    /// A call is about to be made that was not made before.
    pub fn note_call(&self) {
        self.retries().call(self.now());
    }

    /// Whether a failed call may be made once more.
    pub fn may_retry(&self) -> bool {
        let may = self.retries().take(self.now());
        if !may {
            metrics::counter!("tca_retries_refused_total", "upstream" => self.0.upstream).increment(1);
        }
        may
    }

    fn refuse(&self) -> CallFailure {
        metrics::counter!("tca_breaker_refused_total", "upstream" => self.0.upstream).increment(1);
        CallFailure::not_made(format!("{} failed too often and is left alone for a moment", self.0.upstream))
    }

    fn now(&self) -> Duration {
        self.0.begun.elapsed()
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.0.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retries(&self) -> MutexGuard<'_, RetryBudget> {
        self.0.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        let breaker = self.breaker();
        // Under the lock, so that the last value told is the last one.
        show(self.0.upstream, breaker.state());
    }

    fn end(&self, pass: &Pass, end: End) {
        let chance = rand::random();
        let (before, after) = {
            let now = self.now();
            let mut breaker = self.breaker();
            let before = breaker.state();
            breaker.end(pass, end, now, chance);
            show(self.0.upstream, breaker.state());
            (before, breaker.state())
        };
        let upstream = self.0.upstream;
        match (before, after) {
            (State::Closed, State::Open) => {
                tracing::warn!(upstream, "Twitch fails too often; it is left alone for a moment");
            }
            (State::HalfOpen, State::Closed) => tracing::info!(upstream, "Twitch answers again"),
            _ => {}
        }
    }
}

fn show(upstream: &'static str, state: State) {
    metrics::gauge!("tca_breaker_state", "upstream" => upstream).set(f64::from(state as u8));
}

/// A call under way.
struct Passage<'a> {
    circuit: &'a Circuit,
    pass: Pass,
    end: End,
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.circuit.end(&self.pass, self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twitch::helix::RateHeaders;

    async fn ask(circuit: &Circuit, status: u16) -> Result<Answer, CallFailure> {
        let answer = Answer { status, rate: RateHeaders::default(), body: bytes::Bytes::new() };
        circuit.pass(async { Ok(answer) }).await
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_no_failures_and_a_probe_that_is_given_up_blocks_nobody() {
        let circuit = Circuit::new("test");
        for status in [400, 401, 403, 404, 429, 302, 200].repeat(10) {
            assert!(ask(&circuit, status).await.is_ok());
        }
        tokio::time::advance(Duration::from_secs(20)).await;
        for _ in 0..20 {
            assert!(ask(&circuit, 503).await.is_ok());
        }
        assert!(circuit.check().is_err());
        assert!(ask(&circuit, 200).await.is_err());
        tokio::time::advance(Duration::from_secs(5)).await;
        let probe = circuit.pass(std::future::pending());
        assert!(tokio::time::timeout(Duration::from_secs(1), probe).await.is_err());
        assert!(circuit.check().is_ok());
        assert!(ask(&circuit, 200).await.is_ok());
        assert!(ask(&circuit, 200).await.is_ok());
    }
}
