//! The columns of a batch of the view `findings`.

use arrow::array::{
    Array, ArrowPrimitiveType, AsArray, Float64Array, Int64Array, PrimitiveArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, SecondsFormat};

use super::column;
use crate::error::Result;

/// A column as text.
pub(super) fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    Ok(cast(column(batch, name)?, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// A column as numbers.
pub(super) fn numbers(batch: &RecordBatch, name: &str) -> Result<Float64Array> {
    Ok(cast(column(batch, name)?, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// A column as whole numbers.
pub(super) fn counts(batch: &RecordBatch, name: &str) -> Result<Int64Array> {
    Ok(cast(column(batch, name)?, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// A column as moments.
pub(super) fn moments(batch: &RecordBatch, name: &str) -> Result<TimestampMicrosecondArray> {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Ok(cast(column(batch, name)?, &micros)?.as_primitive::<TimestampMicrosecondType>().clone())
}

/// A text, where there is one.
pub(super) fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// A number, where there is one.
pub(super) fn number<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    column.is_valid(row).then(|| column.value(row))
}

/// A moment as RFC 3339 in UTC, to the second.
pub(super) fn moment(column: &TimestampMicrosecondArray, row: usize) -> Option<String> {
    let at = column.is_valid(row).then(|| DateTime::from_timestamp_micros(column.value(row)))??;
    Some(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
