//! One value of an Arrow column as JSON, with every digit that it has and none that it has not.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use chrono::SecondsFormat;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The value of a row. A number that JSON has no form for is text; times are RFC 3339 in UTC to the microsecond, as in a run's
/// record.
///
/// # Errors
/// `Bug` for a type that no contract has.
pub fn value_of(column: &ArrayRef, row: usize) -> Result<Value> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float32 => short(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => {
            let day = date32_to_datetime(column.as_primitive::<Date32Type>().value(row));
            day.map(|day| day.format("%Y-%m-%d").to_string()).into()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let time = timestamp_us_to_datetime(column.as_primitive::<TimestampMicrosecondType>().value(row));
            time.map(|time| time.and_utc().to_rfc3339_opts(SecondsFormat::Micros, true)).into()
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|at| value_of(&items, at)).collect::<Result<Vec<_>>>()?.into()
        }
        DataType::Struct(fields) => {
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(column.as_struct().columns()) {
                object.insert(field.name().clone(), value_of(column, row)?);
            }
            object.into()
        }
        other => return Err(Error::Bug(format!("a column of type {other} has no form in JSON"))),
    })
}

/// A single with no more digits than it has.
pub fn short(x: f32) -> Value {
    number(x.to_string().parse().unwrap_or_else(|_| x.into()))
}

fn number(x: f64) -> Value {
    serde_json::Number::from_f64(x).map_or_else(|| x.to_string().into(), Value::Number)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Float32Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn a_value_is_told_with_the_digits_that_it_has() {
        let floats: ArrayRef = Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::NAN)]));
        let told: Vec<String> = (0..3).map(|row| value_of(&floats, row).unwrap().to_string()).collect();
        assert_eq!(told, ["0.1", "null", "\"NaN\""]);
        let times: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![1_772_359_200_000_006]).with_timezone("UTC"));
        assert_eq!(value_of(&times, 0).unwrap(), "2026-03-01T10:00:00.000006Z");
        let days: ArrayRef = Arc::new(Date32Array::from(vec![20_513]));
        assert_eq!(value_of(&days, 0).unwrap(), "2026-03-01");
    }
}
