//! The named queries of `queries/named/`: what their headers say, and how values are bound to their parameters.
//!
//! Always holds: a name is one of [`list`], a value has the type that the header gives its parameter, and it is bound, never
//! pasted into the text. A query reads; one that would write is refused when it is planned.
//!
//! A header is comment lines at the top of the file:
//!
//! ```sql
//! -- purpose: what it answers, in one sentence
//! -- reads:   tables and views, by name
//! -- yields:  the columns, in order
//! -- param: since date = null — what it is; without "= default" it has to be given
//! ```
//!
//! In the text a parameter stands as `CAST($since AS DATE)`, so that its type is known before it has a value.

mod header;
mod near;

use std::sync::LazyLock;

use datafusion::common::ParamValues;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{DataFrame, SessionContext};

use crate::error::{Context, Error, Result};

use header::parse;
use near::near;

pub use header::{Kind, Param};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../queries/named/", $name, ".sql")))),*]
    };
}

/// Name and text of every file of `queries/named/`, in the order of the names.
const FILES: &[(&str, &str)] = files![
    "accepted_below",
    "answers_of_model",
    "audit_sample",
    "backfill_gaps",
    "binding_rulings",
    "challenger_by_chapter",
    "challenger_by_value",
    "codes_not_in_edition",
    "confidence_calibration",
    "consistency_findings",
    "corrections_by_heading",
    "cost_by_run",
    "counted_on_day",
    "coverage_by_chapter",
    "decisions_by_reviewer",
    "declared_by_value",
    "drift_by_chapter",
    "duplicate_texts",
    "files_without_answers",
    "line_history",
    "lines_by_edition",
    "lines_by_reason",
    "model_versions",
    "moved_with_tariff",
    "oldest_waiting",
    "queue_age",
    "reasons_by_frequency",
    "reviewer_agreement",
    "reviewers_against_model",
    "run_inputs",
    "tariff_changes_waiting",
    "texts_most_decided",
    "texts_waiting",
    "threshold_effect",
    "trend_by_day",
    "value_at_risk",
    "who_decided",
];

/// A query that has a name, and what its header says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedQuery {
    name: &'static str,
    purpose: &'static str,
    reads: Vec<&'static str>,
    yields: Vec<&'static str>,
    params: Vec<Param>,
    sql: &'static str,
}

/// All of them, by name.
pub fn list() -> &'static [NamedQuery] {
    static ALL: LazyLock<Vec<NamedQuery>> = LazyLock::new(|| {
        // The files are part of the program: a broken header fails the tests, never a user.
        FILES.iter().map(|(name, sql)| parse(name, sql).unwrap_or_else(|e| unreachable!("{e}"))).collect()
    });
    &ALL
}

/// The query of this name.
///
/// # Errors
/// `Usage` with the names that are like it.
pub fn find(name: &str) -> Result<&'static NamedQuery> {
    list().iter().find(|query| query.name == name).ok_or_else(|| {
        let near = near(name, list().iter().map(NamedQuery::name));
        let hint = match &near[..] {
            [] => format!("they are: {}", list().iter().map(NamedQuery::name).collect::<Vec<_>>().join(", ")),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        Error::Usage(format!("no query is named {name}; {hint}"))
    })
}

impl NamedQuery {
    /// Its name, which is that of its file.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it answers, in one sentence.
    pub fn purpose(&self) -> &'static str {
        self.purpose
    }

    /// The tables and views that it reads.
    pub fn reads(&self) -> &[&'static str] {
        &self.reads
    }

    /// Its columns, in order.
    pub fn yields(&self) -> &[&'static str] {
        &self.yields
    }

    /// Its parameters, in the order of the header.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Its text, header included, with `$name` where a parameter stands.
    pub fn sql(&self) -> &'static str {
        self.sql
    }

    /// A value for every parameter: the given ones (name, text), and defaults for the rest.
    ///
    /// # Errors
    /// `Usage` when one is missing, unknown, given twice, or not of its type.
    pub fn values(&self, given: &[(String, String)]) -> Result<ParamValues> {
        for (at, (name, _)) in given.iter().enumerate() {
            if !self.params.iter().any(|param| param.name == name) {
                return Err(self.unknown(name));
            }
            if given[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::Usage(format!("{}: {name} is given twice", self.name)));
            }
        }
        let mut values = Vec::with_capacity(self.params.len());
        for param in &self.params {
            let value = match (given.iter().find(|(name, _)| name == param.name), &param.default) {
                (Some((_, text)), _) => param.kind.value(text).ok_or_else(|| {
                    let leave = if param.default.is_some() { ", or leave it out" } else { "" };
                    let wanted = param.kind.wanted();
                    Error::Usage(format!("{}: {} = {text:?} is not {wanted}; give one{leave}", self.name, param.name))
                })?,
                (None, Some(default)) => default.value.clone(),
                (None, None) => {
                    let Param { name, about, kind, .. } = param;
                    let give = format!("give it as {name}=VALUE, {}", kind.wanted());
                    return Err(Error::Usage(format!("{} needs {name}: {about}; {give}", self.name)));
                }
            };
            values.push((param.name, value));
        }
        Ok(values.into())
    }

    /// The query in a session that has the lake's tables and views, with these values for its parameters.
    ///
    /// # Errors
    /// As [`values`](Self::values); `Usage` when the session lacks a table.
    pub async fn frame(&self, context: &SessionContext, given: &[(String, String)]) -> Result<DataFrame> {
        let values = self.values(given)?;
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = context.sql_with_options(self.sql, read_only).await.context(|| self.name)?;
        frame.with_param_values(values).context(|| self.name)
    }

    /// A Markdown section for `docs/queries.md`.
    pub fn markdown(&self) -> String {
        let code = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let mut purpose = self.purpose.chars();
        let first = purpose.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
        let mut out = format!("### `{}`\n\n{first}{}.\n\n", self.name, purpose.as_str());
        if !self.params.is_empty() {
            out += "| parameter | type | default | what it is |\n| --- | --- | --- | --- |\n";
            for param in &self.params {
                let default = param.default().unwrap_or("has to be given");
                out += &format!("| `{}` | {} | {default} | {} |\n", param.name, param.kind.as_str(), param.about);
            }
            out += "\n";
        }
        out + &format!("Reads {}. Gives {}.\n", code(&self.reads), code(&self.yields))
    }

    fn unknown(&self, name: &str) -> Error {
        let names = || self.params.iter().map(Param::name);
        let hint = match &near(name, names())[..] {
            _ if self.params.is_empty() => "it has none".into(),
            [] => format!("they are: {}", names().collect::<Vec<_>>().join(", ")),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        Error::Usage(format!("{} has no parameter {name}; {hint}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::scalar::ScalarValue;

    use super::*;

    const TEXT: &str = "-- purpose: lines of a day\n-- reads:   predictions\n-- yields:  hs6, lines\n\
                        -- param: day date — the day\n-- param: limit count = 10 — rows\n\
                        -- param: above ratio = null — the least confidence\nSELECT 1";

    fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        parse("of_day", TEXT).unwrap().values(&given(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn values_are_typed_and_what_is_not_given_is_the_default() {
        let query = parse("of_day", TEXT).unwrap();
        let ParamValues::Map(values) = query.values(&given(&[("day", "2026-03-31")])).unwrap() else { panic!() };
        // 31 March 2026 is day 20,543 since 1 January 1970: 56 years with 14 leap days, and 89 days.
        assert_eq!(values["day"].value, ScalarValue::Date32(Some(56 * 365 + 14 + 89)));
        assert_eq!(values["limit"].value, ScalarValue::Int64(Some(10)));
        assert_eq!(values["above"].value, ScalarValue::Float64(None));
    }

    #[test]
    fn what_is_missing_unknown_twice_or_of_another_type_is_told() {
        assert_eq!(refused(&[]), "of_day needs day: the day; give it as day=VALUE, a day such as 2026-03-31");
        assert_eq!(refused(&[("dya", "x")]), "of_day has no parameter dya; did you mean day?");
        assert_eq!(refused(&[("colour", "x")]), "of_day has no parameter colour; they are: day, limit, above");
        assert_eq!(refused(&[("day", "2026-01-01"), ("day", "2026-01-02")]), "of_day: day is given twice");
        for day in ["31.03.2026", "2026-02-30", "", "null", "2026-03-31'; DROP TABLE runs"] {
            assert!(refused(&[("day", day)]).ends_with("is not a day such as 2026-03-31; give one"), "{day}");
        }
        for (name, value) in [("limit", "-1"), ("limit", "1.5"), ("above", "1.01"), ("above", "NaN")] {
            assert!(refused(&[("day", "2026-01-01"), (name, value)]).contains("or leave it out"), "{name} {value}");
        }
    }
}
