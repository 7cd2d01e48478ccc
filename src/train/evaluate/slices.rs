//! Where a model is weak: the figures of the rows that have one value in common.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Example, Interval, Scored, Share};
use crate::tariff::Subheading;
use crate::text;
use crate::train::profile;
use crate::train::table::ratio;

/// Labelled rows of the training part by subheading; one that is not there has none.
pub type ClassRows = BTreeMap<Subheading, usize>;

/// Least training rows of each bucket of classes.
const SUPPORT: [usize; 5] = [0, 1, 5, 20, 100];

/// Least words of each bucket of descriptions.
const LENGTH: [usize; 7] = [0, 1, 2, 3, 5, 10, 20];

/// What rows are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The chapter of the known code.
    Chapter,
    /// How many labelled rows of the training part carry the known code.
    Support,
    /// Words of the description.
    Length,
    /// Language of the description, where five words tell it.
    Language,
    /// A column of the input.
    Column(String),
}

impl By {
    /// What needs no column of the input, in the order in which it is told.
    pub const BUILT_IN: [By; 4] = [By::Chapter, By::Support, By::Length, By::Language];

    /// What rows were told apart by.
    pub fn of(slices: &Slices) -> By {
        let Ok(by) = slices.by.parse::<By>();
        by
    }

    /// The column of the input, if it is one.
    pub fn column(&self) -> Option<&str> {
        match self {
            By::Column(name) => Some(name),
            _ => None,
        }
    }

    /// What the values are, in words.
    pub fn title(&self) -> String {
        match self {
            By::Chapter => "By chapter of the known code".to_string(),
            By::Support => "By training rows of the known code".to_string(),
            By::Length => "By words of the description".to_string(),
            By::Language => "By language of the description".to_string(),
            By::Column(name) => format!("By column {name}"),
        }
    }

    /// The value of one row; `column` is that of the input, and not needed for the others.
    pub fn value<'a>(
        &self,
        text: &str,
        truth: &'a Subheading,
        class_rows: &ClassRows,
        column: Option<Cow<'a, str>>,
    ) -> Cow<'a, str> {
        match self {
            By::Chapter => truth.chapter().into(),
            By::Support => bucket(&SUPPORT, class_rows.get(truth).copied().unwrap_or(0)).into(),
            By::Length => bucket(&LENGTH, text::words(text).count()).into(),
            By::Language => profile::language(text).into(),
            By::Column(_) => column.unwrap_or("(none)".into()),
        }
    }
}

impl FromStr for By {
    type Err = Infallible;

    /// The four names; any other is a column's, and so is one behind `column:`.
    fn from_str(name: &str) -> Result<By, Infallible> {
        let column = || By::Column(name.strip_prefix(COLUMN).unwrap_or(name).to_string());
        Ok(By::BUILT_IN.into_iter().find(|by| by.to_string() == name).unwrap_or_else(column))
    }
}

impl fmt::Display for By {
    /// The name that it is asked for by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Chapter => f.write_str("chapter"),
            By::Support => f.write_str("support"),
            By::Length => f.write_str("length"),
            By::Language => f.write_str("language"),
            By::Column(name) if name.starts_with(COLUMN) || By::BUILT_IN.iter().any(|by| by.to_string() == *name) => {
                write!(f, "{COLUMN}{name}")
            }
            By::Column(name) => f.write_str(name),
        }
    }
}

/// Stands before a column whose name means something else by itself.
const COLUMN: &str = "column:";

/// The buckets of training rows, fewest first.
pub fn support_buckets() -> [String; SUPPORT.len()] {
    SUPPORT.map(|least| bucket(&SUPPORT, least))
}

/// The bucket that a number falls into, as `5 to 19`.
fn bucket(from: &[usize], number: usize) -> String {
    let at = from.partition_point(|least| *least <= number).max(1) - 1;
    match (from[at], from.get(at + 1)) {
        (least, Some(next)) if *next == least + 1 => least.to_string(),
        (least, Some(next)) => format!("{least} to {}", next - 1),
        (least, None) => format!("{least} or more"),
    }
}

/// The figures of the rows that have one value in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slice {
    /// The value; `(none)` where a column has none.
    pub value: String,
    /// What a code says, where a nomenclature was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// All its rows.
    pub rows: usize,
    /// Share of them with the right six digits.
    pub hs6: Share,
    /// Share of them with the right first two digits.
    pub hs2: Share,
    /// Rows accepted without a person.
    pub accepted_rows: usize,
    /// Their share of its rows.
    pub coverage_ratio: f64,
    /// Of that share; `None` where it was not recorded.
    pub coverage_interval: Option<Interval>,
    /// Share of the accepted rows with the right six digits; `None` when none is accepted.
    pub precision: Option<Share>,
    /// Mean confidence in six digits, of scored rows.
    pub mean_confidence: f64,
    /// Mean confidence less the share right, of scored rows: above 0 the model is surer than it should be.
    pub calibration_gap: f64,
    /// Of that gap: the mean confidence less the ends of the interval of the share right, of scored rows. Clopper and Pearson's
    /// interval takes each row to be right with one probability; where they differ, the number of right ones spreads less
    /// (Hoeffding, "On the distribution of the number of successes in independent trials", 1956), so it is wide enough, and does not
    /// vanish where all rows are right. `None` where it was not recorded.
    pub calibration_gap_interval: Option<Interval>,
    /// Mistakes that the model is surest of, where they were asked for and the slice is among the worst; they hold descriptions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// Rows by one property.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slices {
    /// The property, as it is asked for; see [`By`].
    pub by: String,
    /// Fewest rows of a value that is told by itself.
    pub min_rows: usize,
    /// Values with that many rows, worst first: by the upper end of the interval of the accuracy at six digits, so that
    /// few rows do not lead by chance.
    pub slices: Vec<Slice>,
    /// Values with fewer rows.
    pub small_values: usize,
    /// Their rows together; `None` when there are none.
    pub small: Option<Slice>,
}

/// Tells the rows apart; `values` has one value a row.
pub fn slices(by: &By, values: &[Cow<'_, str>], rows: &[Scored<'_>], min_rows: usize) -> Slices {
    let mut of_value: BTreeMap<&str, Tally> = BTreeMap::new();
    for (value, row) in values.iter().zip(rows) {
        of_value.entry(value).or_default().add(row);
    }
    let (large, small): (Vec<_>, Vec<_>) = of_value.into_iter().partition(|(_, tally)| tally.rows >= min_rows);
    let mut slices: Vec<Slice> = large.into_iter().map(|(value, tally)| tally.slice(value.to_string())).collect();
    // Of equals the one with more rows, then the lower name: the sort is stable.
    slices.sort_by(|a, b| a.hs6.high.total_cmp(&b.hs6.high).then(b.rows.cmp(&a.rows)));
    let small_values = small.len();
    let together = small.into_iter().map(|(_, tally)| tally).reduce(Tally::and);
    let name = format!("{small_values} with fewer than {min_rows} rows");
    Slices { by: by.to_string(), min_rows, slices, small_values, small: together.map(|tally| tally.slice(name)) }
}

/// Counts while rows go by.
#[derive(Clone, Copy, Default)]
struct Tally {
    rows: usize,
    right: usize,
    right_hs2: usize,
    accepted: usize,
    accepted_right: usize,
    scored: usize,
    /// Sum of the scored rows' confidences in units of 2⁻³², so that it does not depend on the order of rows.
    confidences: u64,
}

/// Parts of a confidence of 1 in [`Tally::confidences`].
const UNIT: f64 = 4_294_967_296.0;

impl Tally {
    fn add(&mut self, row: &Scored<'_>) {
        let right = row.right(6);
        self.rows += 1;
        self.right += usize::from(right);
        self.right_hs2 += usize::from(row.right(2));
        self.accepted += usize::from(row.accepted);
        self.accepted_right += usize::from(row.accepted && right);
        if let Some((_, confidence)) = row.top.first() {
            self.scored += 1;
            self.confidences += (f64::from(*confidence) * UNIT) as u64;
        }
    }

    fn and(self, other: Tally) -> Tally {
        Tally {
            rows: self.rows + other.rows,
            right: self.right + other.right,
            right_hs2: self.right_hs2 + other.right_hs2,
            accepted: self.accepted + other.accepted,
            accepted_right: self.accepted_right + other.accepted_right,
            scored: self.scored + other.scored,
            confidences: self.confidences + other.confidences,
        }
    }

    fn slice(self, value: String) -> Slice {
        let mean_confidence = if self.scored == 0 { 0.0 } else { self.confidences as f64 / UNIT / self.scored as f64 };
        let right = Share::of(self.right, self.scored);
        let gap = Interval { low: mean_confidence - right.high, high: mean_confidence - right.low };
        Slice {
            value,
            text: None,
            rows: self.rows,
            hs6: Share::of(self.right, self.rows),
            hs2: Share::of(self.right_hs2, self.rows),
            accepted_rows: self.accepted,
            coverage_ratio: ratio(self.accepted, self.rows),
            coverage_interval: Some(Share::of(self.accepted, self.rows).interval()),
            precision: (self.accepted > 0).then(|| Share::of(self.accepted_right, self.accepted)),
            mean_confidence,
            calibration_gap: mean_confidence - right.ratio,
            calibration_gap_interval: (self.scored > 0).then_some(gap),
            examples: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Subheading {
        text.parse().unwrap()
    }

    fn row(truth: &str, top: &'static [(Subheading, f32)], accepted: bool) -> Scored<'static> {
        Scored {
            truth: code(truth),
            top,
            confidence_heading: 1.0,
            confidence_chapter: 1.0,
            first_of_text: true,
            accepted,
            sure_of: None,
        }
    }

    fn bolt(confidence: f32) -> &'static [(Subheading, f32)] {
        Vec::leak(vec![(code("731815"), confidence)])
    }

    #[test]
    fn buckets_are_named_by_what_falls_into_them() {
        let names = [0, 1, 4, 5, 19, 20, 99, 100, 7_000].map(|rows| bucket(&SUPPORT, rows));
        let expected =
            ["0", "1 to 4", "1 to 4", "5 to 19", "5 to 19", "20 to 99", "20 to 99", "100 or more", "100 or more"];
        assert_eq!(names, expected);
        assert_eq!(
            [0, 1, 2, 4, 9, 20].map(|words| bucket(&LENGTH, words)),
            ["0", "1", "2", "3 to 4", "5 to 9", "20 or more"]
        );
    }

    #[test]
    fn a_row_is_told_apart_by_what_it_is() {
        let class_rows = ClassRows::from([(code("731815"), 7)]);
        let value = |by: &str, truth: &str| {
            let by: By = by.parse().unwrap();
            let text = "hexagon bolts made of steel with nuts and washers";
            by.value(text, &code(truth), &class_rows, Some("rail".into())).into_owned()
        };
        assert_eq!(
            ["chapter", "support", "length", "mode"].map(|by| value(by, "731815")),
            ["73", "5 to 19", "5 to 9", "rail"]
        );
        assert_eq!([value("support", "847130"), value("language", "847130")], ["0", "eng"]);
        assert_eq!(By::Column("mode".into()).value("", &code("731815"), &class_rows, None), "(none)");
    }

    /// The interval of 2 of 3 in closed form: the root of 3x² − 2x³ = 0.025, and ∛0.975.
    const TWO_OF_THREE: (f64, f64) = (0.094_299_324_050_246_08, 0.991_596_241_340_387_4);

    #[test]
    fn a_property_is_asked_for_by_its_name_and_a_column_of_that_name_with_a_prefix() {
        let asked = |name: &str| {
            let by: By = name.parse().unwrap();
            (by.column().map(str::to_string), by.title(), by.to_string())
        };
        assert_eq!(asked("chapter"), (None, "By chapter of the known code".into(), "chapter".into()));
        for (name, column, told) in [
            ("column:chapter", "chapter", "column:chapter"),
            ("mode", "mode", "mode"),
            ("column:mode", "mode", "mode"),
            ("column:column:x", "column:x", "column:column:x"),
        ] {
            assert_eq!(asked(name), (Some(column.into()), format!("By column {column}"), told.into()), "{name}");
            assert_eq!(asked(told), asked(name));
        }
    }

    /// By hand: of four rows of "sea" two are right and two accepted, one of which right; the mean confidence of the three
    /// that were scored is 0.625, and two of them are right. Bounds of 2 of 4 from scipy (`stats.beta.ppf`).
    #[test]
    fn the_figures_of_a_slice_are_those_of_its_rows() {
        let rows = [
            row("731815", bolt(0.75), true),
            row("731815", bolt(0.875), false),
            row("731815", &[], false),
            row("847130", bolt(0.25), true),
            row("731815", bolt(0.5), false),
        ];
        let values = ["sea", "sea", "sea", "sea", "air"].map(Cow::from);
        let found = slices(&By::Column("mode".into()), &values, &rows, 2);
        let sea = &found.slices[0];
        assert_eq!((found.slices.len(), sea.value.as_str(), sea.rows, sea.hs6.ratio), (1, "sea", 4, 0.5));
        assert!((sea.hs6.low - 0.067_585_986_488_542_5).abs() < 1e-9, "{sea:?}");
        assert!((sea.hs6.high - 0.932_414_013_511_457_5).abs() < 1e-9, "{sea:?}");
        assert_eq!((sea.accepted_rows, sea.coverage_ratio, sea.precision.map(|p| p.ratio)), (2, 0.5, Some(0.5)));
        // Two of four are accepted, too.
        assert_eq!(sea.coverage_interval, Some(sea.hs6.interval()));
        assert!((sea.mean_confidence - 0.625).abs() < 1e-9 && (sea.calibration_gap - (0.625 - 2.0 / 3.0)).abs() < 1e-9);
        let gap = sea.calibration_gap_interval.unwrap();
        assert!(
            (gap.low - (0.625 - TWO_OF_THREE.1)).abs() < 1e-9 && (gap.high - (0.625 - TWO_OF_THREE.0)).abs() < 1e-9
        );
        let small = found.small.unwrap();
        assert_eq!((found.small_values, small.rows, small.hs6.ratio, small.precision), (1, 1, 1.0, None));
    }

    /// None of 2 may still be as good as 0.84, 40 of 100 are no better than 0.50.
    #[test]
    fn few_rows_do_not_lead_by_chance() {
        let mut rows = vec![row("847130", bolt(0.5), false); 2];
        let mut values = vec![Cow::from("few"); 2];
        for n in 0..100 {
            rows.push(row(if n < 40 { "731815" } else { "847130" }, bolt(0.5), false));
            values.push("many".into());
        }
        let order: Vec<String> =
            slices(&By::Column("x".into()), &values, &rows, 1).slices.into_iter().map(|s| s.value).collect();
        assert_eq!(order, ["many", "few"]);
        let none = slices(&By::Column("x".into()), &[], &[], 30);
        assert!(none.slices.is_empty() && none.small.is_none());
    }

    #[test]
    fn the_order_of_rows_changes_nothing() {
        let rows: Vec<_> = (1..500).map(|n| row("731815", bolt(1.0 / n as f32), n % 3 == 0)).collect();
        let values: Vec<_> = (1..500).map(|n| Cow::from((n % 7).to_string())).collect();
        let found = slices(&By::Column("x".into()), &values, &rows, 30);
        let (values, rows): (Vec<_>, Vec<_>) = (values.into_iter().rev().collect(), rows.into_iter().rev().collect());
        assert_eq!(slices(&By::Column("x".into()), &values, &rows, 30), found);
    }
}
