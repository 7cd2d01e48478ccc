//! How good a model is on rows whose code is known, as figures that two models can be compared by.
//!
//! The figures do not depend on the order of the rows: rows of equal confidence are always taken together. A row
//! without a prediction counts as not right and is never covered, so refusing rows cannot make a model look better.
//! Confidences must be numbers between 0 and 1.

mod bins;
mod confusions;
mod curve;
mod interval;
mod slices;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use bins::binned;
pub use confusions::{Confusion, Example, confusions, surest_mistakes};
pub use curve::{Bin, ByDigits, CoverageAt, RiskPoint};
pub use interval::{Interval, Share, clopper_pearson};
pub use slices::{By, ClassRows, Slice, Slices, slices, support_buckets};

use super::table::ratio;
use crate::tariff::Subheading;

/// Precisions at which the coverage is told.
const PRECISIONS: [f64; 3] = [0.98, 0.95, 0.90];

/// One row with its known code and what the model and the policy said.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// The code that the row carries.
    pub truth: Subheading,
    /// The best codes with their calibrated confidence, best first; empty when the row could not be scored.
    pub top: &'a [(Subheading, f32)],
    /// Calibrated probability that the first four digits of the best code are right.
    pub confidence_heading: f32,
    /// Calibrated probability that the first two digits of the best code are right.
    pub confidence_chapter: f32,
    /// Whether this is the first row with its description.
    pub first_of_text: bool,
    /// Whether the policy accepted it without a person.
    pub accepted: bool,
    /// What the policy is sure of where the subheading is not.
    pub sure_of: Option<SureOf>,
}

/// Fewer digits than six.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SureOf {
    /// The first four.
    Heading,
    /// The first two.
    Chapter,
}

impl Scored<'_> {
    /// Whether the best code agrees with the known one in its first `digits` digits.
    fn right(&self, digits: usize) -> bool {
        self.top.first().is_some_and(|(code, _)| self.agrees(code, digits))
    }

    /// Whether one of the best five does.
    fn among_five(&self, digits: usize) -> bool {
        self.top.iter().take(5).any(|(code, _)| self.agrees(code, digits))
    }

    fn agrees(&self, code: &Subheading, digits: usize) -> bool {
        code.as_str()[..digits] == self.truth.as_str()[..digits]
    }
}

/// The figures of one model on one set of rows. Shares are between 0 and 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// All rows.
    pub rows: usize,
    /// Distinct descriptions among them.
    pub texts: usize,
    /// Rows without a prediction.
    pub unscored_rows: usize,
    /// How often the best code is right.
    pub accuracy: Accuracy,
    /// How many rows can do without a person at a wanted precision, if the threshold were set on these very rows:
    /// an optimistic figure to compare models by, not a promise.
    pub coverage_at: Vec<CoverageAt>,
    /// Mean over subheadings of F1 = 2 TP / (2 TP + FP + FN), taken over those that are known or predicted for any
    /// row; every subheading counts the same however rare.
    pub macro_f1: f64,
    /// How far the confidence is from the share that is right, over scored rows: `Σ (rows of bin / rows) · |share right −
    /// mean confidence|`, with 15 bins of equally many rows.
    pub calibration_error: ByDigits<f64>,
    /// Mean of `(confidence − right)²` over scored rows, where `right` is 1 or 0; lower is better.
    pub brier: ByDigits<f64>,
    /// The bins behind the calibration error, most confident first.
    pub reliability: ByDigits<Vec<Bin>>,
    /// What the policy accepted.
    pub accepted: Accepted,
    /// Rows whose subheading is not sure and whose heading is, and whether its four digits are right.
    pub heading_sure: Accepted,
    /// Rows of which only the chapter is sure, and whether its two digits are right.
    pub chapter_sure: Accepted,
    /// Risk at growing coverage; at most 50 points.
    pub risk_coverage: Vec<RiskPoint>,
    /// Area under the risk–coverage curve: the mean share of wrong ones among the 1, 2, 3, … most confident rows. Over
    /// scored rows; lower is better.
    pub aurc: f64,
    /// Area under the generalised risk–coverage curve: the mean, over all coverages, of the share of rows that is accepted
    /// and wrong. Over scored rows; lower is better, 1/2 at most.
    pub augrc: f64,
    /// The same by the confidence in the heading, where four right digits are right.
    pub four_digits: Selective,
    /// The same by the confidence in the chapter, where two right digits are right.
    pub two_digits: Selective,
    /// By chapter of the known code, lowest accuracy first.
    pub chapters: Vec<Chapter>,
    /// How well texts that name no goods are told from the others; their rows are not among the figures above.
    pub vague: Vague,
}

impl Metrics {
    /// Share of the rows that can do without a person at one of the precisions that are told; 0 at another.
    pub fn coverage(&self, precision: f64) -> f64 {
        self.coverage_at.iter().find(|at| at.precision == precision).map_or(0.0, |at| at.coverage_ratio)
    }
}

/// What it costs to accept more at one level of the code; see the fields of the same names in [`Metrics`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selective {
    /// At each precision.
    pub coverage_at: Vec<CoverageAt>,
    /// At most 50 points.
    pub risk_coverage: Vec<RiskPoint>,
    /// Over scored rows; lower is better.
    pub augrc: f64,
}

impl Selective {
    fn of(steps: &[curve::Step], rows: usize) -> Selective {
        Selective {
            coverage_at: PRECISIONS.iter().map(|p| curve::coverage_at(steps, *p, rows)).collect(),
            risk_coverage: curve::risk_coverage(steps, rows),
            augrc: curve::augrc(steps),
        }
    }
}

/// Refusals of texts that name no goods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vague {
    /// Rows whose label says that the text names no goods.
    pub rows: usize,
    /// Rows of any label that were refused as vague.
    pub refused_rows: usize,
    /// Rows that are both.
    pub right_rows: usize,
    /// `right_rows / refused_rows`; `None` when nothing was refused, or nothing is labelled so.
    pub precision: Option<f64>,
    /// `right_rows / rows`; `None` when there are no such rows.
    pub recall: Option<f64>,
}

impl Vague {
    /// Of rows: whether the label says so, and whether it was refused as such.
    pub fn of(rows: impl Iterator<Item = (bool, bool)>) -> Vague {
        let mut found = Vague::default();
        for (labelled, refused) in rows {
            found.rows += usize::from(labelled);
            found.refused_rows += usize::from(refused);
            found.right_rows += usize::from(labelled && refused);
        }
        let labelled = found.rows > 0;
        found.precision = (labelled && found.refused_rows > 0).then(|| ratio(found.right_rows, found.refused_rows));
        found.recall = (found.rows > 0).then(|| ratio(found.right_rows, found.rows));
        found
    }
}

/// Shares of all rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Accuracy {
    /// All six digits of the best code are right.
    pub hs6: f64,
    /// Its first four digits are right.
    pub hs4: f64,
    /// Its first two digits are right.
    pub hs2: f64,
    /// The right code is among the best five.
    pub hs6_top_five: f64,
    /// The first four digits of one of the best five are right.
    pub hs4_top_five: f64,
    /// The first two digits of one of the best five are right.
    pub hs2_top_five: f64,
    /// As `hs6`, with each distinct description counted once, by its first row.
    pub hs6_of_texts: f64,
}

/// Rows that the policy picked, such as those that it accepted without a person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Accepted {
    /// These rows.
    pub rows: usize,
    /// Of these, rows with the right digits, which are six unless something else is said.
    pub right_rows: usize,
    /// Their share of all rows.
    pub coverage_ratio: f64,
    /// Share of them that is right; `None` when there is none.
    pub precision: Option<f64>,
    /// Lower end of the 95 % interval of the precision; see [`clopper_pearson`].
    pub precision_low: f64,
    /// Upper end of that interval.
    pub precision_high: f64,
}

/// The rows whose known code is in one chapter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chapter {
    /// Two digits.
    pub chapter: String,
    /// Its rows.
    pub rows: usize,
    /// Share of them with the right six digits.
    pub accuracy: f64,
    /// Rows accepted.
    pub accepted_rows: usize,
    /// Their share of the chapter's rows.
    pub coverage_ratio: f64,
    /// Share of them that is right; `None` when no row is accepted.
    pub precision: Option<f64>,
}

/// Computes every figure.
pub fn evaluate(rows: &[Scored<'_>]) -> Metrics {
    let share = |right: &dyn Fn(&Scored<'_>) -> bool| ratio(rows.iter().filter(|r| right(r)).count(), rows.len());
    let texts = rows.iter().filter(|r| r.first_of_text).count();
    let right_texts = rows.iter().filter(|r| r.first_of_text && r.right(6)).count();
    let hs6 = curve::steps(rows, 6);
    let at_six = Selective::of(&hs6, rows.len());
    let fewer = |digits: usize| Selective::of(&curve::steps(rows, digits), rows.len());
    let sure_of = |level: SureOf, digits: usize| picked(rows, |row| row.sure_of == Some(level), digits);
    Metrics {
        rows: rows.len(),
        texts,
        unscored_rows: rows.iter().filter(|r| r.top.is_empty()).count(),
        accuracy: Accuracy {
            hs6: share(&|r| r.right(6)),
            hs4: share(&|r| r.right(4)),
            hs2: share(&|r| r.right(2)),
            hs6_top_five: share(&|r| r.among_five(6)),
            hs4_top_five: share(&|r| r.among_five(4)),
            hs2_top_five: share(&|r| r.among_five(2)),
            hs6_of_texts: ratio(right_texts, texts),
        },
        coverage_at: at_six.coverage_at,
        macro_f1: macro_f1(rows),
        calibration_error: ByDigits::of(rows, curve::calibration_error),
        brier: ByDigits::of(rows, curve::brier),
        reliability: ByDigits::of(rows, curve::reliability),
        accepted: picked(rows, |row| row.accepted, 6),
        heading_sure: sure_of(SureOf::Heading, 4),
        chapter_sure: sure_of(SureOf::Chapter, 2),
        risk_coverage: at_six.risk_coverage,
        aurc: curve::aurc(&hs6),
        augrc: at_six.augrc,
        four_digits: fewer(4),
        two_digits: fewer(2),
        chapters: chapters(rows),
        vague: Vague::default(),
    }
}

fn macro_f1(rows: &[Scored<'_>]) -> f64 {
    /// Right, and all that were known or predicted.
    #[derive(Default)]
    struct Class {
        hits: usize,
        known: usize,
        predicted: usize,
    }
    let mut classes: BTreeMap<Subheading, Class> = BTreeMap::new();
    for row in rows {
        classes.entry(row.truth).or_default().known += 1;
        if let Some((code, _)) = row.top.first() {
            let class = classes.entry(*code).or_default();
            class.predicted += 1;
            class.hits += usize::from(*code == row.truth);
        }
    }
    // 2 TP + FP + FN = predicted + known
    let sum: f64 = classes.values().map(|c| ratio(2 * c.hits, c.predicted + c.known)).sum();
    if classes.is_empty() { 0.0 } else { sum / classes.len() as f64 }
}

fn picked(rows: &[Scored<'_>], is: impl Fn(&Scored<'_>) -> bool, digits: usize) -> Accepted {
    let picked = rows.iter().filter(|row| is(row)).count();
    let right_rows = rows.iter().filter(|row| is(row) && row.right(digits)).count();
    let (precision_low, precision_high) = clopper_pearson(right_rows, picked, 0.95);
    Accepted {
        rows: picked,
        right_rows,
        coverage_ratio: ratio(picked, rows.len()),
        precision: (picked > 0).then(|| ratio(right_rows, picked)),
        precision_low,
        precision_high,
    }
}

fn chapters(rows: &[Scored<'_>]) -> Vec<Chapter> {
    let mut by_chapter: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for row in rows {
        let right = row.right(6);
        let counts = by_chapter.entry(row.truth.chapter()).or_default();
        for (count, yes) in counts.iter_mut().zip([true, right, row.accepted, row.accepted && right]) {
            *count += usize::from(yes);
        }
    }
    let chapter = |(name, [rows, right, accepted, accepted_right]): (&str, [usize; 4])| Chapter {
        chapter: name.to_string(),
        rows,
        accuracy: ratio(right, rows),
        accepted_rows: accepted,
        coverage_ratio: ratio(accepted, rows),
        precision: (accepted > 0).then(|| ratio(accepted_right, accepted)),
    };
    let mut table: Vec<Chapter> = by_chapter.into_iter().map(chapter).collect();
    // Of equals the one with more rows, then the lower number: the sort is stable.
    table.sort_by(|a, b| a.accuracy.total_cmp(&b.accuracy).then(b.rows.cmp(&a.rows)));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    /// Six rows by hand: right · right heading only, the right code second · right · right heading only, as sure as
    /// the row before · not scored · all wrong. The first two are accepted; the second repeats the first text.
    fn by_hand() -> Metrics {
        let tops = [
            vec![(code("847130"), 0.875)],
            vec![(code("847141"), 0.75), (code("847130"), 0.125)],
            vec![(code("731815"), 0.5)],
            vec![(code("010129"), 0.5)],
            vec![],
            vec![(code("847130"), 0.25)],
        ];
        let truths = ["847130", "847130", "731815", "010121", "010121", "731815"];
        let row = |(at, top): (usize, &'static [(Subheading, f32)])| Scored {
            truth: code(truths[at]),
            top,
            confidence_heading: [0.875, 1.0, 0.75, 0.5, 0.0, 0.25][at],
            confidence_chapter: 1.0,
            first_of_text: at != 1,
            accepted: at < 2,
            sure_of: [None, None, Some(SureOf::Heading), Some(SureOf::Heading), None, Some(SureOf::Chapter)][at],
        };
        let tops: &'static [Vec<(Subheading, f32)>] = Vec::leak(tops.to_vec());
        evaluate(&tops.iter().map(Vec::as_slice).enumerate().map(row).collect::<Vec<_>>())
    }

    #[test]
    fn accuracy_counts_rows_without_a_prediction_as_not_right() {
        let metrics = by_hand();
        assert_eq!((metrics.rows, metrics.texts, metrics.unscored_rows), (6, 5, 1));
        let expected = Accuracy {
            hs6: 2.0 / 6.0,
            hs4: 4.0 / 6.0,
            hs2: 4.0 / 6.0,
            hs6_top_five: 0.5,
            hs4_top_five: 4.0 / 6.0,
            hs2_top_five: 4.0 / 6.0,
            hs6_of_texts: 0.4,
        };
        assert_eq!(metrics.accuracy, expected);
    }

    /// F1 by class: 847130 2/4, 731815 2/3, and 0 for 847141, 010121 and 010129.
    #[test]
    fn macro_f1_counts_every_known_or_predicted_subheading_the_same() {
        assert!(close(by_hand().macro_f1, (0.5 + 2.0 / 3.0) / 5.0));
    }

    /// Each confidence is a bin. Six digits: (0.125 + 0.75 + |1 − 2·0.5| + 0.25) / 5. Four: (|1 − 1| + |1 − 0.875| +
    /// |1 − 0.75| + |1 − 0.5| + |0 − 0.25|) / 5. Two: one bin, 4 right of 5 at confidence 1.
    #[test]
    fn the_calibration_error_is_the_mean_gap_of_bins_that_never_part_a_tie() {
        let error = by_hand().calibration_error;
        assert!(close(error.hs6, 0.225) && close(error.hs4, 0.225) && close(error.hs2, 0.2), "{error:?}");
    }

    /// Six digits: (0.125² + 0.75² + 0.5² + 0.5² + 0.25²) / 5. Four: (0.125² + 0 + 0.25² + 0.5² + 0.25²) / 5. Two: 1 / 5.
    #[test]
    fn the_brier_score_is_the_mean_squared_distance_of_confidence_and_outcome() {
        let brier = by_hand().brier;
        assert!(close(brier.hs6, 0.228125) && close(brier.hs4, 0.078125) && close(brier.hs2, 0.2), "{brier:?}");
    }

    #[test]
    fn the_bins_of_the_calibration_error_are_told() {
        let bins = by_hand().reliability;
        let told: Vec<_> = bins.hs6.iter().map(|b| (b.rows, b.right_rows, b.mean_confidence, b.right_ratio)).collect();
        assert_eq!(told, [(1, 1, 0.875, 1.0), (1, 0, 0.75, 0.0), (2, 1, 0.5, 0.5), (1, 0, 0.25, 0.0)]);
        assert_eq!((bins.hs4.len(), bins.hs2.len(), bins.hs2[0].rows), (5, 1, 5));
    }

    /// The share of the five scored rows that is accepted and wrong is 0, 1, 2, 3 fifths at 1, 2, 4, 5 rows; the area in
    /// 25ths is 0 + 0.5 + 2 · 1.5 + 2.5.
    #[test]
    fn the_generalised_risk_is_of_all_rows_and_straight_inside_a_tie() {
        assert!(close(by_hand().augrc, 6.0 / 25.0));
    }

    /// Wrong rows among the 1 … 5 surest: 0, 1, 1.5 (half of a tie), 2, 3.
    #[test]
    fn risk_grows_with_coverage_and_ties_are_taken_together() {
        let metrics = by_hand();
        let points: Vec<_> = metrics.risk_coverage.iter().map(|p| (p.coverage_ratio, p.risk_ratio)).collect();
        assert_eq!(points, [(1.0 / 6.0, 0.0), (2.0 / 6.0, 0.5), (4.0 / 6.0, 0.5), (5.0 / 6.0, 0.6)]);
        assert!(close(metrics.aurc, (0.0 + 1.0 / 2.0 + 1.5 / 3.0 + 2.0 / 4.0 + 3.0 / 5.0) / 5.0));
        for at in metrics.coverage_at {
            assert_eq!((at.rows, at.coverage_ratio, at.confidence), (1, 1.0 / 6.0, Some(0.875)));
        }
    }

    /// For 1 of 2 the bounds have a closed form: 1 − √0.975 and √0.975.
    #[test]
    fn what_was_accepted_comes_with_its_interval() {
        let accepted = by_hand().accepted;
        assert_eq!((accepted.rows, accepted.right_rows, accepted.precision), (2, 1, Some(0.5)));
        assert!(close(accepted.precision_low, 1.0 - 0.975_f64.sqrt()));
        assert!(close(accepted.precision_high, 0.975_f64.sqrt()));
    }

    /// Of the two rows that are sure of their heading both have it right, the one right at six digits too; the one that is sure of
    /// its chapter is wrong. The bounds of 2 of 2 and 0 of 1 have a closed form: √0.025, and 0.975.
    #[test]
    fn rows_that_are_sure_of_fewer_digits_are_right_by_those_digits() {
        let metrics = by_hand();
        let (heading, chapter) = (metrics.heading_sure, metrics.chapter_sure);
        assert_eq!((heading.rows, heading.right_rows, heading.precision), (2, 2, Some(1.0)));
        assert!(close(heading.precision_low, 0.025_f64.sqrt()) && close(heading.coverage_ratio, 2.0 / 6.0));
        assert_eq!((chapter.rows, chapter.right_rows, chapter.precision), (1, 0, Some(0.0)));
        assert!(close(chapter.precision_high, 0.975) && chapter.precision_low == 0.0);
    }

    /// Four digits, by confidence 1, 0.875, 0.75, 0.5, 0.25: right four times, then wrong, so four of the six rows can be accepted at
    /// any precision, and the generalised risk is 0 up to four rows and 1/5 at five: (0 + 1)/2 of 25. Two digits: one tie of
    /// five with one wrong, so at 0.8 right nothing is accepted at 0.9; the area is 5 · (0 + 1)/2 of 25.
    #[test]
    fn coverage_and_risk_are_told_for_headings_and_chapters_too() {
        let metrics = by_hand();
        let four = &metrics.four_digits;
        assert_eq!(four.coverage_at.iter().map(|at| (at.rows, at.confidence)).collect::<Vec<_>>(), [(4, Some(0.5)); 3]);
        let points: Vec<_> = four.risk_coverage.iter().map(|p| (p.coverage_ratio, p.risk_ratio)).collect();
        assert_eq!(points[3..], [(4.0 / 6.0, 0.0), (5.0 / 6.0, 0.2)]);
        assert!(close(four.augrc, 0.5 / 25.0), "{}", four.augrc);
        let two = &metrics.two_digits;
        assert!(two.coverage_at.iter().all(|at| at.rows == 0) && two.risk_coverage.len() == 1);
        assert!(close(two.augrc, 2.5 / 25.0), "{}", two.augrc);
    }

    #[test]
    fn chapters_come_with_the_worst_first() {
        let chapters = by_hand().chapters;
        let table: Vec<_> =
            chapters.iter().map(|c| (c.chapter.as_str(), c.rows, c.accuracy, c.accepted_rows, c.precision)).collect();
        assert_eq!(table, [("01", 2, 0.0, 0, None), ("73", 2, 0.5, 0, None), ("84", 2, 0.5, 2, Some(0.5))]);
    }

    /// Two hundred rows with many ties from a linear congruential generator; the expected figures are of a Python
    /// program that sorts and counts them in another way (risk–coverage area: mean of 20,000 random orders of ties;
    /// generalised area: the closed form `(1 − AUROC) · a · (1 − a) + (1 − a)² / 2` of Traub et al. 2024 with the AUROC over
    /// all pairs and the accuracy `a`, and numpy's trapezoid over the curve).
    #[test]
    fn figures_of_two_hundred_rows_agree_with_an_independent_program() {
        let mut x = 12_345_u64;
        let mut next = || {
            x = (x * 1_103_515_245 + 12_345) % (1 << 31);
            x >> 8
        };
        let codes = ["010121", "010129", "020110", "847130", "847141", "731815"].map(code);
        let mut rows = Vec::new();
        for _ in 0..200 {
            let truth = codes[(next() % 6) as usize];
            let predicted = if next() % 10 < 7 { truth } else { codes[(next() % 6) as usize] };
            let confidence = (next() % 41) as f32 / 64.0 + if predicted == truth { 0.25 } else { 0.0 };
            rows.push((truth, [(predicted, confidence)]));
        }
        let mut scored: Vec<Scored<'_>> = rows
            .iter()
            .map(|(truth, top)| Scored {
                truth: *truth,
                top,
                confidence_heading: 0.5,
                confidence_chapter: 0.5,
                first_of_text: true,
                accepted: true,
                sure_of: None,
            })
            .collect();
        let metrics = evaluate(&scored);
        assert_eq!(metrics.accepted.right_rows, 149);
        assert_eq!(metrics.coverage_at.iter().map(|at| at.rows).collect::<Vec<_>>(), [66, 81, 91]);
        assert!(close(metrics.calibration_error.hs6, 0.2490625));
        assert!(close(metrics.macro_f1, 0.7354834002391618));
        assert!((metrics.aurc - 0.101_94).abs() < 1e-4, "{}", metrics.aurc);
        assert!(close(metrics.augrc, 0.0745375), "{}", metrics.augrc);
        assert!(close(metrics.brier.hs6, 0.20541015625) && close(metrics.brier.hs4, 0.25));
        assert!(metrics.risk_coverage.len() <= 50 && metrics.reliability.hs6.len() <= 15);
        assert_eq!(
            metrics
                .reliability
                .hs6
                .iter()
                .map(|bin| (bin.rows, bin.right_rows))
                .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
            (200, 149)
        );
        scored.reverse();
        assert_eq!(evaluate(&scored), metrics);
    }

    #[test]
    fn refusals_have_no_precision_where_nothing_is_labelled_so() {
        let found = Vague::of([(true, true), (true, false), (false, true), (false, true)].into_iter());
        assert_eq!((found.rows, found.refused_rows, found.right_rows), (2, 3, 1));
        assert_eq!((found.precision, found.recall), (Some(1.0 / 3.0), Some(0.5)));
        let unknown = Vague::of([(false, true), (false, false)].into_iter());
        assert_eq!((unknown.refused_rows, unknown.precision, unknown.recall), (1, None, None));
    }

    #[test]
    fn no_rows_give_no_figures_and_no_numbers_that_json_lacks() {
        let metrics = evaluate(&[]);
        assert_eq!((metrics.rows, metrics.accepted.precision, metrics.aurc, metrics.macro_f1), (0, None, 0.0, 0.0));
        assert!(metrics.chapters.is_empty() && metrics.risk_coverage.is_empty());
        assert!(serde_json::to_value(&metrics).unwrap()["accuracy"]["hs6"].is_number());
    }
}
