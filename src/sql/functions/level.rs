//! `hs_level(code)` → integer: the number of digits of a code.
//!
//! ```sql
//! SELECT hs_level('85'), hs_level('850110')
//! ```
//!
//! `2`, `6`: 2 is a chapter, 4 a heading, 6 a subheading, 8 and 10 are national. Null for what is no code, and for a null.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;

use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use super::parent::is_code;
use crate::error::Result;
use crate::sql::values::strings;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_level",
    syntax: "hs_level(code)",
    about: "The number of digits of a code: 2 is a chapter, 4 a heading, 6 a subheading, 8 and 10 are national. Null for what is no code.",
    example: "SELECT hs_level('850110')",
    arguments: &[("code", Kind::Text, "A code of 2 to 10 digits, with its leading zeros.")],
    required: 1,
};

/// The function.
pub(super) static FUNCTION: Function<()> =
    Function { manual: &MANUAL, kind: || DataType::Int64, refuses: nothing, work: |(), columns| levels(columns) };

fn levels(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let level = |code: Option<&str>| code.filter(|code| is_code(code)).map(|code| code.len() as i64);
    Ok(Arc::new(strings(&columns[0])?.iter().map(level).collect::<Int64Array>()))
}
