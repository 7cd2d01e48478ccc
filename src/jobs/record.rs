//! The record of a run: what its commit carries, and what becomes its row in `runs`.
//!
//! The commit that makes predictions visible carries the record too, so a process that dies between the two commits
//! loses nothing: the next start of the same run appends the row.

use arrow::array::RecordBatch;
use arrow::json::ReaderBuilder;
use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{Nonce, Place, append_once};

/// One input file of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputFile {
    /// Where it is.
    pub url: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// ETag, where the store gives one.
    pub e_tag: Option<String>,
    /// Rows by its footer.
    pub rows: u64,
}

/// One file set aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantinedFile {
    /// Where it is.
    pub url: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Rows by its footer; `None` when that cannot be read.
    pub rows: Option<u64>,
    /// What is wrong with it.
    pub reason: String,
}

/// What a run says of its challenger; nothing without one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ChallengerRecord {
    pub challenger_name: Option<String>,
    pub challenger_version: Option<u64>,
    pub challenger_digest: Option<String>,
    pub challenger_policy_digest: Option<String>,
    pub challenger_rows: Option<String>,
    pub split_ratio: Option<f64>,
    pub challenger_lines: Option<u64>,
    pub challenger_written: Option<u64>,
    pub challenger_served: Option<u64>,
    pub differing_lines: Option<u64>,
    pub differing_codes: Option<u64>,
}

/// A row of `runs`; `schemas/runs.json` tells what each field means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RunRecord {
    pub run_id: String,
    pub fingerprint: String,
    pub command: String,
    pub started_at: String,
    pub finished_at: String,
    pub run_date: String,
    pub inputs: Vec<InputFile>,
    pub quarantined: Vec<QuarantinedFile>,
    pub where_sql: Option<String>,
    pub text_column: String,
    pub id_column: Option<String>,
    pub store_text: String,
    pub model_name: String,
    pub model_version: u64,
    pub model_digest: String,
    pub tariff_edition: String,
    pub policy_digest: String,
    pub policy_json: String,
    pub policy_origin: String,
    pub lines_read: u64,
    pub lines_written: u64,
    pub accept_lines: u64,
    pub review_lines: u64,
    pub refuse_lines: u64,
    pub quarantined_rows: u64,
    pub files_written: u64,
    pub bytes_written: u64,
    pub plan_secs: f64,
    pub score_secs: f64,
    pub threads: u64,
    pub program_version: String,
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    pub skipped_files: Option<u64>,
    #[serde(default)]
    pub skipped_rows: Option<u64>,
    #[serde(default)]
    pub unchanged_lines: Option<u64>,
    #[serde(default)]
    pub declared_column: Option<String>,
    #[serde(default)]
    pub value_column: Option<String>,
    /// Of a reclassification.
    #[serde(default)]
    pub from_edition: Option<String>,
    #[serde(default)]
    pub carried_lines: Option<u64>,
    #[serde(default)]
    pub mapped_lines: Option<u64>,
    #[serde(default)]
    pub held_lines: Option<u64>,
    #[serde(default)]
    pub reclassify_json: Option<String>,
    #[serde(flatten)]
    pub challenger: ChallengerRecord,
}

impl RunRecord {
    /// The record as one row of `runs`.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        let mut decoder = ReaderBuilder::new(Contract::Runs.schema().clone()).with_strict_mode(true).build_decoder()?;
        decoder.serialize(&[self])?;
        decoder.flush()?.ok_or_else(|| Error::Bug("a run record made no row".into()))
    }

    /// Appends the record to `runs` unless it is there.
    pub async fn append(&self, lake: &Place, nonce: Nonce) -> Result<()> {
        append_once(lake, Contract::Runs, &[self.to_batch()?], &self.fingerprint, nonce).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_row_of_the_contract() {
        let record = RunRecord {
            run_id: "r".into(),
            fingerprint: "f".into(),
            command: "classify".into(),
            started_at: "2026-01-02T03:04:05.000006Z".into(),
            finished_at: "2026-01-02T03:04:06Z".into(),
            run_date: "2026-01-02".into(),
            inputs: vec![InputFile { url: "u".into(), size_bytes: 1, e_tag: None, rows: 2 }],
            quarantined: vec![],
            where_sql: None,
            text_column: "description".into(),
            id_column: None,
            store_text: "all".into(),
            model_name: "hs".into(),
            model_version: 1,
            model_digest: "d".into(),
            tariff_edition: "2022".into(),
            policy_digest: "p".into(),
            policy_json: "{}".into(),
            policy_origin: "bundle".into(),
            lines_read: 2,
            lines_written: 2,
            accept_lines: 1,
            review_lines: 1,
            refuse_lines: 0,
            quarantined_rows: 0,
            files_written: 1,
            bytes_written: 10,
            plan_secs: 0.5,
            score_secs: 1.5,
            threads: 2,
            program_version: "0".into(),
            scope: Some("changed".into()),
            skipped_files: Some(1),
            skipped_rows: Some(2),
            unchanged_lines: Some(3),
            declared_column: None,
            value_column: Some("value".into()),
            from_edition: Some("2017".into()),
            carried_lines: Some(1),
            mapped_lines: Some(2),
            held_lines: None,
            reclassify_json: Some("{}".into()),
            challenger: ChallengerRecord { challenger_version: Some(2), ..ChallengerRecord::default() },
        };
        let batch = record.to_batch().unwrap();
        assert_eq!(batch.num_rows(), 1);
        assert_eq!(batch.schema(), *Contract::Runs.schema());
    }
}
