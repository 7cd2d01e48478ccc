//! A challenger beside the model of a run: which of its answers are written, and which are served.
//!
//! What always holds: it answers every line that the champion answers, a line has one answer that is served, and the
//! share that a split serves is drawn by text, so that it is the same in every run. Refuses: deciding who is better.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, BooleanBufferBuilder, StructArray};
use datafusion::logical_expr::{Expr, lit};
use datafusion::scalar::ScalarValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::options::PolicyOverride;
use super::record::ChallengerRecord;
use super::rows::field;
use crate::error::{Error, Result};
use crate::registry::Loaded;
use crate::sql::Classifier;

/// Which of a challenger's answers become rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChallengerRows {
    /// Those with another code or another decision than the champion's, and those that are served.
    #[default]
    Differing,
    /// All.
    All,
}

impl ChallengerRows {
    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            ChallengerRows::Differing => "differing",
            ChallengerRows::All => "all",
        }
    }
}

impl FromStr for ChallengerRows {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "differing" => Ok(ChallengerRows::Differing),
            "all" => Ok(ChallengerRows::All),
            other => Err(Error::Usage(format!("{other}: choose differing or all"))),
        }
    }
}

impl fmt::Display for ChallengerRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A model to be scored beside that of a run.
#[derive(Debug)]
pub struct Challenger {
    pub loaded: Loaded,
    pub rows: ChallengerRows,
    /// Share of the texts, 0 to 1, for which its answer is served.
    pub split_ratio: f64,
}

impl Challenger {
    /// That it can stand beside a champion.
    ///
    /// # Errors
    /// `Usage` when it has another edition or is the same model.
    pub fn check(&self, champion: &Loaded) -> Result<()> {
        let named = |model: &Loaded| format!("{}@{}", model.name, model.version);
        let (one, other) = (&champion.bundle, &self.loaded.bundle);
        if one.labels.edition != other.labels.edition {
            return Err(Error::Usage(format!(
                "{} gives codes of edition {} and the challenger {} of edition {}: only models of one edition can stand \
                 beside each other",
                named(champion),
                one.labels.edition,
                named(&self.loaded),
                other.labels.edition
            )));
        }
        if one.digest == other.digest {
            return Err(Error::Usage(format!(
                "the challenger {} is the model of the run, {}: name another version, or leave --challenger out",
                named(&self.loaded),
                named(champion)
            )));
        }
        Ok(())
    }

    /// Ready to answer beside a champion, its policy changed as that of the run.
    ///
    /// # Errors
    /// `Usage` when the two cannot stand beside each other.
    pub(super) fn beside(&self, champion: &Loaded, changes: &PolicyOverride) -> Result<Served> {
        self.check(champion)?;
        let (policy, _) = changes.apply(&self.loaded.bundle.policy)?;
        let classifier = Classifier::new(&self.loaded, &policy)?.beside();
        Ok(Served::new(Arc::new(classifier), self.rows, self.split_ratio))
    }
}

/// A challenger at work.
#[derive(Clone)]
pub struct Served {
    pub classifier: Arc<Classifier>,
    rows: ChallengerRows,
    split_ratio: f64,
}

/// Lines counted by what the challenger said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BesideCounts {
    /// Lines that it answered.
    pub lines: u64,
    /// Its rows.
    pub written: u64,
    /// Of these, rows that are served.
    pub served: u64,
    /// Lines with another code or decision.
    pub differing: u64,
    /// Of these, lines with another code.
    pub differing_codes: u64,
}

impl BesideCounts {
    /// Adds those of another task.
    pub fn merge(&mut self, other: &BesideCounts) {
        self.lines += other.lines;
        self.written += other.written;
        self.served += other.served;
        self.differing += other.differing;
        self.differing_codes += other.differing_codes;
    }
}

/// Rows of a batch, by what becomes of the challenger's answer.
pub struct Picked {
    pub written: BooleanArray,
    pub served: BooleanArray,
}

impl Served {
    /// A classifier that stands beside another.
    pub(super) fn new(classifier: Arc<Classifier>, rows: ChallengerRows, split_ratio: f64) -> Served {
        Served { classifier, rows, split_ratio }
    }

    /// What becomes of each answer, given those of both.
    pub fn pick(&self, champion: &StructArray, challenger: &StructArray, counts: &mut BesideCounts) -> Result<Picked> {
        let column = |of: &'static str| -> Result<_> {
            Ok((field(champion, of)?.as_string::<i32>(), field(challenger, of)?.as_string::<i32>()))
        };
        let (codes, decisions, digests) = (column("hs6")?, column("decision")?, column("text_digest")?.0);
        let rows = champion.len();
        let (mut written, mut served) = (BooleanBufferBuilder::new(rows), BooleanBufferBuilder::new(rows));
        let value =
            |column: &arrow::array::StringArray, row: usize| column.is_valid(row).then(|| column.value(row).to_owned());
        for row in 0..rows {
            let other_code = codes.0.is_valid(row) != codes.1.is_valid(row)
                || (codes.0.is_valid(row) && codes.0.value(row) != codes.1.value(row));
            let differs = other_code || decisions.0.value(row) != decisions.1.value(row);
            // A line without a text is the champion's.
            let serves =
                self.split_ratio > 0.0 && value(digests, row).is_some_and(|text| in_share(&text, self.split_ratio));
            let writes = differs || serves || self.rows == ChallengerRows::All;
            counts.differing += u64::from(differs);
            counts.differing_codes += u64::from(other_code);
            counts.served += u64::from(serves);
            counts.written += u64::from(writes);
            written.append(writes);
            served.append(serves);
        }
        counts.lines += rows as u64;
        Ok(Picked {
            written: BooleanArray::new(written.finish(), None),
            served: BooleanArray::new(served.finish(), None),
        })
    }

    /// What of it the rows of a run depend on.
    pub fn fingerprint(&self) -> Value {
        let identity = &self.classifier.identity;
        json!([
            identity.model_name,
            identity.model_version,
            identity.model_digest,
            identity.policy_digest,
            self.rows.as_str(),
            self.split_ratio,
        ])
    }

    /// The columns of `runs` that say which challenger a run had and how its answers were used, with their values now.
    pub fn columns(served: Option<&Served>) -> Vec<(&'static str, Expr)> {
        let text = |of: fn(&Served) -> String| lit(ScalarValue::Utf8(served.map(of)));
        vec![
            ("challenger_digest", text(|s| s.classifier.identity.model_digest.clone())),
            ("challenger_policy_digest", text(|s| s.classifier.identity.policy_digest.clone())),
            ("challenger_rows", text(|s| s.rows.as_str().into())),
            ("split_ratio", lit(ScalarValue::Float64(served.map(|s| s.split_ratio)))),
        ]
    }

    /// What the run says of it.
    pub fn record(&self, counts: &BesideCounts) -> ChallengerRecord {
        let identity = &self.classifier.identity;
        ChallengerRecord {
            challenger_name: Some(identity.model_name.clone()),
            challenger_version: Some(identity.model_version),
            challenger_digest: Some(identity.model_digest.clone()),
            challenger_policy_digest: Some(identity.policy_digest.clone()),
            challenger_rows: Some(self.rows.as_str().into()),
            split_ratio: Some(self.split_ratio),
            challenger_lines: Some(counts.lines),
            challenger_written: Some(counts.written),
            challenger_served: Some(counts.served),
            differing_lines: Some(counts.differing),
            differing_codes: Some(counts.differing_codes),
        }
    }
}

/// Whether a text, by its digest, is among a share of all texts: by a hash of its own, so that the share has nothing to do with
/// that of the audit sample, nor with the models. A larger share holds a smaller one.
fn in_share(text_digest: &str, ratio: f64) -> bool {
    let hash = Sha256::new().chain_update("harmonize split").chain_update(text_digest).finalize();
    let place = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    f64::from(place) < ratio * 2f64.powi(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_size_asked_for_and_a_larger_one_holds_it() {
        let texts: Vec<String> = (0..20_000).map(|i| format!("{i:032x}")).collect();
        for ratio in [0.0, 0.1, 0.5, 1.0] {
            let inside = texts.iter().filter(|text| in_share(text, ratio)).count() as f64;
            // Four standard deviations.
            assert!((inside - 20_000.0 * ratio).abs() <= 4.0 * (20_000.0 * ratio * (1.0 - ratio)).sqrt(), "{ratio}");
        }
        assert!(texts.iter().all(|text| !in_share(text, 0.1) || in_share(text, 0.11)));
    }

    /// By an independent program: `printf 'harmonize split%032x' 7 | sha256sum`.
    #[test]
    fn the_share_is_drawn_as_the_documentation_says() {
        let text = format!("{:032x}", 7);
        let sum = std::process::Command::new("sh")
            .args(["-c", &format!("printf 'harmonize split{text}' | sha256sum")])
            .output();
        let sum = String::from_utf8(sum.unwrap().stdout).unwrap();
        let at = f64::from(u32::from_str_radix(&sum[..8], 16).unwrap()) / 2f64.powi(32);
        assert!(!in_share(&text, at - 1e-6) && in_share(&text, at + 1e-6));
    }
}
