//! A decision as the table `decisions` has it, and its identity.
//!
//! Who decided what about which line or text makes the identity: the same decision imported twice has the same one, whenever
//! and from whichever file.

use arrow::array::RecordBatch;
use arrow::json::ReaderBuilder;
use serde::Serialize;

use super::answer::Verdict;
use super::identity::digest;
use super::lines::Address;
use crate::contract::Contract;
use crate::error::{Error, Result};

/// A row of `decisions`; `schemas/decisions.json` tells what each field means.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Decision {
    pub decision_id: String,
    pub source_file: Option<String>,
    pub source_row: Option<i64>,
    pub text_digest: Option<String>,
    pub verdict: &'static str,
    pub hs6: Option<String>,
    pub tariff_edition: String,
    pub binding: bool,
    pub reason_code: Option<String>,
    pub note: Option<String>,
    pub reviewer: String,
    pub decided_at: String,
    pub shown_run_id: Option<String>,
    pub shown_hs6: Option<String>,
    pub shown_confidence: Option<f32>,
    pub shown_model_digest: Option<String>,
}

/// What makes a decision the same as another.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The line; `None` for every line of the text.
    pub line: Option<&'a Address>,
    pub text_digest: Option<&'a str>,
    pub verdict: Verdict,
    pub hs6: Option<&'a str>,
    pub edition: &'a str,
    pub binding: bool,
    pub reason_code: Option<&'a str>,
    pub note: Option<&'a str>,
    pub reviewer: &'a str,
}

impl Content<'_> {
    /// 128 bits of SHA-256; `replaces` is the decision in whose place it comes a second time.
    pub fn id(&self, replaces: Option<&str>) -> String {
        let row = self.line.map(|(_, row)| row.to_string());
        digest(
            "decision 1",
            &[
                self.line.map(|(file, _)| file.as_str()),
                row.as_deref(),
                self.text_digest,
                Some(self.verdict.as_str()),
                self.hs6,
                Some(self.edition),
                Some(if self.binding { "binding" } else { "" }),
                self.reason_code,
                self.note,
                Some(self.reviewer),
                replaces,
            ],
        )
    }
}

/// The rows of the table.
pub fn batches(decisions: &[Decision]) -> Result<Vec<RecordBatch>> {
    let schema = Contract::Decisions.schema();
    let batch = |rows: &[Decision]| -> Result<RecordBatch> {
        let builder = ReaderBuilder::new(schema.clone()).with_strict_mode(true).with_batch_size(rows.len());
        let mut decoder = builder.build_decoder()?;
        decoder.serialize(rows)?;
        decoder.flush()?.ok_or_else(|| Error::Bug("decisions made no rows".into()))
    };
    decisions.chunks(8_192).map(batch).collect()
}

/// The same decisions, in whatever order, are one commit.
pub fn fingerprint(decisions: &[Decision]) -> String {
    let mut ids: Vec<Option<&str>> = decisions.iter().map(|decision| Some(decision.decision_id.as_str())).collect();
    ids.sort_unstable();
    digest(&format!("decisions {}", Contract::Decisions.version()), &ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_rows_of_the_contract() {
        let one = Decision {
            decision_id: "a".into(),
            source_file: None,
            source_row: None,
            text_digest: Some("t".into()),
            verdict: Verdict::Correct.as_str(),
            hs6: Some("010121".into()),
            tariff_edition: "2022".into(),
            binding: true,
            reason_code: None,
            note: Some("nul\0 and \u{fffe}".into()),
            reviewer: "Ana".into(),
            decided_at: "2026-03-01T10:00:00.000001Z".into(),
            shown_run_id: Some("r".into()),
            shown_hs6: None,
            shown_confidence: Some(0.1),
            shown_model_digest: Some("m".into()),
        };
        let all = vec![one.clone(); 9_000];
        let batches = batches(&all).unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 9_000);
        assert_eq!(batches[0].schema(), *Contract::Decisions.schema());
        let two = [one.clone(), Decision { decision_id: "b".into(), ..one.clone() }];
        assert_eq!(fingerprint(&two), fingerprint(&[two[1].clone(), one.clone()]));
        assert_ne!(fingerprint(&two), fingerprint(&[one]));
    }
}
