//! The queue as the view `review_queue` has it, line by line or text by text.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Int64Type};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;

use super::identity::{AppliesTo, Identity};
use crate::contract::Contract;
use crate::error::{Error, Result};
use crate::sql::where_clause;

/// Which part of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Equal texts of an edition as one.
    pub group: bool,
    /// So many rows at most.
    pub limit: Option<u64>,
    /// An SQL condition over the columns of the view.
    pub where_sql: Option<String>,
}

/// A line that waits, or a text by one of its lines.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Waiting {
    pub applies_to: AppliesTo,
    pub lines: i64,
    pub description: Option<String>,
    pub line_id: Option<String>,
    pub source_file: String,
    pub source_row: i64,
    pub text_digest: Option<String>,
    pub run_id: String,
    pub hs6: Option<String>,
    pub confidence: Option<f32>,
    pub alternatives: Vec<(String, Option<f32>)>,
    pub reasons: Vec<String>,
    pub model_name: String,
    pub model_version: i64,
    pub model_digest: String,
    pub edition: String,
    pub previous_hs6: Option<String>,
    pub declared_code: Option<String>,
    /// What a person decided in an earlier edition: the code or that there is none, who, when, and on what.
    pub previous_decision: Option<String>,
}

impl Waiting {
    /// What the row is about.
    pub fn identity(&self) -> Identity<'_> {
        Identity {
            applies_to: self.applies_to,
            source_file: &self.source_file,
            source_row: self.source_row,
            text_digest: self.text_digest.as_deref(),
            run_id: &self.run_id,
            hs6: self.hs6.as_deref(),
            confidence: self.confidence,
            model_digest: &self.model_digest,
            edition: &self.edition,
        }
    }
}

const COLUMNS: &str = "description, line_id, source_file, source_row, text_digest, run_id, hs6, confidence, alternatives, reasons, \
                       model_name, model_version, model_digest, tariff_edition, previous_hs6, declared_code, previous_decision";

/// The view with what a person decided in an earlier edition in one text.
const WAITING: &str = "(SELECT *, CASE WHEN decided_by IS NOT NULL THEN concat(coalesce(decided_hs6, 'no code'), ' by ', decided_by, ', ', \
                       CAST(CAST(decided_at AS DATE) AS VARCHAR), ', edition ', decided_edition, \
                       CASE WHEN binding THEN ', a binding ruling' ELSE '' END) END AS previous_decision FROM waiting) AS waiting";

/// Where a text is one with another: in its edition; a line without a text is alone.
const SAME: &str = "text_digest, tariff_edition, CASE WHEN text_digest IS NULL THEN source_file END, \
                    CASE WHEN text_digest IS NULL THEN source_row END";

/// The rows that were asked for, the surest first; texts by the number of their lines before that.
///
/// # Errors
/// `Usage` for a condition that is none.
pub async fn stream(context: &SessionContext, asked: &Asked) -> Result<SendableRecordBatchStream> {
    let mut waiting = context.table("review_queue").await?;
    if let Some(condition) = &asked.where_sql {
        waiting = where_clause(waiting, condition)?;
    }
    context.register_table("waiting", waiting.into_view())?;
    let sure_first = "confidence DESC NULLS LAST, source_file, source_row";
    let mut query = match asked.group {
        false => format!("SELECT {COLUMNS}, CAST(1 AS BIGINT) AS lines FROM {WAITING} ORDER BY {sure_first}"),
        true => format!(
            "SELECT {COLUMNS}, lines FROM (SELECT {COLUMNS}, count(*) OVER (PARTITION BY {SAME}) AS lines, \
             row_number() OVER (PARTITION BY {SAME} ORDER BY {sure_first}) AS place FROM {WAITING}) AS ranked \
             WHERE place = 1 ORDER BY lines DESC, {sure_first}"
        ),
    };
    if let Some(limit) = asked.limit {
        query += &format!(" LIMIT {limit}");
    }
    Ok(context.sql(&query).await?.execute_stream().await?)
}

/// The rows of a batch of [`stream`].
pub fn rows(batch: &RecordBatch, group: bool) -> Result<Vec<Waiting>> {
    let texts =
        |name: &str| -> Result<StringArray> { Ok(cast(column(batch, name)?, &DataType::Utf8)?.as_string().clone()) };
    let numbers = |name: &str| -> Result<_> {
        Ok(cast(column(batch, name)?, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    };
    let of_contract = |name: &str| -> Result<ArrayRef> {
        let kind = Contract::Predictions.schema().field_with_name(name)?.data_type();
        Ok(cast(column(batch, name)?, kind)?)
    };
    let [description, line_id, source_file, text_digest, run_id, hs6] =
        ["description", "line_id", "source_file", "text_digest", "run_id", "hs6"].map(texts);
    let (description, line_id, source_file) = (description?, line_id?, source_file?);
    let (text_digest, run_id, hs6) = (text_digest?, run_id?, hs6?);
    let [model_name, model_digest, edition, previous, declared, decided] =
        ["model_name", "model_digest", "tariff_edition", "previous_hs6", "declared_code", "previous_decision"]
            .map(texts);
    let (model_name, model_digest, edition) = (model_name?, model_digest?, edition?);
    let (previous, declared, decided) = (previous?, declared?, decided?);
    let (source_row, model_version, lines) = (numbers("source_row")?, numbers("model_version")?, numbers("lines")?);
    let confidence = of_contract("confidence")?;
    let confidence = confidence.as_primitive::<Float32Type>();
    let (alternatives, reasons) = (of_contract("alternatives")?, of_contract("reasons")?);
    let row = |n: usize| -> Result<Waiting> {
        let text_digest = get(&text_digest, n);
        let for_text = group && text_digest.is_some();
        Ok(Waiting {
            applies_to: if for_text { AppliesTo::Text } else { AppliesTo::Line },
            lines: lines.value(n),
            description: get(&description, n),
            line_id: get(&line_id, n),
            source_file: needed(&source_file, n)?,
            source_row: source_row.value(n),
            text_digest,
            run_id: needed(&run_id, n)?,
            hs6: get(&hs6, n),
            confidence: confidence.is_valid(n).then(|| confidence.value(n)),
            alternatives: candidates(&alternatives, n),
            reasons: words(&reasons, n),
            model_name: needed(&model_name, n)?,
            model_version: model_version.value(n),
            model_digest: needed(&model_digest, n)?,
            edition: needed(&edition, n)?,
            previous_hs6: get(&previous, n),
            declared_code: get(&declared, n),
            previous_decision: get(&decided, n),
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

/// A column by its name.
pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::Bug(format!("a query of the review gives no {name}")))
}

/// The text of a row; `None` for null.
pub(super) fn get(column: &StringArray, n: usize) -> Option<String> {
    column.is_valid(n).then(|| column.value(n).to_string())
}

/// The same of a column that is never null.
pub(super) fn needed(column: &StringArray, n: usize) -> Result<String> {
    get(column, n).ok_or_else(|| Error::Input("a row of the table predictions lacks its address, run or model".into()))
}

fn candidates(list: &ArrayRef, n: usize) -> Vec<(String, Option<f32>)> {
    let list = list.as_list::<i32>();
    if list.is_null(n) {
        return Vec::new();
    }
    let items = list.value(n);
    let items = items.as_struct();
    let (codes, confidences) = (items.column(0).as_string::<i32>(), items.column(1).as_primitive::<Float32Type>());
    let one = |at: usize| Some((get(codes, at)?, confidences.is_valid(at).then(|| confidences.value(at))));
    (0..items.len()).filter_map(one).collect()
}

fn words(list: &ArrayRef, n: usize) -> Vec<String> {
    let list = list.as_list::<i32>();
    if list.is_null(n) {
        return Vec::new();
    }
    let items = list.value(n);
    let items = items.as_string::<i32>();
    (0..items.len()).filter_map(|at| get(items, at)).collect()
}
