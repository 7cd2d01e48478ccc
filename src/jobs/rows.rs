//! From the batches of the plan to rows of `predictions`, counting as they pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, StringBuilder, StructArray,
    new_null_array,
};
use arrow::compute::kernels::boolean;
use arrow::compute::{cast, filter, filter_record_batch};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};

use super::challenger::{BesideCounts, Served};
use super::options::{Purpose, StoreText};
use super::write::Maker;
use crate::error::{Error, Result};
use crate::sql::{Identity, ROLES};
use crate::text::MAX_CHARS;

/// Lines counted by decision and by file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows.
    pub lines: u64,
    /// Rows by decision.
    pub decisions: BTreeMap<String, u64>,
    /// Rows by input file.
    pub files: BTreeMap<String, u64>,
    /// Lines that have an answer that is served, which each must have once.
    pub served: u64,
    /// Of the challenger.
    pub beside: BesideCounts,
}

impl Counts {
    /// Adds those of another task.
    pub fn merge(&mut self, other: Counts) {
        self.lines += other.lines;
        self.served += other.served;
        self.beside.merge(&other.beside);
        for (name, n) in other.decisions {
            *self.decisions.entry(name).or_default() += n;
        }
        for (name, n) in other.files {
            *self.files.entry(name).or_default() += n;
        }
    }

    /// Rows with a decision.
    pub fn decided(&self, decision: &str) -> u64 {
        self.decisions.get(decision).copied().unwrap_or(0)
    }
}

/// Makes rows of `predictions` of one run.
pub struct RowMaker {
    schema: SchemaRef,
    identity: Identity,
    run_id: String,
    store_text: StoreText,
    purpose: Purpose,
    beside: Option<Served>,
    /// Counted so far.
    pub counts: Counts,
}

/// Columns of the plan's output, in order.
const SOURCE_FILE: usize = 0;
const SOURCE_ROW: usize = 1;
const LINE_ID: usize = 2;
const TEXT: usize = 3;
const PREDICTION: usize = 4;
const DECLARED: usize = 5;
const VALUE: usize = 6;
const NAMES: [&str; 7] = ["source_file", "source_row", "line_id", "text", "prediction", "declared_code", "value"];

impl Maker for RowMaker {
    fn make(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        RowMaker::make(self, batch)
    }
}

impl RowMaker {
    /// For files with the columns of `schema`.
    pub fn new(
        schema: SchemaRef,
        identity: Identity,
        run_id: String,
        store_text: StoreText,
        purpose: Purpose,
        beside: Option<Served>,
    ) -> RowMaker {
        RowMaker { schema, identity, run_id, store_text, purpose, beside, counts: Counts::default() }
    }

    /// Rows for a batch of the columns of `NAMES`: as many as it has, and those of the challenger
    /// that are to be written.
    pub fn make(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        let prediction = batch.column(PREDICTION).as_struct();
        let Some(beside) = self.beside.clone() else {
            self.count(batch, field(prediction, "decision")?.as_string::<i32>())?;
            self.counts.served += batch.num_rows() as u64;
            let (role, counts) = self.purpose.role();
            let served = BooleanArray::from(vec![counts; batch.num_rows()]);
            return Ok(vec![self.rows(batch, role, &self.identity, &served)?]);
        };
        let [champion, challenger] = [0, 1].map(|role| Arc::clone(prediction.column(role)));
        let picked = beside.pick(champion.as_struct(), challenger.as_struct(), &mut self.counts.beside)?;
        self.count(batch, field(champion.as_struct(), "decision")?.as_string::<i32>())?;
        let kept = boolean::not(&picked.served)?;
        let with = |prediction: ArrayRef| -> Result<RecordBatch> {
            let mut columns = batch.columns().to_vec();
            columns[PREDICTION] = prediction;
            Ok(RecordBatch::try_from_iter_with_nullable(NAMES.into_iter().zip(columns).map(|(n, c)| (n, c, true)))?)
        };
        let mut made = vec![self.rows(&with(champion)?, ROLES[0], &self.identity, &kept)?];
        self.counts.served += (kept.true_count() + picked.served.true_count()) as u64;
        if picked.written.true_count() > 0 {
            let written = filter_record_batch(&with(challenger)?, &picked.written)?;
            let served = filter(&picked.served, &picked.written)?;
            made.push(self.rows(&written, ROLES[1], &beside.classifier.identity, served.as_boolean())?);
        }
        Ok(made)
    }

    /// Rows of one role.
    fn rows(&self, batch: &RecordBatch, role: &str, identity: &Identity, served: &BooleanArray) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let prediction = batch.column(PREDICTION).as_struct();
        let decisions = field(prediction, "decision")?.as_string::<i32>();
        let constant =
            |value: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, rows))) };
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|column| {
                let made: ArrayRef = match column.name().as_str() {
                    "line_id" => Arc::clone(batch.column(LINE_ID)),
                    "source_file" => Arc::clone(batch.column(SOURCE_FILE)),
                    "source_row" => Arc::clone(batch.column(SOURCE_ROW)),
                    "description" => self.description(batch.column(TEXT), decisions),
                    "previous_hs6" => new_null_array(&DataType::Utf8, rows),
                    "model_name" => constant(&identity.model_name),
                    "model_version" => {
                        let version = i64::try_from(identity.model_version).unwrap_or(i64::MAX);
                        Arc::new(Int64Array::from_value(version, rows))
                    }
                    "model_digest" => constant(&identity.model_digest),
                    "tariff_edition" => constant(&identity.tariff_edition),
                    "policy_digest" => constant(&identity.policy_digest),
                    "run_id" => constant(&self.run_id),
                    "declared_code" => Arc::clone(batch.column(DECLARED)),
                    "value" => Arc::clone(batch.column(VALUE)),
                    "role" => constant(role),
                    "served" => Arc::new(served.clone()),
                    name => Arc::clone(field(prediction, name)?),
                };
                Ok(if made.data_type() == column.data_type() { made } else { cast(&made, column.data_type())? })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    fn count(&mut self, batch: &RecordBatch, decisions: &StringArray) -> Result<()> {
        self.counts.lines += batch.num_rows() as u64;
        for decision in decisions.iter().flatten() {
            match self.counts.decisions.get_mut(decision) {
                Some(n) => *n += 1,
                None => {
                    self.counts.decisions.insert(decision.to_string(), 1);
                }
            }
        }
        let files = batch
            .column(SOURCE_FILE)
            .as_dictionary_opt::<Int32Type>()
            .ok_or_else(|| Error::Bug("source_file is not a dictionary".into()))?;
        let names = files.values().as_string::<i32>();
        let mut of_key = vec![0u64; names.len()];
        for key in files.keys().iter().flatten() {
            of_key[key as usize] += 1;
        }
        for (key, n) in of_key.into_iter().enumerate().filter(|&(_, n)| n > 0) {
            *self.counts.files.entry(names.value(key).to_string()).or_default() += n;
        }
        Ok(())
    }

    /// Descriptions as read, cut at `MAX_CHARS`, for the rows that are to keep theirs.
    fn description(&self, text: &ArrayRef, decisions: &StringArray) -> ArrayRef {
        let text = text.as_binary_view();
        let mut column = StringBuilder::with_capacity(text.len(), text.len() * 32);
        for (row, value) in text.iter().enumerate() {
            let keep = match self.store_text {
                StoreText::All => true,
                StoreText::Review => decisions.value(row) != "accept",
                StoreText::None => false,
            };
            column.append_option(value.filter(|_| keep).map(shown));
        }
        Arc::new(column.finish())
    }
}

/// A description as people may see it: valid UTF-8, at most `MAX_CHARS` characters.
fn shown(value: &[u8]) -> std::borrow::Cow<'_, str> {
    // Four bytes a character are enough; the rest need not be looked at.
    let near = &value[..value.len().min(MAX_CHARS * 4)];
    let text = match std::str::from_utf8(near) {
        Ok(text) => std::borrow::Cow::Borrowed(text),
        // Cut inside a character: that one is beyond the bound.
        Err(e) if e.error_len().is_none() && near.len() < value.len() => {
            String::from_utf8_lossy(&near[..e.valid_up_to()])
        }
        Err(_) => String::from_utf8_lossy(near),
    };
    match text.char_indices().nth(MAX_CHARS) {
        None => text,
        Some((end, _)) => std::borrow::Cow::Owned(text[..end].to_string()),
    }
}

pub(super) fn field<'a>(prediction: &'a StructArray, name: &str) -> Result<&'a ArrayRef> {
    prediction.column_by_name(name).ok_or_else(|| Error::Bug(format!("hs_predict gives no {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_description_is_cut_at_characters_and_never_inside_one() {
        let long = "é".repeat(MAX_CHARS * 3);
        assert_eq!(shown(long.as_bytes()).chars().count(), MAX_CHARS);
        let astral = "😀".repeat(MAX_CHARS + 1);
        assert_eq!(shown(astral.as_bytes()), "😀".repeat(MAX_CHARS));
        assert_eq!(shown(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(shown(b""), "");
    }
}
