//! `text_normalise(text)` → string: a description as everything else sees it.
//!
//! ```sql
//! SELECT text_normalise('  70CTNS Cotton   SHIRTS ')
//! ```
//!
//! `70ctns cotton shirts`: NFKC, lower case, single spaces, at most 512 characters. Lines with equal normalised texts are equal
//! goods. Null for bytes that are not UTF-8, and for a null.

use std::sync::Arc;

use arrow::array::{Array, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::manual::{Kind, Manual, documentation};
use crate::sql::values::{answer, strings};
use crate::text::normalise;

pub(super) const MANUAL: Manual = Manual {
    name: "text_normalise",
    syntax: "text_normalise(text)",
    about: "A description as models see it: NFKC, lower case, single spaces, at most 512 characters. Null for bytes that are not UTF-8.",
    example: "SELECT text_normalise('  70CTNS Cotton   SHIRTS ')",
    arguments: &[("text", Kind::Text, "Description of goods.")],
    required: 1,
};

/// The function.
pub fn text_normalise() -> ScalarUDF {
    ScalarUDF::new_from_impl(TextNormalise { signature: MANUAL.signature() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextNormalise {
    signature: Signature,
}

impl ScalarUDFImpl for TextNormalise {
    fn name(&self) -> &str {
        MANUAL.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        MANUAL.check(args)?;
        Ok(DataType::Utf8View)
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(MANUAL.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        answer(&args.args, args.number_rows, &|columns| {
            let texts = strings(&columns[0])?;
            let mut out = StringViewBuilder::with_capacity(texts.len());
            let mut normalised = String::new();
            for text in &texts {
                out.append_option(text.map(|text| {
                    normalise(text, &mut normalised);
                    normalised.as_str()
                }));
            }
            Ok(Arc::new(out.finish()))
        })
    }
}
