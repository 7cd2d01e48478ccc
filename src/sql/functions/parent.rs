//! `hs_parent(code)` → string: the code two digits shorter.
//!
//! ```sql
//! SELECT hs_parent('850110'), hs_parent('8501')
//! ```
//!
//! `8501`, `85`. Null for a chapter, for what is no code, and for a null. A code has 2, 4, 6, 8 or 10 digits; whether an edition
//! has it is not asked (`hs_is_valid`).

use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::manual::{Kind, Manual, documentation};
use crate::sql::values::{answer, strings};

pub(super) const MANUAL: Manual = Manual {
    name: "hs_parent",
    syntax: "hs_parent(code)",
    about: "The code two digits shorter: the heading of a subheading, the chapter of a heading. Null for a chapter and for what is no code.",
    example: "SELECT hs_parent('850110')",
    arguments: &[("code", Kind::Text, "A code of 2 to 10 digits, with its leading zeros.")],
    required: 1,
};

/// The function.
pub fn hs_parent() -> ScalarUDF {
    ScalarUDF::new_from_impl(HsParent { signature: MANUAL.signature() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HsParent {
    signature: Signature,
}

impl ScalarUDFImpl for HsParent {
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
            Ok(Arc::new(strings(&columns[0])?.iter().map(|code| code.and_then(parent)).collect::<StringArray>()))
        })
    }
}

/// Whether a text has the form of a code: 2, 4, 6, 8 or 10 digits.
pub(super) fn is_code(text: &str) -> bool {
    matches!(text.len(), 2 | 4 | 6 | 8 | 10) && text.bytes().all(|b| b.is_ascii_digit())
}

fn parent(code: &str) -> Option<&str> {
    (is_code(code) && code.len() > 2).then(|| &code[..code.len() - 2])
}
