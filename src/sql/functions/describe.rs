//! `hs_describe(code [, edition [, language]])` → string: the wording of a code.
//!
//! ```sql
//! SELECT hs_describe('0101', '2022'), hs_describe('01012910', 'CN 2025', 'de')
//! ```
//!
//! `Horses, asses, mules and hinnies; live`. The wording is that of the lake's nomenclature, which has to be imported. Without an
//! edition it is the edition of the Harmonized System in force on the day of the query: give the one to which the code belongs,
//! as in `hs_describe(hs6, tariff_edition)`, because a number can change its goods. Without a language it is the first that the
//! code has. Null for a code that the edition does not have or has no wording for, and where an argument is null.

use std::sync::Arc;

use arrow::array::{Array, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::manual::{Kind, Manual, documentation};
use super::tariff::{Editions, Memo};
use crate::error::Result;
use crate::sql::values::{answer, strings};
use crate::tariff::Nomenclature;

pub(super) const MANUAL: Manual = Manual {
    name: "hs_describe",
    syntax: "hs_describe(code [, edition [, language]])",
    about: "The wording of a code in the lake's nomenclature. Without an edition that of the day of the query; without a language the first \
            that there is. Null where the edition does not have the code.",
    example: "SELECT hs_describe('0101', '2022')",
    arguments: &[
        ("code", Kind::Text, "A code of 2 to 10 digits, with its leading zeros."),
        (
            "edition",
            Kind::Text,
            "Year of an edition, such as 2022, or a national schedule and its edition, such as CN 2025.",
        ),
        ("language", Kind::Text, "Language of the wording, such as en."),
    ],
    required: 1,
};

pub(super) fn of(editions: Editions) -> ScalarUDF {
    ScalarUDF::new_from_impl(HsDescribe { editions, signature: MANUAL.signature() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HsDescribe {
    pub(super) editions: Editions,
    signature: Signature,
}

impl ScalarUDFImpl for HsDescribe {
    fn name(&self) -> &str {
        MANUAL.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        MANUAL.check(args)?;
        Ok(DataType::Utf8View)
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(MANUAL.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let tariff = self.editions.tariff(MANUAL.name)?;
        let today = self.editions.today;
        answer(&args.args, args.number_rows, &|columns| {
            let texts = columns.iter().map(strings).collect::<Result<Vec<_>>>()?;
            let in_force = if texts.len() == 1 { Some(tariff.in_force(today)?) } else { None };
            let mut named = Memo::new();
            let mut out = StringViewBuilder::with_capacity(texts[0].len());
            for row in 0..texts[0].len() {
                let value =
                    |n: usize| texts.get(n).filter(|column| column.is_valid(row)).map(|column| column.value(row));
                let whole = (0..texts.len()).all(|n| value(n).is_some());
                let nomenclature = match (whole, value(1)) {
                    (false, _) => None,
                    (true, Some(edition)) => Some(*named.get(edition, |edition| tariff.nomenclature(edition))?),
                    (true, None) => in_force,
                };
                let wording = nomenclature.zip(value(0)).map(|(of, code)| wording(of, code, value(2)));
                out.append_option(wording.filter(|wording| !wording.is_empty()));
            }
            Ok(Arc::new(out.finish()))
        })
    }
}

fn wording<'a>(of: &'a Nomenclature, code: &str, language: Option<&str>) -> &'a str {
    match language {
        None => of.text(code),
        Some(language) => {
            let entry = of.of(code).iter().find(|entry| entry.language.eq_ignore_ascii_case(language));
            entry.map_or("", |entry| entry.description.as_str())
        }
    }
}
