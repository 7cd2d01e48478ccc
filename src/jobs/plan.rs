//! The plan of a run: its lines with their addresses, and what a model, or two, say of each.
//!
//! What always holds: the description is scored as the bytes that were read, and each line once. Classifying and replaying
//! have this one plan.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, cast, col, lit};
use datafusion::prelude::{DataFrame, SessionContext, ident};
use datafusion::scalar::ScalarValue;

use crate::error::Result;
use crate::lake::{InputTable, Source};
use crate::sql::{self, Classifier, Limits, Pair, hs_predict_both, hs_predict_lines, text_of};

/// Name of the raw description inside the plan.
pub(super) const RAW_TEXT: &str = "__text";

/// The input after the filter: every column, and the description as the bytes that were read.
pub(super) async fn filtered(
    source: &Source,
    filter: Option<&str>,
    limits: Limits,
) -> Result<(SessionContext, DataFrame)> {
    let context = sql::session(limits)?;
    let lines = lines_of(&context, source, filter).await?;
    Ok((context, lines))
}

/// The same in a session that is there.
pub(super) async fn lines_of(context: &SessionContext, source: &Source, filter: Option<&str>) -> Result<DataFrame> {
    let text = source.text();
    context.register_table("lines", Arc::new(InputTable::new(source.clone())))?;
    let table = context.table("lines").await?;
    // In a filter the description is text; for scoring it stays as the bytes that were read.
    let mut columns = vec![ident(text).alias(RAW_TEXT), text_of().call(vec![ident(text)]).alias(text)];
    columns.extend(table.schema().fields().iter().filter(|f| f.name() != text).map(|f| ident(f.name())));
    let lines = table.select(columns)?;
    match filter {
        Some(filter) => sql::where_clause(lines, filter),
        None => Ok(lines),
    }
}

/// Columns of the input that travel along.
#[derive(Clone, Copy, Default)]
pub(super) struct Along<'a> {
    pub id: Option<&'a str>,
    pub declared: Option<&'a str>,
    pub value: Option<&'a str>,
}

impl Along<'_> {
    /// The id of a line, as text.
    pub fn id(&self) -> Expr {
        along(self.id, DataType::Utf8)
    }
}

fn along(column: Option<&str>, kind: DataType) -> Expr {
    match column {
        Some(column) => cast(ident(column), kind),
        None => cast(lit(ScalarValue::Null), kind),
    }
}

/// `source_file, source_row, line_id, text, prediction, declared_code, value` of every line; with a challenger the prediction
/// is that of both.
pub(super) fn scored(
    lines: DataFrame,
    columns: Along<'_>,
    classifier: &Arc<Classifier>,
    beside: Option<&Arc<Classifier>>,
) -> Result<DataFrame> {
    let predict = match beside {
        None => hs_predict_lines(Arc::clone(classifier)),
        Some(beside) => hs_predict_both(Pair::new(Arc::clone(classifier), Arc::clone(beside))),
    };
    // The whole struct in one projection: the function is called once a row.
    Ok(lines.select(vec![
        ident("source_file"),
        ident("source_row"),
        columns.id().alias("line_id"),
        ident(RAW_TEXT),
        predict.call(vec![col(RAW_TEXT)]).alias("prediction"),
        along(columns.declared, DataType::Utf8).alias("declared_code"),
        along(columns.value, DataType::Float64).alias("value"),
    ])?)
}
