//! `metrics.json` of a bundle: what was measured when the model was trained, and what it takes to say so.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::decisions;
use super::evaluate::{By, ClassRows, Confusion, Metrics, Slices};
use super::extra::Count;
use super::inspect::DataReport;
use super::split::{Grouping, Part, Shares, Split};
use crate::error::{Error, Result};
use crate::model::Bundle;

/// See the module. A bundle that was trained before something was recorded has the default in its place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// What the figures were measured on, in words.
    pub measured_on: String,
    /// The figures.
    pub figures: Metrics,
    /// The same rows told apart; see [`By::BUILT_IN`].
    pub slices: Vec<Slices>,
    /// The most frequent confusions on the same rows.
    #[serde(deserialize_with = "if_readable")]
    pub confusions: Vec<Confusion>,
    /// Labelled rows of the training part by subheading; further examples are not among them.
    pub class_rows: ClassRows,
    /// How rows were split.
    pub split: Option<SplitRecord>,
    /// How the fit went.
    pub fit: Value,
    /// What the checks found; `None` where it is of another form.
    #[serde(deserialize_with = "if_readable")]
    pub checks: Option<DataReport>,
    /// What each source of further examples gave.
    #[serde(deserialize_with = "if_readable")]
    pub extra: Vec<Count>,
    /// What became of the decisions of people; `None` where they were not asked for.
    #[serde(deserialize_with = "if_readable", skip_serializing_if = "Option::is_none")]
    pub decisions: Option<decisions::Report>,
    /// Examples that were made from the list of texts that name no goods.
    pub made_vague: usize,
    /// The recipe that was in force.
    pub recipe: Value,
    /// How to train the model again.
    pub command: String,
}

/// A split and what it made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitRecord {
    /// Deals descriptions out.
    pub seed: u64,
    /// Shares of the keys.
    pub shares: Shares,
    /// What makes two descriptions inseparable.
    pub grouping: Grouping,
    /// Rows of each part.
    pub rows: Vec<(Part, usize)>,
}

impl SplitRecord {
    /// Of a split, with the rows of each part.
    pub fn new(split: &Split, rows: Vec<(Part, usize)>) -> SplitRecord {
        SplitRecord { seed: split.seed(), shares: split.shares(), grouping: split.grouping(), rows }
    }
}

impl Record {
    /// That of a bundle.
    ///
    /// # Errors
    /// `Registry` when its `metrics.json` is none.
    pub fn of(bundle: &Bundle) -> Result<Record> {
        serde_json::from_value(bundle.metrics.clone())
            .map_err(|e| Error::Registry(format!("metrics.json: {e}; use another version or train the model again")))
    }

    /// The rows of each class, when they were recorded.
    ///
    /// # Errors
    /// `Usage`, naming the flag's value that needs them.
    pub fn class_rows(&self) -> Result<&ClassRows> {
        if self.class_rows.is_empty() {
            return Err(Error::Usage(format!(
                "--by {}: this version does not say how many rows each class had; train it again with this program",
                By::Support
            )));
        }
        Ok(&self.class_rows)
    }
}

/// The default for a value of another form.
fn if_readable<'de, T: Default + for<'any> Deserialize<'any>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Bundles of earlier versions of the program have fewer keys, and checks of another form.
    #[test]
    fn what_was_not_recorded_is_left_out() {
        let old = json!({"measured_on": "x", "figures": {"rows": 3, "accuracy": {"hs6": 0.5}}, "checks": {"rows": 7}});
        let record: Record = serde_json::from_value(old).unwrap();
        assert_eq!((record.figures.rows, record.figures.accuracy.hs6, record.figures.brier.hs6), (3, 0.5, 0.0));
        assert_eq!((record.checks, record.split, record.slices.len()), (None, None, 0));
        let none: Record = serde_json::from_value(json!({})).unwrap();
        assert!(none.class_rows().unwrap_err().to_string().contains("--by support"));
    }

    #[test]
    fn a_record_survives_its_file() {
        let split = Split::new(7, Shares::default(), Grouping::TextWithoutNumbers).unwrap();
        let record = Record {
            class_rows: ClassRows::from([("010121".parse().unwrap(), 3)]),
            split: Some(SplitRecord::new(&split, vec![(Part::Train, 10), (Part::Test, 2)])),
            command: "harmonize train".into(),
            ..Record::default()
        };
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json["class_rows"], json!({"010121": 3}));
        assert_eq!(serde_json::from_value::<Record>(json).unwrap(), record);
    }
}
