//! What `tca jobs list` prints.

use std::collections::{BTreeMap, HashMap};

use crate::job::{Listed, STATUSES};

const HEADINGS: [&str; 8] = ["id", "type", "status", "attempt", "channel", "user", "when (UTC)", "reason"];

/// The jobs as an aligned table with a heading; `-` stands for what is not known.
pub fn table(jobs: &[Listed], channels: &HashMap<i64, String>, logins: &HashMap<i64, String>) -> String {
    let known = |names: &HashMap<i64, String>, id: Option<i64>| {
        id.and_then(|id| names.get(&id)).map_or_else(|| "-".to_owned(), |name| one_line(name))
    };
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(jobs.iter().map(|job| {
        [
            job.id.to_string(),
            one_line(&job.type_name),
            one_line(&job.status),
            format!("{}/{}", job.attempt, job.max_attempts),
            known(channels, job.capture_id),
            known(logins, job.user_id),
            job.at.format("%Y-%m-%d %H:%M:%S").to_string(),
            reason(job),
        ]
    }));
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut table = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    table
}

fn reason(job: &Listed) -> String {
    let parts = [job.error_kind.as_deref(), job.error_message.as_deref()];
    one_line(&parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
}

/// Some of these words come from elsewhere: nothing in them may move the cursor of a terminal.
fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many of the matching jobs are shown, and how many there are of each status.
pub fn sums(shown: usize, statuses: &[String], counts: &BTreeMap<(String, String), u64>) -> String {
    let mut by_status: BTreeMap<&str, u64> = BTreeMap::new();
    for ((_, status), jobs) in counts {
        *by_status.entry(status).or_default() += jobs;
    }
    let is_wanted = |status: &&str| statuses.is_empty() || statuses.iter().any(|wanted| wanted == status);
    let matching: u64 = by_status.iter().filter(|(status, _)| is_wanted(status)).map(|(_, jobs)| jobs).sum();
    let known = STATUSES.iter().map(|status| format!("{} {status}", by_status.get(status).copied().unwrap_or(0)));
    format!("\nShown: {shown} of {matching}. In all: {}.\n", known.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: i64, status: &str, message: Option<&str>) -> Listed {
        Listed {
            id,
            type_name: "FETCH_CHATTERS".to_owned(),
            job: None,
            status: status.to_owned(),
            attempt: 6,
            max_attempts: 6,
            user_id: Some(1),
            session_id: None,
            capture_id: Some(id),
            at: chrono::DateTime::UNIX_EPOCH,
            error_kind: message.map(|_| "twitch".to_owned()),
            error_message: message.map(str::to_owned),
        }
    }

    #[test]
    fn columns_are_aligned_and_what_is_not_known_is_a_dash() {
        let jobs = [job(12, "failed", Some("it\x1b[2J\nbroke")), job(3, "done", None)];
        let table = table(&jobs, &[(12, "somewhere".to_owned())].into(), &HashMap::new());
        assert_eq!(
            table,
            "id  type            status  attempt  channel    user  when (UTC)           reason\n\
             12  FETCH_CHATTERS  failed  6/6      somewhere  -     1970-01-01 00:00:00  twitch: it [2J broke\n\
             3   FETCH_CHATTERS  done    6/6      -          -     1970-01-01 00:00:00\n"
        );
    }

    #[test]
    fn sums_tell_what_is_not_shown() {
        let of = |status: &str| ("FETCH_CHATTERS".to_owned(), status.to_owned());
        let counts = [(of("failed"), 70), (of("done"), 3)].into();
        let all = "In all: 0 pending, 0 scheduled, 0 running, 3 done, 70 failed, 0 cancelled.\n";
        assert_eq!(sums(50, &["failed".to_owned()], &counts), format!("\nShown: 50 of 70. {all}"));
        assert_eq!(sums(73, &[], &counts), format!("\nShown: 73 of 73. {all}"));
    }
}
