//! Who goes first in the queue: priorities, then users in turn.

use sea_orm::DbBackend;
use tca::{
    capture::{self, Target},
    config::LimitSettings,
    db,
    job::{self, Job, Priority, claim_statement, turns_statement},
    twitch::TwitchUserId,
};

use crate::{
    queue::{Queue, captures},
    support::Backend,
};

const NOISY: i64 = 1;
const OTHER: i64 = 2;

/// Claims and finishes jobs one after the other; the captures in the order served.
async fn serve(queue: &Queue, count: usize) -> Vec<i64> {
    let mut served = Vec::new();
    for _ in 0..count {
        for claimed in queue.claim(1).await {
            served.push(claimed.job.capture_id());
            job::finish(&queue.db, &claimed.lease, queue.clock.now()).await.unwrap();
        }
    }
    served
}

on_each_backend! {
    async fn a_newcomer_is_served_within_the_next_batch_behind_a_thousand_jobs(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add_for(NOISY, 1..=1_000, Priority::Person).await;
        queue.add_for(OTHER, [2_001], Priority::Person).await;
        assert_eq!(captures(&queue.claim(8).await), [1, 2_001, 2, 3, 4, 5, 6, 7]);
        // Also later, while those of the first batch still run.
        queue.claim(100).await;
        queue.add_for(OTHER + 1, [2_002, 2_003], Priority::Person).await;
        assert_eq!(captures(&queue.claim(4).await), [108, 2_002, 109, 2_003]);
    }

    async fn two_users_take_turns_and_neither_catches_up_on_the_past(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add_for(NOISY, 1..=6, Priority::Person).await;
        assert_eq!(serve(&queue, 2).await, [1, 2]);
        queue.add_for(OTHER, 11..=16, Priority::Person).await;
        assert_eq!(serve(&queue, 10).await, [3, 11, 4, 12, 5, 13, 6, 14, 15, 16]);
    }

    async fn a_user_alone_is_served_in_order(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add_for(NOISY, 1..=5, Priority::Enrichment).await;
        assert_eq!(captures(&queue.claim(2).await), [1, 2]);
        queue.add_for(NOISY, 6..=8, Priority::Enrichment).await;
        assert_eq!(serve(&queue, 6).await, [3, 4, 5, 6, 7, 8]);
    }

    async fn priorities_come_before_turns(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add_for(OTHER, 11..=12, Priority::Planned).await;
        queue.add_for(NOISY, 1..=3, Priority::Person).await;
        assert_eq!(captures(&queue.claim(5).await), [1, 2, 3, 11, 12]);
    }

    async fn the_next_slice_of_a_long_job_goes_behind_those_who_wait(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add_for(NOISY, [1], Priority::Enrichment).await;
        queue.add_for(OTHER, 11..=13, Priority::Enrichment).await;
        let mut served = Vec::new();
        for slice in 2..=4 {
            let held = queue.claim(1).await.remove(0);
            served.push(held.job.capture_id());
            job::finish(&queue.db, &held.lease, queue.clock.now()).await.unwrap();
            queue.add_for(NOISY, [slice], Priority::Enrichment).await;
            served.extend(serve(&queue, 1).await);
        }
        assert_eq!(served, [1, 11, 2, 12, 3, 13]);
    }

    async fn what_a_person_asks_for_goes_before_what_was_planned(backend: Backend) {
        let queue = Queue::new(backend).await;
        queue.add_for(NOISY, 1..=3, Priority::Planned).await;
        queue.add_for(OTHER, [11], Priority::Planned).await;
        queue.add_for(NOISY, [21, 22], Priority::Person).await;
        let job = |capture_id| Job::FetchChatters { capture_id };
        assert!(job::raise(&queue.db, &job(3), NOISY, Priority::Person).await.unwrap());
        assert!(job::raise(&queue.db, &job(11), OTHER, Priority::Person).await.unwrap());
        assert!(!job::raise(&queue.db, &job(21), NOISY, Priority::Planned).await.unwrap(), "nothing becomes less urgent");
        assert!(!job::raise(&queue.db, &job(99), NOISY, Priority::Person).await.unwrap());
        let held = queue.claim(4).await;
        assert_eq!(captures(&held), [11, 21, 22, 3], "within a turn, what was asked for first");
        assert_eq!(captures(&queue.claim(4).await), [1, 2]);
        assert!(!job::raise(&queue.db, &job(1), NOISY, Priority::Person).await.unwrap(), "it runs already");
    }

    async fn a_request_that_joins_a_planned_capture_makes_it_urgent(backend: Backend) {
        let queue = Queue::new(backend).await;
        let (limits, target) = (LimitSettings { captures_per_hour: 9, max_chatters: 9, retention_days: 9 }, Target { broadcaster_id: TwitchUserId(5), broadcaster_login: "five".into() });
        let ask = async || capture::request(&queue.db, &queue.clock, &limits, OTHER, &target).await.unwrap();
        let sql = "INSERT INTO users (id, twitch_user_id, login, display_name, created_at, updated_at, last_login_at) \
                   VALUES (2, 2, 'two', 'Two', ?, ?, ?)";
        let now = queue.clock.now();
        db::execute(&queue.db, sql, [now.into(), now.into(), now.into()]).await.unwrap();
        let first = ask().await;
        db::execute(&queue.db, "UPDATE jobs SET priority = 1, turn = 40", []).await.unwrap();
        let second = ask().await;
        assert_eq!((second.capture_id, second.joined), (first.capture_id, true));
        assert_eq!(queue.value::<i32>("priority", first.capture_id).await, Priority::Person as i32);
        assert_eq!(queue.value::<i64>("turn", first.capture_id).await, 0, "its turn is one of its new priority");
    }
}

#[tokio::test]
async fn enqueueing_and_claiming_look_at_ends_of_indexes_on_mariadb() {
    let queue = Queue::new(Backend::MariaDb).await;
    for user in 1..=3 {
        queue.add_for(user, user * 1_000..user * 1_000 + 500, Priority::Person).await;
    }
    queue.claim(50).await;
    let explain = async |sql: String, values: Vec<sea_orm::Value>| {
        let plan = db::query(&queue.db, &format!("EXPLAIN {sql}"), values).await.unwrap();
        let text =
            |row: &sea_orm::QueryResult, column| row.try_get::<Option<String>>("", column).unwrap().unwrap_or_default();
        plan.iter().map(|row| (text(row, "key"), text(row, "Extra"))).collect::<Vec<_>>()
    };
    let values = [2, 0, 2, 0, 2, 0, 0, 0, 0].map(Into::into).to_vec();
    for (key, extra) in explain(turns_statement(), values).await {
        // MariaDB reads such a minimum or maximum while it plans; where it finds none, it says so.
        let at_once = ["Select tables optimized away", "No tables used", "No matching min/max row"];
        assert!(at_once.contains(&extra.as_str()), "{key}: {extra}");
    }
    for (key, extra) in explain(claim_statement(DbBackend::MySql, 8), Vec::new()).await {
        assert!(key == "idx_jobs_claim" && !extra.contains("filesort"), "{key}: {extra}");
    }
}
