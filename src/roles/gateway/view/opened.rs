//! The charts of when accounts were opened: by day and by quarter.

use chrono::{Datelike, NaiveDate};

use super::{
    analysis::QuarterCount,
    chart::{Bar, BarChart, Grid, highest},
};
use crate::i18n::Lang;

impl BarChart {
    /// Accounts by the day they were opened; `days` are consecutive, oldest first.
    pub fn last_days(l: Lang, days: &[(NaiveDate, u64)]) -> Self {
        let last = days.len().saturating_sub(1);
        let bar = |(index, (day, count)): (usize, &(NaiveDate, u64))| Bar {
            label: l.day_of_month(day),
            value: *count,
            tick: (index.is_multiple_of(15) && index + 8 < days.len() || index == last).then(|| l.day_of_month(day)),
        };
        let bars: Vec<Bar> = days.iter().enumerate().map(bar).collect();
        let grid = Grid {
            caption: l
                .t("Accounts by day opened (UTC)", "Comptes par jour d’ouverture (UTC)")
                .to_owned(),
            head: vec![l.t("Day", "Jour").to_owned(), l.t("Accounts", "Comptes").to_owned()],
            rows: days
                .iter()
                .rev()
                .map(|(day, count)| (l.day(day), vec![l.n(count)]))
                .collect(),
        };
        let total: u64 = days.iter().map(|(_, count)| count).sum();
        let finding = finding(l, &bars, total, l.t("a day", "par jour"));
        Self::new(l, "days", bars, grid).with_words(
            l.t("Opened in the last 60 days", "Ouverts ces 60 derniers jours"),
            l.t("Each bar is one day (UTC).", "Une barre par jour (UTC).")
                .to_owned(),
            finding,
            l.t("accounts a day", "comptes par jour"),
        )
    }

    /// Accounts by the quarter they were opened; quarters without any may be left out.
    pub fn by_quarter(l: Lang, quarters: &[QuarterCount]) -> Self {
        let filled = filled(quarters);
        let first_year = filled.first().map_or(0, |quarter| quarter.year);
        let years = filled.last().map_or(0, |quarter| quarter.year - first_year) + 1;
        let every = (years + 4) / 5;
        let bar = |quarter: &QuarterCount| Bar {
            label: quarter_label(l, quarter),
            value: quarter.count,
            tick: (quarter.quarter == 1 && (quarter.year - first_year) % every.max(1) == 0)
                .then(|| quarter.year.to_string()),
        };
        let bars: Vec<Bar> = filled.iter().map(bar).collect();
        let total = filled.iter().map(|quarter| quarter.count).sum();
        let finding = finding(l, &bars, total, l.t("a quarter", "par trimestre"));
        Self::new(l, "quarters", bars, quarter_grid(l, &filled)).with_words(
            l.t("Opened, all years", "Ouverts, toutes les années"),
            l.t(
                "Each bar is a quarter of a year (UTC).",
                "Une barre par trimestre (UTC).",
            )
            .to_owned(),
            finding,
            l.t("accounts a quarter", "comptes par trimestre"),
        )
    }
}

fn finding(l: Lang, bars: &[Bar], total: u64, per: &str) -> String {
    let Some((_, peak)) = highest(bars) else {
        return l
            .t(
                "No account was opened in this time.",
                "Aucun compte ouvert sur cette période.",
            )
            .to_owned();
    };
    let (total, most, label) = (l.accounts(total), l.n(peak.value), &peak.label);
    let least = l.n(bars.iter().map(|bar| bar.value).min().unwrap_or(0));
    match l {
        Lang::En => format!("{total}, between {least} and {most} {per}; the most: {label}."),
        Lang::Fr => format!("{total}, entre {least} et {most} {per} ; le plus : {label}."),
    }
}

fn quarter_label(l: Lang, quarter: &QuarterCount) -> String {
    format!("{}{} {}", l.t("Q", "T"), quarter.quarter, quarter.year)
}

/// Every quarter from the first to the last one given.
fn filled(quarters: &[QuarterCount]) -> Vec<QuarterCount> {
    let order = |quarter: &QuarterCount| quarter.year * 4 + i32::from(quarter.quarter) - 1;
    let Some((first, last)) = quarters.iter().map(order).min().zip(quarters.iter().map(order).max()) else {
        return Vec::new();
    };
    (first..=last)
        .map(|at| QuarterCount {
            year: at.div_euclid(4),
            quarter: u8::try_from(at.rem_euclid(4) + 1).unwrap_or(1),
            count: quarters
                .iter()
                .filter(|quarter| order(quarter) == at)
                .map(|quarter| quarter.count)
                .sum(),
        })
        .collect()
}

fn quarter_grid(l: Lang, filled: &[QuarterCount]) -> Grid {
    let mut head = vec![l.t("Year", "Année").to_owned()];
    head.extend((1..=4).map(|quarter| format!("{}{quarter}", l.t("Q", "T"))));
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for quarter in filled {
        let year = quarter.year.to_string();
        if rows.last().is_none_or(|(label, _)| *label != year) {
            rows.push((year, vec!["–".to_owned(); 4]));
        }
        if let Some((_, cells)) = rows.last_mut() {
            cells[usize::from(quarter.quarter.clamp(1, 4)) - 1] = l.n(quarter.count);
        }
    }
    rows.reverse();
    Grid {
        caption: l
            .t(
                "Accounts by quarter opened (UTC)",
                "Comptes par trimestre d’ouverture (UTC)",
            )
            .to_owned(),
        head,
        rows,
    }
}

impl QuarterCount {
    /// The quarter a day falls into, with no account yet.
    pub fn of(day: NaiveDate) -> Self {
        let quarter = u8::try_from(day.month0() / 3 + 1).unwrap_or(1);
        Self {
            year: day.year(),
            quarter,
            count: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_quarters_are_drawn_as_gaps() {
        let quarters = [
            QuarterCount {
                year: 2019,
                quarter: 4,
                count: 3,
            },
            QuarterCount {
                year: 2020,
                quarter: 2,
                count: 5,
            },
        ];
        let filled = filled(&quarters);
        assert_eq!(
            filled.iter().map(|quarter| quarter.count).collect::<Vec<_>>(),
            [3, 0, 5]
        );
        let grid = quarter_grid(Lang::En, &filled);
        assert_eq!(
            grid.rows[0],
            ("2020".to_owned(), vec!["0".into(), "5".into(), "–".into(), "–".into()])
        );
    }
}
