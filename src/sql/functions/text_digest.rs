//! `text_digest(text)` → string: the digest of the normalised description.
//!
//! ```sql
//! SELECT text_digest('Cotton shirts') = text_digest(' COTTON  shirts')
//! ```
//!
//! `true`. 32 hexadecimal digits: the first 128 bits of BLAKE3 of `text_normalise(text)`, as the column `text_digest` of the
//! tables has it. Null where nothing is left of the text, for bytes that are not UTF-8, and for a null, as there.

use std::sync::Arc;

use arrow::array::{Array, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::manual::{Kind, Manual, documentation};
use crate::sql::values::{answer, strings};
use crate::text::{digest, normalise};

pub(super) const MANUAL: Manual = Manual {
    name: "text_digest",
    syntax: "text_digest(text)",
    about: "The first 128 bits of BLAKE3 of the normalised description, as 32 hexadecimal digits: what the column text_digest of the tables \
            holds. Null where nothing is left of the text, and for bytes that are not UTF-8.",
    example: "SELECT text_digest('Cotton shirts')",
    arguments: &[("text", Kind::Text, "Description of goods.")],
    required: 1,
};

/// The function.
pub fn text_digest() -> ScalarUDF {
    ScalarUDF::new_from_impl(TextDigest { signature: MANUAL.signature() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextDigest {
    signature: Signature,
}

impl ScalarUDFImpl for TextDigest {
    fn name(&self) -> &str {
        MANUAL.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        MANUAL.check(args)?;
        Ok(DataType::Utf8)
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(MANUAL.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        answer(&args.args, args.number_rows, &|columns| {
            let texts = strings(&columns[0])?;
            let mut out = StringBuilder::with_capacity(texts.len(), texts.len() * 32);
            let mut normalised = String::new();
            for text in &texts {
                normalised.clear();
                text.map(|text| normalise(text, &mut normalised));
                match normalised.is_empty() {
                    true => out.append_null(),
                    false => out.append_value(digest(&normalised).hex(&mut [0; 32])),
                }
            }
            Ok(Arc::new(out.finish()))
        })
    }
}
