//! Bar charts drawn by the server: SVG without a `viewBox`, x in per cent and y in pixels, so bars stretch while text keeps its
//! size. Colours come from the stylesheet by class. Every chart brings its numbers as a table.

use askama::Template;

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
pub(super) fn highest(bars: &[Bar]) -> Option<(usize, &Bar)> {
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
