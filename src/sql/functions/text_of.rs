//! `text_of(bytes)` → string: the text of raw bytes, with U+FFFD where they are not UTF-8.
//!
//! ```sql
//! SELECT text_of(X'636166c3a9')
//! ```
//!
//! `café`. A string stays as it is; null for a null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use crate::error::Result;
use crate::sql::values::strings;

pub(super) const MANUAL: Manual = Manual {
    name: "text_of",
    syntax: "text_of(bytes)",
    about: "The text of raw bytes, with U+FFFD where they are not UTF-8. A string stays as it is.",
    example: "SELECT text_of(X'636166c3a9')",
    arguments: &[("bytes", Kind::Text, "Bytes, or a string.")],
    required: 1,
};

/// The function.
pub(super) static FUNCTION: Function<()> = Function {
    manual: &MANUAL,
    kind: || DataType::Utf8View,
    refuses: nothing,
    work: |(), columns| Ok(Arc::new(text(&columns[0])?)),
};

/// The function as DataFusion takes it.
pub fn text_of() -> ScalarUDF {
    FUNCTION.with(())
}

fn text(column: &ArrayRef) -> Result<StringViewArray> {
    let bytes = match column.data_type() {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => cast(column, &DataType::BinaryView)?,
        _ => return strings(column),
    };
    let bytes = bytes.as_binary_view();
    // All valid: the same buffers under another type.
    if let Ok(text) = bytes.clone().to_string_view() {
        return Ok(text);
    }
    let mut text = StringViewBuilder::with_capacity(bytes.len());
    for value in bytes {
        text.append_option(value.map(String::from_utf8_lossy));
    }
    Ok(text.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::BinaryViewArray;
    use arrow::datatypes::Field;
    use datafusion::config::ConfigOptions;
    use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

    #[test]
    fn valid_text_is_kept_and_bad_bytes_become_the_replacement_character() {
        for (bytes, text) in [(&b"caf\xc3\xa9"[..], "café"), (&b"a\xffb"[..], "a\u{fffd}b")] {
            let array = BinaryViewArray::from(vec![Some(bytes), None]);
            let args = ScalarFunctionArgs {
                args: vec![ColumnarValue::Array(Arc::new(array))],
                arg_fields: vec![Arc::new(Field::new("b", DataType::BinaryView, true))],
                number_rows: 2,
                return_field: Arc::new(Field::new("t", DataType::Utf8View, true)),
                config_options: Arc::new(ConfigOptions::default()),
            };
            let out = text_of().invoke_with_args(args).unwrap().to_array(2).unwrap();
            assert_eq!(out.as_string_view().value(0), text);
            assert!(out.is_null(1));
        }
    }
}
