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

use arrow::array::{Array, BooleanBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::manual::{Kind, Manual, documentation};
use super::tariff::{Editions, Memo};
use crate::sql::values::{answer, strings};

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

pub(super) fn of(editions: Editions) -> ScalarUDF {
    ScalarUDF::new_from_impl(HsIsValid { editions, signature: MANUAL.signature() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HsIsValid {
    pub(super) editions: Editions,
    signature: Signature,
}

impl ScalarUDFImpl for HsIsValid {
    fn name(&self) -> &str {
        MANUAL.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        MANUAL.check(args)?;
        Ok(DataType::Boolean)
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(MANUAL.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let tariff = self.editions.tariff(MANUAL.name)?;
        answer(&args.args, args.number_rows, &|columns| {
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
        })
    }
}
