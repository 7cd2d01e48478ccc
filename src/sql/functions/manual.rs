//! What a function's documentation says, and what follows from it: the check of its arguments, its signature, and the types of
//! parameters that stand in for arguments.
//!
//! Always holds: a call that a manual refuses never gets past planning, and the message says what to pass.

use std::sync::LazyLock;

use arrow::datatypes::{DataType, Field};
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{DocSection, Documentation, Signature, TypeSignature, Volatility};

use crate::sql::values::is_text;

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string or bytes of any encoding.
    Text,
    /// A whole number.
    Number,
    /// A string, or a list of strings.
    Codes,
    /// A string that stands in the query itself.
    Model,
}

impl Kind {
    fn takes(self, kind: &DataType) -> bool {
        match self {
            Kind::Text | Kind::Model => is_text(kind),
            Kind::Number => kind.is_integer() || kind.is_null(),
            Kind::Codes => match kind {
                DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                    is_text(item.data_type())
                }
                kind => is_text(kind),
            },
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Kind::Text => "a string or bytes; cast another type first, CAST(x AS VARCHAR)",
            Kind::Number => "a whole number",
            Kind::Codes => "a string such as '85', or a list of them such as ['850110', '850120']",
            Kind::Model => "a string such as 'hs@7'",
        }
    }

    /// The type of a parameter in this place.
    pub(super) fn of_parameter(self) -> DataType {
        match self {
            Kind::Number => DataType::Int64,
            Kind::Text | Kind::Codes | Kind::Model => DataType::Utf8,
        }
    }

    fn examples(self) -> Vec<DataType> {
        match self {
            Kind::Codes => {
                vec![DataType::Utf8, DataType::List(Field::new_list_field(DataType::Utf8, true).into())]
            }
            kind => vec![kind.of_parameter()],
        }
    }
}

/// An argument: its name, what it may be, and what it means.
pub(super) type Argument = (&'static str, Kind, &'static str);

/// See the module.
#[derive(Debug)]
pub(super) struct Manual {
    pub name: &'static str,
    /// Such as `hs_predict(text [, model])`.
    pub syntax: &'static str,
    /// What it gives, null included, and what it costs where that is worth a word.
    pub about: &'static str,
    /// A query.
    pub example: &'static str,
    pub arguments: &'static [Argument],
    /// How many of the arguments a call must have.
    pub required: usize,
}

impl Manual {
    /// # Errors
    /// `Plan` for a wrong number of arguments, and for one of a wrong type.
    pub(super) fn check(&self, args: &[DataType]) -> DfResult<()> {
        let (least, most) = (self.required, self.arguments.len());
        if args.len() < least || args.len() > most {
            let takes = if least == most { most.to_string() } else { format!("{least} to {most}") };
            let plural = if most == 1 { "" } else { "s" };
            let given = args.len();
            return refused(format!("{} takes {takes} argument{plural}, not {given}", self.syntax));
        }
        for ((name, kind, _), given) in self.arguments.iter().zip(args) {
            if !kind.takes(given) {
                return refused(format!("{}: {name} is {}; it is {given} here", self.syntax, kind.in_words()));
            }
        }
        Ok(())
    }

    /// Takes arguments of any type, so that [`Manual::check`] sees them as they are; the types beside that are for
    /// `information_schema`.
    pub(super) fn signature(&self) -> Signature {
        let mut all = vec![TypeSignature::VariadicAny];
        for count in self.required..=self.arguments.len() {
            let mut rows: Vec<Vec<DataType>> = vec![Vec::new()];
            for (_, kind, _) in &self.arguments[..count] {
                rows = rows
                    .iter()
                    .flat_map(|row| kind.examples().into_iter().map(|kind| [row.as_slice(), &[kind]].concat()))
                    .collect();
            }
            all.extend(rows.into_iter().map(TypeSignature::Exact));
        }
        Signature::one_of(all, Volatility::Immutable)
    }

    fn documentation(&self) -> Documentation {
        let section = DocSection { include: true, label: "Harmonized System", description: None };
        let builder = Documentation::builder(section, self.about, self.syntax).with_sql_example(self.example);
        self.arguments.iter().fold(builder, |builder, (name, _, about)| builder.with_argument(*name, *about)).build()
    }
}

/// The documentation of each function, made once.
pub(super) fn documentation(name: &str) -> Option<&'static Documentation> {
    static ALL: LazyLock<Vec<(&str, Documentation)>> =
        LazyLock::new(|| super::MANUALS.iter().map(|manual| (manual.name, manual.documentation())).collect());
    ALL.iter().find(|(of, _)| *of == name).map(|(_, documentation)| documentation)
}

pub(super) fn refused<T>(why: String) -> DfResult<T> {
    Err(DataFusionError::Plan(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_call_is_told_what_to_pass() {
        let manual = &super::super::topk::MANUAL;
        let said = |args: &[DataType]| manual.check(args).unwrap_err().to_string();
        assert!(said(&[]).contains("hs_topk(text, k [, model]) takes 2 to 3 arguments, not 0"), "{}", said(&[]));
        let wrong = said(&[DataType::Int64, DataType::Int64]);
        assert!(wrong.contains("text is a string or bytes") && wrong.contains("it is Int64 here"), "{wrong}");
        assert!(said(&[DataType::Utf8, DataType::Utf8]).contains("k is a whole number"));
        let list = DataType::List(Field::new_list_field(DataType::Utf8View, true).into());
        assert!(super::super::within::MANUAL.check(&[DataType::Binary, list]).is_ok());
    }

    #[test]
    fn every_function_is_documented_with_an_example_that_calls_it() {
        for manual in super::super::MANUALS {
            assert!(manual.syntax.starts_with(manual.name) && manual.example.contains(manual.name), "{}", manual.name);
            assert!(manual.about.len() > 30 && !manual.arguments.is_empty(), "{}", manual.name);
            assert!(documentation(manual.name).is_some());
        }
    }
}
