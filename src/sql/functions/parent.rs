//! `hs_parent(code)` → string: the code two digits shorter.
//!
//! ```sql
//! SELECT hs_parent('850110'), hs_parent('8501')
//! ```
//!
//! `8501`, `85`. Null for a chapter, for what is no code, and for a null. A code has 2, 4, 6, 8 or 10 digits; whether an edition
//! has it is not asked (`hs_is_valid`).

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;

use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use crate::error::Result;
use crate::sql::values::strings;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_parent",
    syntax: "hs_parent(code)",
    about: "The code two digits shorter: the heading of a subheading, the chapter of a heading. Null for a chapter and for what is no code.",
    example: "SELECT hs_parent('850110')",
    arguments: &[("code", Kind::Text, "A code of 2 to 10 digits, with its leading zeros.")],
    required: 1,
};

/// The function.
pub(super) static FUNCTION: Function<()> =
    Function { manual: &MANUAL, kind: || DataType::Utf8, refuses: nothing, work: |(), columns| parents(columns) };

fn parents(columns: &[ArrayRef]) -> Result<ArrayRef> {
    Ok(Arc::new(strings(&columns[0])?.iter().map(|code| code.and_then(parent)).collect::<StringArray>()))
}

/// Whether a text has the form of a code: 2, 4, 6, 8 or 10 digits.
pub(super) fn is_code(text: &str) -> bool {
    matches!(text.len(), 2 | 4 | 6 | 8 | 10) && text.bytes().all(|b| b.is_ascii_digit())
}

fn parent(code: &str) -> Option<&str> {
    (is_code(code) && code.len() > 2).then(|| &code[..code.len() - 2])
}
