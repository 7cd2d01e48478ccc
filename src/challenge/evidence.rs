//! What a comparison found, as the JSON that the event of a promotion keeps.

use serde::{Deserialize, Serialize};

use crate::trial::{Interval, McNemar, Pairs};

/// Layout that this program writes and reads.
pub const EVIDENCE_FORMAT_VERSION: u32 = 1;

/// A model that was compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// Name of the model.
    pub name: String,
    pub version: u64,
    /// SHA-256 of its manifest.
    pub digest: String,
    /// SHA-256 of its policy.
    pub policy_digest: String,
    /// Edition of its codes.
    pub edition: String,
}

/// The lines that both were asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// `labels` for labelled lines, `decisions` for what reviewers decided.
    pub kind: String,
    /// Where they are from: the inputs and the filter, or the lake.
    pub source: String,
    /// Rows with a code of the edition.
    pub rows: u64,
    /// Distinct normalised texts among them; each counts once, by its first row.
    pub texts: u64,
    /// SHA-256 over the sorted pairs of text digest and code.
    pub digest: String,
}

/// Right and wrong at 6, 4 or 2 digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByLevel {
    pub digits: u64,
    /// Share of the texts on which each is right, 0 to 1.
    pub champion_accuracy: f64,
    pub challenger_accuracy: f64,
    pub pairs: Pairs,
    /// Challenger less champion, -1 to 1.
    pub difference: f64,
    /// 95 % interval of the difference.
    pub interval: Interval,
    pub mcnemar: McNemar,
}

/// One chapter of the known codes, at six digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByChapter {
    pub chapter: String,
    pub pairs: Pairs,
    pub difference: f64,
    pub interval: Interval,
    /// Share of the texts for which the models give different codes.
    pub churn_ratio: f64,
    /// After Holm's correction over all chapters: small says that it is proved not to fall by the margin.
    pub not_worse_p: f64,
    /// After Holm's correction: small says that it is proved to fall by more than the margin.
    pub worse_p: f64,
}

/// Share of the texts that could be accepted at a precision, with the best threshold in hindsight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    pub precision: f64,
    pub champion_ratio: f64,
    pub challenger_ratio: f64,
}

/// What a model's own policy accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    pub texts: u64,
    pub coverage_ratio: f64,
    /// `None` when nothing is accepted.
    pub precision: Option<f64>,
    /// 95 % interval.
    pub precision_low: f64,
    pub precision_high: f64,
}

/// Expected calibration error at 6, 4 and 2 digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    pub hs6: f64,
    pub hs4: f64,
    pub hs2: f64,
}

/// What an answer costs, measured in the same run, one after the other on one thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// CPU-seconds for a million distinct texts.
    pub cpu_secs_per_million: f64,
    /// Memory that the compiled model takes, in bytes; `None` where the system does not say.
    pub memory_bytes: Option<u64>,
    /// Size of the bundle's files.
    pub bundle_bytes: u64,
}

/// A line that one model alone has right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    pub text: String,
    /// The known code.
    pub truth: String,
    pub champion_hs6: Option<String>,
    pub challenger_hs6: Option<String>,
}

/// The evidence after one night's decisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Night {
    /// UTC date.
    pub date: String,
    /// Discordant pairs so far.
    pub discordant: u64,
    /// Of these, won by the challenger.
    pub gained: u64,
    /// Natural logarithm of the evidence.
    pub ln_evidence: f64,
}

/// The always-valid test over the reviewers' decisions on lines where both differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nightly {
    pub alpha: f64,
    pub nights: Vec<Night>,
    /// Whether the evidence was ever `1 / alpha`.
    pub proved: bool,
    /// Share of the effect that was asked for, and the labelled discordant pairs that it needs; `None` when out of reach.
    pub effect: f64,
    pub pairs_needed: Option<u64>,
    /// Of these, still missing.
    pub pairs_missing: Option<u64>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// [`EVIDENCE_FORMAT_VERSION`].
    pub format_version: u32,
    /// RFC 3339, UTC.
    pub compared_at: String,
    pub champion: Contender,
    pub challenger: Contender,
    pub lines: Lines,
    /// 6, 4 and 2 digits.
    pub levels: Vec<ByLevel>,
    /// Largest drop, as a share of a chapter's texts, that the tests of the chapters allow.
    pub chapter_margin: f64,
    pub chapters: Vec<ByChapter>,
    /// Share of the texts for which the models give different codes.
    pub churn_ratio: f64,
    /// At 95 % and 98 %.
    pub coverage: Vec<Coverage>,
    pub champion_accepted: Accepted,
    pub challenger_accepted: Accepted,
    pub champion_calibration: Calibration,
    pub challenger_calibration: Calibration,
    pub champion_cost: Cost,
    pub challenger_cost: Cost,
    /// With the decisions of a lake.
    pub nightly: Option<Nightly>,
    /// SHA-256 of the report's page, when one was written.
    pub report_sha256: Option<String>,
}
