//! `text_of(bytes)`: the text of raw bytes, with U+FFFD where they are not UTF-8.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The function.
pub fn text_of() -> ScalarUDF {
    ScalarUDF::new_from_impl(TextOf { signature: Signature::exact(vec![DataType::BinaryView], Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextOf {
    signature: Signature,
}

impl ScalarUDFImpl for TextOf {
    fn name(&self) -> &str {
        "text_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [bytes] = &args.args[..] else {
            return Err(DataFusionError::Internal("text_of takes one argument".into()));
        };
        let bytes = bytes.to_array(args.number_rows)?;
        let bytes = bytes.as_binary_view();
        // All valid: the same buffers under another type.
        if let Ok(text) = bytes.clone().to_string_view() {
            return Ok(ColumnarValue::Array(Arc::new(text)));
        }
        let mut text = StringViewBuilder::with_capacity(bytes.len());
        for value in bytes {
            text.append_option(value.map(String::from_utf8_lossy));
        }
        Ok(ColumnarValue::Array(Arc::new(text.finish())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::BinaryViewArray;
    use arrow::datatypes::Field;
    use datafusion::config::ConfigOptions;

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
