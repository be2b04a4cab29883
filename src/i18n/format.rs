//! Numbers, days, instants and spans of time as words.
//!
//! Every function takes what templates have at hand, a value or a reference to one ([`Given`]), and returns text that still has
//! to be escaped like any other.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, TimeDelta, Timelike, Utc};

use super::Lang;

/// Narrow no-break space: French thousands and punctuation.
const NARROW: char = '\u{202f}';

const MONTHS_EN: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MONTHS_FR: [&str; 12] =
    ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."];

/// A value, or a reference to one: templates pass their variables by reference and their literals by value.
pub trait Given<T> {
    /// The value itself.
    fn given(&self) -> T;
}

impl Given<Self> for u64 {
    fn given(&self) -> Self {
        *self
    }
}

impl Given<u64> for usize {
    fn given(&self) -> u64 {
        u64::try_from(*self).unwrap_or(u64::MAX)
    }
}

impl Given<Self> for DateTime<Utc> {
    fn given(&self) -> Self {
        *self
    }
}

impl Given<Self> for NaiveDate {
    fn given(&self) -> Self {
        *self
    }
}

impl<T, V: Given<T>> Given<T> for &V {
    fn given(&self) -> T {
        (**self).given()
    }
}

impl Lang {
    /// A whole number with its thousands set apart: `1,234`, or `1 234` with narrow no-break spaces.
    pub fn n(self, n: impl Given<u64>) -> String {
        let digits = n.given().to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 3);
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(match self {
                    Self::En => ',',
                    Self::Fr => NARROW,
                });
            }
            text.push(digit);
        }
        text
    }

    /// A day: `10 Nov 2026`, `10 nov. 2026`.
    pub fn day(self, day: impl Given<NaiveDate>) -> String {
        let day = day.given();
        format!("{} {}", self.day_of_month(day), day.year())
    }

    /// A day without its year: `10 Nov`, `1er nov.`.
    pub fn day_of_month(self, day: impl Given<NaiveDate>) -> String {
        let day = day.given();
        let month = day.month0() as usize;
        match self {
            Self::En => format!("{} {}", day.day(), MONTHS_EN[month]),
            Self::Fr if day.day() == 1 => format!("1er {}", MONTHS_FR[month]),
            Self::Fr => format!("{} {}", day.day(), MONTHS_FR[month]),
        }
    }

    /// The UTC day of an instant: `10 Nov 2026`.
    pub fn date(self, at: impl Given<DateTime<Utc>>) -> String {
        self.day(at.given().date_naive())
    }

    /// An instant in UTC, without naming the zone: `14 Nov 2026, 21:42`, `14 nov. 2026 à 21:42`.
    pub fn datetime(self, at: impl Given<DateTime<Utc>>) -> String {
        let at = at.given();
        format!("{}{}{}", self.day(at.date_naive()), self.t(", ", " à "), self.time(at))
    }

    /// The hour of an instant in UTC, without naming the zone: `21:42`.
    pub fn time(self, at: impl Given<DateTime<Utc>>) -> String {
        let at = at.given();
        format!("{:02}:{:02}", at.hour(), at.minute())
    }

    /// An instant for machines: `2026-11-14T21:42:08Z`.
    pub fn iso(self, at: impl Given<DateTime<Utc>>) -> String {
        at.given().to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// How long ago `at` was, seen from `now`: `3 minutes ago`, `il y a 3 minutes`, `just now`.
    pub fn ago(self, at: impl Given<DateTime<Utc>>, now: impl Given<DateTime<Utc>>) -> String {
        let span = now.given() - at.given();
        if span < TimeDelta::minutes(1) {
            return self.t("just now", "à l’instant").to_owned();
        }
        match self {
            Self::En => format!("{} ago", self.span(span)),
            Self::Fr => format!("il y a {}", self.span(span)),
        }
    }

    /// How far ahead `at` is, seen from `now`: `in 23 hours`, `dans 23 heures`, `now`.
    pub fn ahead(self, at: impl Given<DateTime<Utc>>, now: impl Given<DateTime<Utc>>) -> String {
        let span = at.given() - now.given();
        if span < TimeDelta::minutes(1) {
            return self.t("within a minute", "dans moins d’une minute").to_owned();
        }
        // A day that began a moment ago is still "24 hours", not 23.
        format!("{} {}", self.t("in", "dans"), self.span(span + TimeDelta::seconds(30)))
    }

    /// The age of an account on the day of `now`: `4 days old`, `6 years old`; `4 jours`, `6 ans`.
    pub fn age(self, at: impl Given<DateTime<Utc>>, now: impl Given<DateTime<Utc>>) -> String {
        let days = u64::try_from((now.given() - at.given()).num_days()).unwrap_or(0);
        let mut text = if days < 60 {
            self.count(days, "day", "days", "jour", "jours")
        } else if days < 730 {
            self.count(days / 30, "month", "months", "mois", "mois")
        } else {
            self.count(days * 100 / 36_525, "year", "years", "an", "ans")
        };
        if self == Self::En {
            text.push_str(" old");
        }
        text
    }

    /// A span in its largest unit: `3 minutes`, `23 heures`, `4 days`.
    pub fn span(self, span: TimeDelta) -> String {
        let minutes = u64::try_from(span.num_minutes()).unwrap_or(0);
        if minutes < 60 {
            self.count(minutes, "minute", "minutes", "minute", "minutes")
        } else if minutes < 48 * 60 {
            self.count(minutes / 60, "hour", "hours", "heure", "heures")
        } else {
            self.count(minutes / (24 * 60), "day", "days", "jour", "jours")
        }
    }

    /// A span of seconds: `24 s`, `2 min`, `1 min 30 s`.
    pub fn seconds(self, seconds: impl Given<u64>) -> String {
        let seconds = seconds.given();
        let mut text = String::new();
        if seconds >= 60 {
            let _ = write!(text, "{}\u{a0}min", self.n(seconds / 60));
        }
        if !seconds.is_multiple_of(60) || seconds == 0 {
            let gap = if text.is_empty() { "" } else { " " };
            let _ = write!(text, "{gap}{}\u{a0}s", seconds % 60);
        }
        text
    }

    /// A share in whole per cent: `38%`, `38 %`.
    pub fn percent(self, part: impl Given<u64>, whole: impl Given<u64>) -> String {
        let (part, whole) = (part.given(), whole.given().max(1));
        let share = u128::from(part) * 100 / u128::from(whole);
        match self {
            Self::En => format!("{share}%"),
            Self::Fr => format!("{share}{NARROW}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    fn at(hour: u32, minute: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 14, hour, minute, 8).unwrap()
    }

    #[test]
    fn thousands_are_set_apart() {
        let of = |n: u64| (Lang::En.n(n), Lang::Fr.n(n));
        assert_eq!(of(7), ("7".into(), "7".into()));
        assert_eq!(of(999), ("999".into(), "999".into()));
        assert_eq!(of(1234), ("1,234".into(), "1\u{202f}234".into()));
        assert_eq!(of(1_234_567), ("1,234,567".into(), "1\u{202f}234\u{202f}567".into()));
    }

    #[test]
    fn dates_follow_the_habits_of_each_language() {
        assert_eq!(Lang::En.datetime(at(21, 42)), "14 Nov 2026, 21:42");
        assert_eq!(Lang::Fr.datetime(at(21, 2)), "14 nov. 2026 à 21:02");
        let first = NaiveDate::from_ymd_opt(2020, 2, 1).unwrap();
        assert_eq!(Lang::Fr.day(first), "1er févr. 2020");
        assert_eq!(Lang::En.day(first), "1 Feb 2020");
        assert_eq!(Lang::En.iso(at(21, 42)), "2026-11-14T21:42:08Z");
    }

    #[test]
    fn spans_use_their_largest_unit() {
        let now = at(21, 45);
        assert_eq!(Lang::En.ago(at(21, 42), now), "3 minutes ago");
        assert_eq!(Lang::Fr.ago(at(20, 44), now), "il y a 1 heure");
        assert_eq!(Lang::En.ago(now, now), "just now");
        assert_eq!(Lang::En.ago(at(22, 0), now), "just now");
        assert_eq!(Lang::Fr.ago(now - TimeDelta::days(3), now), "il y a 3 jours");
        assert_eq!(Lang::En.ahead(now + TimeDelta::hours(23), now), "in 23 hours");
        assert_eq!(Lang::En.ahead(now + TimeDelta::hours(24) - TimeDelta::seconds(2), now), "in 24 hours");
        assert_eq!(Lang::Fr.ahead(now, now), "dans moins d’une minute");
    }

    #[test]
    fn ages_and_seconds_and_shares() {
        let now = at(21, 45);
        assert_eq!(Lang::En.age(now - TimeDelta::days(4), now), "4 days old");
        assert_eq!(Lang::Fr.age(now - TimeDelta::days(2300), now), "6 ans");
        assert_eq!(Lang::En.age(now - TimeDelta::days(400), now), "13 months old");
        assert_eq!(Lang::En.seconds(24_u64), "24\u{a0}s");
        assert_eq!(Lang::Fr.seconds(90_u64), "1\u{a0}min 30\u{a0}s");
        assert_eq!(Lang::En.seconds(120_u64), "2\u{a0}min");
        assert_eq!(Lang::Fr.percent(1240_u64, 2318_u64), "53\u{202f}%");
        assert_eq!(Lang::En.percent(0_u64, 0_u64), "0%");
    }
}
