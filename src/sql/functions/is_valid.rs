//! `hs_is_valid(code, edition)` → boolean: whether an edition has a code.
//!
//! ```sql
//! SELECT hs_is_valid('854911', '2022'), hs_is_valid('854911', '2017')
//! ```
//!
//! `true`, `false`. Chapters and headings count too. An edition that the lake has is asked first; the numbers of HS 2012, 2017 and
//! 2022 are built in. That a number exists says nothing of its goods: `hs_successors` tells what became of a code. False for what
//! is no code, null where an argument is null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBuilder};
use arrow::datatypes::DataType;

use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use super::tariff::{Editions, Lookup, Memo};
use crate::error::Result;
use crate::sql::values::strings;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_is_valid",
    syntax: "hs_is_valid(code, edition)",
    about: "Whether an edition has a code: a chapter, heading or subheading, or a code of a national schedule of the lake. The numbers of \
            HS 2012, 2017 and 2022 are built in.",
    example: "SELECT hs_is_valid('854911', '2017')",
    arguments: &[
        ("code", Kind::Text, "A code of 2 to 10 digits, with its leading zeros."),
        (
            "edition",
            Kind::Text,
            "Year of an edition, such as 2022, or a national schedule and its edition, such as CN 2025.",
        ),
    ],
    required: 2,
};

/// The function.
pub(super) static FUNCTION: Function<Editions> = Function {
    manual: &MANUAL,
    kind: || DataType::Boolean,
    refuses: nothing,
    work: |(tariff, _), columns| valid(tariff, columns),
};

fn valid(tariff: &Lookup, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [codes, editions] = [strings(&columns[0])?, strings(&columns[1])?];
    let mut named = Memo::new();
    let mut out = BooleanBuilder::with_capacity(codes.len());
    for (code, edition) in codes.iter().zip(&editions) {
        out.append_option(match code.zip(edition) {
            Some((code, edition)) => Some(named.get(edition, |edition| tariff.numbers(edition))?.have(code)),
            None => None,
        });
    }
    Ok(Arc::new(out.finish()))
}
