//! `text_normalise(text)` → string: a description as everything else sees it.
//!
//! ```sql
//! SELECT text_normalise('  70CTNS Cotton   SHIRTS ')
//! ```
//!
//! `70ctns cotton shirts`: NFKC, lower case, single spaces, at most 512 characters. Lines with equal normalised texts are equal
//! goods. Null for bytes that are not UTF-8, and for a null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringViewBuilder};
use arrow::datatypes::DataType;

use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use crate::error::Result;
use crate::sql::values::strings;
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
pub(super) static FUNCTION: Function<()> = Function {
    manual: &MANUAL,
    kind: || DataType::Utf8View,
    refuses: nothing,
    work: |(), columns| normalised(columns),
};

fn normalised(columns: &[ArrayRef]) -> Result<ArrayRef> {
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
}
