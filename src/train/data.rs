//! Labelled lines read from the lake.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::functions::string::expr_fn::concat_ws;
use datafusion::logical_expr::cast;
use datafusion::prelude::{ident, lit};
use datafusion::scalar::ScalarValue;

use super::labels::Label;
use crate::error::Result;
use crate::lake::{InputTable, SOURCE_FILE, SOURCE_ROW, Source, SourceOptions};
use crate::sql::{self, Limits, text_of};
use crate::tariff::Codes;
use crate::text;

/// One labelled line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Normalised description; empty when there was none.
    pub text: String,
    /// What its label is.
    pub label: Label,
    /// Values of the further columns that were asked for, in their order.
    pub columns: Vec<Option<String>>,
}

/// Labelled lines to be read.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Files and folders to read.
    pub inputs: Vec<String>,
    /// Description column.
    pub text: String,
    /// Column with the codes.
    pub label: String,
    /// SQL filter over the input's columns.
    pub where_sql: Option<String>,
    /// Share of the machine.
    pub limits: Limits,
}

impl Labelled {
    /// Description and label of each line, in the order of files and rows.
    pub async fn read(&self, codes: &Codes) -> Result<(Source, Vec<Line>)> {
        self.read_with(codes, &[], "").await
    }

    /// As [`Labelled::read`], with further columns as text; `flag` is what asked for them.
    pub async fn read_with(&self, codes: &Codes, columns: &[&str], flag: &str) -> Result<(Source, Vec<Line>)> {
        let options = SourceOptions { text: self.text.clone(), quarantine: false };
        let source = Source::pin(&self.inputs, options).await?;
        source.require(&self.label, "--label")?;
        columns.iter().try_for_each(|column| source.require(column, flag))?;
        let table = Arc::new(InputTable::new(source.clone()));
        let wanted = Columns { texts: &[&self.text], label: Some(&self.label), further: columns };
        let lines = lines_of(table, wanted, self.where_sql.as_deref(), codes, self.limits).await?;
        Ok((source, lines))
    }

    /// The description of each line that has one, normalised; its label is not looked at.
    pub(super) async fn texts(&self, codes: &Codes) -> Result<Vec<String>> {
        let options = SourceOptions { text: self.text.clone(), quarantine: false };
        let table = Arc::new(InputTable::new(Source::pin(&self.inputs, options).await?));
        let wanted = Columns { texts: &[&self.text], label: None, further: &[] };
        let lines = lines_of(table, wanted, self.where_sql.as_deref(), codes, self.limits).await?;
        Ok(lines.into_iter().map(|line| line.text).filter(|text| !text.is_empty()).collect())
    }
}

/// The columns of a table that make a line.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    /// Joined by spaces they are the description; the first may be bytes.
    pub(super) texts: &'a [&'a str],
    /// Holds the codes; without one no line has a label.
    pub(super) label: Option<&'a str>,
    /// Read as text beside them.
    pub(super) further: &'a [&'a str],
}

/// Lines of a table that has `source_file` and `source_row` beside its own columns, in that order.
pub(super) async fn lines_of(
    table: Arc<dyn TableProvider>,
    wanted: Columns<'_>,
    where_sql: Option<&str>,
    codes: &Codes,
    limits: Limits,
) -> Result<Vec<Line>> {
    let raw: Vec<String> = table
        .schema()
        .fields()
        .iter()
        .filter(|f| f.data_type() == &DataType::BinaryView)
        .map(|f| f.name().clone())
        .collect();
    let context = sql::session(limits)?;
    context.register_table("lines", table)?;
    let table = context.table("lines").await?;
    let columns = table.schema().fields().iter().map(|f| {
        let column = ident(f.name());
        if raw.contains(f.name()) { text_of().call(vec![column]).alias(f.name()) } else { column }
    });
    let columns: Vec<_> = columns.collect();
    let mut lines = table.select(columns)?;
    if let Some(filter) = where_sql {
        lines = sql::where_clause(lines, filter)?;
    }
    let text = match wanted.texts {
        [one] => cast(ident(*one), DataType::Utf8),
        several => concat_ws(lit(" "), several.iter().map(|name| cast(ident(*name), DataType::Utf8)).collect()),
    };
    let label = wanted.label.map_or_else(|| lit(ScalarValue::Utf8(None)), ident);
    let mut selected =
        vec![text.alias("t"), cast(label, DataType::Utf8).alias("l"), ident(SOURCE_FILE), ident(SOURCE_ROW)];
    let further = wanted.further.iter().enumerate();
    selected.extend(further.map(|(n, name)| cast(ident(*name), DataType::Utf8).alias(format!("further_{n}"))));
    let batches = lines
        .select(selected)?
        // Last: what comes after a sort may be spread over threads, and its order lost.
        .sort_by(vec![ident(SOURCE_FILE), ident(SOURCE_ROW)])?
        .collect()
        .await?;
    let mut out = Vec::with_capacity(batches.iter().map(|b| b.num_rows()).sum());
    let mut normalised = String::new();
    for batch in &batches {
        let texts = arrow::compute::cast(batch.column(0), &DataType::Utf8)?;
        let (texts, labels) = (texts.as_string::<i32>(), batch.column(1).as_string::<i32>());
        let further: Vec<_> = batch.columns()[4..].iter().map(|column| column.as_string::<i32>()).collect();
        for row in 0..batch.num_rows() {
            normalised.clear();
            if texts.is_valid(row) {
                text::normalise(texts.value(row), &mut normalised);
            }
            let raw = labels.is_valid(row).then(|| labels.value(row));
            let columns = further.iter().map(|values| values.is_valid(row).then(|| values.value(row).to_string()));
            out.push(Line { text: normalised.clone(), label: Label::parse(raw, codes), columns: columns.collect() });
        }
    }
    Ok(out)
}
