//! `text_digest(text)` → string: the digest of the normalised description.
//!
//! ```sql
//! SELECT text_digest('Cotton shirts') = text_digest(' COTTON  shirts')
//! ```
//!
//! `true`. 32 hexadecimal digits: the first 128 bits of BLAKE3 of `text_normalise(text)`, as the column `text_digest` of the
//! tables has it. Null where nothing is left of the text, for bytes that are not UTF-8, and for a null, as there.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringBuilder};
use arrow::datatypes::DataType;

use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use crate::error::Result;
use crate::sql::values::strings;
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
pub(super) static FUNCTION: Function<()> =
    Function { manual: &MANUAL, kind: || DataType::Utf8, refuses: nothing, work: |(), columns| digests(columns) };

fn digests(columns: &[ArrayRef]) -> Result<ArrayRef> {
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
}
