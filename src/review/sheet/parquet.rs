//! Rows as a Parquet file: every text as it is.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Holds, Layout, Output};
use crate::error::{Context, Result};

/// Rows that are encoded at once.
const ROWS: usize = 8192;

pub(super) struct Rows {
    writer: ArrowWriter<Output>,
    schema: SchemaRef,
    columns: Vec<Builder>,
    held: usize,
}

enum Builder {
    Text(StringBuilder),
    Number(Float64Builder),
}

impl Rows {
    pub(super) fn new(layout: &Layout, output: Output) -> Result<Rows> {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for column in &layout.columns {
            let (kind, builder) = match column.holds {
                Holds::Text | Holds::Code => (DataType::Utf8, Builder::Text(StringBuilder::new())),
                Holds::Number => (DataType::Float64, Builder::Number(Float64Builder::new())),
            };
            fields.push(Field::new(&column.name, kind, true));
            columns.push(builder);
        }
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_created_by(format!("harmonize {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties))?;
        Ok(Rows { writer, schema, columns, held: 0 })
    }

    pub(super) fn row(&mut self, cells: &[Option<&str>]) -> Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match column {
                Builder::Text(builder) => builder.append_option(*cell),
                Builder::Number(builder) => builder.append_option(cell.and_then(|text| text.parse::<f64>().ok())),
            }
        }
        self.held += 1;
        if self.held == ROWS { self.encode() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<Output> {
        self.encode()?;
        self.writer.into_inner().context(|| "cannot write the file")
    }

    fn encode(&mut self) -> Result<()> {
        let arrays = self.columns.iter_mut().map(|column| match column {
            Builder::Text(builder) => Arc::new(builder.finish()) as ArrayRef,
            Builder::Number(builder) => Arc::new(builder.finish()) as ArrayRef,
        });
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect())?;
        self.held = 0;
        self.writer.write(&batch).context(|| "cannot write the file")
    }
}
