//! When an upstream that fails is left alone for a while, and how it is tried again. Pure: time and chance are arguments.
//!
//! Closed, calls pass and their ends are counted. Once half of at least twenty calls of ten seconds failed, it opens: no call
//! passes until the pause is over. Then one probe passes; if it goes well the breaker closes, if not the next pause is longer.

use std::time::Duration;

use super::tally::{Counts, Tally};

const SLOT: Duration = Duration::from_secs(1);
const SLOTS: u64 = 10;
/// Fewer calls than these say nothing.
const MIN_CALLS: u32 = 20;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The part of a pause that is left to chance, so that replicas do not all probe at the same moment.
const JITTER: f64 = 0.25;

/// How the breaker stands. The numbers are those of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls pass.
    Closed = 0,
    /// A pause is over; one call finds out.
    HalfOpen = 1,
    /// No call passes.
    Open = 2,
}

/// How a call that passed ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The upstream answered, be it with a refusal.
    Answered,
    /// It failed, or nothing came.
    Failed,
    /// The caller went away before anything was known.
    Abandoned,
}

/// Leave to make one call; its end is told with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Pass {
    /// Ends of calls from before the last change say nothing about the time after it.
    era: u64,
}

/// The breaker of one upstream.
#[derive(Debug)]
pub struct Breaker {
    tally: Tally,
    era: u64,
    /// Pauses since it was last closed.
    pauses: u32,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Closed,
    Open { until: Duration },
    Probing,
}

impl Breaker {
    pub fn new() -> Self {
        Self { tally: Tally::new(SLOT, SLOTS), era: 0, pauses: 0, phase: Phase::Closed }
    }

    pub fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Probing => State::HalfOpen,
            Phase::Open { .. } => State::Open,
        }
    }

    /// Whether a call would be let through at `now`.
    pub fn is_passable(&self, now: Duration) -> bool {
        match self.phase {
            Phase::Closed => true,
            Phase::Open { until } => now >= until,
            Phase::Probing => false,
        }
    }

    /// Lets a call through, or not.
    pub fn admit(&mut self, now: Duration) -> Option<Pass> {
        if !self.is_passable(now) {
            return None;
        }
        if matches!(self.phase, Phase::Open { .. }) {
            self.enter(Phase::Probing);
        }
        Some(Pass { era: self.era })
    }

    /// Takes note of the end of a call. `chance` is between 0 and 1.
    pub fn end(&mut self, pass: &Pass, end: End, now: Duration, chance: f64) {
        if pass.era != self.era {
            return;
        }
        match (&self.phase, end) {
            (Phase::Closed, End::Answered | End::Failed) => {
                self.tally.add(Counts { all: 1, marked: u32::from(end == End::Failed) }, now);
                let counts = self.tally.counts(now);
                if counts.all >= MIN_CALLS && counts.marked >= counts.all.div_ceil(2) {
                    self.open(now, chance);
                }
            }
            (Phase::Probing, End::Answered) => {
                self.tally.clear();
                self.pauses = 0;
                self.enter(Phase::Closed);
            }
            (Phase::Probing, End::Failed) => self.open(now, chance),
            // The next caller finds out instead.
            (Phase::Probing, End::Abandoned) => self.enter(Phase::Open { until: now }),
            (Phase::Closed, End::Abandoned) | (Phase::Open { .. }, _) => {}
        }
    }

    fn open(&mut self, now: Duration, chance: f64) {
        let longest = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(10)).min(LONGEST_PAUSE);
        let pause = longest.mul_f64(1.0 - JITTER * chance.clamp(0.0, 1.0));
        self.pauses = self.pauses.saturating_add(1);
        self.enter(Phase::Open { until: now + pause });
    }

    fn enter(&mut self, phase: Phase) {
        self.era += 1;
        self.phase = phase;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn run(breaker: &mut Breaker, ends: &[(End, usize)], now: Duration) {
        for (end, count) in ends {
            for _ in 0..*count {
                let pass = breaker.admit(now).expect("a pass");
                breaker.end(&pass, *end, now, 0.0);
            }
        }
    }

    #[test]
    fn it_opens_when_half_of_enough_calls_failed() {
        use End::{Abandoned, Answered, Failed};
        let table: [(&[(End, usize)], State); 7] = [
            (&[(Failed, 19)], State::Closed),
            (&[(Failed, 20)], State::Open),
            (&[(Answered, 10), (Failed, 9)], State::Closed),
            (&[(Answered, 10), (Failed, 10)], State::Open),
            (&[(Answered, 11), (Failed, 10)], State::Closed),
            (&[(Answered, 200), (Failed, 199)], State::Closed),
            (&[(Abandoned, 50), (Failed, 19)], State::Closed),
        ];
        for (ends, state) in table {
            let mut breaker = Breaker::new();
            run(&mut breaker, ends, seconds(1));
            assert_eq!(breaker.state(), state, "{ends:?}");
        }
        let mut breaker = Breaker::new();
        run(&mut breaker, &[(Failed, 10)], seconds(1));
        run(&mut breaker, &[(Failed, 10)], seconds(11));
        assert_eq!(breaker.state(), State::Closed, "the first ten are forgotten");
    }

    #[test]
    fn pauses_grow_until_a_probe_goes_well() {
        let mut breaker = Breaker::new();
        let mut now = seconds(0);
        run(&mut breaker, &[(End::Failed, 20)], now);
        for pause in [5, 10, 20, 40, 60, 60] {
            assert!(breaker.admit(now + seconds(pause).mul_f64(0.999)).is_none(), "{pause}");
            now += seconds(pause);
            let probe = breaker.admit(now).expect("a probe");
            assert!(breaker.admit(now).is_none(), "only one");
            assert_eq!(breaker.state(), State::HalfOpen);
            breaker.end(&probe, End::Failed, now, 0.0);
        }
        now += seconds(60);
        let probe = breaker.admit(now).expect("a probe");
        breaker.end(&probe, End::Abandoned, now, 0.0);
        let probe = breaker.admit(now).expect("another, as the first was given up");
        breaker.end(&probe, End::Answered, now, 0.0);
        assert_eq!(breaker.state(), State::Closed);
        run(&mut breaker, &[(End::Failed, 20)], now);
        assert!(breaker.admit(now + seconds(5)).is_some(), "the first pause again");
    }

    #[test]
    fn a_call_from_before_says_nothing_about_the_time_after() {
        let mut breaker = Breaker::new();
        let late = breaker.admit(seconds(0)).expect("a pass");
        run(&mut breaker, &[(End::Failed, 20)], seconds(0));
        breaker.end(&late, End::Answered, seconds(1), 0.0);
        assert_eq!(breaker.state(), State::Open);
        let _probe = breaker.admit(seconds(5)).expect("a probe");
        breaker.end(&late, End::Answered, seconds(6), 0.0);
        assert_eq!(breaker.state(), State::HalfOpen);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait(u64),
        Begin,
        End(usize, End, f64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let end = prop_oneof![4 => Just(End::Failed), 2 => Just(End::Answered), 1 => Just(End::Abandoned)];
        prop_oneof![
            1 => (0u64..20_000).prop_map(Step::Wait),
            6 => Just(Step::Begin),
            6 => (any::<prop::sample::Index>(), end, 0.0..1.0).prop_map(|(index, end, chance)| Step::End(index.index(1_000), end, chance)),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_it_lets_one_probe_through_and_never_stays_shut(steps in prop::collection::vec(step(), 1..400)) {
            let (mut breaker, mut now, mut passes) = (Breaker::new(), Duration::ZERO, Vec::new());
            let (mut opened_at, mut probes) = (None, 0_u32);
            for step in steps {
                let before = breaker.state();
                match step {
                    Step::Wait(millis) => now += Duration::from_millis(millis),
                    Step::Begin => {
                        if let Some(pass) = breaker.admit(now) {
                            let is_probe = before != State::Closed;
                            probes += u32::from(is_probe);
                            prop_assert!(before != State::HalfOpen, "a second probe");
                            if let Some((at, shortest)) = opened_at.filter(|_| is_probe) {
                                prop_assert!(now >= at + shortest, "opened at {at:?}, probed at {now:?}");
                            }
                            passes.push((pass, is_probe));
                        }
                    }
                    Step::End(index, end, chance) if !passes.is_empty() => {
                        let (pass, is_probe) = passes.swap_remove(index % passes.len());
                        probes -= u32::from(is_probe);
                        breaker.end(&pass, end, now, chance);
                        if breaker.state() == State::Open && before != State::Open {
                            let is_pause = end == End::Failed;
                            opened_at = Some((now, if is_pause { FIRST_PAUSE.mul_f64(1.0 - JITTER) } else { Duration::ZERO }));
                        }
                    }
                    Step::End(..) => {}
                }
                prop_assert!(probes <= 1);
                prop_assert_eq!(probes == 1, breaker.state() == State::HalfOpen);
            }
            for (pass, _) in passes {
                breaker.end(&pass, End::Abandoned, now, 0.5);
            }
            prop_assert!(breaker.admit(now + LONGEST_PAUSE).is_some());
        }
    }
}
