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

use arrow::array::{ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::manual::{Kind, Manual, documentation};
use super::tariff::{Editions, Memo};
use crate::sql::values::{answer, strings};

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

pub(super) fn of(editions: Editions) -> ScalarUDF {
    ScalarUDF::new_from_impl(HsSuccessors { editions, signature: MANUAL.signature() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HsSuccessors {
    pub(super) editions: Editions,
    signature: Signature,
}

impl ScalarUDFImpl for HsSuccessors {
    fn name(&self) -> &str {
        MANUAL.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        MANUAL.check(args)?;
        Ok(DataType::List(element()))
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(MANUAL.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let tariff = self.editions.tariff(MANUAL.name)?;
        answer(&args.args, args.number_rows, &|columns| {
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
        })
    }
}

fn element() -> FieldRef {
    Arc::new(Field::new("element", DataType::Utf8, true))
}
