//! What reviewers decided in a lake: the code that counts for each text, and when its text was first decided on.
//!
//! Always holds: of the decisions on a line, and of those on all lines of a text, the binding one counts before the newest, as in
//! the view `effective_codes`.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate};
use datafusion::prelude::SessionContext;

use super::lines::{Known, LeftOut};
use crate::error::{Error, Result};
use crate::lake::Place;
use crate::tariff::{Codes, Edition, Subheading};
use crate::text;

/// The code of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    pub code: Subheading,
    /// UTC date of the first decision on the text.
    pub date: NaiveDate,
}

/// Decisions that count, those of the latest edition, then the binding and then the newest first.
const DECISIONS: &str = "
SELECT text_digest, hs6, tariff_edition, first_at FROM (
  SELECT text_digest, hs6, tariff_edition, binding, decided_at, decision_id, source_file, source_row,
         min(decided_at) OVER (PARTITION BY text_digest) AS first_at,
         row_number() OVER (PARTITION BY source_file, source_row, text_digest ORDER BY tariff_edition DESC, binding DESC, decided_at DESC, decision_id) AS newest
  FROM decisions
) AS ranked
WHERE newest = 1
ORDER BY tariff_edition DESC, binding DESC, decided_at DESC, decision_id, source_file, source_row";

/// What is stored of the texts that were decided on.
const DESCRIPTIONS: &str = "
SELECT DISTINCT text_digest, description FROM predictions
WHERE description IS NOT NULL AND text_digest IN (SELECT text_digest FROM decisions WHERE text_digest IS NOT NULL)
ORDER BY text_digest, description";

/// What reviewers decided, of every text by its digest.
pub struct Decisions {
    /// Rows that count, in the order above: digest of the text, and code.
    rows: Vec<(String, Subheading)>,
    left_out: LeftOut,
    /// By the digest of the text.
    pub of_text: BTreeMap<String, Decided>,
}

impl Decisions {
    /// Reads the table `decisions` of a session.
    ///
    /// # Errors
    /// Those of the query.
    pub async fn read(context: &SessionContext, edition: Edition) -> Result<Decisions> {
        let codes = Codes::builtin(edition);
        let mut found = Decisions { rows: Vec::new(), left_out: LeftOut::default(), of_text: BTreeMap::new() };
        for batch in context.sql(DECISIONS).await?.collect().await? {
            let [digests, hs6, editions] = [0, 1, 2].map(|at| texts(&batch, at));
            let (digests, hs6, editions) = (digests?, hs6?, editions?);
            let first = cast(batch.column(3), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
            let first = first.as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                let of_edition = editions.is_valid(row) && editions.value(row) == edition.as_str();
                let code = (hs6.is_valid(row) && of_edition).then(|| codes.get(hs6.value(row))).flatten();
                let Some(code) = code else {
                    found.left_out.without_code += 1;
                    continue;
                };
                if digests.is_null(row) {
                    found.left_out.without_text += 1;
                    continue;
                }
                let digest = digests.value(row).to_string();
                let at = DateTime::from_timestamp_micros(first.value(row));
                let at = at.ok_or_else(|| Error::Input("decisions: decided_at is out of the range of dates".into()))?;
                found.of_text.entry(digest.clone()).or_insert(Decided { code, date: at.date_naive() });
                found.rows.push((digest, code));
            }
        }
        Ok(found)
    }

    /// The texts with their codes, as far as predictions of the lake have stored their descriptions.
    ///
    /// # Errors
    /// `Input` when there is none, and those of the query.
    pub async fn known(&self, context: &SessionContext, lake: &Place) -> Result<Known> {
        let mut stored: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut normalised = String::new();
        for batch in context.sql(DESCRIPTIONS).await?.collect().await? {
            let (digests, descriptions) = (texts(&batch, 0)?, texts(&batch, 1)?);
            for row in 0..batch.num_rows() {
                text::normalise(descriptions.value(row), &mut normalised);
                let text = stored.entry(digests.value(row).to_string()).or_default();
                if text.is_none() && text::digest(&normalised).to_string() == digests.value(row) {
                    *text = Some(normalised.clone());
                }
            }
        }
        let (mut left_out, mut rows) = (self.left_out, Vec::new());
        for (digest, code) in &self.rows {
            match stored.get(digest) {
                None => left_out.without_description += 1,
                Some(None) => left_out.of_another_text += 1,
                Some(Some(text)) => rows.push((text.clone(), *code)),
            }
        }
        if rows.is_empty() {
            return Err(Error::Input(format!(
                "{}: no decision has a code of the models' edition and a description that is stored: {} without such a \
                 code, {} without a text, {} without a stored description, {} whose stored description is cut; predictions \
                 keep descriptions with classify --store-text all or review",
                lake.url(),
                left_out.without_code,
                left_out.without_text,
                left_out.without_description,
                left_out.of_another_text
            )));
        }
        Ok(Known::of("decisions", lake.url().to_string(), rows, left_out))
    }
}

/// A column as text.
pub(super) fn texts(batch: &RecordBatch, at: usize) -> Result<StringArray> {
    Ok(cast(batch.column(at), &DataType::Utf8)?.as_string::<i32>().clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Int64Array, TimestampMicrosecondArray};

    use super::*;

    /// file, row, text digest, code, edition, binding, day of March 2026
    type Row<'a> = (Option<&'a str>, Option<i64>, Option<&'a str>, Option<&'a str>, &'a str, bool, i64);

    fn context(decisions: &[Row<'_>], predictions: &[(&str, Option<&str>)]) -> SessionContext {
        let text = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let days = |d: &Row<'_>| 1_000_000 * (1_772_323_200 + 86_400 * (d.6 - 1) + 82_800);
        let ids: StringArray = (0..decisions.len()).map(|n| Some(format!("d{n}"))).collect();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("decision_id", Arc::new(ids) as ArrayRef, true),
            ("source_file", text(decisions.iter().map(|d| d.0).collect()), true),
            ("source_row", Arc::new(decisions.iter().map(|d| d.1).collect::<Int64Array>()) as ArrayRef, true),
            ("text_digest", text(decisions.iter().map(|d| d.2).collect()), true),
            ("hs6", text(decisions.iter().map(|d| d.3).collect()), true),
            ("tariff_edition", text(decisions.iter().map(|d| Some(d.4)).collect()), true),
            ("binding", Arc::new(decisions.iter().map(|d| Some(d.5)).collect::<BooleanArray>()) as ArrayRef, true),
            (
                "decided_at",
                Arc::new(
                    decisions.iter().map(|d| Some(days(d))).collect::<TimestampMicrosecondArray>().with_timezone("UTC"),
                ) as ArrayRef,
                true,
            ),
        ])
        .unwrap();
        let context = SessionContext::new();
        context.register_batch("decisions", batch).unwrap();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("text_digest", text(predictions.iter().map(|p| Some(p.0)).collect()), true),
            ("description", text(predictions.iter().map(|p| p.1).collect()), true),
        ])
        .unwrap();
        context.register_batch("predictions", batch).unwrap();
        context
    }

    fn lake() -> Place {
        Place::open(std::env::temp_dir().to_str().unwrap()).unwrap()
    }

    /// Ana decides on "bolt" for all lines on the 1st and Ben on one of them on the 3rd: two rows, one text, Ben's code, dated the
    /// 1st. Of "nut" the binding decision counts, though it is older. What cannot be asked about is counted by why.
    #[tokio::test]
    async fn the_code_that_counts_comes_with_the_date_of_the_first_decision() {
        let digests: Vec<String> =
            ["bolt", "nut", "cut off", "not kept"].iter().map(|text| text::digest(text).to_string()).collect();
        let [bolt, nut, cut, kept] = [0, 1, 2, 3].map(|n| digests[n].as_str());
        let decisions = [
            (None, None, Some(bolt), Some("731815"), "2022", false, 1),
            (Some("f"), Some(1), Some(bolt), Some("731816"), "2022", false, 3),
            (None, None, Some(nut), Some("731816"), "2022", true, 2),
            (None, None, Some(nut), Some("731815"), "2022", false, 4),
            (None, None, Some(cut), Some("731815"), "2022", false, 4),
            (None, None, Some(kept), Some("731815"), "2022", false, 5),
            (Some("f"), Some(7), None, Some("731815"), "2022", false, 5),
            (Some("f"), Some(8), Some(bolt), Some("731815"), "2017", false, 5),
            (Some("f"), Some(9), Some(bolt), None, "2022", false, 5),
            (Some("f"), Some(10), Some(bolt), Some("731899"), "2022", false, 5),
        ];
        let predictions = [(bolt, Some(" BOLT ")), (bolt, Some("bolt")), (nut, Some("nut")), (cut, Some("cut"))];
        let context = context(&decisions, &predictions);
        let found = Decisions::read(&context, Edition::Hs2022).await.unwrap();
        let march = |day| NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
        let decided = |digest: &str| (found.of_text[digest].code.to_string(), found.of_text[digest].date);
        assert_eq!(decided(bolt), ("731816".into(), march(1)));
        assert_eq!(decided(nut), ("731816".into(), march(2)));
        assert_eq!(found.of_text.len(), 4);
        let known = found.known(&context, &lake()).await.unwrap();
        let asked: Vec<(&str, &str)> = known.texts.iter().map(|(text, code)| (text.as_str(), code.as_str())).collect();
        assert_eq!(asked, [("nut", "731816"), ("bolt", "731816")], "the binding one first, then the newest");
        assert_eq!((known.lines.rows, known.lines.texts, known.lines.kind.as_str()), (3, 2, "decisions"));
        let expected = LeftOut { without_code: 3, without_text: 1, without_description: 1, of_another_text: 1 };
        assert_eq!(known.left_out, expected);
    }

    #[tokio::test]
    async fn decisions_without_any_stored_description_are_refused_with_what_to_do() {
        let digest = text::digest("bolt").to_string();
        let context = context(&[(None, None, Some(&digest), Some("731815"), "2022", false, 1)], &[(&digest, None)]);
        let found = Decisions::read(&context, Edition::Hs2022).await.unwrap();
        let error = found.known(&context, &lake()).await.unwrap_err();
        assert_eq!(error.exit_code(), 20);
        assert!(
            error.to_string().contains("1 without a stored description") && error.to_string().contains("--store-text")
        );
    }
}
