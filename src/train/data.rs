//! Labelled lines read from the lake, and a model's answers to them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type};
use datafusion::catalog::TableProvider;
use datafusion::functions::string::expr_fn::concat_ws;
use datafusion::logical_expr::cast;
use datafusion::prelude::{ident, lit};

use super::evaluate::{Metrics, Scored, Vague, evaluate};
use super::labels::Label;
use crate::error::{Error, Result};
use crate::lake::{InputTable, SOURCE_FILE, SOURCE_ROW, Source, SourceOptions};
use crate::model::VAGUE_CODE;
use crate::policy::Reason;
use crate::registry::Loaded;
use crate::sql::{self, Classifier, Limits, text_of};
use crate::tariff::{Codes, Edition, Subheading};
use crate::text;

/// One labelled line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Normalised description; empty when there was none.
    pub text: String,
    /// What its label is.
    pub label: Label,
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
        let options = SourceOptions { text: self.text.clone(), quarantine: false };
        let source = Source::pin(&self.inputs, options).await?;
        source.require(&self.label, "--label")?;
        let table = Arc::new(InputTable::new(source.clone()));
        let (text, filter) = (self.text.as_str(), self.where_sql.as_deref());
        let lines = lines_of(table, &[text], &self.label, filter, codes, self.limits).await?;
        Ok((source, lines))
    }
}

/// Lines of a table that has `source_file` and `source_row` beside its own columns, in that order. The description is
/// what the columns `texts` hold, joined by spaces; the first may be bytes.
pub(super) async fn lines_of(
    table: Arc<dyn TableProvider>,
    texts: &[&str],
    label: &str,
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
    let text = match texts {
        [one] => cast(ident(*one), DataType::Utf8),
        several => concat_ws(lit(" "), several.iter().map(|name| cast(ident(*name), DataType::Utf8)).collect()),
    };
    let batches = lines
        .select(vec![
            text.alias("t"),
            cast(ident(label), DataType::Utf8).alias("l"),
            ident(SOURCE_FILE),
            ident(SOURCE_ROW),
        ])?
        // Last: what comes after a sort may be spread over threads, and its order lost.
        .sort_by(vec![ident(SOURCE_FILE), ident(SOURCE_ROW)])?
        .collect()
        .await?;
    let mut out = Vec::with_capacity(batches.iter().map(|b| b.num_rows()).sum());
    let mut normalised = String::new();
    for batch in &batches {
        let texts = arrow::compute::cast(batch.column(0), &DataType::Utf8)?;
        let (texts, labels) = (texts.as_string::<i32>(), batch.column(1).as_string::<i32>());
        for row in 0..batch.num_rows() {
            normalised.clear();
            if texts.is_valid(row) {
                text::normalise(texts.value(row), &mut normalised);
            }
            let raw = labels.is_valid(row).then(|| labels.value(row));
            out.push(Line { text: normalised.clone(), label: Label::parse(raw, codes) });
        }
    }
    Ok(out)
}

/// The figures of a model on labelled lines, and how many lines had no code of its edition.
pub async fn evaluate_model(labelled: &Labelled, loaded: &Loaded) -> Result<(Metrics, u64)> {
    let edition: Edition = loaded.bundle.labels.edition.parse()?;
    let (_, lines) = labelled.read(Codes::builtin(edition)).await?;
    let known: Vec<(&str, Subheading)> =
        lines.iter().filter_map(|l| Some((l.text.as_str(), l.label.class(false)?))).collect();
    if known.is_empty() {
        return Err(Error::Input(format!(
            "none of the {} lines has a code of edition {edition} in --label {}",
            lines.len(),
            labelled.label
        )));
    }
    let classifier = Classifier::new(loaded, &loaded.bundle.policy)?;
    let metrics = measure(&classifier, &known)?;
    Ok((metrics, (lines.len() - known.len()) as u64))
}

/// The figures of a classifier on normalised texts with their codes.
pub fn measure(classifier: &Classifier, lines: &[(&str, Subheading)]) -> Result<Metrics> {
    let texts: arrow::array::ArrayRef =
        Arc::new(arrow::array::StringArray::from_iter_values(lines.iter().map(|(t, _)| *t)));
    let predictions = classifier.predict(&texts)?;
    let column =
        |name: &str| predictions.column_by_name(name).ok_or_else(|| Error::Bug(format!("hs_predict gives no {name}")));
    let heading = column("confidence_heading")?.as_primitive::<Float32Type>();
    let chapter = column("confidence_chapter")?.as_primitive::<Float32Type>();
    let decision = column("decision")?.as_string::<i32>();
    let alternatives = column("alternatives")?.as_list::<i32>();
    let mut tops: Vec<Vec<(Subheading, f32)>> = Vec::with_capacity(lines.len());
    for row in 0..lines.len() {
        let mut top = Vec::new();
        if alternatives.is_valid(row) {
            let items = alternatives.value(row);
            let items = items.as_struct();
            let (codes, confidences) =
                (items.column(0).as_string::<i32>(), items.column(1).as_primitive::<Float32Type>());
            for i in 0..items.len() {
                top.push((codes.value(i).parse()?, confidences.value(i)));
            }
        }
        tops.push(top);
    }
    let reasons = column("reasons")?.as_list::<i32>();
    let refused = |row: usize| reasons.value(row).as_string::<i32>().iter().any(|r| r == Some(Reason::Vague.as_str()));
    let vague = |truth: Subheading| truth.as_str() == VAGUE_CODE;
    let found = Vague::of((0..lines.len()).map(|row| (vague(lines[row].1), refused(row))));
    let mut seen = HashSet::new();
    let scored: Vec<Scored> = lines
        .iter()
        .enumerate()
        .filter(|(_, (_, truth))| !vague(*truth))
        .map(|(row, (text, truth))| Scored {
            truth: *truth,
            top: &tops[row],
            confidence_heading: if heading.is_valid(row) { heading.value(row) } else { 0.0 },
            confidence_chapter: if chapter.is_valid(row) { chapter.value(row) } else { 0.0 },
            first_of_text: seen.insert(*text),
            accepted: decision.value(row) == "accept",
        })
        .collect();
    Ok(Metrics { vague: found, ..evaluate(&scored) })
}
