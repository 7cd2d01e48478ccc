//! What is told of the order and the size of confidences: risk by coverage, and how honest the numbers are.
//!
//! Of scored rows alone. Rows of one confidence are always taken together, so no figure depends on the order of rows.

use serde::{Deserialize, Serialize};

use super::Scored;
use crate::train::table::ratio;

/// Bins of the calibration error.
const BINS: usize = 15;

/// Most points of the risk–coverage curve.
const CURVE_POINTS: usize = 50;

/// One figure for each level of the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ByDigits<T> {
    /// Of the confidence in six digits.
    pub hs6: T,
    /// Of the confidence in four digits.
    pub hs4: T,
    /// Of the confidence in two digits.
    pub hs2: T,
}

impl<T> ByDigits<T> {
    /// Each level by the number of its digits, in words.
    pub fn each(&self) -> [(&'static str, &T); 3] {
        [("six", &self.hs6), ("four", &self.hs4), ("two", &self.hs2)]
    }

    /// One figure from the rows of each level.
    pub(super) fn of(rows: &[Scored<'_>], figure: impl Fn(&[Step]) -> T) -> ByDigits<T> {
        let at = |digits| figure(&steps(rows, digits));
        ByDigits { hs6: at(6), hs4: at(4), hs2: at(2) }
    }
}

/// The most rows that can be accepted, by confidence, with a precision no lower than wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CoverageAt {
    /// The precision that is wanted.
    pub precision: f64,
    /// Rows accepted.
    pub rows: usize,
    /// Their share of all rows.
    pub coverage_ratio: f64,
    /// The lowest confidence accepted; `None` when no row can be.
    pub confidence: Option<f32>,
}

/// Rows of neighbouring confidences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bin {
    /// Rows in it.
    pub rows: usize,
    /// Mean of their confidences.
    pub mean_confidence: f64,
    /// Share of them that is right.
    pub right_ratio: f64,
    /// Of these, how many.
    pub right_rows: usize,
}

/// A point of the risk–coverage curve (Geifman and El-Yaniv, "Selective classification for deep neural networks",
/// NeurIPS 2017, section 2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RiskPoint {
    /// Share of all rows with at least this confidence.
    pub coverage_ratio: f64,
    /// Share of those that is wrong.
    pub risk_ratio: f64,
    /// The confidence.
    pub confidence: f32,
}

/// Scored rows of one and the same confidence.
pub(super) struct Step {
    confidence: f32,
    rows: usize,
    right: usize,
}

/// The scored rows by the confidence in their first `digits` digits, most confident first, ties together.
pub(super) fn steps(rows: &[Scored<'_>], digits: usize) -> Vec<Step> {
    let confidence = |row: &Scored<'_>| {
        let (_, best) = row.top.first()?;
        Some(match digits {
            2 => row.confidence_chapter,
            4 => row.confidence_heading,
            _ => *best,
        })
    };
    let mut sorted: Vec<(f32, bool)> =
        rows.iter().filter_map(|row| Some((confidence(row)?, row.right(digits)))).collect();
    sorted.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let tie = |tied: &[(f32, bool)]| Step {
        confidence: tied[0].0,
        rows: tied.len(),
        right: tied.iter().filter(|(_, right)| *right).count(),
    };
    sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()).map(tie).collect()
}

/// Joins ties, of which `rows_of` gives the rows, into at most `parts` runs of equally many rows, as equal as ties allow.
pub(super) fn equal_parts<T>(steps: &[T], parts: usize, rows_of: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let rows: usize = steps.iter().map(&rows_of).sum();
    let (mut runs, mut start, mut seen, mut next) = (Vec::new(), 0, 0, 1);
    for (at, step) in steps.iter().enumerate() {
        seen += rows_of(step);
        if seen * parts >= next * rows {
            runs.push(&steps[start..=at]);
            start = at + 1;
            next = seen * parts / rows + 1;
        }
    }
    runs
}

/// See [`CoverageAt`].
pub(super) fn coverage_at(steps: &[Step], precision: f64, all_rows: usize) -> CoverageAt {
    let mut best = CoverageAt { precision, rows: 0, coverage_ratio: 0.0, confidence: None };
    let (mut rows, mut right) = (0, 0);
    for step in steps {
        rows += step.rows;
        right += step.right;
        if ratio(right, rows) >= precision {
            let confidence = Some(step.confidence);
            best = CoverageAt { precision, rows, coverage_ratio: ratio(rows, all_rows), confidence };
        }
    }
    best
}

/// At most 15 bins of equally many rows, most confident first; a tie is never parted, so there can be fewer.
pub(super) fn reliability(steps: &[Step]) -> Vec<Bin> {
    let bin = |steps: &[Step]| {
        let (rows, right_rows) = (steps.iter().map(|s| s.rows).sum(), steps.iter().map(|s| s.right).sum());
        let confidences: f64 = steps.iter().map(|s| f64::from(s.confidence) * s.rows as f64).sum();
        Bin { rows, mean_confidence: confidences / rows as f64, right_ratio: ratio(right_rows, rows), right_rows }
    };
    equal_parts(steps, BINS, |step| step.rows).into_iter().map(bin).collect()
}

/// Expected calibration error: `Σ (rows of bin / rows) · |share right − mean confidence|` over bins of equally many rows
/// (equal mass: Nixon et al., "Measuring calibration in deep learning", 2019, section 4).
pub(super) fn calibration_error(steps: &[Step]) -> f64 {
    let bins = reliability(steps);
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    let sum: f64 = bins.iter().map(|bin| bin.rows as f64 * (bin.right_ratio - bin.mean_confidence).abs()).sum();
    if rows == 0 { 0.0 } else { sum / rows as f64 }
}

/// Brier score of the first choice: the mean of `(confidence − right)²`, where `right` is 1 or 0 (Brier, "Verification
/// of forecasts expressed in terms of probability", 1950, equation 2, for one event).
pub(super) fn brier(steps: &[Step]) -> f64 {
    let rows: usize = steps.iter().map(|step| step.rows).sum();
    let of_step = |step: &Step| {
        let confidence = f64::from(step.confidence);
        step.right as f64 * (1.0 - confidence).powi(2) + (step.rows - step.right) as f64 * confidence.powi(2)
    };
    if rows == 0 { 0.0 } else { steps.iter().map(of_step).sum::<f64>() / rows as f64 }
}

/// The curve, at most 50 points.
pub(super) fn risk_coverage(steps: &[Step], all_rows: usize) -> Vec<RiskPoint> {
    let (mut rows, mut right) = (0, 0);
    let mut points = Vec::new();
    for part in equal_parts(steps, CURVE_POINTS, |step| step.rows) {
        rows += part.iter().map(|step| step.rows).sum::<usize>();
        right += part.iter().map(|step| step.right).sum::<usize>();
        if let Some(last) = part.last() {
            let (coverage_ratio, risk_ratio) = (ratio(rows, all_rows), ratio(rows - right, rows));
            points.push(RiskPoint { coverage_ratio, risk_ratio, confidence: last.confidence });
        }
    }
    points
}

/// Area under the risk–coverage curve: the mean, over each number of most confident rows, of the share of them
/// that is wrong (Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation", ICLR 2019, section 2), with
/// the wrong rows spread evenly inside a tie.
pub(super) fn aurc(steps: &[Step]) -> f64 {
    let (mut rows, mut wrong, mut sum) = (0_usize, 0_usize, 0.0);
    for step in steps {
        let wrong_of_step = step.rows - step.right;
        let wrong_per_row = ratio(wrong_of_step, step.rows);
        for taken in 1..=step.rows {
            sum += (wrong as f64 + taken as f64 * wrong_per_row) / (rows + taken) as f64;
        }
        rows += step.rows;
        wrong += wrong_of_step;
    }
    if rows == 0 { 0.0 } else { sum / rows as f64 }
}

/// Area under the generalised risk–coverage curve (Traub et al., "Overcoming common flaws in the evaluation of selective
/// classification systems", NeurIPS 2024, section 3.2): the generalised risk at a threshold is the share of all rows that
/// is accepted and wrong, and the area over the coverage is taken between the thresholds that part no tie. It is the mean
/// risk of a mistake that nobody looks at, when any threshold is as likely as another, and at most 1/2.
pub(super) fn augrc(steps: &[Step]) -> f64 {
    let rows: usize = steps.iter().map(|step| step.rows).sum();
    let (mut wrong, mut doubled) = (0, 0.0);
    for step in steps {
        let with_step = wrong + step.rows - step.right;
        doubled += step.rows as f64 * (wrong + with_step) as f64;
        wrong = with_step;
    }
    if rows == 0 { 0.0 } else { doubled / 2.0 / (rows as f64).powi(2) }
}
