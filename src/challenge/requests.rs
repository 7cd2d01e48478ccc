//! Requests for labels: of the texts to which two models give different codes, a sample goes to the review queue.
//!
//! Always holds: only texts that differ are asked for, each once a pair of models and by one line; which ones is a hash of
//! text and pair, so the same call again adds nothing and a larger one adds to it. Refuses: texts that a person has decided,
//! and lines that have another text by now.

use std::collections::BTreeMap;
use std::fmt::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::json::ReaderBuilder;
use chrono::{DateTime, SecondsFormat, Utc};
use futures::StreamExt;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::lake::{Committed, Nonce, Place, append_once};
use crate::sql::{Limits, register_lake, session};

/// How many of the texts are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    /// Each with this probability, above 0 and at most 1.
    Ratio(f64),
    /// So many, those asked for before included.
    Lines(u64),
}

/// A row of `label_requests`; `schemas/label_requests.json` tells what each field means.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct LabelRequest {
    pub request_id: String,
    pub source_file: String,
    pub source_row: i64,
    pub text_digest: String,
    pub champion_digest: String,
    pub challenger_digest: String,
    pub champion_hs6: Option<String>,
    pub challenger_hs6: Option<String>,
    pub sampling_ratio: f64,
    pub run_id: String,
    pub requested_at: String,
    pub requested_by: String,
}

/// What there was and what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Requested {
    /// Distinct texts with different codes.
    pub differing: u64,
    /// Of these, decided without having been asked for.
    pub decided: u64,
    /// Asked for before.
    pub before: u64,
    /// Asked for now.
    pub added: u64,
    /// Probability with which a text was drawn.
    pub sampling_ratio: f64,
}

/// Who asks, when, about which two models.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// SHA-256 of the manifest of the model of the runs.
    pub champion: &'a str,
    /// SHA-256 of the manifest of the model beside it.
    pub challenger: &'a str,
    pub draw: Draw,
    pub by: &'a str,
    pub at: DateTime<Utc>,
}

/// Appends the requests that are missing to the table `label_requests` of the lake, in one commit.
///
/// # Errors
/// [`Error::Usage`] for a draw or a digest that is none, [`Error::RaceLost`] and [`Error::CommitUnknown`] when the commit was
/// not made or it cannot be told, and those of the store.
pub async fn request_labels(lake: &Place, ask: &Ask<'_>, limits: Limits) -> Result<Requested> {
    let hexadecimal = |digest: &str| digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
    if !hexadecimal(ask.champion) || !hexadecimal(ask.challenger) || ask.champion == ask.challenger {
        return Err(Error::Usage("labels are requested for two versions with different digests".into()));
    }
    let (mut requested, rows) = drawn(lake, ask, limits).await?;
    if !rows.is_empty() {
        requested.added = append(lake, &rows).await?;
    }
    Ok(requested)
}

/// The texts with different codes whose line still has the text, by the newest run of both models; `$C` and `$X` are the two
/// digests.
const DIFFERING: &str = "
WITH differing AS (
  SELECT text_digest, source_file, source_row, champion_hs6, challenger_hs6, run_id,
         row_number() OVER (PARTITION BY text_digest ORDER BY run_date DESC, run_id DESC, source_file, source_row) AS newest
  FROM challenger_differences AS d
  WHERE champion_digest = '$C' AND challenger_digest = '$X' AND (champion_hs6 IS DISTINCT FROM challenger_hs6)
    AND EXISTS (SELECT 1 FROM current_predictions AS p WHERE p.source_file = d.source_file
                AND p.source_row = d.source_row AND p.text_digest = d.text_digest)
)
SELECT d.text_digest, d.source_file, d.source_row, d.champion_hs6, d.challenger_hs6, d.run_id,
       q.text_digest IS NOT NULL AS requested, k.text_digest IS NOT NULL AS decided
FROM differing AS d
LEFT JOIN (SELECT DISTINCT text_digest FROM label_requests
           WHERE champion_digest = '$C' AND challenger_digest = '$X') AS q ON q.text_digest = d.text_digest
LEFT JOIN (SELECT DISTINCT text_digest FROM decisions) AS k ON k.text_digest = d.text_digest
WHERE d.newest = 1";

/// A text that may be drawn.
struct Candidate {
    row: LabelRequest,
    requested: bool,
}

/// What there is, and the rows that are to be added, in the order of the draw.
async fn drawn(lake: &Place, ask: &Ask<'_>, limits: Limits) -> Result<(Requested, Vec<LabelRequest>)> {
    let mut sample = Sample::new(ask.draw)?;
    let context = session(limits)?;
    register_lake(&context, lake).await?;
    let query = DIFFERING.replace("$C", ask.champion).replace("$X", ask.challenger);
    let mut stream = context.sql(&query).await?.execute_stream().await?;
    let mut requested = Requested::default();
    while let Some(batch) = stream.next().await {
        for (candidate, decided) in candidates(&batch?, ask)? {
            requested.differing += 1;
            requested.before += u64::from(candidate.requested);
            if decided && !candidate.requested {
                requested.decided += 1;
            } else {
                sample.offer(candidate);
            }
        }
    }
    requested.sampling_ratio = sample.ratio();
    let rows = sample.kept.into_values().filter(|candidate| !candidate.requested);
    Ok((requested, rows.map(|c| LabelRequest { sampling_ratio: requested.sampling_ratio, ..c.row }).collect()))
}

/// Candidates of a batch of [`DIFFERING`], and whether a person has decided.
fn candidates(batch: &RecordBatch, ask: &Ask) -> Result<Vec<(Candidate, bool)>> {
    let texts = |column: usize| cast(batch.column(column), &DataType::Utf8);
    let (digests, files, runs) = (texts(0)?, texts(1)?, texts(5)?);
    let (before, after) = (texts(3)?, texts(4)?);
    let rows = batch.column(2).as_primitive::<Int64Type>();
    let (requested, decided) = (batch.column(6).as_boolean(), batch.column(7).as_boolean());
    let value = |column: &dyn Array, row: usize| {
        let column = column.as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let needed = |column: &dyn Array, row: usize| {
        value(column, row).ok_or_else(|| Error::Bug("a differing line without its address".into()))
    };
    let at = ask.at.to_rfc3339_opts(SecondsFormat::Micros, true);
    (0..batch.num_rows())
        .map(|row| {
            let text_digest = needed(&digests, row)?;
            let request = LabelRequest {
                request_id: request_id(ask.champion, ask.challenger, &text_digest),
                source_file: needed(&files, row)?,
                source_row: rows.value(row),
                text_digest,
                champion_digest: ask.champion.to_owned(),
                challenger_digest: ask.challenger.to_owned(),
                champion_hs6: value(&before, row),
                challenger_hs6: value(&after, row),
                sampling_ratio: 0.0,
                run_id: needed(&runs, row)?,
                requested_at: at.clone(),
                requested_by: ask.by.to_owned(),
            };
            Ok((Candidate { row: request, requested: requested.value(row) }, decided.value(row)))
        })
        .collect()
}

/// What is drawn so far: the lowest hashes.
struct Sample {
    draw: Draw,
    /// Those offered.
    offered: u64,
    /// By request id, whose order is that of the hash.
    kept: BTreeMap<String, Candidate>,
}

impl Sample {
    fn new(draw: Draw) -> Result<Sample> {
        match draw {
            Draw::Ratio(ratio) if !(ratio > 0.0 && ratio <= 1.0) => {
                Err(Error::Usage(format!("{ratio} is no share of the texts; give one above 0 and at most 1, or 100%")))
            }
            Draw::Lines(0) => Err(Error::Usage("0 lines are none; ask for 1 at least".into())),
            draw => Ok(Sample { draw, offered: 0, kept: BTreeMap::new() }),
        }
    }

    fn offer(&mut self, candidate: Candidate) {
        self.offered += 1;
        let id = candidate.row.request_id.clone();
        match self.draw {
            Draw::Ratio(ratio) if uniform(&id) >= ratio => {}
            Draw::Ratio(_) => {
                self.kept.insert(id, candidate);
            }
            Draw::Lines(lines) => {
                self.kept.insert(id, candidate);
                if self.kept.len() as u64 > lines {
                    self.kept.pop_last();
                }
            }
        }
    }

    /// The probability that a text which was offered is drawn.
    fn ratio(&self) -> f64 {
        match self.draw {
            Draw::Ratio(ratio) => ratio,
            Draw::Lines(lines) => (lines as f64 / self.offered.max(1) as f64).min(1.0),
        }
    }
}

/// 128 bits of SHA-256 over the three digests as they are written.
fn request_id(champion: &str, challenger: &str, text: &str) -> String {
    let hash = Sha256::digest([champion, challenger, text].concat());
    hash[..16].iter().fold(String::with_capacity(32), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// The first 64 bits of a request id as a number from 0 up to 1.
fn uniform(id: &str) -> f64 {
    let bits = id.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(u64::MAX);
    // 53 bits, which a double holds exactly: never 1.
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Appends the rows unless they are there; the number that was added.
async fn append(lake: &Place, rows: &[LabelRequest]) -> Result<u64> {
    let batches = rows.chunks(8_192).map(to_batch).collect::<Result<Vec<_>>>()?;
    // The same requests again, by whomever and whenever, are the same append.
    match append_once(lake, Contract::LabelRequests, &batches, &fingerprint(rows), Nonce::new()).await? {
        Committed::Now(_) => Ok(rows.len() as u64),
        Committed::Before => Ok(0),
    }
}

fn to_batch(rows: &[LabelRequest]) -> Result<RecordBatch> {
    let schema = Contract::LabelRequests.schema().clone();
    let mut decoder = ReaderBuilder::new(schema).with_strict_mode(true).with_batch_size(rows.len()).build_decoder()?;
    decoder.serialize(rows)?;
    decoder.flush()?.ok_or_else(|| Error::Bug("requests made no rows".into()))
}

fn fingerprint(rows: &[LabelRequest]) -> String {
    let mut hash = Sha256::new_with_prefix(format!("label_requests {}", Contract::LabelRequests.version()));
    rows.iter().for_each(|row| hash.update(&row.request_id));
    hash.finalize().iter().fold(String::with_capacity(64), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(n: u64) -> Candidate {
        let text_digest = format!("{n:032x}");
        let row = LabelRequest {
            request_id: request_id(&"a".repeat(64), &"b".repeat(64), &text_digest),
            source_file: "f".into(),
            source_row: n as i64,
            text_digest,
            champion_digest: "a".repeat(64),
            challenger_digest: "b".repeat(64),
            champion_hs6: None,
            challenger_hs6: Some("610910".into()),
            sampling_ratio: 0.5,
            run_id: "r".into(),
            requested_at: "2026-03-01T10:00:00.000000Z".into(),
            requested_by: "ana".into(),
        };
        Candidate { row, requested: false }
    }

    /// The texts that are drawn from 10,000, and with what probability.
    fn draw(draw: Draw) -> (Vec<String>, f64) {
        let mut sample = Sample::new(draw).unwrap();
        (0..10_000).for_each(|n| sample.offer(candidate(n)));
        let ratio = sample.ratio();
        (sample.kept.into_keys().collect(), ratio)
    }

    #[test]
    fn a_share_is_drawn_as_large_as_it_says_and_a_larger_one_holds_it() {
        let (some, ratio) = draw(Draw::Ratio(0.2));
        // Five standard deviations of a share of 0.2 among 10,000 are 200.
        assert!(some.len().abs_diff(2_000) < 200 && ratio == 0.2, "{}", some.len());
        let (more, _) = draw(Draw::Ratio(0.3));
        assert!(some.iter().all(|id| more.binary_search(id).is_ok()) && more.len() > some.len());
        assert_eq!(draw(Draw::Ratio(1.0)).0.len(), 10_000);
        assert_eq!(some, draw(Draw::Ratio(0.2)).0);
    }

    #[test]
    fn so_many_lines_are_drawn_with_the_probability_that_follows() {
        let (some, ratio) = draw(Draw::Lines(500));
        assert!(some.len() == 500 && ratio == 0.05);
        let (more, _) = draw(Draw::Lines(800));
        assert_eq!(some, more[..500]);
        assert_eq!(draw(Draw::Lines(20_000)), draw(Draw::Ratio(1.0)));
        assert!(Sample::new(Draw::Lines(0)).is_err() && Sample::new(Draw::Ratio(0.0)).is_err());
        assert!(Sample::new(Draw::Ratio(1.1)).is_err() && Sample::new(Draw::Ratio(f64::NAN)).is_err());
    }

    /// `printf 'a%.0s' {1..64}; printf 'b%.0s' {1..64}; printf '0%.0s' {1..32}` through sha256sum.
    #[test]
    fn the_id_of_a_request_is_the_one_that_sha256sum_gives() {
        let id = request_id(&"a".repeat(64), &"b".repeat(64), &"0".repeat(32));
        assert_eq!(id, "3a586445deb06b67d962ca14bb56dc42");
        assert_eq!(uniform("80000000000000000000000000000000"), 0.5);
        assert!(uniform(&"f".repeat(32)) < 1.0 && uniform(&"0".repeat(32)) == 0.0);
    }

    #[test]
    fn requests_are_rows_of_the_contract() {
        let rows: Vec<LabelRequest> = (0..3).map(|n| candidate(n).row).collect();
        let batch = to_batch(&rows).unwrap();
        assert_eq!((batch.num_rows(), batch.schema()), (3, Contract::LabelRequests.schema().clone()));
        assert_ne!(fingerprint(&rows), fingerprint(&rows[..2]));
        let later: Vec<LabelRequest> =
            rows.iter().map(|r| LabelRequest { requested_by: "ben".into(), ..r.clone() }).collect();
        assert_eq!(fingerprint(&rows), fingerprint(&later));
    }
}
