//! The summary of a session: how many accounts, when they were opened, who was renamed often. Pure: rows in, values out.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::twitch::TwitchUserId;

/// Creation days shown.
const TOP_DAYS: usize = 10;
/// Logins listed for one day.
const LOGINS_PER_DAY: usize = 1_000;
/// Renames that make an account worth listing.
pub const SUSPICIOUS_RENAMES: u32 = 3;
/// Accounts listed for their renames.
const RENAMERS: usize = 50;
/// Days of the short series.
const RECENT_DAYS: u64 = 60;

/// One account of the session, within the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFact {
    pub id: TwitchUserId,
    pub login: String,
    pub display_name: String,
    pub created_at: Option<DateTime<Utc>>,
    /// Whether its profile was asked for; false while the enrichment is on its way.
    pub is_read: bool,
}

/// Everything a summary is computed from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub accounts: Vec<AccountFact>,
    pub broadcasters: Vec<Broadcaster>,
    /// Changes of login this user could see, per account.
    pub renames: HashMap<TwitchUserId, u32>,
}

/// The answer of `GET /sessions/{uuid}/summary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub session_uuid: String,
    /// Distinct accounts seen.
    pub total_accounts: u64,
    /// Of these, how many have a known creation date.
    pub dated_accounts: u64,
    /// Of these, how many nobody has asked Twitch about yet.
    pub unread_accounts: u64,
    /// The UTC days on which most of them were opened.
    pub top_days: Vec<TopDay>,
    /// Accounts opened on each of the last days, oldest first; every day is there.
    pub recent_days: Vec<DayCount>,
    /// Accounts opened in each quarter, oldest first; every quarter since the first is there.
    pub quarters: Vec<QuarterCount>,
    pub broadcasters: Vec<Broadcaster>,
    /// Accounts with three or more renames.
    pub suspicious_renames_count: u64,
    /// Those of them with most renames.
    pub suspicious_accounts: Vec<RenamedAccount>,
    pub generated_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopDay {
    pub date: NaiveDate,
    pub count: u64,
    /// Sorted; the first thousand.
    pub logins: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    pub date: NaiveDate,
    pub count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarterCount {
    pub year: i32,
    /// 1 to 4.
    pub quarter: u32,
    pub count: u64,
}

/// A channel of the session. All are listed, whatever the filter, so that a page can offer them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcaster {
    pub broadcaster_id: TwitchUserId,
    pub broadcaster_login: String,
    pub capture_count: u64,
    /// Distinct accounts seen there.
    pub account_count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenamedAccount {
    pub twitch_user_id: TwitchUserId,
    pub login: String,
    pub display_name: String,
    pub rename_count: u32,
}

/// Computes the summary.
pub fn summarise(session_uuid: &str, facts: &Facts, now: DateTime<Utc>) -> Summary {
    let mut days: BTreeMap<NaiveDate, u64> = BTreeMap::new();
    for created_at in facts.accounts.iter().filter_map(|account| account.created_at) {
        *days.entry(created_at.date_naive()).or_default() += 1;
    }
    let renamed = renamed_accounts(facts);
    Summary {
        session_uuid: session_uuid.to_owned(),
        total_accounts: facts.accounts.len() as u64,
        dated_accounts: days.values().sum(),
        unread_accounts: facts.accounts.iter().filter(|account| !account.is_read).count() as u64,
        top_days: top_days(facts, &days),
        recent_days: recent_days(&days, now),
        quarters: quarters(&days, now),
        broadcasters: facts.broadcasters.clone(),
        suspicious_renames_count: renamed.len() as u64,
        suspicious_accounts: renamed.into_iter().take(RENAMERS).collect(),
        generated_at: now,
    }
}

fn top_days(facts: &Facts, days: &BTreeMap<NaiveDate, u64>) -> Vec<TopDay> {
    let mut ranked: Vec<(u64, NaiveDate)> = days.iter().map(|(date, count)| (*count, *date)).collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    ranked.truncate(TOP_DAYS);
    let mut logins: HashMap<NaiveDate, Vec<&str>> = ranked.iter().map(|(_, date)| (*date, Vec::new())).collect();
    for account in &facts.accounts {
        let listed = account.created_at.and_then(|at| logins.get_mut(&at.date_naive()));
        if let Some(listed) = listed {
            listed.push(&account.login);
        }
    }
    ranked
        .into_iter()
        .map(|(count, date)| {
            let mut logins = logins.remove(&date).unwrap_or_default();
            logins.sort_unstable();
            logins.truncate(LOGINS_PER_DAY);
            TopDay { date, count, logins: logins.into_iter().map(str::to_owned).collect() }
        })
        .collect()
}

fn recent_days(days: &BTreeMap<NaiveDate, u64>, now: DateTime<Utc>) -> Vec<DayCount> {
    let today = now.date_naive();
    (0..RECENT_DAYS)
        .rev()
        .filter_map(|back| today.checked_sub_days(Days::new(back)))
        .map(|date| DayCount { date, count: days.get(&date).copied().unwrap_or(0) })
        .collect()
}

fn quarters(days: &BTreeMap<NaiveDate, u64>, now: DateTime<Utc>) -> Vec<QuarterCount> {
    let index = |date: NaiveDate| date.year() * 4 + i32::try_from(date.month0() / 3).unwrap_or(0);
    let Some((first, _)) = days.first_key_value() else { return Vec::new() };
    let mut counts: BTreeMap<i32, u64> =
        (index(*first)..=index(now.date_naive())).map(|quarter| (quarter, 0)).collect();
    for (date, count) in days {
        *counts.entry(index(*date)).or_default() += count;
    }
    counts
        .into_iter()
        .map(|(quarter, count)| QuarterCount {
            year: quarter.div_euclid(4),
            quarter: u32::try_from(quarter.rem_euclid(4)).unwrap_or(0) + 1,
            count,
        })
        .collect()
}

fn renamed_accounts(facts: &Facts) -> Vec<RenamedAccount> {
    let mut renamed: Vec<RenamedAccount> = facts
        .accounts
        .iter()
        .filter_map(|account| {
            let rename_count = facts.renames.get(&account.id).copied().filter(|count| *count >= SUSPICIOUS_RENAMES)?;
            Some(RenamedAccount {
                twitch_user_id: account.id,
                login: account.login.clone(),
                display_name: account.display_name.clone(),
                rename_count,
            })
        })
        .collect();
    renamed.sort_unstable_by(|a, b| b.rename_count.cmp(&a.rename_count).then_with(|| a.login.cmp(&b.login)));
    renamed
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn account(id: i64, created: Option<(i32, u32, u32)>) -> AccountFact {
        AccountFact {
            id: TwitchUserId(id),
            login: format!("login{id}"),
            display_name: format!("Login{id}"),
            created_at: created.map(|(year, month, day)| Utc.with_ymd_and_hms(year, month, day, 23, 59, 59).unwrap()),
            is_read: created.is_some(),
        }
    }

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 14, 21, 45, 0).unwrap()
    }

    #[test]
    fn days_are_ranked_by_count_and_the_later_day_wins_a_tie() {
        let facts = Facts {
            accounts: vec![
                account(1, Some((2024, 1, 15))),
                account(2, Some((2024, 1, 15))),
                account(3, Some((2020, 5, 1))),
                account(4, Some((2021, 5, 1))),
                account(5, None),
            ],
            ..Facts::default()
        };
        let summary = summarise("s", &facts, now());
        let days: Vec<(String, u64)> = summary.top_days.iter().map(|day| (day.date.to_string(), day.count)).collect();
        assert_eq!(days, [("2024-01-15".into(), 2), ("2021-05-01".into(), 1), ("2020-05-01".into(), 1)]);
        assert_eq!(summary.top_days[0].logins, ["login1", "login2"]);
        assert_eq!((summary.total_accounts, summary.dated_accounts, summary.unread_accounts), (5, 4, 1));
    }

    #[test]
    fn a_day_lists_its_first_thousand_logins_and_counts_all() {
        let facts =
            Facts { accounts: (0..1_500).map(|id| account(id, Some((2024, 1, 15)))).collect(), ..Facts::default() };
        let day = &summarise("s", &facts, now()).top_days[0];
        assert_eq!((day.count, day.logins.len()), (1_500, 1_000));
        assert!(day.logins.is_sorted());
    }

    #[test]
    fn only_three_renames_or_more_are_listed_most_first() {
        let facts = Facts {
            accounts: (1..=4).map(|id| account(id, None)).collect(),
            renames: [(1, 2), (2, 3), (3, 7), (4, 3)].map(|(id, n)| (TwitchUserId(id), n)).into(),
            ..Facts::default()
        };
        let summary = summarise("s", &facts, now());
        let order: Vec<(i64, u32)> =
            summary.suspicious_accounts.iter().map(|a| (a.twitch_user_id.0, a.rename_count)).collect();
        assert_eq!(order, [(3, 7), (2, 3), (4, 3)]);
        assert_eq!(summary.suspicious_renames_count, 3);
    }

    #[test]
    fn an_empty_session_has_an_empty_summary() {
        let summary = summarise("s", &Facts::default(), now());
        assert_eq!((summary.total_accounts, summary.top_days.len(), summary.quarters.len()), (0, 0, 0));
        assert_eq!(summary.recent_days.len(), 60);
    }

    proptest! {
        #[test]
        fn every_dated_account_is_in_exactly_one_quarter(days in prop::collection::vec(0u32..6_000, 0..200)) {
            let first = NaiveDate::from_ymd_opt(2010, 1, 1).unwrap();
            let accounts: Vec<AccountFact> = days.iter().zip(1..).map(|(back, id)| {
                let date = first + Days::new(u64::from(*back));
                AccountFact { created_at: Some(date.and_hms_opt(0, 0, 0).unwrap().and_utc()), ..account(id, None) }
            }).collect();
            let summary = summarise("s", &Facts { accounts, ..Facts::default() }, now());
            prop_assert_eq!(summary.quarters.iter().map(|quarter| quarter.count).sum::<u64>(), days.len() as u64);
            prop_assert!(summary.quarters.windows(2).all(|pair| (pair[0].year, pair[0].quarter) < (pair[1].year, pair[1].quarter)));
            prop_assert!(summary.top_days.windows(2).all(|pair| (pair[0].count, pair[0].date) > (pair[1].count, pair[1].date)));
        }
    }
}
