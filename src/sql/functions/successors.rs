//! `hs_successors(code, from, to)` → list of string: the codes of a later edition that share goods with a code.
//!
//! ```sql
//! SELECT hs_successors('852190', '2017', '2022')
//! ```
//!
//! The list is that of the lake's correlation tables, ascending: the table between the two editions, or, where there is none, a
//! chain of them. One element equal to the code is no proof that nothing changed: other codes may have come to it. The list is
//! empty for a code without a successor, and null for a code that the older edition does not have and where an argument is null.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};

use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use super::tariff::{Editions, Lookup, Memo};
use crate::error::Result;
use crate::sql::values::strings;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_successors",
    syntax: "hs_successors(code, from, to)",
    about: "The subheadings of a later edition that share goods with a subheading, ascending, by the lake's correlation tables. Empty without \
            a successor, null where the older edition does not have the code.",
    example: "SELECT hs_successors('852190', '2017', '2022')",
    arguments: &[
        ("code", Kind::Text, "A subheading of the older edition, six digits."),
        ("from", Kind::Text, "Year of the older edition, such as 2017."),
        ("to", Kind::Text, "Year of the newer edition, such as 2022."),
    ],
    required: 3,
};

/// The function.
pub(super) static FUNCTION: Function<Editions> = Function {
    manual: &MANUAL,
    kind: || DataType::List(element()),
    refuses: nothing,
    work: |(tariff, _), columns| lists(tariff, columns),
};

fn lists(tariff: &Lookup, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [codes, from, to] = [strings(&columns[0])?, strings(&columns[1])?, strings(&columns[2])?];
    let mut ways = Memo::new();
    let mut out = ListBuilder::new(StringBuilder::new()).with_field(element());
    for ((code, from), to) in codes.iter().zip(&from).zip(&to) {
        let (Some(code), Some(from), Some(to)) = (code, from, to) else {
            out.append(false);
            continue;
        };
        let changes = ways.get(&format!("{from} {to}"), |_| tariff.changes(from, to))?;
        let change = code.parse().ok().and_then(|code| changes.of(code));
        for successor in change.iter().flat_map(|change| change.successors) {
            out.values().append_value(successor.as_str());
        }
        out.append(change.is_some());
    }
    Ok(Arc::new(out.finish()))
}

fn element() -> FieldRef {
    Arc::new(Field::new("element", DataType::Utf8, true))
}
