//! The figures of a comparison as tables, and how its numbers are written.

use super::evidence::{Accepted, ByChapter, ByLevel, Comparison, Cost, Example, Night};
use crate::train::{Cell, Grid, signed, tenths, thousands};
use crate::trial::Interval;

/// Who is right, level by level.
pub(super) fn levels(levels: &[ByLevel]) -> Grid {
    let mut grid = Grid::new([
        "digits",
        "champion",
        "challenger",
        "difference",
        "both right",
        "lost",
        "gained",
        "neither",
        "p-value",
    ]);
    grid.rows.extend(levels.iter().map(|level| {
        let mut row = vec![
            Cell::Words(level.digits.to_string()),
            Cell::Number(tenths(level.champion_accuracy)),
            Cell::Number(tenths(level.challenger_accuracy)),
            difference(level.difference, &level.interval),
        ];
        let pairs = &level.pairs;
        row.extend([pairs.both_right, pairs.lost, pairs.gained, pairs.both_wrong].map(count));
        row.push(Cell::Number(p_value(level.mcnemar.p_value)));
        row
    }));
    grid
}

/// The same chapter by chapter, with the tests of a fall.
pub(super) fn chapters<'a>(chapters: impl Iterator<Item = &'a ByChapter>) -> Grid {
    let mut grid = Grid::new([
        "chapter",
        "texts",
        "difference",
        "lost",
        "gained",
        "codes differ",
        "falls by more, p",
        "does not, p",
    ]);
    grid.rows.extend(chapters.map(|chapter| {
        vec![
            Cell::Words(chapter.chapter.clone()),
            count(chapter.pairs.lines()),
            difference(chapter.difference, &chapter.interval),
            count(chapter.pairs.lost),
            count(chapter.pairs.gained),
            Cell::Number(tenths(chapter.churn_ratio)),
            Cell::Number(p_value(chapter.worse_p)),
            Cell::Number(p_value(chapter.not_worse_p)),
        ]
    }));
    grid
}

/// Lines with their descriptions.
pub(super) fn examples(examples: &[Example]) -> Grid {
    let mut grid = Grid::new(["known", "champion", "challenger", "description"]);
    let code = |code: &Option<String>| Cell::Words(code.clone().unwrap_or_else(none));
    grid.rows.extend(examples.iter().map(|e| {
        vec![Cell::Words(e.truth.clone()), code(&e.champion_hs6), code(&e.challenger_hs6), Cell::Words(e.text.clone())]
    }));
    grid
}

/// Every figure that both have.
pub(super) fn beside(c: &Comparison) -> Grid {
    let mut grid = Grid::new(["figure", "champion", "challenger"]);
    let mut row = |name: &str, champion: String, challenger: String| {
        grid.rows.push(vec![Cell::Words(name.to_string()), Cell::Number(champion), Cell::Number(challenger)]);
    };
    for at in &c.coverage {
        let name = format!("coverage at {:.0} % precision", 100.0 * at.precision);
        row(&name, tenths(at.champion_ratio), tenths(at.challenger_ratio));
    }
    let (ours, theirs) = (&c.champion_accepted, &c.challenger_accepted);
    row("accepted by its own policy", tenths(ours.coverage_ratio), tenths(theirs.coverage_ratio));
    let right = |a: &Accepted| a.precision.map_or_else(none, tenths);
    row("right of these", right(ours), right(theirs));
    let ends = |a: &Accepted| format!("{:.1} to {:.1}", 100.0 * a.precision_low, 100.0 * a.precision_high);
    row("95 % interval of that", ends(ours), ends(theirs));
    let (ours, theirs) = (&c.champion_calibration, &c.challenger_calibration);
    for (digits, a, b) in [(6, ours.hs6, theirs.hs6), (4, ours.hs4, theirs.hs4), (2, ours.hs2, theirs.hs2)] {
        row(&format!("calibration error at {digits} digits"), format!("{a:.3}"), format!("{b:.3}"));
    }
    let (ours, theirs) = (&c.champion_cost, &c.challenger_cost);
    let cpu = |cost: &Cost| format!("{:.1}", cost.cpu_secs_per_million);
    row("CPU-seconds for a million texts", cpu(ours), cpu(theirs));
    let memory = |cost: &Cost| cost.memory_bytes.map_or_else(none, megabytes);
    row("memory of the compiled model, MB", memory(ours), memory(theirs));
    row("size of the bundle, MB", megabytes(ours.bundle_bytes), megabytes(theirs.bundle_bytes));
    grid
}

/// The evidence of each night.
pub(super) fn nights(nights: &[Night]) -> Grid {
    let mut grid = Grid::new(["date", "decided pairs", "won by the challenger", "evidence"]);
    grid.rows.extend(nights.iter().map(|night| {
        vec![
            Cell::Words(night.date.clone()),
            count(night.discordant),
            count(night.gained),
            Cell::Number(evidence(night.ln_evidence)),
        ]
    }));
    grid
}

fn count(number: u64) -> Cell {
    Cell::Number(thousands(number as usize))
}

/// A difference in points with its interval.
fn difference(share: f64, interval: &Interval) -> Cell {
    let points = |share: f64| signed(100.0 * share);
    Cell::Ranged(points(share), format!("{} to {}", points(interval.low), points(interval.high)))
}

/// What is smaller than is shown is told as such.
pub(super) fn p_value(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".to_string() } else { format!("{p:.4}") }
}

/// The evidence itself, from its logarithm.
pub(super) fn evidence(ln: f64) -> String {
    let power = ln / std::f64::consts::LN_10;
    if power.abs() < 4.0 { short(ln.exp()) } else { format!("10^{power:.1}") }
}

/// A number in few digits.
pub(super) fn short(number: f64) -> String {
    let places = match number.abs() {
        size if size >= 100.0 => 0,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{number:.places$}");
    if places == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_string() }
}

fn none() -> String {
    "–".to_string()
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([20.0, 1234.5, 0.05, 2.5].map(short), ["20", "1234", "0.05", "2.5"]);
        assert_eq!([3.0f64.ln(), 50.0, -50.0].map(evidence), ["3", "10^21.7", "10^-21.7"]);
        assert_eq!([0.5, 1e-5].map(p_value), ["0.5000", "< 0.0001"]);
    }
}
