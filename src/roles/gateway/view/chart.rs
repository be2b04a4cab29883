//! Bar charts drawn by the server: SVG without a `viewBox`, x in per cent and y in pixels, so bars stretch while text keeps its
//! size. Colours come from the stylesheet by class. Every chart brings its numbers as a table.

use askama::Template;
use chrono::{Datelike, NaiveDate};

use super::analysis::QuarterCount;
use crate::i18n::Lang;

/// More marks than this are merged into wider ones.
const MARKS: usize = 120;
/// Top of the plot, in pixels from the top of the drawing; above it stands the label of the highest bar.
const TOP: f64 = 40.0;
/// Height of the plot in pixels.
const HEIGHT: f64 = 150.0;

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it stands for, as the label of the highest bar says it: `10 Nov 2026`.
    pub label: String,
    /// Its height.
    pub value: u64,
    /// The date label under it, if it has one.
    pub tick: Option<String>,
}

/// The numbers of a chart as a table.
#[derive(Clone, Debug)]
pub struct Grid {
    /// What the table shows.
    pub caption: String,
    /// The column heads, the first above the row heads.
    pub head: Vec<String>,
    /// A row head and its numbers.
    pub rows: Vec<(String, Vec<String>)>,
}

/// A bar chart with its caption, description and table. Renders to a `figure`; put it into a page with `|safe`.
#[derive(Clone, Debug, Template)]
#[template(path = "part/chart.html")]
pub struct BarChart {
    lang: Lang,
    id: &'static str,
    caption: String,
    note: String,
    finding: String,
    unit: String,
    bars: Vec<Bar>,
    grid: Grid,
}

struct Mark {
    x: String,
    width: String,
    y: String,
    height: String,
}

struct Rule {
    y: String,
    text_y: String,
    label: String,
}

struct Tick {
    x: String,
    anchor: &'static str,
    text: String,
    /// Left out on narrow screens.
    is_optional: bool,
}

struct Peak {
    x: String,
    y: String,
    anchor: &'static str,
    text: String,
}

/// Numbers on a chart are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "a pixel is coarser than any rounding here")]
fn float(n: u64) -> f64 {
    n as f64
}

impl BarChart {
    /// A chart of any bars; `id` must be unique in its page, `finding` says in a sentence what the chart shows.
    pub fn new(lang: Lang, id: &'static str, bars: Vec<Bar>, grid: Grid) -> Self {
        let (caption, note, finding, unit) = Default::default();
        Self {
            lang,
            id,
            caption,
            note,
            finding,
            unit,
            bars: merged(bars),
            grid,
        }
    }

    /// The same chart with its words: caption, note under it, finding and unit of the scale.
    #[must_use]
    pub fn with_words(mut self, caption: &str, note: String, finding: String, unit: &str) -> Self {
        caption.clone_into(&mut self.caption);
        self.note = note;
        self.finding = finding;
        unit.clone_into(&mut self.unit);
        self
    }

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

    fn is_empty(&self) -> bool {
        self.bars.iter().all(|bar| bar.value == 0)
    }

    /// The distance between two grid lines and the value at the top of the plot.
    fn scale(&self) -> (u64, u64) {
        let max = self.bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
        let mut unit = 1;
        loop {
            for step in [unit, 2 * unit, 5 * unit] {
                if step * 3 >= max {
                    return (step, step * max.div_ceil(step));
                }
            }
            unit *= 10;
        }
    }

    fn y(&self, value: u64) -> f64 {
        let (_, top) = self.scale();
        TOP + HEIGHT - HEIGHT * float(value) / float(top)
    }

    fn step(&self) -> f64 {
        100.0 / float(self.bars.len().max(1) as u64)
    }

    fn marks(&self) -> Vec<Mark> {
        let step = self.step();
        let mark = |(index, bar): (usize, &Bar)| {
            let height = (TOP + HEIGHT - self.y(bar.value)).max(1.0);
            Mark {
                x: format!("{:.2}%", (float(index as u64) + 0.1) * step),
                width: format!("{:.2}%", 0.8 * step),
                y: format!("{:.1}", TOP + HEIGHT - height),
                height: format!("{height:.1}"),
            }
        };
        self.bars
            .iter()
            .enumerate()
            .filter(|(_, bar)| bar.value > 0)
            .map(mark)
            .collect()
    }

    fn rules(&self) -> Vec<Rule> {
        let (step, top) = self.scale();
        let rule = |value: u64| {
            let y = self.y(value);
            let label = if value == top {
                format!("{} {}", self.lang.n(value), self.unit)
            } else {
                self.lang.n(value)
            };
            Rule {
                y: format!("{y:.1}"),
                text_y: format!("{:.1}", y - 4.0),
                label,
            }
        };
        (1..=top / step).map(|n| rule(n * step)).collect()
    }

    fn ticks(&self) -> Vec<Tick> {
        let last = self.bars.len().saturating_sub(1);
        let mut shown = 0_u32;
        let mut ticks = Vec::new();
        for (index, bar) in self.bars.iter().enumerate() {
            let Some(text) = bar.tick.clone() else { continue };
            let (x, anchor) = match index {
                0 => (0.0, "start"),
                _ if index == last => (100.0, "end"),
                _ => ((float(index as u64) + 0.5) * self.step(), "middle"),
            };
            ticks.push(Tick {
                x: format!("{x:.2}%"),
                anchor,
                text,
                is_optional: shown % 2 == 1 && index != last,
            });
            shown += 1;
        }
        ticks
    }

    /// The label of the highest bar, unless the scale's own labels stand there.
    fn peak(&self) -> Option<Peak> {
        let (index, bar) = highest(&self.bars)?;
        let x = (float(index as u64) + 0.5) * self.step();
        let anchor = if x > 70.0 { "end" } else { "middle" };
        let x = if x > 70.0 {
            (x + 0.5 * self.step()).min(100.0)
        } else {
            x
        };
        let text = format!("{} · {}", self.lang.n(bar.value), bar.label);
        (x > 35.0).then(|| Peak {
            x: format!("{x:.2}%"),
            y: format!("{:.1}", self.y(bar.value) - 6.0),
            anchor,
            text,
        })
    }
}

/// The first of the highest bars; `None` when all are zero.
fn highest(bars: &[Bar]) -> Option<(usize, &Bar)> {
    bars.iter()
        .enumerate()
        .rev()
        .max_by_key(|(_, bar)| bar.value)
        .filter(|(_, bar)| bar.value > 0)
}

/// Neighbours are added up until no more than [`MARKS`] are left.
fn merged(bars: Vec<Bar>) -> Vec<Bar> {
    let width = bars.len().div_ceil(MARKS).max(1);
    if width == 1 {
        return bars;
    }
    let one = |group: &[Bar]| Bar {
        label: format!("{} – {}", group[0].label, group[group.len() - 1].label),
        value: group.iter().map(|bar| bar.value).sum(),
        tick: group.iter().find_map(|bar| bar.tick.clone()),
    };
    bars.chunks(width).map(one).collect()
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

    fn chart(values: &[u64]) -> BarChart {
        let bar = |(index, value): (usize, &u64)| Bar {
            label: format!("bar {index}"),
            value: *value,
            tick: None,
        };
        let grid = Grid {
            caption: String::new(),
            head: Vec::new(),
            rows: Vec::new(),
        };
        BarChart::new(Lang::En, "test", values.iter().enumerate().map(bar).collect(), grid)
    }

    #[test]
    fn the_scale_has_two_or_three_round_lines_and_holds_the_highest_bar() {
        for (max, expected) in [
            (0, (1, 1)),
            (1, (1, 1)),
            (3, (1, 3)),
            (4, (2, 4)),
            (84, (50, 100)),
            (61, (50, 100)),
            (1234, (500, 1500)),
        ] {
            let chart = chart(&[0, max]);
            assert_eq!(chart.scale(), expected, "{max}");
            assert!(chart.y(max) >= TOP);
        }
    }

    #[test]
    fn more_than_120_bars_are_merged_without_losing_anybody() {
        let values: Vec<u64> = (0..500).collect();
        let chart = chart(&values);
        assert!(chart.bars.len() <= MARKS);
        assert_eq!(
            chart.bars.iter().map(|bar| bar.value).sum::<u64>(),
            values.iter().sum::<u64>()
        );
    }

    #[test]
    fn nothing_to_draw_is_said_in_words() {
        assert!(chart(&[]).is_empty());
        assert!(chart(&[0, 0]).peak().is_none());
        assert!(!chart(&[]).render().unwrap().contains("<rect"));
    }

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

    #[test]
    fn hostile_labels_stay_text() {
        let grid = Grid {
            caption: "<b>".into(),
            head: vec!["<i>".into()],
            rows: vec![("<u>".into(), Vec::new())],
        };
        let bars = vec![
            Bar {
                label: "<svg onload=1>".into(),
                value: 5,
                tick: Some("<s>".into())
            };
            9
        ];
        let html = BarChart::new(Lang::Fr, "x", bars, grid)
            .with_words("<em>", "<q>".into(), "<p>".into(), "<a>")
            .to_string();
        for tag in ["<b>", "<i>", "<u>", "<svg onload", "<s>", "<em>", "<q>", "<p>", "<a>"] {
            assert!(!html.contains(tag), "{tag}");
        }
    }
}
