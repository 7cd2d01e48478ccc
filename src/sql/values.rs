//! Arguments of functions: scalars and arrays of every string encoding.
//!
//! Always holds: an answer depends on the value of a row alone, not on how it is encoded; a dictionary is worked once for each
//! value that a row has.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder, UInt32Array, new_null_array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::DataType;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

use crate::error::{Error, Result};

/// Whether a column of this type is text: a string or bytes of any encoding.
pub fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_text(values),
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Null => true,
        _ => false,
    }
}

/// Calls `each` with the bytes of every value of an array that is no dictionary.
pub(super) fn each_value(array: &ArrayRef, mut each: impl FnMut(Option<&[u8]>)) -> Result<()> {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().for_each(|v| each(v.map(str::as_bytes))),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().for_each(|v| each(v.map(str::as_bytes))),
        DataType::Utf8View => array.as_string_view().iter().for_each(|v| each(v.map(str::as_bytes))),
        DataType::Binary => array.as_binary::<i32>().iter().for_each(each),
        DataType::LargeBinary => array.as_binary::<i64>().iter().for_each(each),
        DataType::BinaryView => array.as_binary_view().iter().for_each(each),
        DataType::Null => (0..array.len()).for_each(|_| each(None)),
        other => return Err(Error::Usage(format!("a string or bytes are wanted, not {other}"))),
    }
    Ok(())
}

/// The values as text; bytes that are not UTF-8 are null.
pub(super) fn strings(array: &ArrayRef) -> Result<StringViewArray> {
    match array.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let mut text = StringViewBuilder::with_capacity(array.len());
            each_value(array, |bytes| text.append_option(bytes.and_then(|bytes| std::str::from_utf8(bytes).ok())))?;
            Ok(text.finish())
        }
        DataType::Dictionary(..) => strings(&flat(array)?),
        kind if is_text(kind) => Ok(cast(array, &DataType::Utf8View)?.as_string_view().clone()),
        other => Err(Error::Usage(format!("a string or bytes are wanted, not {other}"))),
    }
}

/// Answers an array, a dictionary once for each of its values that a row has.
pub(super) fn by_value(array: &ArrayRef, answer: &dyn Fn(&ArrayRef) -> Result<ArrayRef>) -> Result<ArrayRef> {
    let DataType::Dictionary(..) = array.data_type() else { return answer(array) };
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    if values.is_empty() {
        return answer(&new_null_array(&DataType::Null, array.len()));
    }
    // The values that are asked about, in the order in which they come, and one null for rows that have none.
    let (mut place, mut asked) = (vec![None; values.len()], Vec::new());
    let keys: Vec<Option<u32>> = dictionary
        .normalized_keys()
        .into_iter()
        .enumerate()
        .map(|(row, key)| {
            dictionary.is_valid(row).then(|| {
                *place[key].get_or_insert_with(|| {
                    asked.push(key as u64);
                    (asked.len() - 1) as u32
                })
            })
        })
        .collect();
    let null = u32::try_from(asked.len()).map_err(|_| Error::Input("a dictionary is too large".into()))?;
    let values = take(values, &arrow::array::UInt64Array::from(asked), None)?;
    let values = concat(&[values.as_ref(), new_null_array(values.data_type(), 1).as_ref()])?;
    let keys: UInt32Array = keys.into_iter().map(|key| Some(key.unwrap_or(null))).collect();
    Ok(take(&by_value(&values, answer)?, &keys, None)?)
}

/// Answers a call: scalars with a scalar, a dictionary beside scalars once a value, all else row by row. `made` gets arrays of
/// one length, none of them a dictionary.
pub(super) fn answer(
    args: &[ColumnarValue],
    rows: usize,
    made: &dyn Fn(&[ArrayRef]) -> Result<ArrayRef>,
) -> DfResult<ColumnarValue> {
    let is_scalar = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
    if let [ColumnarValue::Array(first), rest @ ..] = args
        && rest.iter().all(is_scalar)
    {
        let array = by_value(first, &|values| {
            let mut arrays = vec![Arc::clone(values)];
            for scalar in rest {
                arrays.push(flat(&scalar.to_array(values.len())?)?);
            }
            made(&arrays)
        })?;
        return Ok(ColumnarValue::Array(array));
    }
    let scalar = args.iter().all(is_scalar);
    let mut arrays = Vec::with_capacity(args.len());
    for arg in args {
        arrays.push(flat(&arg.to_array(if scalar { 1 } else { rows })?)?);
    }
    let array = made(&arrays)?;
    match scalar {
        true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
        false => Ok(ColumnarValue::Array(array)),
    }
}

/// The same rows without a dictionary.
fn flat(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(_, values) => flat(&cast(array, values)?),
        _ => Ok(Arc::clone(array)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{DictionaryArray, Int32Array, StringArray};
    use arrow::datatypes::Int32Type;
    use std::cell::RefCell;

    #[test]
    fn a_dictionary_is_worked_once_for_each_value_that_a_row_has() {
        let values: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("unused"), None, Some("b")]));
        let keys = Int32Array::from(vec![Some(3), Some(0), None, Some(3), Some(2), Some(0)]);
        let array: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, values));
        let asked = RefCell::new(Vec::new());
        let out = by_value(&array, &|values| {
            asked.borrow_mut().extend(strings(values)?.iter().map(|v| v.map(str::to_string)));
            Ok(Arc::clone(values))
        });
        let out = strings(&out.unwrap()).unwrap();
        assert_eq!(out.iter().collect::<Vec<_>>(), [Some("b"), Some("a"), None, Some("b"), None, Some("a")]);
        assert_eq!(asked.into_inner(), [Some("b".to_string()), Some("a".into()), None, None]);
        let empty: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(
            Int32Array::from(vec![None, None]),
            Arc::new(StringArray::from(Vec::<&str>::new())),
        ));
        assert_eq!(by_value(&empty, &|values| Ok(Arc::clone(values))).unwrap().len(), 2);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_no_text() {
        let array: ArrayRef = Arc::new(arrow::array::BinaryArray::from(vec![Some(&b"a\xff"[..]), Some(b"b"), None]));
        assert_eq!(strings(&array).unwrap().iter().collect::<Vec<_>>(), [None, Some("b"), None]);
        let number: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(strings(&number).unwrap_err().to_string().contains("Int32"));
    }
}
