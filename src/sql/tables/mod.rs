//! The table functions, one a file, with its syntax and columns.
//!
//! Arguments are literals: a table has to be known when a query is planned. What a table holds is read when the query runs, or,
//! of a table of the lake, at the version that the query sees. Refuses: a parameter (`$1`) as an argument, with the way out.

mod correlation;
mod later;
mod models;
mod nomenclature;
mod predictions_as_of;
mod runs;

use std::sync::Arc;

use datafusion::catalog::TableFunctionImpl;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;

use super::snapshot::Now;

/// How each is called, and what it gives.
pub const MANUALS: [(&str, &str); 5] = [
    ("hs_nomenclature(edition)", "The codes of an edition, or of a national schedule, with their wording."),
    ("hs_correlation(from, to)", "The pairs of codes of two editions that share goods."),
    ("runs()", "Every run that became visible, newest first, with its coverage and speed."),
    ("models()", "The model versions of the registry, with their aliases and what became of them."),
    ("predictions_as_of(timestamp)", "The table predictions as it was at a time, such as '2026-03-01'."),
];

/// All of them, over what a lake holds.
pub(super) fn all(now: &Now) -> [(&'static str, Arc<dyn TableFunctionImpl>); 5] {
    [
        ("hs_nomenclature", Arc::new(nomenclature::HsNomenclature(now.clone()))),
        ("hs_correlation", Arc::new(correlation::HsCorrelation(now.clone()))),
        ("runs", Arc::new(runs::Runs(now.clone()))),
        ("models", Arc::new(models::Models(now.clone()))),
        ("predictions_as_of", Arc::new(predictions_as_of::PredictionsAsOf(now.clone()))),
    ]
}

/// The literals of a call that takes so many of them.
fn literals<const N: usize>(syntax: &str, args: &[Expr]) -> DfResult<[ScalarValue; N]> {
    let values = args.iter().map(|arg| match arg {
        Expr::Literal(value, _) => Ok(value.clone()),
        other => Err(DataFusionError::Plan(format!(
            "{syntax} takes literals, because the table has to be known when the query is planned; {other} is none: write the \
             value into the query"
        ))),
    });
    let values: Vec<ScalarValue> = values.collect::<DfResult<_>>()?;
    values.try_into().map_err(|values: Vec<_>| {
        let plural = if N == 1 { "" } else { "s" };
        DataFusionError::Plan(format!("{syntax} takes {N} argument{plural}, not {}", values.len()))
    })
}

/// The name of an edition: a string, or a year as a number.
fn edition(syntax: &str, value: &ScalarValue) -> DfResult<String> {
    let text = match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => text.clone(),
        ScalarValue::Int64(year) => year.map(|year| year.to_string()),
        _ => None,
    };
    text.ok_or_else(|| {
        DataFusionError::Plan(format!("{syntax}: an edition is named by its year, such as '2022', not {value}"))
    })
}
