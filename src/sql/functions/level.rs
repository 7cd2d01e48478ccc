//! `hs_level(code)` → integer: the number of digits of a code.
//!
//! ```sql
//! SELECT hs_level('85'), hs_level('850110')
//! ```
//!
//! `2`, `6`: 2 is a chapter, 4 a heading, 6 a subheading, 8 and 10 are national. Null for what is no code, and for a null.

use std::sync::Arc;

use arrow::array::Int64Array;
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::manual::{Kind, Manual, documentation};
use super::parent::is_code;
use crate::sql::values::{answer, strings};

pub(super) const MANUAL: Manual = Manual {
    name: "hs_level",
    syntax: "hs_level(code)",
    about: "The number of digits of a code: 2 is a chapter, 4 a heading, 6 a subheading, 8 and 10 are national. Null for what is no code.",
    example: "SELECT hs_level('850110')",
    arguments: &[("code", Kind::Text, "A code of 2 to 10 digits, with its leading zeros.")],
    required: 1,
};

/// The function.
pub fn hs_level() -> ScalarUDF {
    ScalarUDF::new_from_impl(HsLevel { signature: MANUAL.signature() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HsLevel {
    signature: Signature,
}

impl ScalarUDFImpl for HsLevel {
    fn name(&self) -> &str {
        MANUAL.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        MANUAL.check(args)?;
        Ok(DataType::Int64)
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(MANUAL.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        answer(&args.args, args.number_rows, &|columns| {
            let level = |code: Option<&str>| code.filter(|code| is_code(code)).map(|code| code.len() as i64);
            Ok(Arc::new(strings(&columns[0])?.iter().map(level).collect::<Int64Array>()))
        })
    }
}
