//! What a run of `classify` is asked for.

use chrono::{DateTime, Utc};

use super::plan::Along;
use crate::error::{Error, Result};
use crate::lake::Place;
use crate::model::Policy;
use crate::sql::{Limits, ROLES};

/// What to do with a file that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBadFile {
    /// End the run before anything is visible.
    Fail,
    /// Set it aside, count its rows, go on.
    Quarantine,
}

/// Which rows keep their description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreText {
    /// All.
    All,
    /// Those that people will look at.
    Review,
    /// None.
    None,
}

impl StoreText {
    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            StoreText::All => "all",
            StoreText::Review => "review",
            StoreText::None => "none",
        }
    }
}

/// What a run is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// The job itself.
    #[default]
    Classify,
    /// Filling in the past: whether the rows count, or stand beside others that do.
    Backfill { counts: bool },
}

impl Purpose {
    /// The command that says so in `runs`.
    pub(super) fn command(self) -> &'static str {
        match self {
            Purpose::Classify => "classify",
            Purpose::Backfill { .. } => "backfill",
        }
    }

    /// Role of the rows, and whether they count.
    pub(super) fn role(self) -> (&'static str, bool) {
        match self {
            Purpose::Classify => (ROLES[0], true),
            Purpose::Backfill { counts } => ("backfill", counts),
        }
    }
}

/// Parts of the bundle's policy that a flag sets for one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyOverride {
    /// Confidence from which a line is accepted.
    pub threshold: Option<f32>,
    /// Share of accepted texts that goes to people at random.
    pub audit_ratio: Option<f64>,
    /// Texts that are refused because they name no goods, and where they are from.
    pub vague: Option<(String, Vec<String>)>,
}

impl PolicyOverride {
    /// The policy in force, and where it came from.
    pub fn apply(&self, policy: &Policy) -> Result<(Policy, String)> {
        let mut policy = policy.clone();
        let mut flags = Vec::new();
        if let Some(threshold) = self.threshold {
            // One threshold for all is what was asked for.
            policy.threshold = threshold;
            policy.single_headings.clear();
            flags.push(format!("--threshold {threshold}"));
        }
        if let Some(ratio) = self.audit_ratio {
            policy.audit_ratio = ratio;
            flags.push(format!("--audit-ratio {ratio}"));
        }
        if let Some((file, texts)) = &self.vague {
            policy.vague.clone_from(texts);
            flags.push(format!("--vague {file}"));
        }
        policy.validate().map_err(|e| Error::Usage(e.to_string()))?;
        Ok((policy, if flags.is_empty() { "bundle".into() } else { flags.join(" ") }))
    }
}

/// What to classify, with what, into what.
#[derive(Clone, Debug)]
pub struct ClassifyOptions {
    /// Files and folders to read.
    pub inputs: Vec<String>,
    /// Description column.
    pub text: String,
    /// Id column.
    pub id: Option<String>,
    /// Column with the code that a line was declared under, which travels along.
    pub declared: Option<String>,
    /// Column with a line's value, which travels along.
    pub value: Option<String>,
    /// SQL filter over the input's columns.
    pub where_sql: Option<String>,
    /// Root of the program's own tables.
    pub lake: Place,
    /// Changes to the bundle's policy.
    pub policy: PolicyOverride,
    /// Which rows keep their description.
    pub store_text: StoreText,
    /// What to do with unreadable files.
    pub on_bad_file: OnBadFile,
    /// Share of the machine.
    pub limits: Limits,
    /// Whether lines are scored whose answer stands in the lake already.
    pub full: bool,
    /// What it is for.
    pub purpose: Purpose,
    /// Size at which a data file is closed, in bytes.
    pub target_file_bytes: u64,
    /// When the run began; the only clock that rows see.
    pub started_at: DateTime<Utc>,
}

impl ClassifyOptions {
    /// Columns of the input that travel along.
    pub(super) fn along(&self) -> Along<'_> {
        Along { id: self.id.as_deref(), declared: self.declared.as_deref(), value: self.value.as_deref() }
    }
}
