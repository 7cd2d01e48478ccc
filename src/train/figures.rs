//! Figures as facts, grids and drawings: the parts that a model card and an evaluation have in common.

use super::evaluate::{
    Accepted, By, ByDigits, Confusion, CoverageAt, Example, Interval, Metrics, Share, Slice, Slices,
};
use super::page::{Figure, Page};
use super::plot;
use super::table::{Cell, Grid, Table, percent, tenths, thousands};
use crate::error::Result;

/// Every figure that is one number.
pub fn facts(m: &Metrics) -> Table {
    let mut table = Table::default();
    table.row("right at six digits", &percent(m.accuracy.hs6), "");
    table.row("right at four digits", &percent(m.accuracy.hs4), "");
    table.row("right at two digits", &percent(m.accuracy.hs2), "");
    table.row("right code among the best five", &percent(m.accuracy.hs6_top_five), "");
    table.row("right at six digits, each description once", &percent(m.accuracy.hs6_of_texts), "");
    table.row("macro F1", &format!("{:.4}", m.macro_f1), "every subheading counts the same");
    let mut coverage = |at: &[CoverageAt], digits: &str| {
        for at in at {
            let name = format!(
                "coverage at {} precision at {digits} digits, threshold set on these rows",
                percent(at.precision)
            );
            table.row(&name, &percent(at.coverage_ratio), "");
        }
    };
    coverage(&m.coverage_at, "six");
    coverage(&m.four_digits.coverage_at, "four");
    coverage(&m.two_digits.coverage_at, "two");
    table.row("area under the risk–coverage curve", &format!("{:.4}", m.aurc), "lower is better");
    // A version that was measured by an earlier program has no such figures.
    let recorded = !m.reliability.hs6.is_empty();
    if recorded {
        table.row("area under the generalised risk–coverage curve", &format!("{:.4}", m.augrc), "lower is better");
    }
    for (digits, level) in [("four", &m.four_digits), ("two", &m.two_digits)] {
        if !level.risk_coverage.is_empty() {
            let name = format!("the same at {digits} digits");
            table.row(&name, &format!("{:.4}", level.augrc), "lower is better");
        }
    }
    for (digits, error) in m.calibration_error.each() {
        table.row(&format!("calibration error at {digits} digits"), &percent(*error), "");
    }
    for (digits, score) in m.brier.each().into_iter().filter(|_| recorded) {
        table.row(&format!("Brier score at {digits} digits"), &format!("{score:.4}"), "lower is better");
    }
    if m.vague.rows + m.vague.refused_rows > 0 {
        table.row("rows refused as vague", &thousands(m.vague.refused_rows), "texts that name no goods");
        table.row("rows labelled 000000", &thousands(m.vague.rows), "so labelled because they name no goods");
        let told = |share: Option<f64>| share.map_or_else(|| "–".to_string(), percent);
        table.row(
            "precision of the refusals",
            &told(m.vague.precision),
            "share of the refused that is labelled 000000",
        );
        table.row("recall of the refusals", &told(m.vague.recall), "share of those labelled 000000 that is refused");
    }
    table
}

/// What the policy accepted, and what it is sure of at fewer digits, in a few sentences.
pub fn accepted(m: &Metrics) -> String {
    let right = |picked: &Accepted, precision: f64| {
        format!(
            "{} of them are right ({}; 95 % interval {} to {}, Clopper–Pearson)",
            thousands(picked.right_rows),
            percent(precision),
            percent(picked.precision_low),
            percent(picked.precision_high),
        )
    };
    let rows = |picked: &Accepted| format!("{} rows ({})", thousands(picked.rows), percent(picked.coverage_ratio));
    let mut says = match m.accepted.precision {
        None => "The threshold accepted no row.".to_string(),
        Some(precision) => {
            format!("The threshold accepted {} without a person; {}.", rows(&m.accepted), right(&m.accepted, precision))
        }
    };
    for (picked, level, digits) in [(&m.heading_sure, "heading", "four"), (&m.chapter_sure, "chapter", "two")] {
        if let Some(precision) = picked.precision {
            let (rows, right) = (rows(picked), right(picked, precision));
            says += &format!(" Unsure of the subheading and sure of the {level}: {rows}; at {digits} digits {right}.");
        }
    }
    says
}

/// The few numbers that one looks for first.
pub fn tiles(m: &Metrics) -> Vec<(String, &'static str)> {
    let precision = m.accepted.precision.map_or_else(|| "–".to_string(), tenths);
    vec![
        (tenths(m.accuracy.hs6), "right at six digits"),
        (tenths(m.accuracy.hs4), "right at four digits"),
        (tenths(m.accuracy.hs6_top_five), "right code among five"),
        (tenths(m.accepted.coverage_ratio), "accepted without a person"),
        (precision, "right of the accepted"),
    ]
}

/// The reliability diagram and the risk–coverage curve.
pub fn drawings(m: &Metrics, target_precision: Option<f64>) -> Result<Vec<Figure>> {
    let mut drawn = Vec::new();
    if !m.reliability.hs6.is_empty() {
        let marks = [("●", "six digits"), ("▲", "four"), ("✕", "two")];
        drawn.push(Figure {
            title: "How often a confidence is right".into(),
            svg: plot::reliability(&m.reliability)?,
            marks: marks.map(|(sign, meaning)| (sign, meaning.to_string())).to_vec(),
            says:
                "Each mark is one of at most 15 bins of equally many rows. On the diagonal confidence is what it says, \
                   below it too sure. Upright lines: 95 % intervals at six digits."
                    .to_string(),
        });
    }
    if !m.risk_coverage.is_empty() {
        let (four, two) = (&m.four_digits.risk_coverage[..], &m.two_digits.risk_coverage[..]);
        let mut marks = vec![("━", "six digits, if the threshold were here".to_string())];
        if !four.is_empty() {
            marks.extend([("╍", "four".to_string()), ("┅", "two".to_string())]);
        }
        let own = match m.accepted.rows {
            0 => "",
            _ => "The dot is the policy's own threshold at six digits, with its 95 % interval. ",
        };
        let target =
            target_precision.map(|target| format!("The level line is the aim, {} wrong.", tenths(1.0 - target)));
        drawn.push(Figure {
            title: "What it costs to accept more".into(),
            svg: plot::risk_coverage(
                &ByDigits { hs6: &m.risk_coverage, hs4: four, hs2: two },
                &m.accepted,
                target_precision,
            )?,
            marks,
            says: format!("{own}{}", target.unwrap_or_default()),
        });
    }
    Ok(drawn)
}

/// Rows told apart, worst first.
pub fn slices(slices: &Slices) -> Grid {
    let by = By::of(slices);
    let by = by.column().unwrap_or(&slices.by);
    let mut grid =
        Grid::new([by, "rows", "right at six", "right at two", "accepted", "right of these", "over-confident by"]);
    let row = |slice: &Slice| {
        let coverage = match slice.coverage_interval {
            Some(Interval { low, high }) => Cell::Share(Some(Share { ratio: slice.coverage_ratio, low, high })),
            None => Cell::Number(tenths(slice.coverage_ratio)),
        };
        let gap = signed(100.0 * slice.calibration_gap);
        let gap = match slice.calibration_gap_interval {
            Some(Interval { low, high }) => {
                Cell::Ranged(gap, format!("{} to {}", signed(100.0 * low), signed(100.0 * high)))
            }
            None => Cell::Number(gap),
        };
        vec![
            Cell::Words(named(&slice.value, &slice.text)),
            Cell::count(slice.rows),
            Cell::Share(Some(slice.hs6)),
            Cell::Share(Some(slice.hs2)),
            coverage,
            Cell::Share(slice.precision),
            gap,
        ]
    };
    grid.rows = slices.slices.iter().chain(&slices.small).map(row).collect();
    grid
}

/// The title of such rows.
pub fn slices_title(slices: &Slices) -> String {
    By::of(slices).title()
}

/// The mistakes of the worst of such rows, value by value.
pub fn slice_examples(slices: &Slices) -> Grid {
    let by = By::of(slices);
    let mut header = vec![by.column().unwrap_or(&slices.by).to_string()];
    let mut rows = Vec::new();
    for slice in &slices.slices {
        let found = examples(&slice.examples);
        header.truncate(1);
        header.extend(found.header);
        let value = || Cell::Words(named(&slice.value, &slice.text));
        rows.extend(found.rows.into_iter().map(|row| std::iter::once(value()).chain(row).collect()));
    }
    Grid { header, rows }
}

/// How such rows are to be read.
pub const SLICES: &str = "Worst first, by the upper end of the 95 % interval (in brackets or below the share) at six digits, \
                          so that few rows do not lead by chance. Over-confident: mean confidence less the share right, in points, with \
                          the 95 % interval of the share right (Clopper and Pearson; Hoeffding 1956) around it.";

/// How confusions are to be read.
pub const CONFUSIONS: &str = "Known code, the code given in its place, and how many of the rows with the known code.";

/// What is taken for what.
pub fn confusions(found: &[Confusion]) -> Grid {
    let mut grid = Grid::new(["known", "predicted", "rows", "of known", "accepted", "agree in"]);
    let row = |c: &Confusion| {
        let agree = match c.agree_digits {
            4 => "heading",
            2 => "chapter",
            _ => "nothing",
        };
        vec![
            Cell::Words(named(c.truth.as_str(), &c.truth_text)),
            Cell::Words(named(c.predicted.as_str(), &c.predicted_text)),
            Cell::count(c.rows),
            Cell::count(c.truth_rows),
            Cell::count(c.accepted_rows),
            Cell::Words(agree.to_string()),
        ]
    };
    grid.rows = found.iter().map(row).collect();
    grid
}

/// Mistakes with their descriptions.
pub fn examples(found: &[Example]) -> Grid {
    let mut grid = Grid::new(["known", "predicted", "confidence", "accepted", "description"]);
    let row = |e: &Example| {
        vec![
            Cell::Words(e.truth.to_string()),
            Cell::Words(e.predicted.to_string()),
            Cell::Number(tenths(f64::from(e.confidence))),
            Cell::Words(if e.accepted { "yes" } else { "no" }.to_string()),
            Cell::Words(e.text.clone()),
        ]
    };
    grid.rows = found.iter().map(row).collect();
    grid
}

/// A number with its sign and one decimal.
pub fn signed(number: f64) -> String {
    match format!("{:.1}", number.abs()) {
        zero if zero == "0.0" => zero,
        size if number < 0.0 => format!("−{size}"),
        size => format!("+{size}"),
    }
}

/// A code with its text, where there is one.
fn named(code: &str, text: &Option<String>) -> String {
    text.as_ref().map_or_else(|| code.to_string(), |text| format!("{code} {}", shortened(text)))
}

/// Longest text of a code in a table, in characters.
const TEXT: usize = 60;

fn shortened(text: &str) -> String {
    if text.chars().count() <= TEXT {
        return text.to_string();
    }
    let cut: String = text.chars().take(TEXT - 1).collect();
    // Whole words, unless there is but one.
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    format!("{} …", words.trim_end_matches([',', ';', ' ']))
}

/// The slices as parts of a page.
pub fn slices_page(page: Page, all: &[Slices]) -> Page {
    all.iter().fold(page, |page, one| page.subsection(&slices_title(one), "").grid(&slices(one)))
}
