//! How rows and figures are printed.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt64Array};
use clap::ValueEnum;

use crate::error::{Error, Result};

/// Form of printed rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header
    Csv,
}

/// Prints batches to standard output; a reader that has gone away is no error.
pub fn print(batches: &[RecordBatch], format: Format) -> Result<()> {
    let mut out: Vec<u8> = Vec::new();
    match format {
        Format::Table => {
            writeln!(out, "{}", arrow::util::pretty::pretty_format_batches(batches)?)?;
        }
        Format::Json => {
            let mut writer = arrow::json::LineDelimitedWriter::new(&mut out);
            for batch in batches {
                writer.write(batch)?;
            }
            writer.finish()?;
        }
        Format::Csv => {
            let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut out);
            for batch in batches {
                writer.write(&flat(batch)?)?;
            }
        }
    }
    text(&out)
}

/// One column of printed rows.
pub enum Column {
    Text(Vec<Option<String>>),
    Number(Vec<Option<u64>>),
    Flag(Vec<bool>),
}

/// Prints columns of equal length.
pub fn rows(columns: Vec<(&str, Column)>, format: Format) -> Result<()> {
    let columns = columns.into_iter().map(|(name, column)| {
        let column: ArrayRef = match column {
            Column::Text(values) => Arc::new(StringArray::from(values)),
            Column::Number(values) => Arc::new(UInt64Array::from(values)),
            Column::Flag(values) => Arc::new(BooleanArray::from(values)),
        };
        (name, column, true)
    });
    print(&[RecordBatch::try_from_iter_with_nullable(columns)?], format)
}

/// Writes bytes to standard output; a reader that has gone away is no error.
pub fn text(bytes: &[u8]) -> Result<()> {
    match std::io::stdout().write_all(bytes) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| Error::Storage(format!("standard output: {e}"))),
    }
}

/// Lists and structs as text, which CSV has no form for.
pub(super) fn flat(batch: &RecordBatch) -> Result<RecordBatch> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            let shown = ArrayFormatter::try_new(column, &FormatOptions::default())?;
            let text: arrow::array::StringArray =
                (0..column.len()).map(|i| column.is_valid(i).then(|| shown.value(i).to_string())).collect();
            fields.push(arrow::datatypes::Field::new(field.name(), arrow::datatypes::DataType::Utf8, true));
            columns.push(std::sync::Arc::new(text) as arrow::array::ArrayRef);
        } else {
            fields.push(field.as_ref().clone());
            columns.push(std::sync::Arc::clone(column));
        }
    }
    Ok(RecordBatch::try_new(std::sync::Arc::new(arrow::datatypes::Schema::new(fields)), columns)?)
}

/// A number with commas.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A share as a percentage with one decimal.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".into() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_commas() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(percent(1, 0), "-");
        assert_eq!(percent(1, 8), "12.5 %");
    }
}
