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

use arrow::array::{Array, ArrayRef, StringViewBuilder};
use arrow::datatypes::DataType;
use chrono::NaiveDate;

use super::function::{Function, nothing};
use super::manual::{Kind, Manual};
use super::tariff::{Editions, Lookup, Memo};
use crate::error::Result;
use crate::sql::values::strings;
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

/// The function.
pub(super) static FUNCTION: Function<Editions> = Function {
    manual: &MANUAL,
    kind: || DataType::Utf8View,
    refuses: nothing,
    work: |(tariff, today), columns| wordings(tariff, today, columns),
};

fn wordings(tariff: &Lookup, today: NaiveDate, columns: &[ArrayRef]) -> Result<ArrayRef> {
    let texts = columns.iter().map(strings).collect::<Result<Vec<_>>>()?;
    let in_force = if texts.len() == 1 { Some(tariff.in_force(today)?) } else { None };
    let mut named = Memo::new();
    let mut out = StringViewBuilder::with_capacity(texts[0].len());
    for row in 0..texts[0].len() {
        let value = |n: usize| texts.get(n).filter(|column| column.is_valid(row)).map(|column| column.value(row));
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
