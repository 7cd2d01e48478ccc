//! How much room values take, as far as it can be told without making them.

use arrow::array::{Array, ArrayRef, AsArray, StringArrayType};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::ColumnarValue;
use datafusion::scalar::ScalarValue;

/// Bytes of the text in each row; of values that are no text, those of the whole divided among the rows.
pub(super) fn bytes(value: &ColumnarValue, rows: usize) -> Vec<usize> {
    match value {
        ColumnarValue::Scalar(scalar) => vec![of_scalar(scalar); rows],
        ColumnarValue::Array(array) => of_array(array),
    }
}

fn of_scalar(scalar: &ScalarValue) -> usize {
    match scalar {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            text.as_ref().map_or(0, String::len)
        }
        other => other.size(),
    }
}

fn of_array(array: &ArrayRef) -> Vec<usize> {
    fn lengths<'a>(texts: impl StringArrayType<'a>) -> Vec<usize> {
        texts.iter().map(|text| text.map_or(0, str::len)).collect()
    }
    match array.data_type() {
        DataType::Utf8 => lengths(array.as_string::<i32>()),
        DataType::LargeUtf8 => lengths(array.as_string::<i64>()),
        DataType::Utf8View => lengths(array.as_string_view()),
        _ => {
            let each = array.get_array_memory_size() / array.len().max(1);
            vec![each; array.len()]
        }
    }
}

/// The whole number in each row; what is none counts as zero.
pub(super) fn numbers(value: &ColumnarValue, rows: usize) -> Vec<i64> {
    let one = |scalar: &ScalarValue| match scalar.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) => number,
        _ => 0,
    };
    match value {
        ColumnarValue::Scalar(scalar) => vec![one(scalar); rows],
        ColumnarValue::Array(array) => match arrow::compute::cast(array, &DataType::Int64) {
            Ok(numbers) => numbers.as_primitive::<Int64Type>().iter().map(|number| number.unwrap_or(0)).collect(),
            Err(_) => vec![0; array.len()],
        },
    }
}

/// The text in each row, for values that decide how much others grow.
pub(super) fn texts(value: &ColumnarValue, rows: usize) -> Vec<String> {
    let text = |scalar: ScalarValue| scalar.try_as_str().flatten().unwrap_or_default().to_owned();
    match value {
        ColumnarValue::Scalar(scalar) => vec![text(scalar.clone()); rows],
        ColumnarValue::Array(array) => {
            (0..array.len()).map(|row| ScalarValue::try_from_array(array, row).map(text).unwrap_or_default()).collect()
        }
    }
}
