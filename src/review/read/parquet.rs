//! Parquet: texts as they are, numbers, truths and days by their types.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use bytes::Bytes;
use chrono::{Days, NaiveDate};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Row, Wanted, places};
use crate::error::Result;
use crate::review::cell::Cell;

pub(super) fn read(bytes: Bytes, wanted: Wanted<'_>, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let header: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    // Where it is in the file, and then in what is read of it.
    let places = places(&header, wanted)?;
    let mut read: Vec<usize> = places.iter().flatten().copied().collect();
    read.sort_unstable();
    let mask = ProjectionMask::roots(builder.parquet_schema(), read.iter().copied());
    let mut row = 1;
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let columns: Vec<Option<Values>> = places
            .iter()
            .map(|place| {
                let at = place.and_then(|place| read.binary_search(&place).ok());
                at.map(|at| Values::of(batch.column(at))).transpose()
            })
            .collect::<Result<_>>()?;
        for n in 0..batch.num_rows() {
            row += 1;
            each((row, columns.iter().map(|c| c.as_ref().map_or(Cell::Empty, |c| c.cell(n))).collect()))?;
        }
    }
    Ok(())
}

enum Values {
    Text(StringArray),
    Number(Float64Array),
    Flag(BooleanArray),
    Day(Date32Array),
}

impl Values {
    fn of(column: &ArrayRef) -> Result<Values> {
        Ok(match column.data_type() {
            kind if kind.is_numeric() => Values::Number(cast(column, &DataType::Float64)?.as_primitive().clone()),
            DataType::Boolean => Values::Flag(column.as_boolean().clone()),
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
                Values::Day(cast(column, &DataType::Date32)?.as_primitive().clone())
            }
            _ => Values::Text(cast(column, &DataType::Utf8)?.as_string().clone()),
        })
    }

    fn cell(&self, n: usize) -> Cell {
        match self {
            Values::Text(values) if values.is_valid(n) => Cell::Text(values.value(n).to_string()),
            Values::Number(values) if values.is_valid(n) => Cell::Number(values.value(n)),
            Values::Flag(values) if values.is_valid(n) => Cell::Flag(values.value(n)),
            Values::Day(values) if values.is_valid(n) => {
                let days = u64::try_from(values.value(n)).unwrap_or(0);
                let day = NaiveDate::default().checked_add_days(Days::new(days)).unwrap_or_default();
                // 1970-01-01 is 25,569 days after 1899-12-30.
                Cell::Day(day, f64::from(values.value(n)) + 25_569.0)
            }
            _ => Cell::Empty,
        }
    }
}
