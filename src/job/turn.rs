//! Fairness between users within a priority: the turn that a job gets when it is enqueued. The rule stands in [`super`].

use sea_orm::{ConnectionTrait, DbErr};

use super::{Job, Priority};
use crate::db;

/// What the turn of a new job follows from: turns of living jobs of its priority, none where there is no such job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// The last of the same user's jobs, waiting, scheduled or running.
    pub own_last: Option<i64>,
    /// The first that waits.
    pub first_waiting: Option<i64>,
    /// The last that runs.
    pub last_running: Option<i64>,
    /// The last that is not due yet.
    pub last_scheduled: Option<i64>,
}

impl Turns {
    /// The turn at which the queue stands. A job that came back from a pause waits with a turn long past, which is why what
    /// runs counts too; where nothing waits or runs, those that will come back must not find themselves behind everybody.
    const fn head(self) -> i64 {
        match (self.first_waiting, self.last_running, self.last_scheduled) {
            (Some(waiting), Some(running), _) if running > waiting => running,
            (Some(waiting), _, _) => waiting,
            (None, Some(running), _) => running,
            (None, None, Some(scheduled)) => scheduled,
            (None, None, None) => 0,
        }
    }

    /// The turn of a job enqueued now: one past the user's own last, but never behind the queue's head.
    pub const fn next(self) -> i64 {
        match self.own_last {
            Some(last) if last >= self.head() => last.saturating_add(1),
            _ => self.head(),
        }
    }
}

/// Reads [`Turns`]: three times the user and the priority, then three times the priority. Every part is one look at the end
/// of an index, however long the queue is.
pub fn turns_statement() -> String {
    let own = |status: &str| {
        format!(
            "(SELECT MAX(turn) FROM jobs WHERE user_id = ? AND status = '{status}' AND priority = ?) AS own_{status}"
        )
    };
    let (pending, scheduled, running) = (own("pending"), own("scheduled"), own("running"));
    format!(
        "SELECT {pending}, {scheduled}, {running}, \
         (SELECT MIN(turn) FROM jobs WHERE status = 'pending' AND priority = ?) AS first_waiting, \
         (SELECT MAX(turn) FROM jobs WHERE status = 'running' AND priority = ?) AS last_running, \
         (SELECT MAX(turn) FROM jobs WHERE status = 'scheduled' AND priority = ?) AS last_scheduled"
    )
}

/// The turn of a job that `user_id` enqueues now. Two transactions at once may give the same turn; then the ids decide.
pub(super) async fn next_turn(txn: &impl ConnectionTrait, user_id: i64, priority: Priority) -> Result<i64, DbErr> {
    let (user, priority) = (user_id, priority as i32);
    let values = [
        user.into(),
        priority.into(),
        user.into(),
        priority.into(),
        user.into(),
        priority.into(),
        priority.into(),
        priority.into(),
        priority.into(),
    ];
    let rows = db::query(txn, &turns_statement(), values).await?;
    let Some(row) = rows.first() else { return Ok(0) };
    let turn = |column: &str| row.try_get::<Option<i64>>("", column);
    let turns = Turns {
        own_last: turn("own_pending")?.max(turn("own_scheduled")?).max(turn("own_running")?),
        first_waiting: turn("first_waiting")?,
        last_running: turn("last_running")?,
        last_scheduled: turn("last_scheduled")?,
    };
    Ok(turns.next())
}

/// Raises a waiting or scheduled job to `priority`, with a turn as if it were enqueued there now; whether it was lower. A job
/// that runs already stays as it is: nobody waits for its start.
pub async fn raise(txn: &impl ConnectionTrait, job: &Job, user_id: i64, priority: Priority) -> Result<bool, DbErr> {
    const WHERE: &str = "unique_key = ? AND status IN ('pending', 'scheduled') AND priority > ?";
    let (key, level) = (job.unique_key(), priority as i32);
    let sql = format!("SELECT id FROM jobs WHERE {WHERE}");
    if db::query(txn, &sql, [key.clone().into(), level.into()]).await?.is_empty() {
        return Ok(false);
    }
    let turn = next_turn(txn, user_id, priority).await?;
    let sql = format!("UPDATE jobs SET priority = ?, turn = ? WHERE {WHERE}");
    let values = [level.into(), turn.into(), key.into(), level.into()];
    Ok(db::execute(txn, &sql, values).await?.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    #[test]
    fn the_first_job_of_all_has_the_first_turn() {
        assert_eq!(Turns::default().next(), 0);
    }

    #[test]
    fn an_old_turn_that_comes_back_does_not_open_the_past_to_newcomers() {
        let turns = Turns { first_waiting: Some(3), last_running: Some(500), ..Turns::default() };
        assert_eq!(turns.next(), 500);
    }

    /// A queue of one priority without its database: (turn, id, user).
    #[derive(Debug, Default)]
    struct Model {
        waiting: BTreeSet<(i64, i64, u8)>,
        running: BTreeSet<(i64, i64, u8)>,
        ids: i64,
    }

    impl Model {
        fn enqueue(&mut self, user: u8) -> (i64, i64, u8) {
            let own = |jobs: &BTreeSet<(i64, i64, u8)>| jobs.iter().filter(|job| job.2 == user).map(|job| job.0).max();
            let turns = Turns {
                own_last: own(&self.waiting).max(own(&self.running)),
                first_waiting: self.waiting.first().map(|job| job.0),
                last_running: self.running.last().map(|job| job.0),
                last_scheduled: None,
            };
            self.ids += 1;
            let job = (turns.next(), self.ids, user);
            self.waiting.insert(job);
            job
        }

        fn ahead_of(&self, job: (i64, i64, u8), user: u8) -> usize {
            self.waiting.range(..job).filter(|ahead| ahead.2 == user).count()
        }
    }

    proptest! {
        #[test]
        fn a_turn_is_past_the_users_own_and_at_the_head_at_least(
            own_last in option::of(0..1_000_i64), first_waiting in option::of(0..1_000_i64),
            last_running in option::of(0..1_000_i64), last_scheduled in option::of(0..1_000_i64),
        ) {
            let turns = Turns { own_last, first_waiting, last_running, last_scheduled };
            let next = turns.next();
            prop_assert!(own_last.is_none_or(|last| next > last));
            prop_assert!(first_waiting.is_none_or(|first| next >= first));
            prop_assert!(next == turns.head() || Some(next - 1) == own_last, "no turn is skipped");
        }

        /// Whatever went before, whoever has `n` jobs waiting has at most `n + 2` of each other user's before the next one,
        /// and who has none at most one of each.
        #[test]
        fn nobody_waits_behind_another_users_backlog(steps in vec((0..6_u8, 0..4_u8, 1..60_usize), 1..60)) {
            let mut queue = Model::default();
            for (act, user, many) in steps {
                match act {
                    0 => for _ in 0..many { queue.enqueue(user); },
                    1 | 2 => for _ in 0..many {
                        queue.running.extend(queue.waiting.pop_first());
                    },
                    3 => drop(queue.running.pop_first()),
                    4 => queue.running.clear(),
                    _ => {
                        let own = queue.waiting.iter().filter(|job| job.2 == user).count();
                        let job = queue.enqueue(user);
                        let most = if own == 0 && !queue.running.iter().any(|job| job.2 == user) { 1 } else { own + 2 };
                        prop_assert_eq!(queue.ahead_of(job, user), own, "one's own jobs keep their order");
                        for other in (0..4).filter(|other| *other != user) {
                            prop_assert!(queue.ahead_of(job, other) <= most, "{:?} before {:?}", queue, job);
                        }
                    }
                }
            }
        }
    }
}
