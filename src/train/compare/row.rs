//! The figures of one model in a comparison.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::paired::{Paired, Rights};
use crate::tariff::Subheading;
use crate::train::evaluate::{By, ClassRows, Metrics, Share, support_buckets};
use crate::train::recipe::Recipe;
use crate::train::table::{nine, ratio};

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

/// Whether and when small classes were repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upsampled {
    /// Not by the comparison.
    No,
    /// Among the lines that are learned alone: figures like any other.
    AfterSplit,
    /// Before a random split, so copies of test lines were learned: no figure to believe.
    BeforeSplit,
}

impl Upsampled {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Upsampled::No => "no",
            Upsampled::AfterSplit => "after_split",
            Upsampled::BeforeSplit => "before_split",
        }
    }
}

/// One model on the test lines. Shares are between 0 and 1; what is not known or has no meaning is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The recipe's name, or what baseline it is.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What was done to its lines.
    pub upsampled: Upsampled,
    /// Digest of everything that the figures follow from.
    pub key: String,
    /// The whole recipe, with its defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// Test lines.
    pub rows: usize,
    /// All six digits of the first choice are right.
    pub hs6: f64,
    /// Lower end of the 95 % interval of that (Clopper and Pearson), as if no line repeated another.
    pub hs6_low: f64,
    /// Upper end.
    pub hs6_high: f64,
    /// Its first four digits are right.
    pub hs4: f64,
    /// Its first two digits are right.
    pub hs2: f64,
    /// The right code is among the best five.
    pub hs6_top_five: f64,
    /// The right heading is that of one of the best five codes; of the majority class, one of the five most frequent.
    pub hs4_top_five: f64,
    /// The same of the chapter.
    pub hs2_top_five: f64,
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
    /// Brier score of six digits; see `Metrics`.
    pub brier_hs6: f64,
    /// Area under the generalised risk–coverage curve; see `Metrics`.
    pub augrc: f64,
    /// Distinct test texts that it has right.
    pub right: Rights,
    /// Beside the first row; `None` of that one, and where lines leak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired: Option<Paired>,
    /// Tokens of a test line that its encoder looks at, mean; `None` where it looks at none.
    pub tokens_per_line: Option<f64>,
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

/// Normalised texts with their codes.
pub type Texts<'a> = [(&'a str, Subheading)];

impl Row {
    /// From what was measured, with the first choice for each test line, or none; it has no name yet. `train` is what is counted as
    /// training rows.
    pub fn new(
        kind: Kind,
        m: &Metrics,
        (train, test): (&Texts<'_>, &Texts<'_>),
        first: &[Option<Subheading>],
        cost: Cost,
    ) -> Row {
        let right = first.iter().zip(test).filter(|(first, (_, truth))| **first == Some(*truth)).count();
        let interval = Share::of(right, test.len());
        Row {
            name: String::new(),
            kind,
            upsampled: Upsampled::No,
            key: String::new(),
            recipe: None,
            rows: m.rows,
            hs6: nine(m.accuracy.hs6),
            hs6_low: nine(interval.low),
            hs6_high: nine(interval.high),
            hs4: nine(m.accuracy.hs4),
            hs2: nine(m.accuracy.hs2),
            hs6_top_five: nine(m.accuracy.hs6_top_five),
            hs4_top_five: nine(m.accuracy.hs4_top_five),
            hs2_top_five: nine(m.accuracy.hs2_top_five),
            macro_f1: nine(m.macro_f1),
            by_support: by_support(train, test, first),
            coverage_at_98: nine(m.coverage(0.98)),
            coverage_at_95: nine(m.coverage(0.95)),
            calibration_error_hs6: nine(m.calibration_error.hs6),
            calibration_error_hs4: nine(m.calibration_error.hs4),
            calibration_error_hs2: nine(m.calibration_error.hs2),
            brier_hs6: nine(m.brier.hs6),
            augrc: nine(m.augrc),
            right: Rights::of(test, first),
            paired: None,
            tokens_per_line: None,
            train_secs: nine(cost.train_secs),
            train_cpu_secs: cost.train_cpu_secs.map(nine),
            size_bytes: cost.size_bytes,
            score_cpu_secs_per_million: cost.score_cpu_secs_per_million.map(nine),
            peak_memory_bytes: cost.peak_memory_bytes,
        }
    }
}

/// The share of right first choices by the training rows of the right class. `first` holds a choice for each test line, or none.
fn by_support(train: &Texts<'_>, test: &Texts<'_>, first: &[Option<Subheading>]) -> Vec<Support> {
    let mut class_rows = ClassRows::new();
    train.iter().for_each(|(_, code)| *class_rows.entry(*code).or_default() += 1);
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for ((text, truth), first) in test.iter().zip(first) {
        let bucket = By::Support.value(text, truth, &class_rows, None).into_owned();
        let (rows, right) = counts.entry(bucket).or_default();
        *rows += 1;
        *right += usize::from(*first == Some(*truth));
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
        let first: Vec<Option<Subheading>> =
            (0..sizes.len()).flat_map(|n| [Some(code(n)), if n % 2 == 0 { Some(code(50)) } else { None }]).collect();
        let found = by_support(&train, &test, &first);
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
        assert!(by_support(&train, &[], &[]).iter().all(|s| s.accuracy.is_none()));
    }

    /// The interval of 8 of 10 is that of `src/train/evaluate/interval.rs`, from binomial tails in exact fractions.
    #[test]
    fn the_share_that_is_right_comes_with_its_interval() {
        let [yes, no] = ["010121", "010129"].map(|code| -> Subheading { code.parse().unwrap() });
        let test = [("x", yes); 10];
        let mut first = [Some(yes); 10];
        (first[3], first[7]) = (Some(no), None);
        let row = Row::new(Kind::Nearest, &Metrics::default(), (&[], &test), &first, Cost::default());
        assert_eq!((row.hs6_low, row.hs6_high), (0.443904538, 0.974789274));
    }
}
