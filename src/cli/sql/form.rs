//! Forms of rows: each batch is written as it comes, so memory does not grow with the answer.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonArray, LineDelimited, Writer as JsonWriter};
use clap::ValueEnum;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::grid::Grid;
use super::sink::Sink;
use crate::cli::table::flat;
use crate::error::{Error, Result};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One array of objects
    Json,
    /// One object a line
    Ndjson,
    /// A Parquet file
    Parquet,
}

/// A row group of a Parquet file ends at this many bytes before they are compressed, so that is what a writer holds.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Writes one answer.
pub(super) enum Rows {
    Table(Grid<Sink>),
    Csv(Box<arrow::csv::Writer<Sink>>),
    Json(JsonWriter<Sink, JsonArray>),
    Ndjson(JsonWriter<Sink, LineDelimited>),
    Parquet(Box<ArrowWriter<Sink>>),
}

impl Form {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::Table => "table",
            Form::Csv => "csv",
            Form::Json => "json",
            Form::Ndjson => "ndjson",
            Form::Parquet => "parquet",
        }
    }

    /// All names.
    pub(super) fn names() -> Vec<&'static str> {
        Form::value_variants().iter().map(|form| form.name()).collect()
    }

    /// A writer of rows of this schema.
    ///
    /// # Errors
    /// `Usage` where two columns have one name and the form tells columns apart by it.
    pub(super) fn rows(self, schema: &SchemaRef, sink: Sink, expanded: bool) -> Result<Rows> {
        if self != Form::Table && self != Form::Csv {
            let mut names = BTreeSet::new();
            if let Some(twice) = schema.fields().iter().find(|field| !names.insert(field.name())) {
                return Err(Error::Usage(format!(
                    "two columns are called {}: give one another name with AS",
                    twice.name()
                )));
            }
        }
        Ok(match self {
            Form::Table => Rows::Table(Grid::new(sink, schema, expanded)),
            Form::Csv => Rows::Csv(Box::new(arrow::csv::WriterBuilder::new().with_header(true).build(sink))),
            Form::Json => Rows::Json(WriterBuilder::new().with_explicit_nulls(true).build(sink)),
            Form::Ndjson => Rows::Ndjson(WriterBuilder::new().with_explicit_nulls(true).build(sink)),
            Form::Parquet => {
                let zstd = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(zstd).build();
                Rows::Parquet(Box::new(ArrowWriter::try_new(sink, std::sync::Arc::clone(schema), Some(properties))?))
            }
        })
    }
}

impl Rows {
    /// Whether so many more rows would only be kept.
    pub(super) fn waits_for(&self, more: usize) -> bool {
        matches!(self, Rows::Table(grid) if grid.waits_for(more))
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Rows::Table(grid) => grid.write(batch)?,
            Rows::Csv(writer) => writer.write(&flat(batch)?)?,
            Rows::Json(writer) => writer.write(batch)?,
            Rows::Ndjson(writer) => writer.write(batch)?,
            Rows::Parquet(writer) => {
                writer.write(batch)?;
                if writer.in_progress_size() > ROW_GROUP_BYTES {
                    writer.flush()?;
                }
            }
        }
        Ok(())
    }

    /// What comes after the last row.
    pub(super) fn finish(self, schema: &SchemaRef) -> Result<()> {
        use std::io::Write;
        match self {
            Rows::Table(grid) => grid.finish()?,
            Rows::Csv(mut writer) => {
                // The header, where no row brought it.
                writer.write(&flat(&RecordBatch::new_empty(std::sync::Arc::clone(schema)))?)?;
                writer.into_inner().flush()?;
            }
            Rows::Json(mut writer) => {
                writer.finish()?;
                let mut sink = writer.into_inner();
                sink.write_all(b"\n")?;
                sink.flush()?;
            }
            Rows::Ndjson(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            Rows::Parquet(writer) => writer.into_inner()?.flush()?,
        }
        Ok(())
    }
}
