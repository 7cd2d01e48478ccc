//! The figures of one model in a comparison.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tariff::Subheading;
use crate::train::evaluate::{By, ClassRows, Metrics, support_buckets};
use crate::train::recipe::Recipe;
use crate::train::table::ratio;

/// What gave the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A model that was trained by a recipe.
    Recipe,
    /// Always the most frequent class of each level.
    Majority,
    /// The code of the nearest training line.
    Nearest,
}

/// One model on the test lines. Shares are between 0 and 1; what is not known or has no meaning is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The recipe's name, or what baseline it is.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The classes were up-sampled before a random split, so test lines were learned: no figure to believe.
    pub leaks: bool,
    /// Digest of everything that the figures follow from.
    pub key: String,
    /// The whole recipe, with its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// Test lines.
    pub rows: usize,
    /// All six digits of the first choice are right.
    pub hs6: f64,
    /// Its first four digits are right.
    pub hs4: f64,
    /// Its first two digits are right.
    pub hs2: f64,
    /// The right code is among the best five.
    pub hs6_top_five: f64,
    /// Mean over subheadings of F1; see `Metrics`.
    pub macro_f1: f64,
    /// Six digits, by how many training rows the right class has.
    pub by_support: Vec<Support>,
    /// Most lines that can be accepted at 98 % precision, as a share; an optimistic figure, see `Metrics`.
    pub coverage_at_98: f64,
    /// The same at 95 %.
    pub coverage_at_95: f64,
    /// Expected calibration error of six digits; see `Metrics`.
    pub calibration_error_hs6: f64,
    /// Of four digits.
    pub calibration_error_hs4: f64,
    /// Of two digits.
    pub calibration_error_hs2: f64,
    /// Wall time of the whole training, calibration and thresholds included.
    pub train_secs: f64,
    /// CPU time of all its threads.
    pub train_cpu_secs: Option<f64>,
    /// Size of the bundle's files; of a baseline, what it keeps in memory.
    pub size_bytes: u64,
    /// CPU time that a million lines take, measured on the test lines with one thread; no answers are remembered.
    pub score_cpu_secs_per_million: Option<f64>,
    /// Most memory that the process held from the beginning of the training to the end of the scoring, lines included.
    pub peak_memory_bytes: Option<u64>,
}

/// The test lines whose class has so many training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// As `1 to 4`.
    pub training_rows: String,
    /// Test lines.
    pub rows: usize,
    /// Share of them with the right six digits; `None` without lines.
    pub accuracy: Option<f64>,
}

/// What a model costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    pub train_secs: f64,
    pub train_cpu_secs: Option<f64>,
    pub size_bytes: u64,
    pub score_cpu_secs_per_million: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
}

impl Row {
    /// From what was measured; it has no name yet.
    pub fn new(kind: Kind, m: &Metrics, by_support: Vec<Support>, cost: Cost) -> Row {
        let coverage =
            |wanted: f64| m.coverage_at.iter().find(|at| at.precision == wanted).map_or(0.0, |at| at.coverage_ratio);
        Row {
            name: String::new(),
            kind,
            leaks: false,
            key: String::new(),
            recipe: None,
            rows: m.rows,
            hs6: nine(m.accuracy.hs6),
            hs4: nine(m.accuracy.hs4),
            hs2: nine(m.accuracy.hs2),
            hs6_top_five: nine(m.accuracy.hs6_top_five),
            macro_f1: nine(m.macro_f1),
            by_support,
            coverage_at_98: nine(coverage(0.98)),
            coverage_at_95: nine(coverage(0.95)),
            calibration_error_hs6: nine(m.calibration_error.hs6),
            calibration_error_hs4: nine(m.calibration_error.hs4),
            calibration_error_hs2: nine(m.calibration_error.hs2),
            train_secs: nine(cost.train_secs),
            train_cpu_secs: cost.train_cpu_secs.map(nine),
            size_bytes: cost.size_bytes,
            score_cpu_secs_per_million: cost.score_cpu_secs_per_million.map(nine),
            peak_memory_bytes: cost.peak_memory_bytes,
        }
    }
}

/// To nine decimals: so short a number survives printing and parsing bit for bit, and a row that was kept is the row that was made.
fn nine(x: f64) -> f64 {
    (x * 1e9).round() / 1e9
}

/// The share of right first choices by the training rows of the right class. `first` holds a choice for each test line, or none.
pub fn by_support(
    train: &[(&str, Subheading)],
    test: &[(&str, Subheading)],
    first: impl Iterator<Item = Option<Subheading>>,
) -> Vec<Support> {
    let mut class_rows = ClassRows::new();
    train.iter().for_each(|(_, code)| *class_rows.entry(*code).or_default() += 1);
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for ((text, truth), first) in test.iter().zip(first) {
        let bucket = By::Support.value(text, truth, &class_rows, None).into_owned();
        let (rows, right) = counts.entry(bucket).or_default();
        *rows += 1;
        *right += usize::from(first == Some(*truth));
    }
    let of = |training_rows: String| {
        let (rows, right) = counts.get(&training_rows).copied().unwrap_or_default();
        Support { training_rows, rows, accuracy: (rows > 0).then(|| nine(ratio(right, rows))) }
    };
    support_buckets().map(of).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: classes of 100, 99, 20, 19, 5, 4, 1 and 0 training rows, two test lines each, of which the first is right.
    #[test]
    fn lines_are_counted_by_the_training_rows_of_their_class() {
        let code = |n: usize| -> Subheading { format!("{:06}", 100_000 + n).parse().unwrap() };
        let sizes = [100, 99, 20, 19, 5, 4, 1, 0];
        let train: Vec<(&str, Subheading)> =
            sizes.iter().enumerate().flat_map(|(n, rows)| vec![("x", code(n)); *rows]).collect();
        let test: Vec<(&str, Subheading)> = (0..sizes.len()).flat_map(|n| [("x", code(n)); 2]).collect();
        let first = (0..sizes.len()).flat_map(|n| [Some(code(n)), if n % 2 == 0 { Some(code(50)) } else { None }]);
        let found = by_support(&train, &test, first);
        let shown: Vec<(String, usize, Option<f64>)> =
            found.iter().map(|s| (s.training_rows.clone(), s.rows, s.accuracy)).collect();
        let half = Some(0.5);
        let expected = [
            ("0", 2, half),
            ("1 to 4", 4, half),
            ("5 to 19", 4, half),
            ("20 to 99", 4, half),
            ("100 or more", 2, half),
        ];
        assert_eq!(shown, expected.map(|(name, rows, share)| (name.to_string(), rows, share)));
        assert!(by_support(&train, &[], std::iter::empty()).iter().all(|s| s.accuracy.is_none()));
    }
}
